"""Prediction: our length-sorted batches of a fixed number of tokens against Trainer.predict."""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from examples import Examples
from systems import build, collator, copy_head
from transformers import Trainer, TrainingArguments

from intermezzo.evaluation import predict
from intermezzo.modeling.classification import Head
from intermezzo.modeling.encoder import Encoder
from intermezzo.training.loop import device

SYSTEMS = {"padmax": ("padmax", 32), "default": ("dynamic", 8)}
"""Padding and batch: to 128 as in run_xnli and XTREME, and what Trainer does when nothing is said."""


def evaluation(examples: Examples, shape: dict[str, int], folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Ratios of times, interleaved, on the same examples; SystemExit when the logits differ."""
    count = min(len(examples.features), options.steps * options.batch)
    features = examples.features[:count]
    system = Encoder(build(examples, shape, 0.0).roberta).to(device()).eval()
    head = Head(system.hidden_size, {"labels": examples.labels}, {"pooling": "cls", "dropout": 0.0}).eval()
    copy_head(build(examples, shape, 0.0), head, examples.kind)
    head = head.to(device())
    rows = {id(feature): i for i, feature in enumerate(features)}

    @torch.inference_mode()
    def ours() -> torch.Tensor:
        logits = torch.empty(count, len(examples.labels))
        for batch, packed in predict._batches(features):
            logits[[rows[id(feature)] for feature in batch]] = head(system(packed), packed).float().cpu()
        return logits

    def theirs(padding: str, batch: int) -> Trainer:
        arguments = TrainingArguments(
            output_dir=str(folder),
            per_device_eval_batch_size=batch,
            report_to="none",
            use_cpu=device().type == "cpu",
            disable_tqdm=True,
            remove_unused_columns=False,
        )
        return Trainer(model=build(examples, shape, 0.0), args=arguments, data_collator=collator(examples, padding))

    data = [examples.for_trainer(i) for i in range(count)]
    trainers = {name: theirs(*how) for name, how in SYSTEMS.items()}
    expected = ours()
    for name, run in trainers.items():
        difference = float((torch.tensor(run.predict(data).predictions) - expected).abs().max())
        if not difference < 1e-4:
            raise SystemExit(f"evaluation: logits of {name} differ by {difference:.1e}")
    times: dict[str, list[float]] = {name: [] for name in ("ours", *trainers)}
    clock = time.perf_counter if device().type == "cuda" else time.process_time
    for _ in range(options.repetitions):
        for name, taken in times.items():
            began = clock()
            ours() if name == "ours" else trainers[name].predict(data)
            taken.append(clock() - began)
    found = {"examples": count, "seconds": {name: statistics.median(taken) for name, taken in times.items()}}
    found["ratios"] = {}
    for name in trainers:
        ratios = sorted(other / mine for mine, other in zip(times["ours"], times[name], strict=True))
        found["ratios"][name] = [ratios[0], statistics.median(ratios), ratios[-1]]
        print(f"evaluation, ours / {name}: {ratios[0]:.2f} to {ratios[-1]:.2f}, median {found['ratios'][name][1]:.2f}")
    return found
