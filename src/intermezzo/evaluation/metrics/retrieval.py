"""Retrieval: share of rows whose nearest sentence is their own translation; chance is one in n."""

from __future__ import annotations

from typing import Any

from intermezzo.evaluation.metrics.accuracy import accuracy
from intermezzo.specs.tasks import TaskSpec


def score(predictions: list[int], gold: list[int], task: TaskSpec, language: str) -> dict[str, float]:
    """Compare retrieved with right row numbers (0 = first row)."""
    return {"accuracy": accuracy(predictions, gold)}


def majority(rows: list[dict[str, Any]], task: TaskSpec, language: str = "") -> dict[str, float]:
    """Accuracy expected of drawing one of the n candidates, and of giving every row the same one: 1/n."""
    return {"accuracy": 1 / len(rows)}
