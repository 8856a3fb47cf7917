"""Ranking: mean average precision over the 20 best candidates; the guess lists the candidates that most often fit.

The average precision of a query is the mean, over the candidates that it could have found (all relevant ones, at most
20), of the precision at the rank where it found each; one that it did not find contributes 0. With a single relevant
candidate this is its reciprocal rank. Only the order given counts: candidates of equal score are ranked by who ranked
them. A candidate that is listed twice is found once, and its second place stays taken.
Sources: Roy et al. (2020), LAReQA; Ruder et al. (2021), XTREME-R (Mewsli-X).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from intermezzo.core.errors import UserError
from intermezzo.specs.tasks import TaskSpec

DEPTH = 20
"""Candidates of a query that count."""


def score(
    predictions: list[Sequence[str] | None], gold: list[Sequence[str]], task: TaskSpec, language: str
) -> dict[str, float]:
    """Compare ranked with relevant candidates; a query without predictions scores 0.

    Raises UserError for a query that has no relevant candidate.
    """
    for number, relevant in enumerate(gold):
        if not relevant:
            raise UserError(f"row {number}: no relevant candidate to look for")
    values = [average_precision(ranked or (), relevant) for ranked, relevant in zip(predictions, gold, strict=True)]
    return {"map_at_20": sum(values) / len(values)}


def majority(rows: list[dict[str, Any]], task: TaskSpec, language: str = "") -> dict[str, float]:
    """Score of giving every query the 20 candidates that are relevant most often in these rows."""
    gold = [row["relevant"] for row in rows]
    counts = Counter(candidate for relevant in gold for candidate in set(relevant))
    ranked = sorted(counts, key=lambda candidate: (-counts[candidate], candidate))
    return score([ranked[:DEPTH]] * len(gold), gold, task, language)


def average_precision(ranked: Sequence[str], relevant: Collection[str]) -> float:
    """Average precision of one query, 0..1, over its first 20 candidates (best first).

    >>> average_precision(["a", "x", "b"], ["a", "b"])
    0.8333333333333333
    """
    targets, hits, total = set(relevant), set(), 0.0
    for rank, candidate in enumerate(ranked[:DEPTH], start=1):
        if candidate in targets and candidate not in hits:
            hits.add(candidate)
            total += len(hits) / rank
    return total / min(len(targets), DEPTH)
