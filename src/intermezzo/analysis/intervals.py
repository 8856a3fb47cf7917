"""The interval of a mean over seeds and languages that are crossed: every seed met every language.

Seeds and languages are both samples: other seeds, and other languages of the group, would have given other values.

    value[seed, language] = mean + S[seed] + L[language] + E[seed, language]

S is the random effect of a seed on the difference (seed x treatment), L that of a language (language x treatment; it
includes the sampling error of the test set, as all seeds are tested on the same rows), E the residual. From the mean
squares of the two-way analysis of variance each of the three gets its own margin of error with its own t quantile and
degrees of freedom, and the squared margins add up:

    half^2 = [t_S^2 max(MS_S - MS_E, 0) + t_L^2 max(MS_L - MS_E, 0) + k t_E^2 MS_E] / (seeds x languages)

For the mean of a sum with two unknown variances this is Howe (1974, JASA 69, 789-794); in general it is known as the
method of variance estimates recovery (MOVER; Zou and Donner 2008, Statistics in Medicine 27, 1693-1702; Burdick and
Graybill 1992). Satterthwaite's single t interval is too short where few seeds agree by chance: their mean square, and
with it its weight, is then small. The factor k = 1 + 3/(seeds - 1)^4 + 3/(languages - 1)^4 protects against that; it
is 1.2 for three seeds and 4 for two, and was chosen by simulation. Coverage: `docs/statistics.md`.

With one seed the interval is Student's over languages and conditional on that seed; with one language it is Student's
over seeds and conditional on that language. With one of each there is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import stdtrit

_SMALLEST_P = 1e-9


@dataclass(frozen=True)
class Estimate:
    """A mean, its standard error, its interval and the p of no difference; NaN where there is none.

    p is the level at which the interval would just reach zero, so that interval and p never disagree.
    """

    mean: float
    error: float
    low: float
    high: float
    p: float = np.nan


@dataclass(frozen=True)
class Components:
    """Variances of S, L and E above, in squared units of the values; NaN where the design cannot show one.

    With one seed or one language the remainder cannot be told from the other effect and is counted there.
    """

    seed: float
    language: float
    remainder: float


class Anova:
    """Mean squares of one (seeds x languages) or many (... x seeds x languages) matrices of values."""

    def __init__(self, values: np.ndarray) -> None:
        self.seeds, self.languages = values.shape[-2:]
        self.mean = values.mean(axis=(-2, -1))
        mean = self.mean[..., None, None]
        by_seed = values.mean(axis=-1, keepdims=True) - mean
        by_language = values.mean(axis=-2, keepdims=True) - mean
        remainder = values - mean - by_seed - by_language
        freedom = self.freedom
        self.squares = [
            self.languages * (by_seed**2).sum(axis=(-2, -1)) / max(freedom[0], 1),
            self.seeds * (by_language**2).sum(axis=(-2, -1)) / max(freedom[1], 1),
            (remainder**2).sum(axis=(-2, -1)) / max(freedom[2], 1),
        ]

    @property
    def freedom(self) -> tuple[int, int, int]:
        """Degrees of freedom of seeds, languages, remainder."""
        return self.seeds - 1, self.languages - 1, (self.seeds - 1) * (self.languages - 1)

    def half(self, level: float) -> np.ndarray:
        """Half the width of the two-sided interval at `level` (0.95, say)."""
        return half_width(self.squares, self.seeds, self.languages, level)

    def error(self) -> np.ndarray:
        """Standard error of the mean, no component taken as negative."""
        seed, language, remainder = self.squares
        total = np.maximum(seed - remainder, 0) + np.maximum(language - remainder, 0) + remainder
        return np.sqrt(total / (self.seeds * self.languages))


def half_width(squares: list[np.ndarray], seeds: int, languages: int, level: float) -> np.ndarray:
    """Half the width of the interval from mean squares of seeds, languages and remainder (see above)."""
    seed, language, remainder = squares
    df_seeds, df_languages = seeds - 1, languages - 1
    total = np.zeros_like(seed)
    if df_seeds:
        total += stdtrit(df_seeds, (1 + level) / 2) ** 2 * np.maximum(seed - remainder, 0)
    if df_languages:
        total += stdtrit(df_languages, (1 + level) / 2) ** 2 * np.maximum(language - remainder, 0)
    if df_seeds and df_languages:
        guard = 1 + 3 / df_seeds**4 + 3 / df_languages**4
        total += guard * stdtrit(df_seeds * df_languages, (1 + level) / 2) ** 2 * remainder
    return np.sqrt(total / (seeds * languages))


def estimate(values: np.ndarray, level: float = 0.95) -> Estimate:
    """Mean of `values` (seeds x languages) with its standard error, two-sided interval and p.

    A few equal differences (scores of small test sets are coarse) show no spread to make an interval of: there is none
    then, unless they are all zero.
    """
    anova = Anova(np.asarray(values, dtype=float))
    mean = float(anova.mean)
    if values.size == 1:
        return Estimate(mean, np.nan, np.nan, np.nan, np.nan)
    half = float(anova.half(level))
    if half < 1e-9 < abs(mean):
        return Estimate(mean, 0.0, np.nan, np.nan, np.nan)
    return Estimate(mean, float(anova.error()), mean - half, mean + half, _p(anova, abs(mean)))


def components(values: np.ndarray) -> Components:
    """Variance components of `values` (seeds x languages), negative estimates taken as zero."""
    anova = Anova(np.asarray(values, dtype=float))
    seed, language, remainder = map(float, anova.squares)
    one_seed, one_language = anova.seeds == 1, anova.languages == 1
    return Components(
        np.nan if one_seed else max(seed - remainder, 0.0) / anova.languages,
        np.nan if one_language else max(language - remainder, 0.0) / anova.seeds,
        np.nan if one_seed and one_language else remainder,
    )


def _p(anova: Anova, distance: float) -> float:
    """The level at which half the interval's width equals `distance`, found by bisection on log p."""

    def excess(log_p: float) -> float:
        return float(anova.half(1 - np.exp(log_p))) - distance

    if distance == 0:
        return 1.0
    if excess(np.log(_SMALLEST_P)) <= 0:  # also: no spread at all
        return _SMALLEST_P
    return float(np.exp(brentq(excess, np.log(_SMALLEST_P), 0.0)))
