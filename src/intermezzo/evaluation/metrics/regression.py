"""Regression: correlation of predicted and gold numbers; a guess without a model correlates with nothing.

`pearson` is Pearson's correlation, `spearman` that of the ranks (of equal numbers the mean rank), both in -1..1. Where
all predictions, or all gold numbers, are equal, neither is defined, and 0 is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from intermezzo.specs.tasks import TaskSpec


def score(predictions: list[float], gold: list[float], task: TaskSpec, language: str) -> dict[str, float]:
    """Correlate predicted with gold numbers."""
    return {"pearson": pearson(predictions, gold), "spearman": pearson(ranks(predictions), ranks(gold))}


def majority(rows: list[dict[str, Any]], task: TaskSpec, language: str = "") -> dict[str, float]:
    """Any constant guess correlates with nothing."""
    return {"pearson": 0.0, "spearman": 0.0}


def pearson(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> float:
    """Pearson's correlation of two sequences of one length, 0 where one of them is constant."""
    centred = [np.asarray(values, float) - np.mean(values) for values in (first, second)]
    norms = [float(np.linalg.norm(values)) for values in centred]
    if not all(norms):
        return 0.0
    return float(np.clip(centred[0] / norms[0] @ (centred[1] / norms[1]), -1.0, 1.0))


def ranks(values: Sequence[float]) -> np.ndarray:
    """The rank of each value from 1 on; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(np.asarray(values, float), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]
