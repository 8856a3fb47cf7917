"""The evidence behind a verdict, and the design that it would take to decide an open one, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from intermezzo.analysis.design import Design
from intermezzo.analysis.intervals import Components
from intermezzo.analysis.power import POWER, SEEDS, seeds_needed, visible
from intermezzo.analysis.significance import look_factor
from intermezzo.analysis.verdict import LEVEL, p_value, points, verdict
from intermezzo.core.numerals import count, signed

_SCALE = 100.0
"""Differences of points are never larger."""


def details(line: Mapping[str, Any], design: Design, family: int, looks: int) -> Iterator[str]:
    """Sentences below a line of `Families.primary`: its evidence and, where that is not enough, the design needed.

    family: how many comparisons were corrected for. looks: see `Families`.
    """
    languages, seeds = line["n_languages"], line["n_seeds"]
    improved = round(line["improved"] * languages)
    flips = [
        f"of {number} {unit} p = {p_value(line[f'p_{unit}'])}{_smallest(line[f'least_p_{unit}'])}"
        for unit, number in (("languages", languages), ("seeds", seeds))
        if number > 1
    ]
    spread = ""
    if languages > 1:
        ends = [f"{signed(line[f'{end}_mean'], minus='-')} ({line[end]})" for end in ("least", "most")]
        spread = f" Languages range from {ends[0]} to {ends[1]}; {improved} of {languages} improved."
    size = (
        f" The mean is {line['effect_size']:.2f} standard deviations of a single paired difference (one pair, seed and "
        f"language: {line['spread']:.1f} points)."
        if not np.isnan(line["effect_size"])
        else ""
    )
    tests = f" Sign flips {', '.join(flips)}." if flips else ""
    yield f"{difference_p(line)}.{spread}{size}{tests}"
    if line["uneven"]:
        yield (
            f"Uneven: `{line['uneven']}` alone makes more than half of the variation between languages. The mean then "
            "says little about a further language, and the interval can be too short (docs/statistics.md)."
        )
    if verdict(line) == "undecided":
        yield from _to_decide(line, design, family, looks)


def difference_p(line: Mapping[str, Any]) -> str:
    """Uncorrected p of both hypotheses."""
    return f"Uncorrected p of no difference {p_value(line['p'])}, of one that matters {p_value(line['p_equivalent'])}"


def _to_decide(line: Mapping[str, Any], design: Design, family: int, looks: int) -> Iterator[str]:
    """What would show the smallest difference that matters. Seeds that are added are a further look."""
    if line["n_seeds"] == 1:
        yield "To decide it: first a second seed; one shows nothing of how much seeds differ."
        return
    if line["doubt"] == "one language":
        yield "To decide it: more languages; more seeds would tell of this one alone."
        return
    languages, smallest = line["n_languages"], design.question.smallest
    variances = Components(line["var_seed"], line["var_language"], line["var_remainder"])
    sizes = list(Counter(design.families(line["languages"].split())).values())
    now = visible(variances, line["n_seeds"], languages, 1 - LEVEL / family / look_factor(looks), sizes)
    if np.isnan(now):
        return
    sees = f"differences from {now:.1f} points on" if now <= _SCALE else "no difference that this scale could have"
    sentence = f"To decide it: with {100 * POWER:.0f} % power this design sees {sees}"
    if smallest:
        again = 1 - LEVEL / family / look_factor(looks + 1)
        numbers = [languages, 2 * languages, 4 * languages]
        seeds = seeds_needed(variances, [smallest], numbers, again, sizes).iloc[0]
        designs = [f"{seeds[n]:.0f} seeds with {count(n, 'language')}" for n in numbers if not np.isnan(seeds[n])]
        needed = " or ".join(designs) or f"more than {SEEDS[-1]} seeds, even with {count(numbers[-1], 'language')}"
        sentence += f"; one of {points(smallest)} would take {needed} (as related as these), at the next look's level"
    yield sentence + "."


def next_look(looks: int) -> str:
    """What adding seeds after this answer costs."""
    level = LEVEL / look_factor(looks + 1)
    return (
        f"Adding seeds now is look {looks + 1} at the same results as they grow: corrected p are then multiplied by "
        f"{look_factor(looks + 1):.0f}, which is a level of {level:.2g}."
    )


def _smallest(p: float) -> str:
    return f" (they cannot support one below {p_value(p)})" if p >= 0.001 else ""
