"""What stands behind a sentence of the answer, and what it would take to decide where the data do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from intermezzo.analysis.effects import GROUPS
from intermezzo.analysis.intervals import Components
from intermezzo.analysis.power import POWER, seeds_needed, visible, visible_effects
from intermezzo.analysis.wording import LEVEL, count, p_value, table

_SHOWN_SEEDS = (2, 3, 5, 10, 20)


def details(line: Mapping[str, Any], family: int) -> Iterator[str]:
    """What stands behind a sentence, and what it would take where it decides nothing."""
    languages, seeds = line["n_languages"], line["n_seeds"]
    improved = round(line["improved"] * languages)
    size = "" if np.isnan(line["effect_size"]) else f", effect size {line['effect_size']:.1f}"
    flips = [
        f"of {number} {unit} p = {p_value(line[f'p_{unit}'])}{_least(line[f'least_p_{unit}'])}"
        for unit, number in (("languages", languages), ("seeds", seeds))
        if number > 1
    ]
    tested = f" Sign flips {', '.join(flips)}." if flips else ""
    yield f"{count(languages, 'language')} ({improved} improved), {count(seeds, 'seed')}{size}.{tested}"
    if line["p_holm"] < LEVEL:
        return
    found, level = _components(line), 1 - LEVEL / family
    smallest = visible(found, seeds, languages, level)
    if np.isnan(smallest):
        yield "To decide it: first a second seed; one shows nothing of how much seeds differ."
        return
    need = _ways(found, abs(line["mean"]), languages, level)
    yield (
        f"To decide it: this design sees effects from {smallest:.1f} points on; one as large as the estimate "
        f"({abs(line['mean']):.1f}) needs {need}."
    )


def _least(p: float) -> str:
    return f" (they cannot support one below {p_value(p)})" if p >= 0.001 else ""


def _ways(found: Components, effect: float, languages: int, level: float) -> str:
    larger = [languages, *(n for n in (2 * languages, 4 * languages) if languages > 1)]
    seeds = seeds_needed(found, [effect], larger, level).iloc[0]
    ways = [f"{seeds[n]:.0f} seeds with {count(n, 'language')}" for n in larger if not np.isnan(seeds[n])]
    return " or ".join(ways) or f"more than 30 seeds, even with {count(larger[-1], 'language')}"


def needed(undecided: Sequence[Mapping[str, Any]], family: int) -> list[str]:
    """The power table: which effects could be seen with how many seeds and languages."""
    rows = []
    for line in undecided:
        own = line["n_languages"]
        for languages in sorted({own, *(n for n in (8, 20, 40) if n > own > 1)}):
            effects_seen = visible_effects(_components(line), [languages], _SHOWN_SEEDS, 1 - LEVEL / family)[languages]
            if effects_seen.notna().all():
                rows.append([GROUPS[line["group"]], str(languages), *(f"{value:.1f}" for value in effects_seen)])
    if not rows:
        return []
    return [
        "What it would take: the smallest difference, in points, that is seen with "
        f"{100 * POWER:.0f} % power after correction for the same number of comparisons, from the variances of this "
        "very experiment (rough where seeds are few).",
        table(["undecided", "languages", *(f"{n} seeds" for n in _SHOWN_SEEDS)], rows),
    ]


def _components(line: Mapping[str, Any]) -> Components:
    return Components(line["var_seed"], line["var_language"], line["var_remainder"])
