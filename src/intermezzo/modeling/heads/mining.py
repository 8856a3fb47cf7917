"""Mining of translations in two lists of sentences (BUCC 2018), by margin.

    score(x, y) = cos(x, y) / ((mean cos of x to its k nearest + mean cos of y to its k nearest) / 2)

The ratio margin of Artetxe & Schwenk (2019, arXiv 1811.01136), k = 4, both directions: each sentence proposes its best
neighbour, and proposals are taken from the best score down while both their sentences are free (LASER's "max").
What is mined are the pairs above a threshold, the one with the best F1 on dev (Phang et al. and XTREME).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import torch

from intermezzo.core.errors import UserError
from intermezzo.modeling.heads import Predict
from intermezzo.modeling.heads.retrieval import COLUMNS as COLUMNS
from intermezzo.modeling.heads.retrieval import directions
from intermezzo.modeling.heads.retrieval import encode as encode  # sentences are read as in retrieval
from intermezzo.modeling.search import search

if TYPE_CHECKING:
    from intermezzo.specs.prediction import PredictionSpec

NEIGHBOURS = 4
Pair = tuple[Hashable, Hashable]
"""A foreign and an English sentence: their positions or ids."""


def mine(foreign: torch.Tensor, english: torch.Tensor, k: int = NEIGHBOURS) -> tuple[list[float], list[Pair]]:
    """Scores and pairs (index of a foreign vector, of an English one), best first, each vector in one pair at most.

    foreign (n, d) and english (m, d): vectors of length 1.
    """
    forward, to_english = search(foreign, english, k)
    backward, to_foreign = search(english, foreign, k)
    forward, backward = forward.double(), backward.double()
    near_foreign, near_english = forward.mean(1), backward.mean(1)
    forward /= _positive((near_foreign[:, None] + near_english[to_english]) / 2)
    backward /= _positive((near_english[:, None] + near_foreign[to_foreign]) / 2)
    best_forward, best_backward = forward.max(1), backward.max(1)
    scores = torch.cat([best_forward.values, best_backward.values])
    of_foreign = to_english.gather(1, best_forward.indices[:, None])[:, 0].tolist()
    of_english = to_foreign.gather(1, best_backward.indices[:, None])[:, 0].tolist()
    proposals = [*enumerate(of_foreign), *((i, j) for j, i in enumerate(of_english))]
    paired: tuple[set[int], set[int]] = set(), set()
    best_scores, pairs = [], []
    for position in scores.sort(descending=True, stable=True).indices.tolist():
        i, j = proposals[position]
        if i not in paired[0] and j not in paired[1]:
            paired[0].add(i)
            paired[1].add(j)
            best_scores.append(float(scores[position]))
            pairs.append((i, j))
    return best_scores, pairs


def _positive(means: torch.Tensor) -> torch.Tensor:
    """Neighbours that are no nearer than chance, as after centring few sentences, must not turn a score's sign."""
    return means.clamp_min(1e-6)


def best_threshold(scores: Sequence[float], pairs: Sequence[Pair], gold: Collection[Pair]) -> float:
    """The threshold with the best F1 of the pairs at or above it against `gold` (the highest one at a tie).

    scores must be in descending order. The threshold lies halfway between the last pair that it keeps and the next,
    as in LASER's BUCC script; it is infinite when no pair is right.
    """
    gold = set(gold)
    best, threshold, right = 0.0, float("inf"), 0
    for count, (score, pair) in enumerate(zip(scores, pairs, strict=True), start=1):
        right += pair in gold
        following = scores[count] if count < len(scores) else score
        if count < len(scores) and following == score:
            continue  # no threshold parts equal scores
        f1 = 2 * right / (count + len(gold))
        if f1 > best:
            best, threshold = f1, (score + following) / 2
    return threshold


def mine_rows(
    rows: list[dict], embed: Callable[[list[str]], torch.Tensor], *, center: bool
) -> tuple[list[float], list[Pair]]:
    """`mine` on rows of the mining format, with ids for indices. embed: texts -> vectors (n, d).

    A text that its side holds more than once stands in the search once, and is in no pair: nobody can say which of
    its ids is meant (so do LASER's and XTREME's scripts). Either side may be empty: then there are no pairs.
    """
    vectors, ids = [], []
    for side in ("foreign", "english"):
        ids_of: dict[str, list[str]] = {}
        for row in rows:
            if row["side"] == side:
                ids_of.setdefault(row["text"], []).append(row["id"])
        if not ids_of:
            return [], []
        vectors.append(directions(embed(list(ids_of)), center=center))
        ids.append([names[0] if len(names) == 1 else None for names in ids_of.values()])
    scores, pairs = mine(*vectors)
    named = [(score, (ids[0][i], ids[1][j])) for score, (i, j) in zip(scores, pairs, strict=True)]
    certain = [(score, pair) for score, pair in named if None not in pair]
    return [score for score, _ in certain], [pair for _, pair in certain]


def predictor(embed: Callable[[list[str]], torch.Tensor], spec: PredictionSpec, support: dict[str, Path]) -> Predict:
    """For each foreign row the id of the English row mined for it, at the threshold that is best on dev, or None.

    Raises UserError for a language without development data.
    """

    def predict(rows: list[dict], language: str) -> list[str | None]:
        if language not in support:
            others = ", ".join(support) or "none"
            raise UserError(f"language '{language}': no dev data to tune the threshold on; there is some for: {others}")
        dev = pq.read_table(support[language]).to_pylist()
        gold = {(row["id"], row["pair"]) for row in dev if row["pair"] is not None}
        threshold = best_threshold(*mine_rows(dev, embed, center=spec.center), gold)
        scores, pairs = mine_rows(rows, embed, center=spec.center)
        mined = dict(pair for score, pair in zip(scores, pairs, strict=True) if score >= threshold)
        return [mined.get(row["id"]) if row["side"] == "foreign" else None for row in rows]

    return predict
