"""Sign flips (paired permutation tests) at the level of languages or of seeds, and Holm's correction.

Without an effect the sign of a paired difference is a toss-up. What may be flipped by itself is what was drawn by
itself: all values of a language together (is it these languages, in these seeds?), or all values of a seed together
(is it these seeds, in these languages?). Either says nothing about the other level, while the p of `intervals` is
about both and assumes a normal distribution; neither flip does. n units give at most 2^n flips, so that no p below
2 / 2^n can come out: two seeds cannot support one below 0.5, five none below 0.0625.

Sources: Good (2005), Permutation, Parametric and Bootstrap Tests of Hypotheses; Holm (1979), Scandinavian
Journal of Statistics 6, 65-70.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

_EXACT = 14
_DRAWN = 20_000


def flip_p(units: np.ndarray) -> float:
    """Two-sided p of the mean of `units` (one value per language, or per seed) under flips of their signs.

    Exact up to 14 units; beyond that from 20,000 drawn flips, always the same, the observed signs counted among them.
    """
    observed, slack = abs(units.mean()), 1e-9 * np.abs(units).max(initial=0)
    n = len(units)
    if n <= _EXACT:
        signs = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    else:
        signs = 1 - 2 * np.random.default_rng(0).integers(0, 2, (_DRAWN - 1, n))
        signs = np.vstack([np.ones(n, dtype=signs.dtype), signs])
    return float(np.mean(np.abs(signs @ units) / n >= observed - slack))


def smallest_p(units: int) -> float:
    """The smallest p that flips of so many units can give (by drawn flips where these are exact no more)."""
    return max(2.0 ** (1 - units), 1 / _DRAWN if units > _EXACT else 0.0)


def holm(values: Iterable[float]) -> np.ndarray:
    """Holm's step-down correction of the p-values of one family; NaN stays NaN and does not count."""
    p = np.asarray(list(values), dtype=float)
    order = np.argsort(p)[: int(np.isfinite(p).sum())]  # NaN is sorted last
    corrected = np.full_like(p, np.nan)
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return corrected
