"""How fast the engine is: against transformers' Trainer, with the same model, data, batches and mathematics.

    INTERMEZZO_REAL_DATA=../shared/real python benchmarks/throughput.py --json throughput.json

Systems: `ours`; Trainer padding to the fixed length of run_xnli, XTREME and run_qa (`padmax`), to the longest of each
batch (`dynamic`), and that over batches of similar length (`grouped`, Trainer's group_by_length: its own batches, drawn
over all its lengths alike). Each runs in float32 and in bfloat16; on a processor without units for bfloat16, where
Trainer would need a minute per step, Trainer runs in float32 alone unless `--precision` asks for more. Steps are
interleaved one by one in random order; a repetition is `--steps` steps of each system. Speeds are real tokens per CPU
second (per second on a GPU, which is synchronised around each step); with the same batches that is the ratio of times.
Ratios are ours over theirs, [least, median, greatest] over the repetitions: within each precision, and of our default
(`precision: auto`) over the fastest of all settings of Trainer. Then the equality gate: without dropout, losses and
final weights of all systems must agree.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # looking for a GPU must not start CUDA before the forks
import torch
from evaluation import evaluation
from examples import LENGTH, Examples, load
from gate import gate
from systems import Body, Stepper, build, clock, ours, trainer
from transformers.trainer_pt_utils import get_length_grouped_indices

from intermezzo.core import processor
from intermezzo.training.loop import device, resolve, use_threads

SHAPES = {
    "toy": {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64},
    "tiny": {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 512},
    "small": {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536},
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096},
}
TRAINER = ("padmax", "dynamic", "grouped")
PRECISIONS = ("float32", "bfloat16")
System = tuple[str, str]
"""`ours` or one of TRAINER, and its precision."""
WARM_UP = 2


def main() -> None:
    options = _arguments()
    if importlib.util.find_spec("accelerate") is None:
        raise SystemExit("transformers' Trainer needs accelerate, which nothing else here does: pip install accelerate")
    torch.set_num_threads(options.threads)
    shape = SHAPES[options.shape] | {"vocab_size": options.vocabulary}
    with tempfile.TemporaryDirectory() as folder:
        data = load(options.kinds, Path(folder), limit=options.examples, synthetic=options.synthetic)
        result: dict[str, Any] = {"settings": vars(options) | {"torch": torch.__version__, "device": _device_name()}}
        print(f"{_device_name()}; torch {torch.__version__}")
        for model, (kind, examples) in itertools.product(options.types, data.items()):
            if model != "xlm-roberta" and kind != "pairs":
                continue
            shape["type"] = model
            sizes = f"{len(examples.features)} examples, {statistics.mean(examples.lengths):.1f} tokens each"
            name = kind if model == "xlm-roberta" else f"{model} {kind}"
            print(f"== {name}: {sizes}{'' if examples.real else ' (synthetic)'}", flush=True)
            result[name] = train_all(examples, shape, Path(folder), options)
            result[name]["gate"] = gate(examples, SHAPES["tiny"] | {"type": model}, Path(folder), options)
            for precision in options.theirs if options.evaluation and name == "pairs" else ():
                compared = evaluation(examples, shape, Path(folder), options, precision)
                result[name].setdefault("evaluation", {})[precision] = compared
        if "pairs" in result:
            result["ratios"] = result["pairs"]["ratios"]
    if options.json:
        Path(options.json).write_text(json.dumps(result, indent=1, default=str) + "\n", encoding="utf-8")


def train_all(examples: Examples, shape: dict[str, int], folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Interleaved steps of all systems: their speeds, and the ratios."""
    drawn, batch = random.Random(0), options.batch if examples.kind != "qa" else max(2, options.batch // 4)
    plain, grouped = orders(examples.lengths, batch, options)
    systems: dict[System, Stepper] = {}
    both = [("ours", precision) for precision in options.ours]
    for system in both + [(name, precision) for precision in options.theirs for name in options.systems]:
        batches = grouped if system[0] == "grouped" else plain
        made = partial(make, system, examples, shape, batches, folder, options)
        systems[system] = Stepper(made, prepared(system[0], options))
    rounds: dict[System, list[tuple[float, int, int]]] = {system: [] for system in systems}
    result: dict[System, dict] = {}
    for step in range(len(plain)):
        for system in drawn.sample(sorted(systems), len(systems)):
            name = system[0]
            lengths = [examples.lengths[i] for i in (grouped if name == "grouped" else plain)[step]]
            computed = {"ours": sum(lengths), "padmax": LENGTH[examples.kind] * len(lengths)}
            result[system] = systems[system].step()
            padded = computed.get(name, max(lengths) * len(lengths))
            rounds[system].append((result[system]["seconds"], sum(lengths), padded))
    return report(rounds, result, batch, options)


def prepared(name: str, options: argparse.Namespace) -> Callable[[], None]:
    """What a system does before all else: ours sets up its process, Trainer does not."""
    return partial(use_threads if name == "ours" else torch.set_num_threads, options.threads)


def make(
    system: System,
    examples: Examples,
    shape: dict[str, int],
    batches: list[list[int]],
    folder: Path,
    options: argparse.Namespace,
    result: dict[str, Any],
) -> Body:
    """The body of a system, on a model with the same random weights for all; `result` will have its final loss."""
    name, precision = system
    result |= {"name": name, "dropout": options.dropout, "precision": precision}
    result["micro_tokens"] = options.micro_tokens
    model = build(examples, shape, options.dropout)
    place = folder / f"{examples.kind}-{name}-{precision}"
    place.mkdir(exist_ok=True)
    if name == "ours":
        return ours(model, examples, batches, place, result)
    return trainer(model, examples, batches, place, result, "padmax" if name == "padmax" else "dynamic")


def orders(lengths: list[int], batch: int, options: argparse.Namespace) -> tuple[list[list[int]], list[list[int]]]:
    """Batches in random order, and batches as Trainer's group_by_length makes them.

    Grouped batches are of very different lengths. Those of one repetition are spread evenly over all of them sorted
    by length, so that a few steps stand for an epoch.
    """
    steps, repetitions = options.steps, options.repetitions
    generator = torch.Generator().manual_seed(0)
    order = [i for _ in range(99) for i in torch.randperm(len(lengths), generator=generator).tolist()]
    plain = [order[start * batch : (start + 1) * batch] for start in range(WARM_UP + steps * repetitions)]
    indices = get_length_grouped_indices(lengths, batch, generator=generator)
    cut = [indices[start : start + batch] for start in range(0, len(indices) - batch + 1, batch)]
    by_length = sorted(cut, key=lambda indices: sum(lengths[i] for i in indices))
    spread = [
        by_length[int((i + (r + 0.5) / repetitions) / steps * len(by_length))]
        for r in range(repetitions)
        for i in range(steps)
    ]
    return plain, [cut[start % len(cut)] for start in range(WARM_UP)] + spread


def report(
    rounds: dict[System, list[tuple[float, int, int]]],
    last: dict[System, dict],
    batch: int,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Speeds per system and ratios per repetition, printed and as a dictionary."""
    speeds: dict[System, list[float]] = {}
    result: dict[str, Any] = {"systems": {}, "ratios": {}}
    for system, steps in rounds.items():
        name = " ".join(system)
        counted = steps[WARM_UP:]
        blocks = [counted[start : start + options.steps] for start in range(0, len(counted), options.steps)]
        speeds[system] = [sum(s[1] for s in block) / sum(s[0] for s in block) for block in blocks]
        seconds, real, computed = (sum(s[i] for s in counted) for i in range(3))
        times = sorted(s[0] for s in counted)
        result["systems"][name] = {
            "tokens_per_second": real / seconds,
            "examples_per_second": len(counted) * batch / seconds,
            "seconds_per_step": [times[0], statistics.median(times), times[-1]],
            "seconds": seconds,
            "computed_over_real_tokens": computed / real,
            "final_loss": last[system]["loss"],
            "peak_mb": last[system]["peak_mb"],
        }
        line = f"{name:16} {real / seconds:8.0f} tokens/s {len(counted) * batch / seconds:7.1f} examples/s"
        line += f", {computed / real:.2f} tokens computed per real one, loss {last[system]['loss']:.3f}"
        print(f"{line}, peak {last[system]['peak_mb']:.0f} MB")

    def ratio(mine: System, theirs: System) -> list[float]:
        ratios = sorted(mine / theirs for mine, theirs in zip(speeds[mine], speeds[theirs], strict=True))
        three = [ratios[0], statistics.median(ratios), ratios[-1]]
        words = f"{' '.join(mine)} / {' '.join(theirs)}"
        print(f"{words}: {three[0]:.2f} to {three[2]:.2f}, median {three[1]:.2f}", flush=True)
        return three

    for precision in options.theirs:
        ratios = {name: ratio(("ours", precision), (name, precision)) for name in options.systems}
        result["ratios"][precision] = ratios
    default = "ours", resolve("auto", SHAPES[options.shape]["hidden_size"])
    theirs = [system for system in speeds if system[0] != "ours"]
    if default in speeds and theirs:
        best = max(theirs, key=lambda system: result["systems"][" ".join(system)]["tokens_per_second"])
        print("our default over the best of Trainer: ", end="")
        result["default_over_best"] = {"best": best, "ratio": ratio(default, best)}
    if len(options.ours) > 1:
        result["bfloat16_over_float32"] = ratio(("ours", "bfloat16"), ("ours", "float32"))
    if device().type == "cuda":
        for precision in options.ours:
            speed = result["systems"][f"ours {precision}"]["tokens_per_second"]
            share = speed * _flops(options.shape) / _matrix_peak(precision)
            result.setdefault("mfu", {})[precision] = share
            print(f"MFU of ours in {precision}: {share:.1%} of the measured matrix peak")
    return result


def _flops(shape: str) -> float:
    """Forward and backward per token: 6 x the encoder's matrices."""
    size = SHAPES[shape]
    width, wide = size["hidden_size"], size["intermediate_size"]
    return 6.0 * size["num_hidden_layers"] * (4 * width**2 + 2 * width * wide)


def _matrix_peak(precision: str) -> float:
    """FLOP/s of a large matrix product in a precision."""
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    matrix = torch.randn(8192, 8192, device=device(), dtype=kind)
    for _ in range(3):
        matrix @ matrix
    began = clock()
    for _ in range(20):
        matrix @ matrix
    return 2 * 8192**3 * 20 / (clock() - began)


def _device_name() -> str:
    return torch.cuda.get_device_name() if device().type == "cuda" else f"{processor.this()}, {os.cpu_count()} cores"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", default=["pairs", "qa"], choices=["pairs", "qa", "tagging", "mlm"])
    parser.add_argument("--types", nargs="+", default=["xlm-roberta"], choices=["xlm-roberta", "modernbert"])
    parser.add_argument("--systems", nargs="+", default=list(TRAINER), choices=TRAINER)
    parser.add_argument("--shape", default="small", choices=SHAPES)
    parser.add_argument("--vocabulary", type=int, default=50_000, help="rows of the word embeddings")
    parser.add_argument("--examples", type=int, default=20_000, help="at most so many of each kind")
    parser.add_argument("--batch", type=int, default=32, help="examples per step; a quarter of it for qa")
    parser.add_argument("--steps", type=int, default=12, help="per repetition; few let chance decide on `grouped`")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--gate-steps", type=int, default=20)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, help="of all systems; default: see above")
    parser.add_argument("--micro-tokens", type=int, help="tokens that ours computes at a time")
    parser.add_argument("--synthetic", action="store_true", help="random examples, even if there are real ones")
    parser.add_argument("--no-evaluation", dest="evaluation", action="store_false")
    parser.add_argument("--quick", action="store_true", help="a toy model and a few steps: does it run?")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    if options.quick:
        options.shape, options.vocabulary, options.examples, options.batch = "toy", 17_000, 200, 8
        options.steps, options.repetitions, options.gate_steps = 2, 2, 4
    units = device().type == "cuda" or processor.this().bfloat16
    options.ours = options.precision or list(PRECISIONS)
    options.theirs = options.precision or (list(PRECISIONS) if units else ["float32"])
    return options


if __name__ == "__main__":
    sys.exit(main())
