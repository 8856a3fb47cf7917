"""DeBERTa-v2 and v3 (He et al. 2021; mDeBERTa): attention by content and by relative distance.

A score is the sum of three products: content with content, content with the key's distance, and distance with content.
Distances share buckets, one table for all layers. Of the table only the rows are used that a sequence's length reaches,
one per distance, and each row of scores then takes its own stretch of them.
"""

from __future__ import annotations

from typing import Any

import torch

from intermezzo.modeling.packing import GatherRows, Packed


def packs(model: Any) -> bool:
    """Whether the layers are those that `states` knows: with a convolution, as DeBERTa-v2 XLarge's, they are not."""
    encoder = model.encoder
    return bool(encoder.relative_attention) and getattr(encoder, "conv", None) is None


def prepare(model: Any) -> None:
    """Nothing: layers are called one by one."""


def states(model: Any, batch: Packed, layer: int | None, rows: torch.Tensor | None) -> torch.Tensor:
    """States of a packed batch: see `intermezzo.modeling.architectures`."""
    blocks = model.encoder.layer if layer is None else model.encoder.layer[:layer]
    types = batch.types[None] if model.config.type_vocab_size > 1 else None
    inputs = {"input_ids": batch.tokens[None], "position_ids": batch.positions[None], "token_type_ids": types}
    hidden = model.embeddings(**inputs)[0]
    table = model.encoder.get_rel_embedding()
    buckets = {length: _buckets(model.encoder, length, hidden.device) for _, length in batch.runs}
    for i, block in enumerate(blocks):
        hidden = _block(block, hidden, table, buckets, batch, rows if i == len(blocks) - 1 else None)
    return hidden


def _block(
    block: Any,
    hidden: torch.Tensor,
    table: torch.Tensor,
    buckets: dict[int, torch.Tensor],
    batch: Packed,
    rows: torch.Tensor | None,
) -> torch.Tensor:
    """One layer: (T, H) -> (T, H), or (R, H) with `rows`; keys and values are needed of every token."""
    context = _attend(block.attention.self, hidden, table, buckets, batch)
    if rows is not None:
        context, hidden = (GatherRows.apply(part, rows) for part in (context, hidden))
    context = block.attention.output(context, hidden)
    return block.output(block.intermediate(context), context)


def _attend(
    attention: Any, hidden: torch.Tensor, table: torch.Tensor, buckets: dict[int, torch.Tensor], batch: Packed
) -> torch.Tensor:
    """Attention within each sequence: (T, H) -> (T, H)."""
    heads, kinds = attention.num_attention_heads, attention.pos_att_type
    projections = (attention.query_proj, attention.key_proj, attention.value_proj)
    query, key, value = (project(hidden).unflatten(-1, (heads, -1)).transpose(0, 1) for project in projections)
    products = query.shape[-1] * (1 + ("c2p" in kinds) + ("p2c" in kinds))
    query = query / float(torch.tensor(products, dtype=torch.float32).sqrt())  # in float32 as transformers' own
    distance_keys, distance_queries = _projected(attention, attention.pos_dropout(table[: 2 * attention.pos_ebd_size]))
    if distance_queries is not None:
        distance_queries = distance_queries / float(torch.tensor(products, dtype=torch.float32).sqrt())
    sizes, outputs = [count * length for count, length in batch.runs], []
    for run, *parts in zip(batch.runs, *(part.split(sizes, 1) for part in (query, key, value)), strict=True):
        q, k, v = (part.unflatten(1, run) for part in parts)  # (heads, count, length, size)
        scores, rows = q @ k.transpose(-1, -2), buckets[run[1]]
        if distance_keys is not None:
            scores = scores + _stretch(_products(parts[0], distance_keys[:, rows], run))
        if distance_queries is not None:
            by_key = _stretch(_products(parts[1], distance_queries[:, rows.flip(0)], run))
            scores = scores + by_key.transpose(-1, -2)
        outputs.append((attention.dropout(scores.softmax(-1)) @ v).flatten(1, 2))
    return torch.cat(outputs, 1).transpose(0, 1).flatten(1)


def _products(states: torch.Tensor, distances: torch.Tensor, run: tuple[int, int]) -> torch.Tensor:
    """(heads, count * L, size), (heads, 2L - 1, size) -> (heads, count, L, 2L - 1)."""
    return torch.bmm(states, distances.transpose(1, 2)).unflatten(1, run)


def _projected(attention: Any, table: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Keys and queries of distances, each (heads, rows of the table, size), as far as the model has them."""
    parts: list[torch.Tensor | None] = []
    for kind, name in (("c2p", "key_proj"), ("p2c", "query_proj")):
        if kind not in attention.pos_att_type:
            parts.append(None)
            continue
        project = getattr(attention, name if attention.share_att_key else f"pos_{name}")
        parts.append(project(table).unflatten(-1, (attention.num_attention_heads, -1)).transpose(0, 1))
    return parts[0], parts[1]


def _stretch(scores: torch.Tensor) -> torch.Tensor:
    """(..., L, 2L - 1) by distance i - j, from L - 1 down to 1 - L -> (..., L, L) by place j.

    Row i is the stretch that begins at L - 1 - i.
    """
    length = scores.shape[-2]
    places = torch.arange(length, device=scores.device)
    return scores.gather(-1, (length - 1 - places[:, None] + places).expand(*scores.shape[:-1], length))


def _buckets(encoder: Any, length: int, device: torch.device) -> torch.Tensor:
    """int64 (2L - 1,): the table's row of each distance i - j, from L - 1 down to 1 - L."""
    positions = torch.empty(1, length, device=device)[..., None]
    relative = encoder.get_rel_pos(positions)[0]  # (L, L)
    span = encoder.rel_embeddings.num_embeddings // 2
    distances = torch.cat([relative[-1], relative[0, 1:]])
    return (distances + span).clamp(0, 2 * span - 1)
