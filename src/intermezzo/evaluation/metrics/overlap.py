"""Precision, recall and F1 from counts: what several formats share."""

from __future__ import annotations

from collections import Counter


def precision_recall_f1(right: float, predicted: int, relevant: int) -> tuple[float, float, float]:
    """Precision, recall and F1 (0..1) of `predicted` things, `right` of which are among the `relevant` ones."""
    precision = right / predicted if predicted else 0.0
    recall = right / relevant if relevant else 0.0
    return precision, recall, 2 * right / (predicted + relevant) if right else 0.0


def averaged_f1(right: Counter[str], predicted: Counter[str], gold: Counter[str]) -> dict[str, float]:
    """`macro_f1`, `micro_f1` and `weighted_f1` (0..1) from the counts of each label, which are 0 where it is absent.

    right: how often it is predicted and right. predicted, gold: how often it is predicted, and how often it is there.
    """
    f1 = {label: precision_recall_f1(right[label], predicted[label], gold[label])[2] for label in gold | predicted}
    return {
        "macro_f1": sum(f1.values()) / len(f1) if f1 else 0.0,
        "micro_f1": precision_recall_f1(right.total(), predicted.total(), gold.total())[2],
        "weighted_f1": sum(f1[label] * count for label, count in gold.items()) / gold.total() if gold else 0.0,
    }
