"""What encoders with rotary positions share (Su et al. 2021): queries and keys turned by their positions, attention.

The angles of transformers' own rotary modules are taken, whatever scaling their configuration asks for.
"""

from __future__ import annotations

import sys
from typing import Any

import torch

from intermezzo.modeling.kernels import use_kernels
from intermezzo.modeling.packing import Packed, packed_attention

Angles = tuple[torch.Tensor, torch.Tensor]
"""Cosines and sines (1, T, head size) of a packed batch."""


def attend(
    layer: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    angles: Angles,
    batch: Packed,
    *,
    dropout: float,
    window: int | None = None,
) -> torch.Tensor:
    """Attention within each sequence of a packed batch, queries and keys turned: (T, heads * head size).

    layer: a module of the encoder; its source has the type's own rotation. query, key, value: (T, heads, head size),
    where one head of keys and values may serve several of queries. window: the distance up to which tokens see each
    other, None = any.
    """
    query, key = _turn(layer, query, key, angles)
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = (states.repeat_interleave(groups, dim=1) for states in (key, value))
    heads = (states.transpose(0, 1)[None] for states in (query, key, value))
    scale, places = query.shape[-1] ** -0.5, batch.places if query.is_cuda else None
    out, _ = packed_attention(
        layer, *heads, None, dropout=dropout, scaling=scale, runs=batch.runs, places=places, window=window
    )
    return out[0].flatten(1)


def _turn(layer: Any, query: torch.Tensor, key: torch.Tensor, angles: Angles) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries and keys (T, heads, head size) turned by the angles of their positions."""
    if use_kernels(query):
        half = query.shape[-1] // 2
        cos, sin = (part[0, :, None, :half] for part in angles)
        return _Rotation.apply(query, cos, sin), _Rotation.apply(key, cos, sin)
    rotate = sys.modules[type(layer).__module__].apply_rotary_pos_emb
    query, key = rotate(query[None], key[None], *angles, unsqueeze_dim=2)
    return query[0], key[0]


class _Rotation(torch.autograd.Function):
    """Turn the pairs (i, i + d/2) of states (T, heads, d): each value is read and written once or twice, not six times.

    cos, sin: (T, 1, d/2), without gradient.
    """

    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotated(states, cos, sin)

    @staticmethod
    def backward(ctx: Any, grad_out: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _rotated(grad_out, cos, -sin), None, None


def _rotated(states: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    out = torch.empty(states.shape, dtype=states.dtype)
    (first, second), (out_first, out_second) = states.chunk(2, -1), out.chunk(2, -1)
    torch.mul(first, cos, out=out_first).addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=out_second).addcmul_(first, sin)
    return out
