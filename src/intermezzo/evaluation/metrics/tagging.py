"""Tagging: token accuracy; for IOB2 labels entity F1, for other labels XTREME's part-of-speech F1.

Entity F1 is counted as conlleval and seqeval (default mode) count it: leniently, so that an `I-X` which nothing fitting
precedes begins an entity of type X. An entity counts when first token, last token and type all agree; F1 is over the
entities of all rows together (micro), and 0 when neither side has one. `pos_f1` is the same over maximal runs of one
tag: XTREME scores bare tags with seqeval, which (in the versions of 2020) takes neighbours with the same tag for one
span.
Sources: Tjong Kim Sang and Buchholz (2000), the CoNLL evaluation script; Nakayama (2018), seqeval.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from intermezzo.errors import UserError
from intermezzo.evaluation.metrics.accuracy import accuracy, commonest

Entity = tuple[int, int, str]
"""First token, token after the last one, type."""


def score(predictions: list[list[str]], gold: list[list[str]], task: dict[str, Any], language: str) -> dict[str, float]:
    """Compare predicted with gold tags; raises UserError where a row's two lists differ in length."""
    for number, (ours, theirs) in enumerate(zip(predictions, gold, strict=True)):
        if len(ours) != len(theirs):
            raise UserError(f"row {number}: {len(ours)} predicted tags for {len(theirs)} tokens")
    values = {"accuracy": accuracy(list(chain(*predictions)), list(chain(*gold)))}
    if any(label.startswith("B-") for label in task["labels"]):
        values["span_f1"] = span_f1(predictions, gold)
    else:
        values["pos_f1"] = pos_f1(predictions, gold)
    return values


def majority(rows: list[dict[str, Any]], task: dict[str, Any]) -> dict[str, float]:
    """Score of giving every token the most frequent tag of these rows."""
    gold = [row["tags"] for row in rows]
    tag = commonest(chain(*gold))
    return score([[tag] * len(tags) for tags in gold], gold, task, "")


def entities(tags: Sequence[str]) -> set[Entity]:
    """Entities of one IOB2 sequence, read leniently.

    >>> sorted(entities(["B-PER", "I-PER", "O", "I-LOC", "I-PER"]))
    [(0, 2, 'PER'), (3, 4, 'LOC'), (4, 5, 'PER')]
    """
    found, start, kind = set(), 0, ""
    for position, tag in enumerate([*tags, "O"]):
        prefix, _, here = tag.partition("-")
        if kind and (prefix != "I" or here != kind):
            found.add((start, position, kind))
            kind = ""
        if prefix != "O" and not kind:
            start, kind = position, here
    return found


def runs(tags: Sequence[str]) -> set[Entity]:
    """Maximal runs of one tag.

    >>> sorted(runs(["NOUN", "NOUN", "VERB"]))
    [(0, 2, 'NOUN'), (2, 3, 'VERB')]
    """
    ends = [i + 1 for i, tag in enumerate(tags) if i + 1 == len(tags) or tags[i + 1] != tag]
    return {(start, end, tags[start]) for start, end in zip([0, *ends], ends, strict=False)}


def span_f1(predictions: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> float:
    """Micro-averaged F1 over entities, 0..1."""
    return _f1([entities(tags) for tags in predictions], [entities(tags) for tags in gold])


def pos_f1(predictions: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> float:
    """Micro-averaged F1 over maximal runs of one tag, 0..1 (XTREME's udpos score)."""
    return _f1([runs(tags) for tags in predictions], [runs(tags) for tags in gold])


def _f1(ours: Sequence[set[Entity]], theirs: Sequence[set[Entity]]) -> float:
    """Micro-averaged F1 over spans, 0..1."""
    total = sum(map(len, ours)) + sum(map(len, theirs))
    return 2 * sum(len(a & b) for a, b in zip(ours, theirs, strict=True)) / total if total else 0.0
