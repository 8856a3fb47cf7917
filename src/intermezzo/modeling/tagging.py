"""Tagging: one label per word, predicted at the word's first subword (XTREME's protocol).

Sentences longer than the model's length are cut into windows between words, and the windows' tags joined, so that
no word goes without a tag (XTREME splits likewise; jiant truncates).
"""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Encoding, Tokenizer
from torch import nn
from torch.nn.functional import cross_entropy

from intermezzo.modeling.formats import Feature
from intermezzo.modeling.packing import Packed


def encode(rows: list[dict], tokenizer: Tokenizer, task: dict, settings: dict) -> list[Feature]:
    """One feature per window. With `task["alone"]` every word is a window: the control without context."""
    tokenizer.no_truncation()
    ids = {label: i for i, label in enumerate(task["labels"])}
    windows: list[tuple[int, int, int]] = []  # row, first word, one past the last
    for i, (row, encoding) in enumerate(
        zip(rows, tokenizer.encode_batch([r["tokens"] for r in rows], is_pretokenized=True), strict=True)
    ):
        budget = settings["max_length"] - tokenizer.num_special_tokens_to_add(is_pair=False)
        limit = 1 if task.get("alone") else budget
        windows += [(i, a, b) for a, b in _cuts(encoding, len(row["tokens"]), limit, budget)]
    tokenizer.enable_truncation(settings["max_length"])  # a single word may still be longer than the model
    encodings = tokenizer.encode_batch([rows[i]["tokens"][a:b] for i, a, b in windows], is_pretokenized=True)
    features = []
    for (i, a, b), encoding in zip(windows, encodings, strict=True):
        first: dict[int, int] = {}
        for at, word in enumerate(encoding.word_ids):
            if word is not None:
                first.setdefault(word, at)
        target = [(at, ids[rows[i]["tags"][a + word]]) for word, at in first.items()]
        features.append(
            Feature(i, [encoding.ids], [encoding.type_ids], target, {"start": a, "words": b - a, "seen": list(first)})
        )
    return features


def _cuts(encoding: Encoding, words: int, limit: int, budget: int) -> list[tuple[int, int]]:
    """Word spans that cover a sentence, each with at most `budget` subwords and, if `limit` is 1, one word."""
    sizes = [0] * words
    for word in encoding.word_ids:
        if word is not None:
            sizes[word] += 1
    spans, start, used = [], 0, 0
    for word, size in enumerate(sizes):
        if word > start and (used + size > budget or word - start >= limit):
            spans.append((start, word))
            start, used = word, 0
        used += size
    return [*spans, (start, words)]


class Head(nn.Module):
    """A linear layer over each token."""

    def __init__(self, hidden_size: int, task: dict, settings: dict) -> None:
        super().__init__()
        self.labels = tuple(task["labels"])
        self.dropout = nn.Dropout(settings["dropout"])
        self.out = nn.Linear(hidden_size, len(self.labels))

    def forward(self, states: torch.Tensor, batch: Packed) -> tuple[torch.Tensor, torch.Tensor]:
        """(T, H) -> logits (T, labels), and where each sequence starts (N,)."""
        return self.out(self.dropout(states)), batch.starts

    def loss(self, outputs: tuple[torch.Tensor, torch.Tensor], features: list[Feature]) -> torch.Tensor:
        """Mean over the words of the batch."""
        logits, starts = outputs
        places = [(start + at, tag) for start, f in zip(starts.tolist(), features, strict=True) for at, tag in f.target]
        at, gold = torch.tensor(places, device=logits.device).T
        return cross_entropy(logits[at].float(), gold)


def decode(head: Head, outputs: tuple[torch.Tensor, torch.Tensor], features: list[Feature]) -> list[Any]:
    """The tags of a window's words; a word that left no subword gets the first label."""
    logits, starts = outputs
    best, tags = logits.argmax(-1).tolist(), []
    for start, feature in zip(starts.tolist(), features, strict=True):
        window = [head.labels[0]] * feature.extra["words"]
        for word, (at, _) in zip(feature.extra["seen"], feature.target, strict=True):
            window[word] = head.labels[best[start + at]]
        tags.append(window)
    return tags


def join(pieces: list[tuple[Feature, Any]], rows: list[dict]) -> list[list[str]]:
    """The tags of each row, its windows joined in order."""
    joined: list[list[str]] = [[] for _ in rows]
    for feature, tags in sorted(pieces, key=lambda piece: (piece[0].row, piece[0].extra["start"])):
        joined[feature.row] += tags
    return joined
