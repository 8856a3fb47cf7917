"""Power: how many seeds and languages it takes to detect an effect, from an experiment's own variance components.

An effect is detected when the interval of `intervals` excludes zero. Power is computed by sampling means and mean
squares from their exact distributions (normal and chi-squared; Searle, Casella and McCulloch 1992, Variance
Components) with a fixed seed. The variances are estimates: with two or three seeds that of the seeds is very
uncertain.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from intermezzo.analysis.intervals import Components, half_width

POWER = 0.8
SEEDS = (2, 3, 4, 5, 6, 8, 10, 15, 20, 30)
_DRAWS = 4000


def visible(variances: Components, seeds: int, languages: int, level: float = 0.95) -> float:
    """The smallest effect, in the unit of the values, that a design detects with 80 % power.

    NaN with less than two seeds, or where the variance of seeds or (for several languages) of languages is unknown.
    """
    language = 0.0 if languages == 1 and np.isnan(variances.language) else variances.language
    if seeds < 2 or np.isnan(variances.seed + language + variances.remainder):
        return np.nan
    draw = np.random.default_rng(0)
    degrees = (seeds - 1, languages - 1, (seeds - 1) * (languages - 1))
    expected = (
        languages * variances.seed + variances.remainder,
        seeds * language + variances.remainder,
        variances.remainder,
    )
    noise = draw.standard_normal(_DRAWS)
    squares = [
        value * draw.chisquare(df, _DRAWS) / df if df else np.zeros(_DRAWS)
        for value, df in zip(expected, degrees, strict=True)
    ]
    spread = np.sqrt((expected[0] + expected[1] - expected[2]) / (seeds * languages))
    # detected when effect + noise > half width: the effect larger than half width - noise in 80 % of the draws
    return float(np.quantile(half_width(squares, seeds, languages, level) - spread * noise, POWER))


def visible_effects(
    variances: Components, languages: Sequence[int], seeds: Sequence[int] = SEEDS, level: float = 0.95
) -> pd.DataFrame:
    """The smallest detectable effect by number of seeds (rows) and languages (columns)."""
    cells = [[visible(variances, s, n, level) for n in languages] for s in seeds]
    return pd.DataFrame(cells, index=pd.Index(seeds, name="seeds"), columns=pd.Index(languages, name="languages"))


def seeds_needed(
    variances: Components, effects: Sequence[float], languages: Sequence[int], level: float = 0.95
) -> pd.DataFrame:
    """The number of seeds that detects each effect (rows) by number of languages (columns); NaN: 30 are too few."""
    table = visible_effects(variances, languages, level=level)
    cells = [[next((s for s in SEEDS if table.at[s, n] <= effect), np.nan) for n in languages] for effect in effects]
    return pd.DataFrame(cells, index=pd.Index(effects, name="effect"), columns=pd.Index(languages, name="languages"))
