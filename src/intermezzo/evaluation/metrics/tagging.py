"""Tagging: token accuracy; for IOB2 labels entity F1, for other labels XTREME's part-of-speech F1.

Both F1 scores are seqeval's, in its default mode: spans are read from the tags, a span counts when its first token,
last token and type all agree, and F1 is over the spans of all rows together (micro), 0 when nothing agrees.

- `span_f1`: as conlleval counts IOB2, leniently: an `I-X` which nothing fitting precedes begins an entity of type X.
- `pos_f1`: seqeval 0.0.12 on bare tags, which takes neighbours of one tag for one span. Its reading of a tag's first
  letter (S = a span of a single token) makes one exception: SCONJ and SYM never merge.

seqeval 1.2.2 takes the type from after the first letter, on bare tags as well: CCONJ and SCONJ become one type, and the
tag X gets an empty one, which is also that of O. XTREME's published test numbers are those of 0.0.12.
Sources: Tjong Kim Sang and Buchholz (2000), the CoNLL evaluation script; Nakayama (2018), seqeval, both versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from intermezzo.core.errors import UserError
from intermezzo.evaluation.metrics.accuracy import accuracy, commonest
from intermezzo.evaluation.metrics.overlap import precision_recall_f1
from intermezzo.specs.tasks import TaskSpec

SEQEVAL = ("0.0.12", "1.2.2")
"""Versions of seqeval whose reading of tags is known here; the first reproduces XTREME's published test."""
Span = tuple[int, int, str]
"""First token, token after the last one, type."""


def score(predictions: list[list[str]], gold: list[list[str]], task: TaskSpec, language: str) -> dict[str, float]:
    """Compare predicted with gold tags; raises UserError where a row's two lists differ in length."""
    for number, (ours, theirs) in enumerate(zip(predictions, gold, strict=True)):
        if len(ours) != len(theirs):
            raise UserError(f"row {number}: {len(ours)} predicted tags for {len(theirs)} tokens")
    values = {"accuracy": accuracy(list(chain(*predictions)), list(chain(*gold)))}
    closed = task.labels if not isinstance(task.labels, str) else chain(*gold)
    if any(label.startswith("B-") for label in closed):
        values["span_f1"] = span_f1(predictions, gold)
    else:
        values["pos_f1"] = pos_f1(predictions, gold)
    return values


def majority(rows: list[dict[str, Any]], task: TaskSpec, language: str = "") -> dict[str, float]:
    """Score of giving every token the most frequent tag of these rows."""
    gold = [row["tags"] for row in rows]
    tag = commonest(chain(*gold))
    return score([[tag] * len(tags) for tags in gold], gold, task, language)


def official_scores(
    predictions: list[list[str]], gold: list[list[str]], *, seqeval: str = SEQEVAL[0]
) -> dict[str, float]:
    """What the official program of a benchmark prints with a version of seqeval, values in 0..1."""
    return dict(zip(("precision", "recall", "f1"), seqeval_scores(predictions, gold, seqeval), strict=True))


def span_f1(predictions: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> float:
    """Micro-averaged F1 over entities, 0..1; a type with a hyphen is taken whole."""
    return seqeval_scores(predictions, gold, "1.2.2")[2]


def pos_f1(predictions: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> float:
    """XTREME's udpos score, 0..1."""
    return seqeval_scores(predictions, gold, "0.0.12")[2]


def seqeval_scores(
    predictions: Sequence[Sequence[str]], gold: Sequence[Sequence[str]], version: str
) -> tuple[float, float, float]:
    """Precision, recall and F1 (0..1) over the spans that seqeval `version` reads from the tags."""
    ours, theirs = spans(predictions, version), spans(gold, version)
    return precision_recall_f1(len(ours & theirs), len(ours), len(theirs))


def spans(sequences: Iterable[Sequence[str]], version: str) -> set[Span]:
    """Spans of all `sequences`, positions counted through, with one place for the end of each sequence.

    >>> sorted(spans([["B-PER", "I-PER", "O", "I-LOC", "I-PER"]], "0.0.12"))
    [(0, 2, 'PER'), (3, 4, 'LOC'), (4, 5, 'PER')]
    >>> sorted(spans([["NOUN", "NOUN", "SYM", "SYM"]], "0.0.12"))
    [(0, 2, 'NOUN'), (2, 3, 'SYM'), (3, 4, 'SYM')]

    A span begins where the last begin was seen. With 1.2.2 a type can change without a begin (X after O), so that a
    span reaches back over what lies between, even into the sentence before; its scores have this in them.
    """
    complete: set[Span] = set()
    begin, before, kind = 0, "O", ""
    for position, tag in enumerate(chain.from_iterable([*tags, "O"] for tags in sequences)):
        letter, here = tag[0], _type(tag, version)
        changed = here != kind
        if before in "ES" or (before in "BI" and letter in "BSO") or (before not in "O." and changed):
            complete.add((begin, position, kind))
        if letter in "BS" or (before in "ESO" and letter in "EI") or (letter not in "O." and changed):
            begin = position
        before, kind = letter, here
    return complete


def _type(tag: str, version: str) -> str:
    return tag.split("-")[-1] if version == "0.0.12" else tag[1:].split("-", 1)[-1] or "_"
