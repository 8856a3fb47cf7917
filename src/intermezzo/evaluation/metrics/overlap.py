"""Precision, recall and F1 from counts: what tagging and mining share."""

from __future__ import annotations


def precision_recall_f1(right: float, found: int, wanted: int) -> tuple[float, float, float]:
    """Precision, recall and F1 (0..1) of `found` things, `right` of which are among the `wanted` ones; 0 for none."""
    precision = right / found if found else 0.0
    recall = right / wanted if wanted else 0.0
    return precision, recall, 2 * right / (found + wanted) if right else 0.0
