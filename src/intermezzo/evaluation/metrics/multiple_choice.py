"""Multiple choice: accuracy of the chosen index; the uninformed guess is the most frequent position."""

from __future__ import annotations

from typing import Any

from intermezzo.evaluation.metrics.accuracy import accuracy, commonest
from intermezzo.specs.tasks import TaskSpec


def score(predictions: list[int], gold: list[int], task: TaskSpec, language: str) -> dict[str, float]:
    """Compare chosen with right indices (0 = first choice)."""
    return {"accuracy": accuracy(predictions, gold)}


def majority(rows: list[dict[str, Any]], task: TaskSpec, language: str = "") -> dict[str, float]:
    """Accuracy of always choosing the position that is right most often in these rows."""
    gold = [row["label"] for row in rows]
    return {"accuracy": accuracy([commonest(gold)] * len(gold), gold)}
