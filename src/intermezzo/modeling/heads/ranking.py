"""Ranking: a query finds its texts in one pool of many (LAReQA, Mewsli-X), by a dual encoder with shared weights.

Query and candidate are read apart by the same encoder and head: the pooled sequence (published: its first token)
through dense and tanh, as BERT's pooler does, scaled to length 1. In training each query of a batch must find its own
text among all texts of the batch: softmax cross-entropy over cosines times a learned scale that begins at 100
(XTREME-R's set-up). So the batch size is the number of texts that a query chooses from.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from intermezzo.core.errors import UserError
from intermezzo.modeling.heads import Feature, Predict, to_float32
from intermezzo.modeling.packing import Packed
from intermezzo.modeling.pooling import WIDTH, pool, pooled_tokens
from intermezzo.modeling.search import Vectors, search
from intermezzo.specs.encoding import EncodingSpec, HeadSpec

if TYPE_CHECKING:
    from intermezzo.specs.prediction import PredictionSpec

COLUMNS: dict = {}
BEST = 20
"""Candidates per query: the metric is mAP@20."""
SCALE = 100.0
ROWS = 8192
"""Candidates that are read and embedded at a time."""


def encode(rows: list[dict], tokenizer: Tokenizer, spec: EncodingSpec) -> list[Feature]:
    """One feature per row: of a training row the query's sequence and its text's, else the row's one sequence."""
    tokenizer.enable_truncation(spec.max_length)
    texts = [text for row in rows for text in (row["text"], row["text_pair"]) if text is not None]
    encodings = iter(tokenizer.encode_batch(texts))
    features = []
    for i, row in enumerate(rows):
        parts = [next(encodings) for _ in range(1 if row["text_pair"] is None else 2)]
        features.append(Feature(i, [e.ids for e in parts], [e.type_ids for e in parts]))
    return features


class Head(nn.Module):
    """The pooler, and the scale of the cosines in training."""

    joint = True  # a query is compared with the texts of the whole batch
    decodes_on_device = True  # vectors are searched where they are

    def __init__(self, hidden_size: int, spec: HeadSpec) -> None:
        super().__init__()
        self.pooling = spec.pooling
        self.dense = nn.Linear(WIDTH[self.pooling] * hidden_size, hidden_size)
        self.dropout = nn.Dropout(spec.dropout)
        self.scale = nn.Parameter(torch.tensor([SCALE]))

    def positions_needed(self, features: list[Feature], batch: Packed) -> torch.Tensor | None:
        """The tokens that pooling reads; None = all."""
        return pooled_tokens(batch, self.pooling)

    def forward(self, states: torch.Tensor, batch: Packed) -> torch.Tensor:
        """(T, H) -> vectors of length 1 (N, H), one per sequence."""
        pooled = self.dropout(pool(states, batch, self.pooling))
        return normalize(to_float32(torch.tanh(self.dense(pooled))), dim=-1)

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


def predictor(embed: Callable[[list[dict]], torch.Tensor], spec: PredictionSpec, support: dict[str, Path]) -> Predict:
    """For each query the ids of the best candidates of the pool, best first."""
    index: list[tuple[pa.Array, np.ndarray]] = []

    def predict(rows: list[dict], language: str) -> list[list[str]]:
        if not index:
            index.append(_index(embed, support))
        ids, vectors = index[0]
        return [ids.take(pa.array(row)).to_pylist() for row in best(embed(rows), vectors)]

    return predict


def _index(embed: Callable[[list[dict]], torch.Tensor], support: dict[str, Path]) -> tuple[pa.Array, np.ndarray]:
    """Ids and vectors (m, H) float32 of all candidates, in the order of `support`: beside them, ROWS rows in memory."""
    if not support:
        raise UserError("ranking: no candidates to search in; a ranking task needs data of the split 'candidates'")
    vectors, ids, begin = np.empty((0, 0), np.float32), [], 0
    size = sum(pq.read_metadata(path).num_rows for path in support.values())
    for path in support.values():
        for part in pq.ParquetFile(path).iter_batches(ROWS):
            embedded = embed(part.to_pylist()).cpu().numpy()
            if not begin:
                vectors = np.empty((size, embedded.shape[1]), np.float32)
            vectors[begin : begin + len(embedded)] = embedded
            ids.append(part.column("id"))
            begin += len(embedded)
    names = pa.concat_arrays(ids)
    if (distinct := pc.count_distinct(names).as_py()) < size:
        files = ", ".join(map(str, support.values()))
        raise UserError(f"ranking: {size} candidates with {distinct} different ids; they must be unique over {files}")
    return names, vectors
