"""From token states to one vector per sequence."""

from __future__ import annotations

import torch

from intermezzo.modeling.packing import Packed

WIDTH = {"cls": 1, "mean": 1, "cls_mean_max": 3}
"""Pooling -> width of its vectors, in hidden sizes."""


def pooled_tokens(batch: Packed, how: str) -> torch.Tensor | None:
    """The tokens (N,) that `pool` reads; None = all."""
    return batch.starts if how == "cls" else None


def pool(states: torch.Tensor, batch: Packed, how: str) -> torch.Tensor:
    """(T, H) -> (N, WIDTH[how] * H). Mean and maximum run over all tokens of a sequence, special ones included."""
    first = states[batch.starts]
    if how == "cls":
        return first
    rows, inside = batch.padded(states), batch.mask[..., None]
    mean = (rows * inside).sum(1) / batch.lengths[:, None]
    if how == "mean":
        return mean
    return torch.cat([first, mean, rows.masked_fill(~inside, -torch.inf).amax(1)], dim=-1)
