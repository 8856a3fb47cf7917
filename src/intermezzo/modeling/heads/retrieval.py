"""Sentence vectors of an encoder without a head, and each English sentence's nearest one of a language (Tatoeba).

Which layer is read and how its states are pooled decides the numbers (the same XLM-R Large: 31 or 57 % on Tatoeba),
so both are settings: `layer` (0 = embeddings), `pooling` (`mean` over all tokens, special ones included, or `cls`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tokenizers import Tokenizer
from torch.nn.functional import normalize

from intermezzo.modeling.heads import Feature, Predict
from intermezzo.modeling.search import search
from intermezzo.specs.encoding import EncodingSpec

if TYPE_CHECKING:
    from intermezzo.specs.prediction import PredictionSpec

COLUMNS: dict = {}


def encode(texts: list[str], tokenizer: Tokenizer, spec: EncodingSpec) -> list[Feature]:
    """One feature per sentence."""
    tokenizer.enable_truncation(spec.max_length)
    return [Feature(i, [e.ids], [e.type_ids]) for i, e in enumerate(tokenizer.encode_batch(texts))]


def directions(vectors: torch.Tensor, *, center: bool) -> torch.Tensor:
    """Vectors (n, d) of one language scaled to length 1, so that inner products are cosines.

    `center` subtracts their mean first: it removes what a language adds to all its sentences, and about doubles the
    accuracy of small encoders. No published protocol does it.
    """
    vectors = vectors.float()
    return normalize(vectors - vectors.mean(0) if center else vectors, dim=-1)


def nearest(queries: torch.Tensor, candidates: torch.Tensor, *, center: bool) -> list[int]:
    """The index of the candidate with the highest cosine similarity for each query (the first one at a tie).

    queries (n, d), candidates (m, d). XTREME's direction: the queries are English, the candidates the language's.
    """
    _, indices = search(directions(queries, center=center), directions(candidates, center=center), 1)
    return indices[:, 0].tolist()


def predictor(embed: Callable[[list[str]], torch.Tensor], spec: PredictionSpec, support: dict[str, Path]) -> Predict:
    """For each English sentence (text_pair) the index of the nearest sentence of the language (XTREME's direction)."""

    def predict(rows: list[dict], language: str) -> list[int]:
        foreign, english = embed([row["text"] for row in rows]), embed([row["text_pair"] for row in rows])
        return nearest(english, foreign, center=spec.center)

    return predict
