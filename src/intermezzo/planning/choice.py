"""The best part of an experiment within a budget.

A comparison is an intermediate in a mix, on an encoder. It is chosen completely or not at all: with the baseline of its
encoder and, if its mix is not English alone, with the same intermediate in the English-only mix, all with every target
and seed. The choice is an experiment again, that is encoders x intermediates x mixes. Of all such parts of the grid
within the budget it is one with the most comparisons (or the greatest value), and of equals the cheapest. Where an
intermediate is not trained in a mix (`intermediates.<name>.mixes`), the part has no comparison there.
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


class Candidates(NamedTuple):
    """The comparisons to choose from, with their costs in seconds."""

    encoders: Mapping[str, float]
    """Encoder -> cost of its baseline, on all targets and seeds, its pretraining included."""
    comparisons: Mapping[Comparison, float]
    """Cost of each, beside the baseline: intermediate trainings, target trainings and evaluations of all seeds."""
    english: str | None
    """The English-only mix: every choice has it."""
    values: Mapping[Comparison, float]
    """What each is worth."""
    shared: Mapping[str, tuple[float, frozenset[Comparison]]] = {}
    """Cost of a translation by a model, and the comparisons that need it."""


class Choice(NamedTuple):
    """A part of the grid: the names on its three axes, its cost and its value."""

    encoders: list[str]
    intermediates: list[str]
    mixes: list[str]
    seconds: float
    value: float


def choose(candidates: Candidates, budget: float) -> Choice:
    """The best part of the grid that costs at most `budget` seconds.

    Raises UserError when not one comparison fits, with the price of the cheapest.
    """
    names = [list(dict.fromkeys(key[axis] for key in candidates.comparisons)) for axis in range(3)]
    if not candidates.comparisons:
        raise UserError("--budget-gpu-hours: the grid has no intermediate training, so there is nothing to choose")
    price, (encoder, intermediate, mix) = min((_least_seconds(candidates, key), key) for key in candidates.comparisons)
    if price > budget:
        raise UserError(
            f"--budget-gpu-hours: {budget / 3600:.4g} hours are too few for one comparison: the cheapest, "
            f"{intermediate} in {mix} on {encoder} with its baseline, takes {_hours_up(price)} hours with all targets "
            "and seeds of the grid; raise the budget, or lower grid.seeds, grid.targets or the examples"
        )
    # Columns: encoders, intermediates, mixes, one per comparison, which is chosen if and only if its three are, and one
    # per translation, which is chosen if a comparison is that needs it.
    column = {name: number for number, name in enumerate((axis, name) for axis in range(3) for name in names[axis])}
    column |= {key: len(column) + number for number, key in enumerate(candidates.comparisons)}
    # Costs are rounded up, so a choice never exceeds the budget.
    cost = {column[0, name]: math.ceil(candidates.encoders[name]) for name in names[0]}
    cost |= {column[key]: math.ceil(seconds) for key, seconds in candidates.comparisons.items()}
    column |= {name: len(column) + number for number, name in enumerate(candidates.shared)}
    cost |= {column[name]: math.ceil(seconds) for name, (seconds, _) in candidates.shared.items()}
    worth = {column[key]: round(_PARTS * candidates.values[key]) for key in candidates.comparisons}
    rows: list[ilp.Constraint] = [({i: -c for i, c in cost.items()}, -math.floor(budget))]
    for key in candidates.comparisons:
        parts = [column[axis, name] for axis, name in enumerate(key)]
        rows += [({part: 1, column[key]: -1}, 0) for part in parts]
        rows.append(({column[key]: 1} | dict.fromkeys(parts, -1), -2))
    for name, (_, users) in candidates.shared.items():
        rows += [({column[name]: 1, column[key]: -1}, 0) for key in users if key in column]
    if candidates.english is not None:
        twin = column[2, candidates.english]
        rows += [({twin: 1, column[2, name]: -1}, 0) for name in names[2] if name != candidates.english]
    bounds = [(0, 1)] * len(column)
    solution = ilp.minimise({i: -value for i, value in worth.items()}, bounds, rows)
    rows.append((worth, sum(value * solution[i] for i, value in worth.items())))
    solution = ilp.minimise(cost, bounds, rows)
    selection = [key for key in candidates.comparisons if solution[column[key]]]
    axes = [[name for name in names[axis] if any(key[axis] == name for key in selection)] for axis in range(3)]
    return Choice(*axes, price_of(candidates, selection), sum(candidates.values[key] for key in selection))


def price_of(candidates: Candidates, selection: Sequence[Comparison]) -> float:
    """Seconds of these comparisons, and of the baselines and translations that they need."""
    encoders = dict.fromkeys(encoder for encoder, _, _ in selection)
    translations = sum(seconds for seconds, users in candidates.shared.values() if not users.isdisjoint(selection))
    baselines = sum(map(candidates.encoders.__getitem__, encoders))
    return baselines + translations + sum(map(candidates.comparisons.__getitem__, selection))


def _least_seconds(candidates: Candidates, key: Comparison) -> float:
    """What a comparison costs alone: with its twin and its baseline."""
    twin = (*key[:2], candidates.english)
    keys = {key, twin} & candidates.comparisons.keys()
    baseline = math.ceil(candidates.encoders[key[0]])
    baseline += sum(math.ceil(seconds) for seconds, users in candidates.shared.values() if not users.isdisjoint(keys))
    return sum(math.ceil(candidates.comparisons[comparison]) for comparison in keys) + baseline


def _hours_up(seconds: float) -> float:
    return math.ceil(seconds / 3.6) / 1000
