"""Measure how fast this machine trains and predicts, with random weights of the size of an encoder: seconds, not hours.

Steps of two sizes are timed by turns: pairs of 16 to 67 tokens (41.5 on average, as MNLI's), 4 and 32 of them for
training, a sixteenth and the whole of a prediction batch. The line through both medians is the fixed time of a step and
the time per token. On a CPU it is process time, so that a busy machine matters less; on a GPU the clock, synchronised.
"""

from __future__ import annotations

import csv
import logging
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import XLMRobertaConfig, XLMRobertaModel

from intermezzo.config.models import Config
from intermezzo.core.artifacts import atomic
from intermezzo.dag.encoder_size import Shape, shape_of
from intermezzo.modeling.encoder import Encoder
from intermezzo.modeling.packing import Packed, pack
from intermezzo.planning.rates import BATCH, CPU, FIELDS, MEASURED, RateLine, Rates
from intermezzo.training.hardware import computing, device, resolve, use_threads

log = logging.getLogger(__name__)

STEPS = 7
"""Timed steps per size; the median counts. One more goes before."""
SMALL, LARGE = 4, 32
"""Examples of a training step."""


def measure(config: Config, path: Path = MEASURED) -> None:
    """Write the rates of the configuration's encoders on this machine to `path`."""
    use_threads(1)  # rates are of one thread
    shapes = {name: shape_of(config, name, Rates.read().shapes)[0] for name in config.grid.encoders}
    lines = []
    for shape in dict.fromkeys(shapes.values()):
        name = next(key for key, value in shapes.items() if value == shape)
        lines += lines_of(name, shape, device_name())
        for line in lines[-2:]:
            speeds = f"{line.step_ms:.1f} ms a step, {line.tokens_per_second:,.0f} tokens/s"
            log.info("%s (%s), %s: %s", name, shape, line.work, speeds)
    write(lines, path)


def device_name() -> str:
    """As rates.tsv calls it: cpu, or the GPU's name in short (h200)."""
    if device().type == CPU:
        return CPU
    return torch.cuda.get_device_name().lower().removeprefix("nvidia ").split()[0].split("-")[0]


def lines_of(name: str, shape: Shape, where: str, source: str = "plan --measure") -> list[RateLine]:
    """The training and the prediction line of one shape."""
    heads = next(
        n for n in (16, 12, 8, 4, 2, 1) if n == 1 or (shape.hidden_size % n == 0 and n <= shape.hidden_size // 16)
    )
    config = XLMRobertaConfig(
        vocab_size=shape.vocab_size,
        hidden_size=shape.hidden_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=heads,
        intermediate_size=shape.intermediate_size,
        max_position_embeddings=514,
        type_vocab_size=1,
    )
    encoder = Encoder(XLMRobertaModel(config, add_pooling_layer=False)).to(device())
    head = nn.Linear(shape.hidden_size, 3).to(device())
    parameters = [*encoder.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-5, fused=True)

    def train(batch: Packed) -> None:
        begins = torch.as_tensor(batch.begins, device=device())
        with computing(resolve("auto", shape.hidden_size)):
            logits = head(encoder(batch)[begins])
            loss = cross_entropy(logits.float(), torch.zeros(len(begins), dtype=torch.long, device=device()))
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    @torch.inference_mode()
    def predict(batch: Packed) -> None:
        encoder(batch)

    lines = []
    whole = BATCH // 42
    for work, run, sizes in (("train", train, (SMALL, LARGE)), ("predict", predict, (whole // 16, whole))):
        encoder.train(work == "train")
        step, token = _line(run, [_batch(size, shape.vocab_size) for size in sizes])
        lines.append(RateLine(name, shape, where, work, step * 1000, 1 / token, "measured", source))
    return lines


def _batch(examples: int, vocabulary: int) -> Packed:
    lengths = [16 + 51 * (i % 8) // 7 for i in range(examples)]
    tokens = [[5 + (7 * i + 13 * place) % (vocabulary - 6) for place in range(n)] for i, n in enumerate(lengths)]
    return pack(tokens, [[0] * n for n in lengths]).to(device())


def _line(run: Callable[[Packed], None], batches: Sequence[Packed]) -> tuple[float, float]:
    """(seconds of a step, seconds of a token)"""
    times: list[list[float]] = [[] for _ in batches]
    for number in range(STEPS + 1):
        for batch, seconds in zip(batches, times, strict=True):
            began = _clock()
            run(batch)
            if number:
                seconds.append(_clock() - began)
    (small, large), (few, many) = (map(statistics.median, times), (len(batch.tokens) for batch in batches))
    token = max(1e-9, (large - small) / (many - few))
    return max(0.0, large - token * many), token


def _clock() -> float:
    if device().type == CPU:
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def write(lines: Sequence[RateLine], path: Path) -> None:
    """Write lines as a table of rates."""
    with atomic(path) as part, open(part, "w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, delimiter="\t", lineterminator="\n")
        writer.writerow(FIELDS)
        for line in lines:
            speeds = (f"{line.step_ms:.3g}", f"{line.tokens_per_second:.3g}")
            writer.writerow((line.model, *line.shape, line.device, line.work, *speeds, line.kind, line.source))
