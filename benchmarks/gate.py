"""The equality gate: without dropout, all systems must compute the same."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from examples import Examples
from systems import build, ours, trainer
from torch import nn

LOSS, WEIGHTS, ROUNDED = 1e-5, 1e-3, 1e-2
"""Largest difference of a step's loss, of the final encoder, and of the loss of a step in bfloat16. That of the encoder
is relative to the way it went in training, which is larger than relative to the encoder: AdamW makes a full step of a
gradient that is all rounding."""
OURS = ("ours", "bfloat16")


def gate(examples: Examples, shape: dict[str, int], folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Train a small model for `gate_steps` steps in float32 by each system, and by ours in bfloat16 too.

    SystemExit when they differ.

    transformers' question answering head lets padding take part in the softmax over positions, which is another
    loss than that of the question alone: its batches here are of windows of one length.
    """
    batches = _batches(examples, 8, options.gate_steps)
    size = shape | {"vocab_size": options.vocabulary}
    runs: dict[str, tuple[list[float], torch.Tensor]] = {}
    for name in ("ours", "bfloat16", "padmax", "dynamic"):
        if name == "padmax" and examples.kind == "qa":
            continue
        model = build(examples, size, 0.0)
        start = _flat(model.base_model)
        settings: dict[str, Any] = {
            "name": name,
            "dropout": 0.0,
            "precision": "bfloat16" if name == "bfloat16" else "float32",
        }
        place = folder / f"gate-{examples.kind}-{name}"
        place.mkdir(exist_ok=True)
        if name in OURS:
            body = ours(model, examples, batches, place, settings)
        else:
            body = trainer(model, examples, batches, place, settings, name)
        body(lambda: None)
        if name in OURS:
            settings["restore"]()
            settings["losses"] = [json.loads(line)["loss"] for line in (place / "log.jsonl").open()]
        runs[name] = settings["losses"], _flat(model.base_model) - start
    losses, way = runs.pop("ours")
    differences = {}
    for name, (their_losses, theirs) in runs.items():
        if len(losses) != len(their_losses) or len(set(their_losses)) < len(their_losses) or not theirs.norm():
            raise SystemExit(f"the gate compares nothing: {len(losses)} and {len(their_losses)} losses of {name}")
        differences[f"{name}_loss"] = max(abs(a - b) for a, b in zip(losses, their_losses, strict=True))
        differences[f"{name}_weights"] = float((way - theirs).norm() / theirs.norm())
    print("gate: " + ", ".join(f"{name} {value:.1e}" for name, value in differences.items()), flush=True)
    differences.pop("bfloat16_weights")  # AdamW makes full steps of gradients that are all rounding
    limits = {name: LOSS if name.endswith("loss") else WEIGHTS for name in differences} | {"bfloat16_loss": ROUNDED}
    bad = [name for name, value in differences.items() if not value < limits[name]]
    if bad:
        raise SystemExit(f"the systems do not compute the same: {bad}")
    return differences


def _batches(examples: Examples, batch: int, steps: int) -> list[list[int]]:
    """Random batches; for qa of windows of equal length."""
    lengths = examples.lengths
    if examples.kind != "qa":
        order = torch.randperm(len(lengths), generator=torch.Generator().manual_seed(0)).tolist() * 99
    else:
        common = max(set(lengths), key=lengths.count)
        order = [i for i, length in enumerate(lengths) if length == common] * 999
    return [order[step * batch : (step + 1) * batch] for step in range(steps)]


def _flat(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().double().cpu().flatten() for p in model.parameters()])
