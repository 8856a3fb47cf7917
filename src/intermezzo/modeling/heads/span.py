"""Extractive question answering: the start and the end of the answer in its context (SQuAD 1.1 and 2.0).

Contexts longer than the model's length are read in overlapping windows; the best span over all windows is the
answer. In training a window without the answer points to its first token. Where a question may have no answer, that
token is one in prediction too: the least start + end score of a first token over the windows is what the best span
must reach (the field's SQuAD 2.0 script, with its threshold of 0).
"""

from __future__ import annotations

import unicodedata
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn.functional import cross_entropy

from intermezzo.modeling.heads import NUMBERS, PAIR, PAIRS, Feature, to_device, to_float32
from intermezzo.modeling.packing import Packed
from intermezzo.specs.encoding import EncodingSpec, HeadSpec

COLUMNS = {"target": PAIR, "inside": NUMBERS, "offsets": PAIRS}
LONGEST_ANSWER = 30
"""Longest answer in tokens (the value of the field's SQuAD scripts)."""


def encode(rows: list[dict], tokenizer: Tokenizer, spec: EncodingSpec) -> list[Feature]:
    """One feature per window; questions are cut to a third of `max_length` so that a window always has context."""
    length, stride = spec.max_length, spec.stride
    tokenizer.enable_truncation(length // 3)
    questions = [
        row["question"][: encoding.offsets[-2][1]] if encoding.overflowing else row["question"]
        for row, encoding in zip(rows, tokenizer.encode_batch([r["question"] for r in rows]), strict=True)
    ]
    tokenizer.enable_truncation(length, stride=min(stride, length // 3), strategy="only_second")
    pairs = [(question, row["context"]) for question, row in zip(questions, rows, strict=True)]
    features = []
    for i, (row, encoding) in enumerate(zip(rows, tokenizer.encode_batch(pairs), strict=True)):
        windows = [encoding, *encoding.overflowing]
        for number, window in enumerate(windows):
            every = window.offsets  # each look at it makes the whole list anew
            inside = [
                position for position, part in enumerate(window.sequence_ids) if part == 1 and _shown(every[position])
            ]
            offsets = [every[position] for position in inside]
            # what the tokenizer drops at either end of the context belongs to the first and last window
            reach = (
                0 if number == 0 or not inside else offsets[0][0],
                len(row["context"]) if window is windows[-1] or not inside else offsets[-1][1],
            )
            target = _target(row, every, inside, reach)
            places = _with_marks(row["context"], offsets, reach[1])
            features.append(Feature(i, [window.ids], [window.type_ids], target, {"inside": inside, "offsets": places}))
    return features


def _shown(offsets: tuple[int, int]) -> bool:
    """A token that stands for no character of the context (a bare word mark) begins and ends no answer."""
    return offsets[1] > offsets[0]


def _with_marks(text: str, offsets: list[tuple[int, int]], end_of_window: int) -> list[tuple[int, int]]:
    """Tokens' places in the text with the marks (tones, vowel signs, points) that the tokenizer drops after them.

    So does XLM-R's with the tone of e + U+0323 + U+0301, and BERT's with all accents where it ignores case. Marks that
    are tokens of their own stay apart.
    """
    begins = [*(begin for begin, _ in offsets[1:]), end_of_window][: len(offsets)]  # an empty context has none
    return [
        (begin, _past_marks(text, end, following) if end < following else end)
        for (begin, end), following in zip(offsets, begins, strict=True)
    ]


def _past_marks(text: str, end: int, limit: int) -> int:
    while end < limit and unicodedata.category(text[end]).startswith("M"):
        end += 1
    return end


def _target(row: dict, offsets: list[tuple[int, int]], inside: list[int], reach: tuple[int, int]) -> tuple[int, int]:
    """First and last token of the (first) answer, (0, 0) when it is not wholly in this window."""
    answer = row["answers"][0] if row["answers"] else ""
    if not answer.strip() or not inside:
        return 0, 0
    begin = row["answer_starts"][0] + len(answer) - len(answer.lstrip())
    end = begin + len(answer.strip())
    if reach[0] > begin or reach[1] < end:
        return 0, 0
    first = next((position for position in inside if offsets[position][1] > begin), 0)
    last = next((position for position in reversed(inside) if offsets[position][0] < end), 0)
    return (first, last) if 0 < first <= last else (0, 0)


class Head(nn.Module):
    """A start and an end score per token."""

    def __init__(self, hidden_size: int, spec: HeadSpec) -> None:
        super().__init__()
        self.unanswerable = spec.unanswerable
        self.dropout = nn.Dropout(spec.dropout)
        self.out = nn.Linear(hidden_size, 2)

    def forward(self, states: torch.Tensor, batch: Packed) -> torch.Tensor:
        """(T, H) -> (N, S, 2), -inf where there is no token."""
        return batch.padded(to_float32(self.out(self.dropout(states)))).masked_fill(~batch.mask[..., None], -torch.inf)

    def loss(self, scores: torch.Tensor, features: list[Feature]) -> torch.Tensor:
        """Mean of the cross-entropies of start and end."""
        start, end = to_device(scores.device, [f.target for f in features]).T
        return (cross_entropy(scores[..., 0], start) + cross_entropy(scores[..., 1], end)) / 2


def decode(head: Head, scores: torch.Tensor, features: list[Feature]) -> list[Any]:
    """(score, first character, one past the last, null score) of each window's best span.

    The score is -inf in a window without context; the null score is -inf where every question has an answer.
    """
    spans: list[Any] = []
    for row, feature in zip(scores.cpu(), features, strict=True):
        inside, offsets = feature.extra["inside"], feature.extra["offsets"]
        null = float(row[0].sum()) if head.unanswerable else -torch.inf
        if not inside:
            spans.append((-torch.inf, 0, 0, null))
            continue
        start, end = row[inside].unbind(-1)
        pairs = start[:, None] + end[None, :]
        allowed = torch.ones_like(pairs, dtype=torch.bool).triu().tril(LONGEST_ANSWER - 1)
        first, last = divmod(int(pairs.masked_fill(~allowed, -torch.inf).argmax()), len(inside))
        spans.append((float(pairs[first, last]), offsets[first][0], offsets[last][1], null))
    return spans


def join(pieces: list[tuple[Feature, Any]], rows: list[dict]) -> list[str]:
    """The text of each row's best span over its windows; "" where no answer is better than that."""
    windows: list[list[Any]] = [[] for _ in rows]
    for feature, span in pieces:
        windows[feature.row].append(span)
    answers = []
    for row, spans in zip(rows, windows, strict=True):
        score, begin, end, _ = max(spans, key=lambda span: (span[0], -span[1]))
        null = min(span[3] for span in spans)
        answers.append("" if null > score else row["context"][begin : _whole(row["context"], begin, end)].strip())
    return answers


def _whole(text: str, begin: int, end: int) -> int:
    """`end` moved past characters that normalisation fuses with the one before.

    A tokenizer that turns e + U+0301 into one é counts the e alone as its place in the text.
    """

    def length(stop: int) -> int:
        return len(unicodedata.normalize("NFKC", text[begin:stop]))

    while begin < end < len(text) and length(end + 1) <= length(end):
        end += 1
    return end
