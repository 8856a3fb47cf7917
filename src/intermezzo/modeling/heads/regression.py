"""Regression of a text or a pair of texts: the head of classification with one output, and the squared error."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn.functional import mse_loss

from intermezzo.modeling.heads import REAL, Feature, encode_texts, to_device, to_float32
from intermezzo.modeling.packing import Packed
from intermezzo.modeling.pooling import WIDTH, pool, pooled_tokens
from intermezzo.specs.encoding import EncodingSpec, HeadSpec

COLUMNS = {"target": REAL}


def encode(rows: list[dict], tokenizer: Tokenizer, spec: EncodingSpec) -> list[Feature]:
    """One feature per row; pairs longer than `max_length` lose tokens of the longer text first."""
    encodings = encode_texts(rows, tokenizer, spec.max_length)
    return [
        Feature(i, [encoding.ids], [encoding.type_ids], row["label"])
        for i, (row, encoding) in enumerate(zip(rows, encodings, strict=True))
    ]


class Head(nn.Module):
    """dense, tanh and a projection to one number, over the pooled sequence."""

    def __init__(self, hidden_size: int, spec: HeadSpec) -> None:
        super().__init__()
        self.pooling = spec.pooling
        self.dense = nn.Linear(WIDTH[self.pooling] * hidden_size, hidden_size)
        self.dropout = nn.Dropout(spec.dropout)
        self.out = nn.Linear(hidden_size, 1)

    def positions_needed(self, features: list[Feature], batch: Packed) -> torch.Tensor | None:
        """The tokens that pooling reads."""
        return pooled_tokens(batch, self.pooling)

    def forward(self, states: torch.Tensor, batch: Packed) -> torch.Tensor:
        """(T, H) -> numbers (N,)."""
        pooled = self.dropout(pool(states, batch, self.pooling))
        return self.out(self.dropout(torch.tanh(self.dense(pooled))))[:, 0]

    def loss(self, numbers: torch.Tensor, features: list[Feature]) -> torch.Tensor:
        """Mean squared error, on the scale of the data."""
        numbers = to_float32(numbers)
        return mse_loss(numbers, to_device(numbers.device, [f.target for f in features]).to(numbers.dtype))


def decode(head: Head, numbers: torch.Tensor, features: list[Feature]) -> list[Any]:
    """The number of each feature."""
    return numbers.tolist()


def join(pieces: list[tuple[Feature, Any]], rows: list[dict]) -> list[float]:
    """One number per row."""
    return [number for _, number in sorted(pieces, key=lambda piece: piece[0].row)]
