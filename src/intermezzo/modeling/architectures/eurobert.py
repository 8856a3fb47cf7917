"""EuroBERT (Boizard et al. 2025): rotary positions, norms before each part, keys and values shared by several heads."""

from __future__ import annotations

from typing import Any

import torch

from intermezzo.modeling.architectures.rotary import Angles, attend
from intermezzo.modeling.packing import GatherRows, Packed

_PARTS = {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}


def packs(model: Any) -> bool:
    """Whether the layers are those that `states` knows."""
    return all(hasattr(block, part) for block in model.layers for part in _PARTS)


def prepare(model: Any) -> None:
    """Nothing: layers are called one by one."""


def states(model: Any, batch: Packed, layer: int | None, rows: torch.Tensor | None) -> torch.Tensor:
    """States of a packed batch: see `intermezzo.modeling.architectures`."""
    blocks = model.layers if layer is None else model.layers[:layer]
    hidden = model.embed_tokens(batch.tokens)
    angles = model.rotary_emb(hidden[None], batch.positions[None])
    for i, block in enumerate(blocks):
        hidden = _block(block, hidden, angles, batch, rows if i == len(blocks) - 1 else None)
    return model.norm(hidden) if len(blocks) == len(model.layers) else hidden


def _block(block: Any, hidden: torch.Tensor, angles: Angles, batch: Packed, rows: torch.Tensor | None) -> torch.Tensor:
    """One layer: (T, H) -> (T, H), or (R, H) with `rows`; keys and values are needed of every token."""
    attention, inputs = block.self_attn, block.input_layernorm(hidden)
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    query, key, value = (project(inputs).unflatten(-1, (-1, attention.head_dim)) for project in projections)
    dropout = attention.attention_dropout if attention.training else 0.0
    context = attend(attention, query, key, value, angles, batch, dropout=dropout)
    if rows is not None:
        context, hidden = (GatherRows.apply(part, rows) for part in (context, hidden))
    hidden = hidden + attention.o_proj(context)
    return hidden + block.mlp(block.post_attention_layernorm(hidden))
