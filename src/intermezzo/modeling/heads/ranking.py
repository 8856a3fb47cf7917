"""Ranking: a query finds its texts in one pool of many (LAReQA, Mewsli-X), by a dual encoder with shared weights.

Query and candidate are read apart by the same encoder and head: the pooled sequence (published: its first token)
through dense and tanh, as BERT's pooler does, scaled to length 1. In training each query of a batch must find its own
text among all texts of the batch: softmax cross-entropy over cosines times a learned scale that begins at 100
(XTREME-R's set-up). So the batch size is the number of texts that a query chooses from.
"""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from intermezzo.modeling.heads import Feature, full
from intermezzo.modeling.packing import Packed
from intermezzo.modeling.pooling import WIDTH, pool, pooled_tokens
from intermezzo.modeling.search import Vectors, search

COLUMNS: dict = {}
BEST = 20
"""Candidates per query: the metric is mAP@20."""
SCALE = 100.0


def encode(rows: list[dict], tokenizer: Tokenizer, task: dict, settings: dict) -> list[Feature]:
    """One feature per row: of a training row the query's sequence and its text's, else the row's one sequence."""
    tokenizer.enable_truncation(settings["max_length"])
    texts = [text for row in rows for text in (row["text"], row["text_pair"]) if text is not None]
    encodings = iter(tokenizer.encode_batch(texts))
    features = []
    for i, row in enumerate(rows):
        own = [next(encodings) for _ in range(1 if row["text_pair"] is None else 2)]
        features.append(Feature(i, [e.ids for e in own], [e.type_ids for e in own]))
    return features


class Head(nn.Module):
    """The pooler, and the scale of the cosines in training."""

    joint = True  # a query is compared with the texts of the whole batch

    def __init__(self, hidden_size: int, task: dict, settings: dict) -> None:
        super().__init__()
        self.pooling = settings["pooling"]
        self.dense = nn.Linear(WIDTH[self.pooling] * hidden_size, hidden_size)
        self.dropout = nn.Dropout(settings["dropout"])
        self.scale = nn.Parameter(torch.tensor([SCALE]))

    def reads(self, features: list[Feature], batch: Packed) -> torch.Tensor | None:
        return pooled_tokens(batch, self.pooling)

    def forward(self, states: torch.Tensor, batch: Packed) -> torch.Tensor:
        """(T, H) -> vectors of length 1 (N, H), one per sequence."""
        pooled = self.dropout(pool(states, batch, self.pooling))
        return normalize(full(torch.tanh(self.dense(pooled))), dim=-1)

    def loss(self, vectors: torch.Tensor, features: list[Feature]) -> torch.Tensor:
        """Each query against the texts of the whole batch; features must be those of training rows."""
        queries, texts = vectors[0::2], vectors[1::2]
        return cross_entropy(self.scale * queries @ texts.T, torch.arange(len(features), device=vectors.device))


def decode(head: Head, vectors: torch.Tensor, features: list[Feature]) -> list[Any]:
    """The vector of each feature's first sequence."""
    return [part[0] for part in vectors.split([len(f.sequences) for f in features])]


def join(pieces: list[tuple[Feature, Any]], rows: list[dict]) -> torch.Tensor:
    """One vector per row (n, H)."""
    return torch.stack([vector for _, vector in sorted(pieces, key=lambda piece: piece[0].row)])


def best(queries: torch.Tensor, pool_: Vectors, k: int = BEST) -> list[list[int]]:
    """The indices of the `k` candidates of the pool with the highest cosine, best first, the lower index at ties."""
    return search(queries, pool_, k)[1].tolist()
