"""Classification of a text or a pair of texts."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn.functional import cross_entropy

from intermezzo.core.errors import UserError
from intermezzo.modeling.heads import NUMBER, Feature, encode_texts, to_device, to_float32
from intermezzo.modeling.packing import Packed
from intermezzo.modeling.pooling import WIDTH, pool, pooled_tokens
from intermezzo.specs.encoding import EncodingSpec, HeadSpec

COLUMNS = {"target": NUMBER}


def encode(rows: list[dict], tokenizer: Tokenizer, spec: EncodingSpec) -> list[Feature]:
    """One feature per row; pairs longer than `max_length` lose tokens of the longer text first.

    A row without a label (null) has no target. Raises UserError for a label that the task does not have.
    """
    ids = {label: i for i, label in enumerate(spec.labels)} | {None: None}
    if unknown := [row for row in rows if row["label"] not in ids]:
        raise UserError(
            f"task '{spec.task}', row '{unknown[0]['id']}': label '{unknown[0]['label']}'; "
            f"allowed: {', '.join(spec.labels)}"
        )
    encodings = encode_texts(rows, tokenizer, spec.max_length)
    return [
        Feature(i, [encoding.ids], [encoding.type_ids], ids[row["label"]])
        for i, (row, encoding) in enumerate(zip(rows, encodings, strict=True))
    ]


class Head(nn.Module):
    """XLM-R's classification head (dense, tanh, projection) over the pooled sequence."""

    def __init__(self, hidden_size: int, spec: HeadSpec) -> None:
        super().__init__()
        self.labels, self.pooling = spec.labels, spec.pooling
        self.dense = nn.Linear(WIDTH[self.pooling] * hidden_size, hidden_size)
        self.dropout = nn.Dropout(spec.dropout)
        self.out = nn.Linear(hidden_size, len(self.labels))

    def positions_needed(self, features: list[Feature], batch: Packed) -> torch.Tensor | None:
        """The tokens that pooling reads; None = all."""
        return pooled_tokens(batch, self.pooling)

    def forward(self, states: torch.Tensor, batch: Packed) -> torch.Tensor:
        """(T, H) -> logits (N, labels)."""
        pooled = self.dropout(pool(states, batch, self.pooling))
        return self.out(self.dropout(torch.tanh(self.dense(pooled))))

    def loss(self, logits: torch.Tensor, features: list[Feature]) -> torch.Tensor:
        """Mean cross-entropy over the features."""
        return cross_entropy(to_float32(logits), to_device(logits.device, [f.target for f in features]))


def decode(head: Head, logits: torch.Tensor, features: list[Feature]) -> list[Any]:
    """The most probable label of each feature."""
    return [head.labels[i] for i in logits.argmax(-1).tolist()]


def join(pieces: list[tuple[Feature, Any]], rows: list[dict]) -> list[str]:
    """One label per row."""
    return [label for _, label in sorted(pieces, key=lambda piece: piece[0].row)]
