"""Precision, recall and F1 from counts: what tagging and mining share."""

from __future__ import annotations


def precision_recall_f1(right: float, predicted: int, relevant: int) -> tuple[float, float, float]:
    """Precision, recall and F1 (0..1) of `predicted` things, `right` of which are among the `relevant` ones."""
    precision = right / predicted if predicted else 0.0
    recall = right / relevant if relevant else 0.0
    return precision, recall, 2 * right / (predicted + relevant) if right else 0.0
