"""The evidence behind a sentence of the answer, and the design that it would take to decide an open one, as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from intermezzo.analysis.effects import GROUPS
from intermezzo.analysis.intervals import Components
from intermezzo.analysis.power import POWER, seeds_needed, visible, visible_effects
from intermezzo.analysis.verdict import LEVEL, p_value
from intermezzo.core.markdown import table
from intermezzo.core.numerals import count

_TABLE_SEEDS = (2, 3, 5, 10, 20)


def details(line: Mapping[str, Any], family: int) -> Iterator[str]:
    """Sentences below one line of `effects.headline`: its evidence and, where that is not enough, the design needed.

    family: how many comparisons were corrected for.
    """
    languages, seeds = line["n_languages"], line["n_seeds"]
    improved = round(line["improved"] * languages)
    size = "" if np.isnan(line["effect_size"]) else f", effect size {line['effect_size']:.1f}"
    flips = [
        f"of {number} {unit} p = {p_value(line[f'p_{unit}'])}{_smallest(line[f'least_p_{unit}'])}"
        for unit, number in (("languages", languages), ("seeds", seeds))
        if number > 1
    ]
    flip_tests = f" Sign flips {', '.join(flips)}." if flips else ""
    yield f"{count(languages, 'language')} ({improved} improved), {count(seeds, 'seed')}{size}.{flip_tests}"
    if line["p_holm"] < LEVEL:
        return
    variances, level = _components(line), 1 - LEVEL / family
    smallest = visible(variances, seeds, languages, level)
    if np.isnan(smallest):
        yield "To decide it: first a second seed; one shows nothing of how much seeds differ."
        return
    designs = _required_designs(variances, abs(line["mean"]), languages, level)
    yield (
        f"To decide it: this design sees effects from {smallest:.1f} points on; one as large as the estimate "
        f"({abs(line['mean']):.1f}) needs {designs}."
    )


def _smallest(p: float) -> str:
    return f" (they cannot support one below {p_value(p)})" if p >= 0.001 else ""


def _required_designs(variances: Components, effect: float, languages: int, level: float) -> str:
    """The numbers of seeds that see `effect` (points): with these languages, twice and four times as many."""
    sizes = [languages, *(n for n in (2 * languages, 4 * languages) if languages > 1)]
    seeds = seeds_needed(variances, [effect], sizes, level).iloc[0]
    designs = [f"{seeds[n]:.0f} seeds with {count(n, 'language')}" for n in sizes if not np.isnan(seeds[n])]
    return " or ".join(designs) or f"more than 30 seeds, even with {count(sizes[-1], 'language')}"


def power_table(undecided: Sequence[Mapping[str, Any]], family: int) -> list[str]:
    """Its introduction and the table: which effects could be seen with how many seeds and languages.

    undecided: lines of `effects.headline`; none gives no table. family: how many comparisons were corrected for.
    """
    rows = []
    for line in undecided:
        present = line["n_languages"]
        for languages in sorted({present, *(n for n in (8, 20, 40) if n > present > 1)}):
            effects = visible_effects(_components(line), [languages], _TABLE_SEEDS, 1 - LEVEL / family)[languages]
            if effects.notna().all():
                rows.append([GROUPS[line["group"]], str(languages), *(f"{value:.1f}" for value in effects)])
    if not rows:
        return []
    return [
        "What it would take: the smallest difference, in points, that is seen with "
        f"{100 * POWER:.0f} % power after correction for the same number of comparisons, from the variances of this "
        "very experiment (rough where seeds are few).",
        table(["undecided", "languages", *(f"{n} seeds" for n in _TABLE_SEEDS)], rows),
    ]


def _components(line: Mapping[str, Any]) -> Components:
    return Components(line["var_seed"], line["var_language"], line["var_remainder"])
