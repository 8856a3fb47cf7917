"""How many seeds and languages it takes to see an effect, from the variances that an experiment itself has shown.

An effect is seen when the interval of `intervals` leaves out zero. Its power is computed by drawing means and mean
squares from their exact distributions (normal and chi-squared; Searle, Casella and McCulloch 1992, Variance
Components), always the same draws. The variances are estimates: with two or three seeds that of the seeds is hardly
known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from intermezzo.analysis.intervals import Components, half_width

POWER = 0.8
SEEDS = (2, 3, 4, 5, 6, 8, 10, 15, 20, 30)
_DRAWS = 4000


def visible(found: Components, seeds: int, languages: int, level: float = 0.95) -> float:
    """The smallest effect, in the unit of the values, that such a design sees with 80 % power.

    NaN with less than two seeds, or where the components do not say how seeds or (for several languages) languages
    differ.
    """
    language = 0.0 if languages == 1 and np.isnan(found.language) else found.language
    if seeds < 2 or np.isnan(found.seed + language + found.remainder):
        return np.nan
    draw = np.random.default_rng(0)
    degrees = (seeds - 1, languages - 1, (seeds - 1) * (languages - 1))
    expected = (
        languages * found.seed + found.remainder,
        seeds * language + found.remainder,
        found.remainder,
    )
    chance = draw.standard_normal(_DRAWS)
    squares = [
        value * draw.chisquare(df, _DRAWS) / df if df else np.zeros(_DRAWS)
        for value, df in zip(expected, degrees, strict=True)
    ]
    spread = np.sqrt((expected[0] + expected[1] - expected[2]) / (seeds * languages))
    # seen when effect + chance > half width: the effect that is larger than half width - chance in 80 % of the draws
    return float(np.quantile(half_width(squares, seeds, languages, level) - spread * chance, POWER))


def visible_effects(
    found: Components, languages: Sequence[int], seeds: Sequence[int] = SEEDS, level: float = 0.95
) -> pd.DataFrame:
    """The smallest visible effect by number of seeds (rows) and languages (columns)."""
    cells = [[visible(found, s, n, level) for n in languages] for s in seeds]
    return pd.DataFrame(cells, index=pd.Index(seeds, name="seeds"), columns=pd.Index(languages, name="languages"))


def seeds_needed(
    found: Components, effects: Sequence[float], languages: Sequence[int], level: float = 0.95
) -> pd.DataFrame:
    """The number of seeds that sees each effect (rows) by number of languages (columns); NaN: 30 are too few."""
    table = visible_effects(found, languages, level=level)
    cells = [[next((s for s in SEEDS if table.at[s, n] <= effect), np.nan) for n in languages] for effect in effects]
    return pd.DataFrame(cells, index=pd.Index(effects, name="effect"), columns=pd.Index(languages, name="languages"))
