"""Multi-label classification: F1 averaged over labels as in classification, and the share of rows that are all right.

The guess without a model is, metric by metric, the better of two: the set of labels that is most frequent, and every
label that occurs.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any

from intermezzo.evaluation.metrics.accuracy import accuracy, commonest
from intermezzo.evaluation.metrics.overlap import averaged_f1
from intermezzo.specs.tasks import TaskSpec


def score(predictions: list[list[str]], gold: list[list[str]], task: TaskSpec, language: str) -> dict[str, float]:
    """Compare predicted with gold labels, whose order plays no part."""
    ours, theirs = ([tuple(sorted(labels)) for labels in side] for side in (predictions, gold))
    right = Counter(chain.from_iterable(set(a) & set(b) for a, b in zip(ours, theirs, strict=True)))
    averages = averaged_f1(right, Counter(chain(*ours)), Counter(chain(*theirs)))
    return averages | {"accuracy": accuracy(ours, theirs)}


def majority(rows: list[dict[str, Any]], task: TaskSpec, language: str = "") -> dict[str, float]:
    """Score of the better of the two guesses."""
    gold = [row["labels"] for row in rows]
    guesses = commonest(tuple(sorted(labels)) for labels in gold), tuple(sorted({*chain(*gold)}))
    scores = [score([list(guess)] * len(gold), gold, task, language) for guess in guesses]
    return {metric: max(values[metric] for values in scores) for metric in scores[0]}
