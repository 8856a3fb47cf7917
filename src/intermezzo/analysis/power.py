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
from scipy.special import stdtrit

from intermezzo.analysis.intervals import Components, family_margin, half_width

POWER = 0.8
SEEDS = (2, 3, 4, 5, 6, 8, 10, 15, 20, 30)
_DRAWS = 4000


def visible(
    variances: Components, seeds: int, languages: int, level: float = 0.95, sizes: Sequence[int] | None = None
) -> float:
    """The smallest effect, in the unit of the values, that a design detects with 80 % power.

    sizes: of the families of the languages; None: each language is one of its own. The margin by family is part of the
    interval, but languages are drawn without any effect of families. NaN with less than two seeds, or where the
    variance of seeds or (for several languages) of languages is unknown.
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
    clustered: float | np.ndarray = 0.0
    if sizes is not None and languages > len(sizes) > 1:
        of_family = np.array(sizes)
        sums = np.sqrt(of_family) * draw.standard_normal((_DRAWS, len(sizes)))
        deviations = sums - of_family * sums.sum(axis=1, keepdims=True) / languages
        # the mean square of languages: between families from these sums, within families by chi-squared
        between = (deviations**2 / of_family).sum(axis=1) + draw.chisquare(languages - len(sizes), _DRAWS)
        squares[1] = expected[1] * between / degrees[1]
        margin, freedom = family_margin(deviations * np.sqrt(expected[1] / seeds), of_family, squares[2], seeds)
        clustered = margin * stdtrit(freedom, (1 + level) / 2) ** 2
    # detected when effect + noise > half width: the effect larger than half width - noise in 80 % of the draws
    return float(np.quantile(half_width(squares, seeds, languages, level, clustered) - spread * noise, POWER))


def visible_effects(
    variances: Components,
    languages: Sequence[int],
    seeds: Sequence[int] = SEEDS,
    level: float = 0.95,
    sizes: Sequence[int] | None = None,
) -> pd.DataFrame:
    """The smallest detectable effect by number of seeds (rows) and languages (columns); sizes: as `seeds_needed`."""
    families = {n: None if sizes is None else [*sizes] * max(1, n // languages[0]) for n in languages}
    cells = [[visible(variances, s, n, level, families[n]) for n in languages] for s in seeds]
    return pd.DataFrame(cells, index=pd.Index(seeds, name="seeds"), columns=pd.Index(languages, name="languages"))


def seeds_needed(
    variances: Components,
    effects: Sequence[float],
    languages: Sequence[int],
    level: float = 0.95,
    sizes: Sequence[int] | None = None,
) -> pd.DataFrame:
    """The number of seeds that detects each effect (rows) by number of languages (columns); NaN: 30 are too few.

    sizes: of the families of the first number of languages; a multiple of it has as many times these families.
    """
    table = visible_effects(variances, languages, level=level, sizes=sizes)
    cells = [[next((s for s in SEEDS if table.at[s, n] <= effect), np.nan) for n in languages] for effect in effects]
    return pd.DataFrame(cells, index=pd.Index(effects, name="effect"), columns=pd.Index(languages, name="languages"))
