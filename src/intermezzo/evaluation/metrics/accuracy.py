"""Accuracy, the metric that four formats share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any


def accuracy(predictions: Sequence[Any], gold: Sequence[Any]) -> float:
    """Share of positions at which both sequences (of one length, not empty) hold the same value."""
    return sum(p == g for p, g in zip(predictions, gold, strict=True)) / len(gold)


def commonest(values: Iterable[Any]) -> Any:
    """The most frequent value; of equally frequent ones the smallest, so that row order plays no part."""
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], value))
