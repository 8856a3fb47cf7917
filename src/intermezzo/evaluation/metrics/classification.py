"""Classification: accuracy, and F1 averaged over labels in three ways; the guess is the most frequent label.

F1 of a label is that of the rows which have it, against the rows which are predicted to: 0 where no row is both. Labels
count that are among the gold or the predicted ones of a language, as in scikit-learn's `f1_score`, which would cost a
second to load.

- `macro_f1`: the mean over labels, rare ones counting as much as frequent ones;
- `weighted_f1`: the mean weighted by how many rows have a label;
- `micro_f1`: F1 of all decisions together, which is accuracy where every row has one label.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from intermezzo.evaluation.metrics.accuracy import accuracy, commonest
from intermezzo.evaluation.metrics.overlap import averaged_f1
from intermezzo.specs.tasks import TaskSpec


def score(predictions: list[str], gold: list[str], task: TaskSpec, language: str) -> dict[str, float]:
    """Compare predicted with gold labels."""
    right = Counter(label for label, answer in zip(predictions, gold, strict=True) if label == answer)
    return {"accuracy": accuracy(predictions, gold), **averaged_f1(right, Counter(predictions), Counter(gold))}


def majority(rows: list[dict[str, Any]], task: TaskSpec, language: str = "") -> dict[str, float]:
    """Score of giving every row the most frequent label of these rows."""
    gold = [row["label"] for row in rows]
    return score([commonest(gold)] * len(gold), gold, task, language)
