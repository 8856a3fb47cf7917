"""Extractive question answering: the start and the end of the answer in its context (SQuAD 1.1).

Contexts longer than the model's length are read in overlapping windows; the best span over all windows is the
answer. In training a window without the answer points to its first token.
"""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Encoding, Tokenizer
from torch import nn
from torch.nn.functional import cross_entropy

from intermezzo.modeling.formats import Feature
from intermezzo.modeling.packing import Packed

LONGEST_ANSWER = 30
"""Longest answer in tokens (the value of the field's SQuAD scripts)."""


def encode(rows: list[dict], tokenizer: Tokenizer, task: dict, settings: dict) -> list[Feature]:
    """One feature per window; questions are cut to a third of `max_length` so that a window always has context."""
    length, stride = settings["max_length"], settings["stride"]
    tokenizer.enable_truncation(length // 3)
    questions = [
        row["question"][: encoding.offsets[-2][1]] if encoding.overflowing else row["question"]
        for row, encoding in zip(rows, tokenizer.encode_batch([r["question"] for r in rows]), strict=True)
    ]
    tokenizer.enable_truncation(length, stride=min(stride, length // 3), strategy="only_second")
    pairs = [(question, row["context"]) for question, row in zip(questions, rows, strict=True)]
    features = []
    for i, (row, encoding) in enumerate(zip(rows, tokenizer.encode_batch(pairs), strict=True)):
        for window in [encoding, *encoding.overflowing]:
            inside = [at for at, part in enumerate(window.sequence_ids) if part == 1]
            extra = {"inside": inside, "offsets": [window.offsets[at] for at in inside]}
            features.append(Feature(i, [window.ids], [window.type_ids], _target(row, window, inside), extra))
    return features


def _target(row: dict, window: Encoding, inside: list[int]) -> tuple[int, int]:
    """First and last token of the (first) answer, (0, 0) when it is not wholly in this window."""
    if not row["answers"] or not inside:
        return 0, 0
    begin = row["answer_starts"][0]
    end = begin + len(row["answers"][0])
    if window.offsets[inside[0]][0] > begin or window.offsets[inside[-1]][1] < end:
        return 0, 0
    first = next(at for at in inside if window.offsets[at][1] > begin)
    last = next(at for at in reversed(inside) if window.offsets[at][0] < end)
    return first, last


class Head(nn.Module):
    """A start and an end score per token."""

    def __init__(self, hidden_size: int, task: dict, settings: dict) -> None:
        super().__init__()
        self.dropout = nn.Dropout(settings["dropout"])
        self.out = nn.Linear(hidden_size, 2)

    def forward(self, states: torch.Tensor, batch: Packed) -> torch.Tensor:
        """(T, H) -> (N, S, 2), -inf where there is no token."""
        return batch.padded(self.out(self.dropout(states)).float()).masked_fill(~batch.mask[..., None], -torch.inf)

    def loss(self, scores: torch.Tensor, features: list[Feature]) -> torch.Tensor:
        start, end = torch.tensor([f.target for f in features], device=scores.device).T
        return (cross_entropy(scores[..., 0], start) + cross_entropy(scores[..., 1], end)) / 2


def decode(head: Head, scores: torch.Tensor, features: list[Feature]) -> list[Any]:
    """(score, first character, one past the last) of each window's best span; None for a window without context."""
    spans: list[Any] = []
    for row, feature in zip(scores.cpu(), features, strict=True):
        inside, offsets = feature.extra["inside"], feature.extra["offsets"]
        if not inside:
            spans.append(None)
            continue
        start, end = row[inside].unbind(-1)
        pairs = (start[:, None] + end[None, :]).triu().tril(LONGEST_ANSWER - 1)
        allowed = torch.ones_like(pairs, dtype=torch.bool).triu().tril(LONGEST_ANSWER - 1)
        best = int(pairs.masked_fill(~allowed, -torch.inf).argmax())
        first, last = divmod(best, len(inside))
        spans.append((float(pairs[first, last]), offsets[first][0], offsets[last][1]))
    return spans


def join(pieces: list[tuple[Feature, Any]], rows: list[dict]) -> list[str]:
    """The text of each row's best span over its windows."""
    best: dict[int, Any] = {}
    for feature, span in sorted(pieces, key=lambda piece: piece[0].row):
        if span is not None and (feature.row not in best or span[0] > best[feature.row][0]):
            best[feature.row] = span
    return [rows[i]["context"][best[i][1] : best[i][2]].strip() if i in best else "" for i in range(len(rows))]
