"""Tagging: one label per word, predicted at the word's first subword (XTREME's protocol).

Sentences longer than the model's length are cut into windows between words, and the windows' tags joined, so that
every word has one tag (XTREME splits likewise; jiant truncates). A word of which the tokenizer leaves nothing is read
as the unknown token (as in XTREME); of one that is longer than the model, the beginning is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Encoding, Tokenizer
from torch import nn
from torch.nn.functional import cross_entropy

from intermezzo.modeling.heads import NUMBER, PAIRS, Feature, targets, to_device, to_float32
from intermezzo.modeling.packing import Packed
from intermezzo.modeling.tokenizer import encode_words
from intermezzo.specs.encoding import EncodingSpec, HeadSpec

COLUMNS = {"target": PAIRS, "start": NUMBER}
IGNORED = -100
"""Target of a tag that is no label of the task."""


def encode(rows: list[dict], tokenizer: Tokenizer, spec: EncodingSpec) -> list[Feature]:
    """One feature per window. With `spec.alone` every word is a window: the control without context.

    A tag that is not in the task's labels (those taken from training data lack some of test) or is missing, as a whole
    row's may be, has no part in the loss.
    """
    tokenizer.no_truncation()
    ids = {label: i for i, label in enumerate(spec.labels)}
    budget = spec.max_length - tokenizer.num_special_tokens_to_add(is_pair=False)
    sentences = _visible([row["tokens"] for row in rows], tokenizer)
    windows: list[tuple[int, int, int]] = []  # row, first word, one past the last
    for i, encoding in enumerate(encode_words(tokenizer, sentences)):
        sizes = _sizes(encoding, len(sentences[i]))
        windows += [(i, a, b) for a, b in _cuts(sizes, 1 if spec.alone else budget, budget)]
    tokenizer.enable_truncation(spec.max_length)  # a single word may still be longer than the model
    encodings = encode_words(tokenizer, [sentences[i][a:b] for i, a, b in windows])
    features = []
    for (i, a, b), encoding in zip(windows, encodings, strict=True):
        words = encoding.word_ids  # each look at it makes the whole list anew
        first = [words.index(word) for word in range(b - a)]
        tags = rows[i]["tags"][a:b] if rows[i]["tags"] else [None] * (b - a)
        target = [(position, ids.get(tag, IGNORED)) for position, tag in zip(first, tags, strict=True)]
        features.append(Feature(i, [encoding.ids], [encoding.type_ids], target, {"start": a}))
    return features


def _visible(sentences: list[list[str]], tokenizer: Tokenizer) -> list[list[str]]:
    """The sentences with the unknown token for words of which a tokenizer leaves nothing (a lone zero-width space)."""
    unknown = getattr(tokenizer.model, "unk_token", None) or "<unk>"
    encodings = encode_words(tokenizer, sentences)
    return [
        [word if size else unknown for word, size in zip(words, _sizes(encoding, len(words)), strict=True)]
        for words, encoding in zip(sentences, encodings, strict=True)
    ]


def _sizes(encoding: Encoding, words: int) -> list[int]:
    """Subwords per word."""
    counts = Counter(encoding.word_ids)
    return [counts[word] for word in range(words)]


def _cuts(sizes: list[int], limit: int, budget: int) -> list[tuple[int, int]]:
    """Word spans that cover a sentence, each of at most `limit` words and, unless of one word, `budget` subwords."""
    spans, start, used = [], 0, 0
    for word, size in enumerate(sizes):
        if word > start and (used + size > budget or word - start >= limit):
            spans.append((start, word))
            start, used = word, 0
        used += size
    return [*spans, (start, len(sizes))]


class Head(nn.Module):
    """A linear layer over each token."""

    def __init__(self, hidden_size: int, spec: HeadSpec) -> None:
        super().__init__()
        self.labels = spec.labels
        self.dropout = nn.Dropout(spec.dropout)
        self.out = nn.Linear(hidden_size, len(self.labels))

    def positions_needed(self, features: list[Feature], batch: Packed) -> torch.Tensor:
        """The first subword of each word."""
        return targets(features, batch)

    def forward(self, states: torch.Tensor, batch: Packed) -> tuple[torch.Tensor, Sequence[int]]:
        """(T, H) -> logits (T, labels), of use at words' first subwords, and where each sequence starts (N,)."""
        return self.out(self.dropout(states)), batch.begins

    def count(self, features: list[Feature]) -> int:
        """Words with a label of the task."""
        return sum(tag != IGNORED for feature in features for _, tag in feature.target)

    def loss(self, outputs: tuple[torch.Tensor, Sequence[int]], features: list[Feature]) -> torch.Tensor:
        """Mean over the words of the batch."""
        logits, starts = outputs
        places = [
            (start + position, tag) for start, f in zip(starts, features, strict=True) for position, tag in f.target
        ]
        positions, gold = to_device(logits.device, places).T
        return cross_entropy(to_float32(logits[positions]), gold, ignore_index=IGNORED)


def decode(head: Head, outputs: tuple[torch.Tensor, Sequence[int]], features: list[Feature]) -> list[Any]:
    """The tags of each window's words."""
    logits, starts = outputs
    best = logits.argmax(-1).tolist()
    return [
        [head.labels[best[start + position]] for position, _ in feature.target]
        for start, feature in zip(starts, features, strict=True)
    ]


def join(pieces: list[tuple[Feature, Any]], rows: list[dict]) -> list[list[str]]:
    """The tags of each row, its windows joined in order."""
    joined: list[list[str]] = [[] for _ in rows]
    for feature, tags in sorted(pieces, key=lambda piece: (piece[0].row, piece[0].extra["start"])):
        joined[feature.row] += tags
    return joined
