"""Weights that are no finite numbers: found before they are saved, as nothing that they predict means anything."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from intermezzo.core.errors import UserError


def not_finite(weights: Mapping[str, torch.Tensor]) -> str | None:
    """The name of the first of `weights` that has a NaN or an infinite number; None where all are finite."""
    for name, values in weights.items():
        if values.is_floating_point() and values.numel() and not torch.stack(values.aminmax()).isfinite().all():
            return name
    return None


def check_finite(weights: Mapping[str, torch.Tensor], training: str, learning_rate: float) -> None:
    """Raise UserError, naming the training and its learning rate, when some of `weights` are not finite."""
    if name := not_finite(weights):
        raise UserError(
            f"{training}: the weights are no longer finite numbers ({name}) with learning_rate {learning_rate:g}; "
            "nothing is saved; lower training learning_rate"
        )
