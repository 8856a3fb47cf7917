"""Which comparisons of an experiment a budget buys.

A comparison is an intermediate in a mix, on an encoder. It is worthless by halves: it needs the baseline of its
encoder and, if its mix is not English alone, the same intermediate in the English-only mix, all with every target and
seed. What is chosen is an experiment again, so it is encoders x intermediates x mixes: of all such parts of the grid
that cost no more than the budget, one with the most comparisons (or the greatest value), and of equals the cheapest.
Where an intermediate has no comparison in a mix (`intermediates.<name>.mixes`), that place of the part is empty.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from intermezzo.core import ilp
from intermezzo.core.errors import UserError

Comparison = tuple[str, str, str]
"""Encoder, intermediate, mix."""
_PARTS = 1000
"""Values are counted in thousandths."""


class Offer(NamedTuple):
    """What can be chosen from, in seconds."""

    encoders: Mapping[str, float]
    """Encoder -> cost of its baseline, on all targets and seeds, its pretraining included."""
    comparisons: Mapping[Comparison, float]
    """Cost of each, beside the baseline: intermediate trainings, target trainings and evaluations of all seeds."""
    english: str | None
    """The English-only mix: every choice has it."""
    values: Mapping[Comparison, float]
    """What each is worth."""


class Choice(NamedTuple):
    encoders: list[str]
    intermediates: list[str]
    mixes: list[str]
    seconds: float
    value: float


def choose(offer: Offer, budget: float) -> Choice:
    """The best part of the grid that costs at most `budget` seconds.

    Raises UserError when not one comparison fits, with the price of the cheapest.
    """
    names = [list(dict.fromkeys(key[at] for key in offer.comparisons)) for at in range(3)]
    if not offer.comparisons:
        raise UserError("--budget-gpu-hours: the grid has no intermediate training, so there is nothing to choose")
    price, (encoder, intermediate, mix) = min((_least(offer, key), key) for key in offer.comparisons)
    if price > budget:
        raise UserError(
            f"--budget-gpu-hours: {budget / 3600:.4g} hours are too few for one comparison: the cheapest, "
            f"{intermediate} in {mix} on {encoder} with its baseline, takes {_hours_up(price)} hours with all targets "
            "and seeds of the grid; raise the budget, or lower grid.seeds, grid.targets or the examples"
        )
    # Columns: encoders, intermediates, mixes, then one per comparison, which is chosen if and only if its three are.
    column = {name: number for number, name in enumerate((at, name) for at in range(3) for name in names[at])}
    column |= {key: len(column) + number for number, key in enumerate(offer.comparisons)}
    # Costs are rounded up, so a choice never exceeds the budget.
    cost = {column[0, name]: math.ceil(offer.encoders[name]) for name in names[0]}
    cost |= {column[key]: math.ceil(seconds) for key, seconds in offer.comparisons.items()}
    worth = {column[key]: round(_PARTS * offer.values[key]) for key in offer.comparisons}
    rows: list[ilp.Constraint] = [({i: -c for i, c in cost.items()}, -math.floor(budget))]
    for key in offer.comparisons:
        parts = [column[at, name] for at, name in enumerate(key)]
        rows += [({part: 1, column[key]: -1}, 0) for part in parts]
        rows.append(({column[key]: 1} | dict.fromkeys(parts, -1), -2))
    if offer.english is not None:
        twin = column[2, offer.english]
        rows += [({twin: 1, column[2, name]: -1}, 0) for name in names[2] if name != offer.english]
    bounds = [(0, 1)] * len(column)
    found = ilp.minimise({i: -value for i, value in worth.items()}, bounds, rows)
    rows.append((worth, sum(value * found[i] for i, value in worth.items())))
    found = ilp.minimise(cost, bounds, rows)
    kept = [key for key in offer.comparisons if found[column[key]]]
    chosen = [[name for name in names[at] if any(key[at] == name for key in kept)] for at in range(3)]
    return Choice(*chosen, price_of(offer, kept), sum(offer.values[key] for key in kept))


def price_of(offer: Offer, chosen: Sequence[Comparison]) -> float:
    """Seconds of these comparisons and of the baselines that they need."""
    encoders = dict.fromkeys(encoder for encoder, _, _ in chosen)
    return sum(map(offer.encoders.__getitem__, encoders)) + sum(map(offer.comparisons.__getitem__, chosen))


def _least(offer: Offer, key: Comparison) -> float:
    """What a comparison costs alone: with its twin and its baseline."""
    twin = (*key[:2], offer.english)
    needed = {key, twin} & offer.comparisons.keys()
    return sum(math.ceil(offer.comparisons[one]) for one in needed) + math.ceil(offer.encoders[key[0]])


def _hours_up(seconds: float) -> float:
    return math.ceil(seconds / 3.6) / 1000
