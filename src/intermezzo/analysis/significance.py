"""Sign flips (paired permutation tests) at the level of languages or of seeds, and Holm's correction.

Under the null hypothesis the sign of a paired difference is random. The exchangeable units are those that were sampled
independently: languages (all seeds of a language change sign together; the test is conditional on these seeds) or
seeds (all languages of a seed together; conditional on these languages). Either test says nothing about the other
level. The p of `intervals` covers both levels but assumes a normal distribution, which sign flips do not. n units give
2^n flips, so the smallest two-sided p is 2 / 2^n: 0.5 for two seeds, 0.0625 for five.

Sources: Good (2005), Permutation, Parametric and Bootstrap Tests of Hypotheses; Holm (1979), Scandinavian
Journal of Statistics 6, 65-70.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

_EXACT_UNITS = 14
_SAMPLES = 20_000


def flip_p(units: np.ndarray) -> float:
    """Two-sided p of the mean of `units` (one value per language, or per seed) under flips of their signs.

    Exact up to 14 units; beyond that by 20,000 sampled flips with a fixed seed, the observed signs counted among them.
    """
    observed, slack = abs(units.mean()), 1e-9 * np.abs(units).max(initial=0)
    n = len(units)
    if n <= _EXACT_UNITS:
        signs = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    else:
        signs = 1 - 2 * np.random.default_rng(0).integers(0, 2, (_SAMPLES - 1, n))
        signs = np.vstack([np.ones(n, dtype=signs.dtype), signs])
    return float(np.mean(np.abs(signs @ units) / n >= observed - slack))


def smallest_p(units: int) -> float:
    """The smallest p that flips of `units` can give: 2 / 2^units, at least 1 / 20,000 where flips are sampled."""
    return max(2.0 ** (1 - units), 1 / _SAMPLES if units > _EXACT_UNITS else 0.0)


def look_factor(looks: int) -> float:
    """What corrected p-values of the n-th look at growing results are multiplied with: 1, 10, 20, 40, 80, ...

    So the levels of all looks are 0.05, 0.005, 0.0025, 0.00125, ..., which sum to 0.06 however many there are: seeds
    that are added until a difference shows find one where there is none in at most 6 of 100 experiments.
    """
    return 1.0 if looks <= 1 else 10.0 * 2.0 ** (looks - 2)


def holm(values: Iterable[float]) -> np.ndarray:
    """Holm's step-down correction of the p-values of one family; NaN stays NaN and does not count."""
    p = np.asarray(list(values), dtype=float)
    order = np.argsort(p)[: int(np.isfinite(p).sum())]  # NaN is sorted last
    corrected = np.full_like(p, np.nan)
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return corrected
