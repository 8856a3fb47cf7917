"""ModernBERT (Warner et al. 2024; mmBERT): rotary positions, most layers local, norms before each part.

A local layer sees `config.sliding_window` tokens to either side; its angles are others than those of a global one.
"""

from __future__ import annotations

from typing import Any

import torch

from intermezzo.modeling.architectures.rotary import Angles, attend
from intermezzo.modeling.packing import GatherRows, Packed

_PARTS = {"attn", "attn_norm", "mlp", "mlp_norm", "attention_type"}


def packs(model: Any) -> bool:
    """Whether the layers are those that `states` knows (older releases of transformers had others)."""
    return all(hasattr(block, part) for block in model.layers for part in _PARTS)


def prepare(model: Any) -> None:
    """Nothing: layers are called one by one."""


def states(model: Any, batch: Packed, layer: int | None, rows: torch.Tensor | None) -> torch.Tensor:
    """States of a packed batch: see `intermezzo.modeling.architectures`."""
    blocks = model.layers if layer is None else model.layers[:layer]
    hidden = model.embeddings(batch.tokens[None])[0]
    kinds = {block.attention_type for block in blocks}
    angles = {kind: model.rotary_emb(hidden[None], batch.positions[None], kind) for kind in kinds}
    for i, block in enumerate(blocks):
        read = rows if i == len(blocks) - 1 else None
        hidden = _block(block, hidden, angles[block.attention_type], batch, read)
    return model.final_norm(hidden) if len(blocks) == len(model.layers) else hidden


def _block(block: Any, hidden: torch.Tensor, angles: Angles, batch: Packed, rows: torch.Tensor | None) -> torch.Tensor:
    """One layer: (T, H) -> (T, H), or (R, H) with `rows`; keys and values are needed of every token."""
    attention = block.attn
    query, key, value = attention.Wqkv(block.attn_norm(hidden)).unflatten(-1, (3, -1, attention.head_dim)).unbind(1)
    dropout = attention.attention_dropout if attention.training else 0.0
    window = attention.config.sliding_window if block.attention_type == "sliding_attention" else None
    context = attend(attention, query, key, value, angles, batch, dropout=dropout, window=window)
    if rows is not None:
        context, hidden = (GatherRows.apply(part, rows) for part in (context, hidden))
    hidden = hidden + attention.out_drop(attention.Wo(context))
    return hidden + block.mlp(block.mlp_norm(hidden))
