"""The interval of a mean over seeds and languages that are crossed: every seed met every language.

Seeds and languages are both samples: other seeds, and other languages of the group, would have given other values.

    value[seed, language] = mean + S[seed] + L[language] + E[seed, language]

S is the random effect of a seed on the difference (seed x treatment), L that of a language (language x treatment; it
includes the sampling error of the language's own test set, as all seeds are tested on the same rows), E the residual.
From the mean squares of the two-way analysis of variance each of the three gets its own margin of error with its own
t quantile and degrees of freedom, and the squared margins add up:

    half^2 = [t_S^2 max(MS_S - MS_E, 0) + k t_E^2 MS_E] / (seeds x languages) + max(plain, clustered) + items

    plain     = t_L^2 max(MS_L - MS_E, 0) / (seeds x languages)
    clustered = t_F^2 max(V - MS_E's part of it, 0)      V = G/(G-1) sum over families (sum of u_l)^2 / L^2
    items     = z^2 times the part of the mean's sampling error that test items common to all languages share

Languages of one family are no independent draws, so L also gets a margin by family: u_l is a language's mean minus
that of all, G the number of families, and t_F has G* - 1 degrees of freedom (at least one) with G* = L^2 / sum of
squared family sizes (Carter, Schnepel and Steigerwald 2017, Review of Economics and Statistics 99). The wider one
counts. Where test sets are translations of each other, the luck of the items is the same in all languages, which no
variation between languages can show; `items` adds it, and is a floor for the whole where a group is one language.

For the mean of a sum with two unknown variances this is Howe (1974, JASA 69, 789-794); in general it is known as the
method of variance estimates recovery (MOVER; Zou and Donner 2008, Statistics in Medicine 27, 1693-1702; Burdick and
Graybill 1992). Satterthwaite's single t interval is too short where few seeds agree by chance: their mean square, and
with it its weight, is then small. The factor k protects against that: with df = seeds - 1 and languages - 1 it is
1 + 6 / df^2 for each of the two (2.5 times as much with three seeds), at other levels in proportion to the squared t
quantile of df. It was chosen by simulation, so that it also makes up for skewed gains (a few languages gain much),
for which Student's t is too short where languages are few. Coverage: `docs/statistics.md`.

With one seed the interval is Student's over languages and conditional on that seed; with one language it is Student's
over seeds and conditional on that language. With one of each there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri, stdtrit

FEWEST_FAMILIES, FEWEST_EFFECTIVE = 4, 2.0
"""From so many families on, and from so large an effective number of them, a mean speaks of languages beyond them."""
_GUARD = 6.0
_SMALLEST_P = 1e-9


class ItemError(NamedTuple):
    """Squared standard errors of a mean, from the test items alone.

    common: the part that languages share, as they have the same items; total: that part and each language's own.
    """

    common: float | np.ndarray
    total: float | np.ndarray


@dataclass(frozen=True)
class Estimate:
    """A mean, its standard error, its interval and the p of no difference; NaN where there is none.

    p is the level at which the interval would just reach zero, so that interval and p never disagree. families: of the
    languages, as far as they were given. doubt: why nothing may be concluded from it ("one seed"), or empty.
    """

    mean: float
    error: float
    low: float
    high: float
    p: float = np.nan
    p_equivalent: float = np.nan
    """Of a difference of `smallest` or more: the level at which the interval just reaches it. Below 0.05 where the 95 %
    interval lies within: two one-sided tests (Schuirmann 1987) with half the level each."""
    families: int = 0
    doubt: str = ""


@dataclass(frozen=True)
class Components:
    """Variances of S, L and E above, in squared units of the values; NaN where the design cannot show one.

    With one seed or one language the remainder cannot be told from the other effect and is counted there.
    """

    seed: float
    language: float
    remainder: float


class Anova:
    """Mean squares of one (seeds x languages) or many (... x seeds x languages) matrices of values.

    families: a label for every language, if languages of one family are not to count as independent. items: the error
    of the means from test items.
    """

    def __init__(
        self, values: np.ndarray, families: Sequence[str] | None = None, items: ItemError | None = None
    ) -> None:
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
        self.items = items
        self.clustered, self.family_freedom = np.zeros_like(self.mean), 0.0
        _, members = np.unique(range(self.languages) if families is None else families, return_inverse=True)
        sizes = np.bincount(members)
        if self.languages > len(sizes) > 1:
            sums = by_language[..., 0, :] @ np.eye(len(sizes))[members]
            self.clustered, self.family_freedom = family_margin(sums, sizes, self.squares[2], self.seeds)

    @property
    def freedom(self) -> tuple[int, int, int]:
        """Degrees of freedom of seeds, languages, remainder."""
        return self.seeds - 1, self.languages - 1, (self.seeds - 1) * (self.languages - 1)

    def half(self, level: float) -> np.ndarray:
        """Half the width of the two-sided interval at `level` (0.95, say)."""
        clustered = self.clustered * stdtrit(self.family_freedom, (1 + level) / 2) ** 2 if self.family_freedom else 0
        return half_width(self.squares, self.seeds, self.languages, level, clustered, self.items)

    def error(self) -> np.ndarray:
        """Standard error of the mean, no component taken as negative."""
        seed, language, remainder = self.squares
        cells = self.seeds * self.languages
        total = (np.maximum(seed - remainder, 0) + remainder) / cells
        total += np.maximum(np.maximum(language - remainder, 0) / cells, self.clustered)
        if self.items:
            total = np.maximum(total + self.items.common, self.items.total)
        return np.sqrt(total)


def family_margin(sums: np.ndarray, sizes: np.ndarray, remainder: np.ndarray, seeds: int) -> tuple[np.ndarray, float]:
    """The squared standard error of a mean over languages by family, and its degrees of freedom.

    sums: (... x families) of the languages' deviations from the mean. sizes: languages per family. remainder: MS_E,
    whose part in it is taken out.
    """
    languages, families = sizes.sum(), len(sizes)
    weight, shares = families / (families - 1), sizes / languages
    noise = weight * float((shares * (1 - shares)).sum()) * remainder / (seeds * languages)
    between = weight * (sums**2).sum(axis=-1) / languages**2
    return np.maximum(between - noise, 0), max(effective_families(sizes) - 1, 1.0)


def effective_families(sizes: np.ndarray) -> float:
    """How many families of one size say as much as these (languages per family): fewer where one of them is large."""
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def half_width(
    squares: list[np.ndarray],
    seeds: int,
    languages: int,
    level: float,
    clustered: np.ndarray | float = 0.0,
    items: ItemError | None = None,
) -> np.ndarray:
    """Half the width of the interval from mean squares of seeds, languages and remainder (see above).

    clustered: the squared margin of languages by family.
    """
    seed, language, remainder = squares
    df_seeds, df_languages, cells = seeds - 1, languages - 1, seeds * languages
    total = np.zeros_like(seed)
    if df_seeds:
        total += _squared_t(df_seeds, level) * np.maximum(seed - remainder, 0) / cells
    if df_languages:
        plain = _squared_t(df_languages, level) * np.maximum(language - remainder, 0) / cells
        total += np.maximum(plain, clustered)
    if df_seeds and df_languages:
        usual = stdtrit(df_seeds * df_languages, 0.975) ** 2
        guards = [_GUARD / df**2 * (_squared_t(df, level) / _squared_t(df, 0.95)) for df in (df_seeds, df_languages)]
        total += (_squared_t(df_seeds * df_languages, level) + sum(guards) * usual) * remainder / cells
    if items:
        squared = ndtri((1 + level) / 2) ** 2
        total = np.maximum(total + squared * items.common, squared * items.total)
    return np.sqrt(total)


def _squared_t(freedom: float, level: float) -> float:
    """The squared quantile of Student's t for a two-sided interval."""
    return float(stdtrit(freedom, (1 + level) / 2)) ** 2


def estimate(
    values: np.ndarray,
    level: float = 0.95,
    families: Sequence[str] | None = None,
    items: ItemError | None = None,
    smallest: float = np.nan,
) -> Estimate:
    """Mean of `values` (seeds x languages) with its standard error, two-sided interval and p.

    families, items: see `Anova`. smallest: the smallest difference that matters, for `p_equivalent`. A few equal
    differences (scores of small test sets are coarse) show no spread to make an interval of: there is none then, unless
    they are all zero.
    """
    anova = Anova(np.asarray(values, dtype=float), families, items)
    mean, number = float(anova.mean), len(set(families)) if families is not None else 0
    doubt = doubt_of(anova.seeds, anova.languages)
    if values.size == 1 and items is None:
        return Estimate(mean, np.nan, np.nan, np.nan, families=number, doubt=doubt)
    half = float(anova.half(level))
    if half < 1e-9 < abs(mean):
        return Estimate(mean, 0.0, np.nan, np.nan, families=number, doubt=doubt or "all differences are equal")
    room = smallest - abs(mean)
    return Estimate(
        mean,
        float(anova.error()),
        mean - half,
        mean + half,
        _p(anova, abs(mean)),
        1.0 if room <= 0 else _p(anova, room),
        number,
        doubt,
    )


def generalises(families: Sequence[str]) -> bool:
    """Whether the families of languages are enough, and alike enough in size, to speak of other families."""
    _, sizes = np.unique(list(families), return_counts=True)
    return len(sizes) >= FEWEST_FAMILIES and effective_families(sizes) >= FEWEST_EFFECTIVE


def doubt_of(seeds: int, languages: int) -> str:
    """Why a comparison of this size supports no conclusion about other seeds and languages; empty if it may."""
    if seeds == 1 and languages == 1:
        return "one seed and one language"
    if seeds == 1:
        return "one seed"
    if languages == 1:
        return "one language"
    return "one degree of freedom" if seeds == languages == 2 else ""


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

    if np.isnan(distance):
        return np.nan
    if distance == 0:
        return 1.0
    if excess(np.log(_SMALLEST_P)) <= 0:  # also: no spread at all
        return _SMALLEST_P
    return float(np.exp(brentq(excess, np.log(_SMALLEST_P), 0.0)))
