"""Sentence embeddings from an encoder, and exact search among them."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer
from torch.nn.functional import normalize

from intermezzo.modeling.formats import Feature


def encode(texts: list[str], tokenizer: Tokenizer, settings: dict) -> list[Feature]:
    """One feature per sentence."""
    tokenizer.enable_truncation(settings["max_length"])
    return [Feature(i, [e.ids], [e.type_ids]) for i, e in enumerate(tokenizer.encode_batch(texts))]


def nearest(queries: torch.Tensor, candidates: torch.Tensor, *, center: bool, block: int = 4096) -> list[int]:
    """The index of the candidate with the highest cosine similarity for each query (the first one at a tie).

    queries (n, d), candidates (m, d). `center` subtracts the mean of each side first: it removes what a language
    adds to all its sentences, and about doubles the accuracy of small encoders. Memory: block * m scores.
    """
    if center:
        queries, candidates = queries - queries.mean(0), candidates - candidates.mean(0)
    queries, candidates = normalize(queries.float(), dim=-1), normalize(candidates.float(), dim=-1)
    return [i for part in queries.split(block) for i in (part @ candidates.T).argmax(-1).tolist()]
