"""Classification: accuracy; the uninformed guess is the most frequent label."""

from __future__ import annotations

from typing import Any

from intermezzo.evaluation.metrics.accuracy import accuracy, commonest


def score(predictions: list[str], gold: list[str], task: dict[str, Any], language: str) -> dict[str, float]:
    """Compare predicted with gold labels."""
    return {"accuracy": accuracy(predictions, gold)}


def majority(rows: list[dict[str, Any]], task: dict[str, Any], language: str = "") -> dict[str, float]:
    """Accuracy of giving every row the most frequent label of these rows."""
    gold = [row["label"] for row in rows]
    return {"accuracy": accuracy([commonest(gold)] * len(gold), gold)}
