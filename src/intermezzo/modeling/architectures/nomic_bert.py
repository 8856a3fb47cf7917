"""NomicBERT and GTE: rotary positions, norms after each part as in BERT, gated feed-forward layers."""

from __future__ import annotations

from typing import Any

import torch

from intermezzo.modeling.architectures.rotary import Angles, attend
from intermezzo.modeling.packing import GatherRows, Packed

_PARTS = {"self_attn", "mlp", "post_attention_dropout", "post_attention_layernorm", "post_mlp_dropout",
          "post_mlp_layernorm"}  # fmt: skip


def packs(model: Any) -> bool:
    """Whether the layers are those that `states` knows."""
    return all(hasattr(block, part) for block in model.layers for part in _PARTS)


def prepare(model: Any) -> None:
    """Nothing: layers are called one by one."""


def states(model: Any, batch: Packed, layer: int | None, rows: torch.Tensor | None) -> torch.Tensor:
    """States of a packed batch: see `intermezzo.modeling.architectures`."""
    blocks = model.layers if layer is None else model.layers[:layer]
    types = batch.types[None] if model.config.type_vocab_size > 1 else None
    hidden = model.embeddings(input_ids=batch.tokens[None], token_type_ids=types)[0]
    angles = model.rotary_emb(hidden[None], batch.positions[None])
    for i, block in enumerate(blocks):
        hidden = _block(block, hidden, angles, batch, rows if i == len(blocks) - 1 else None)
    return hidden


def _block(block: Any, hidden: torch.Tensor, angles: Angles, batch: Packed, rows: torch.Tensor | None) -> torch.Tensor:
    """One layer: (T, H) -> (T, H), or (R, H) with `rows`; keys and values are needed of every token."""
    attention = block.self_attn
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    query, key, value = (project(hidden).unflatten(-1, (-1, attention.head_dim)) for project in projections)
    dropout = attention.attention_dropout if attention.training else 0.0
    context = attend(attention, query, key, value, angles, batch, dropout=dropout)
    if rows is not None:
        context, hidden = (GatherRows.apply(part, rows) for part in (context, hidden))
    hidden = block.post_attention_layernorm(hidden + block.post_attention_dropout(attention.o_proj(context)))
    return block.post_mlp_layernorm(hidden + block.post_mlp_dropout(block.mlp(hidden)))
