"""Mining: precision, recall and F1 over pairs of sentences; the guess pairs every sentence with a random English one.

A pair counts once, however often it was mined. F1 is 0 where no mined pair is right.
Source: Zweigenbaum et al. (2018), the BUCC 2018 shared task, as XTREME scores it.
"""

from __future__ import annotations

from collections.abc import Hashable
from collections.abc import Set as AbstractSet
from typing import Any

from intermezzo.evaluation.metrics.overlap import precision_recall_f1
from intermezzo.specs.tasks import TaskSpec


def score(predictions: list[str | None], gold: list[str | None], task: TaskSpec, language: str) -> dict[str, float]:
    """Compare mined with right pairs, given per row as the id of the English sentence, or None for no pair."""
    ours, theirs = ({(row, pair) for row, pair in enumerate(side) if pair is not None} for side in (predictions, gold))
    return _named(*pair_scores(ours, theirs))


def majority(rows: list[dict[str, Any]], task: TaskSpec, language: str = "") -> dict[str, float]:
    """Expected score of pairing every foreign sentence with an English one drawn at random.

    Mining nothing would score 0, and mining fewer sentences at random less than mining all of them.
    """
    english = sum(row["side"] == "english" for row in rows)
    foreign = len(rows) - english
    pairs = sum(row["pair"] is not None for row in rows)
    right = pairs / english if english else 0.0
    return _named(*precision_recall_f1(right, foreign, pairs))


def official_scores(
    predictions: list[tuple[str, ...]], gold: list[tuple[str, ...]], *, seqeval: str = ""
) -> dict[str, float]:
    """Precision, recall and F1 (0..1) of mined pairs, as a benchmark's files have them."""
    return dict(zip(("precision", "recall", "f1"), pair_scores(set(predictions), set(gold)), strict=True))


def pair_scores(ours: AbstractSet[Hashable], theirs: AbstractSet[Hashable]) -> tuple[float, float, float]:
    """Precision, recall and F1 (0..1) of a set of pairs."""
    return precision_recall_f1(len(ours & theirs), len(ours), len(theirs))


def _named(precision: float, recall: float, f1: float) -> dict[str, float]:
    return {"mining_f1": f1, "mining_precision": precision, "mining_recall": recall}
