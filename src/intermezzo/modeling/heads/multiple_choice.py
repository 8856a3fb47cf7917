"""Multiple choice: each choice is read with its context, one scorer ranks them (as in SWAG, COPA, Cosmos QA)."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn.functional import cross_entropy

from intermezzo.modeling.heads import NUMBER, Feature, to_device, to_float32
from intermezzo.modeling.packing import Packed
from intermezzo.modeling.pooling import WIDTH, pool, pooled_tokens
from intermezzo.specs.encoding import EncodingSpec, HeadSpec

COLUMNS = {"target": NUMBER}


def encode(rows: list[dict], tokenizer: Tokenizer, spec: EncodingSpec) -> list[Feature]:
    """One feature per row with a sequence per choice: (context and question, choice)."""
    tokenizer.enable_truncation(spec.max_length, strategy="longest_first")
    pairs = [(f"{row['context']} {row['question']}".strip(), choice) for row in rows for choice in row["choices"]]
    encodings = iter(tokenizer.encode_batch(pairs))
    features = []
    for i, row in enumerate(rows):
        choices = [next(encodings) for _ in row["choices"]]
        features.append(Feature(i, [c.ids for c in choices], [c.type_ids for c in choices], row["label"]))
    return features


class Head(nn.Module):
    """A score per sequence; a softmax over the sequences of one row."""

    def __init__(self, hidden_size: int, spec: HeadSpec) -> None:
        super().__init__()
        self.pooling = spec.pooling
        self.dense = nn.Linear(WIDTH[self.pooling] * hidden_size, hidden_size)
        self.dropout = nn.Dropout(spec.dropout)
        self.out = nn.Linear(hidden_size, 1)

    def positions_needed(self, features: list[Feature], batch: Packed) -> torch.Tensor | None:
        """The tokens that pooling reads; None = all."""
        return pooled_tokens(batch, self.pooling)

    def forward(self, states: torch.Tensor, batch: Packed) -> torch.Tensor:
        """(T, H) -> scores (N,), the choices of a row next to each other."""
        pooled = self.dropout(pool(states, batch, self.pooling))
        return self.out(self.dropout(torch.tanh(self.dense(pooled))))[:, 0]

    def loss(self, scores: torch.Tensor, features: list[Feature]) -> torch.Tensor:
        """Mean cross-entropy over the rows, each among its own choices."""
        return cross_entropy(
            to_float32(_by_row(scores, features)), to_device(scores.device, [f.target for f in features])
        )


def _by_row(scores: torch.Tensor, features: list[Feature]) -> torch.Tensor:
    """(N,) -> (rows, most choices), -inf where a row has fewer."""
    counts = [len(f.sequences) for f in features]
    return nn.utils.rnn.pad_sequence(scores.split(counts), batch_first=True, padding_value=-torch.inf)


def decode(head: Head, scores: torch.Tensor, features: list[Feature]) -> list[Any]:
    """The index of each row's best choice."""
    return _by_row(scores, features).argmax(-1).tolist()


def join(pieces: list[tuple[Feature, Any]], rows: list[dict]) -> list[int]:
    """The index of the chosen answer per row."""
    return [choice for _, choice in sorted(pieces, key=lambda piece: piece[0].row)]
