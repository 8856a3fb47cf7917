"""Prediction: our length-sorted batches of a fixed number of tokens against Trainer.predict."""

from __future__ import annotations

import argparse
import statistics
from functools import partial
from pathlib import Path
from typing import Any

import torch
from examples import Examples
from systems import Body, Stepper, build, collator, copy_head
from transformers import Trainer, TrainingArguments

from intermezzo.evaluation.prediction_batches import PredictionBatches, on_host
from intermezzo.modeling.encoder import Encoder
from intermezzo.modeling.heads import Feature, positions_needed, to_float32
from intermezzo.modeling.heads.classification import Head
from intermezzo.modeling.kernels import fixed_weights
from intermezzo.modeling.packing import Packed
from intermezzo.specs.encoding import HeadSpec
from intermezzo.training.hardware import computing, device, use_threads

LOGITS = {"float32": 1e-4, "bfloat16": 0.1}
"""Largest difference of a logit between the systems."""
SYSTEMS = {"padmax": ("padmax", 32), "default": ("dynamic", 8)}
"""Padding and batch: to 128 as in run_xnli and XTREME, and what Trainer does when nothing is said."""


def evaluation(
    examples: Examples, shape: dict[str, int], folder: Path, options: argparse.Namespace, precision: str
) -> dict[str, Any]:
    """Ratios of times, interleaved, on the same examples, in one precision; SystemExit when the logits differ."""
    count = min(len(examples.features), options.steps * options.batch)
    systems = {
        name: Stepper(
            partial(_make, name, examples, shape, folder, count, options.repetitions, precision),
            partial(use_threads if name == "ours" else torch.set_num_threads, options.threads),
        )
        for name in ("ours", *SYSTEMS)
    }
    times: dict[str, list[float]] = {name: [] for name in systems}
    for _ in range(options.repetitions + 1):
        for name, system in systems.items():
            times[name].append(system.step()["seconds"])
    logits = {name: torch.load(folder / f"{name}.logits") for name in systems}
    times = {name: seconds[1:] for name, seconds in times.items()}
    result: dict[str, Any] = {"examples": count, "ratios": {}}
    result["seconds"] = {name: statistics.median(seconds) for name, seconds in times.items()}
    for name in SYSTEMS:
        difference = float((logits[name] - logits["ours"]).abs().max())
        if not difference < LOGITS[precision]:
            raise SystemExit(f"evaluation: logits of {name} differ by {difference:.1e}")
        ratios = sorted(their_time / mine for mine, their_time in zip(times["ours"], times[name], strict=True))
        result["ratios"][name] = [ratios[0], statistics.median(ratios), ratios[-1]]
        words = f"{ratios[0]:.2f} to {ratios[-1]:.2f}, median {statistics.median(ratios):.2f}"
        print(f"evaluation in {precision}, ours / {name}: {words}", flush=True)
    return result


def _make(
    name: str,
    examples: Examples,
    shape: dict[str, int],
    folder: Path,
    count: int,
    repetitions: int,
    precision: str,
    result: dict,
) -> Body:
    """Passes over the examples, one per step, the first of which writes the logits."""
    model = build(examples, shape, 0.0)
    if name == "ours":
        run = _ours(model, examples, count, precision)
    else:
        run = _theirs(model, examples, count, folder, precision, *SYSTEMS[name])

    def body(pause: Any) -> None:
        for number in range(repetitions + 1):
            pause()
            logits = run()
            if not number:
                torch.save(logits, folder / f"{name}.logits")

    return body


def _ours(model: Any, examples: Examples, count: int, precision: str) -> Any:
    features = examples.features[:count]
    head = Head(model.config.hidden_size, HeadSpec(labels=tuple(examples.labels), pooling="cls"))
    copy_head(model, head, examples.kind)
    encoder, head = Encoder(model.roberta).to(device()).eval(), head.to(device()).eval()
    rows = {id(feature): i for i, feature in enumerate(features)}

    def made_of(packed: Packed, batch: list[Feature]) -> torch.Tensor:
        with computing(precision):
            states = encoder(packed, rows=positions_needed(head, batch, packed))
        return head(to_float32(states), packed)

    @torch.inference_mode()
    @fixed_weights()
    def run() -> torch.Tensor:
        logits = torch.empty(count, len(examples.labels))
        for batch, outputs in on_host(PredictionBatches().outputs(features, made_of)):
            logits[[rows[id(feature)] for feature in batch]] = outputs
        return logits.clone()

    return run


def _theirs(model: Any, examples: Examples, count: int, folder: Path, precision: str, padding: str, batch: int) -> Any:
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_eval_batch_size=batch,
        report_to="none",
        use_cpu=device().type == "cpu",
        bf16=precision == "bfloat16",
        disable_tqdm=True,
        remove_unused_columns=False,
    )
    trainer = Trainer(model=model, args=arguments, data_collator=collator(examples, padding))
    data = [examples.for_trainer(i) for i in range(count)]
    return lambda: torch.tensor(trainer.predict(data).predictions)
