"""What the answer may call a difference: the only place where p-values become words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from intermezzo.core.numerals import interval

LEVEL = 0.05
"""A difference is called one when its corrected p is below this."""


def verdict(line: Mapping[str, Any], family: int) -> str:
    """One line of `effects.headline` as a clause; `family`: how many comparisons were corrected for."""
    numbers = difference(line)
    if np.isnan(line["p"]):
        why = "one seed and one language" if line["n_seeds"] * line["n_languages"] == 1 else "all differences are equal"
        return f"{numbers}, {why}: no interval, so nothing can be said"
    numbers += f", p = {p_value(line['p'])}, corrected {p_value(line['p_holm'])}"
    word = "higher" if line["mean"] > 0 else "lower"
    if line["p"] >= LEVEL:
        clause = f"no difference can be shown, {numbers}"
    elif line["p_holm"] >= LEVEL:
        clause = f"{word} by its own interval, but not after correction for {family} comparisons, {numbers}"
    elif line["n_seeds"] == 1:
        return f"{word} with the mix in this one seed, {numbers} (over languages alone; another seed may differ)"
    else:
        clause = f"**{word}** with the mix, {numbers}"
    if line["n_seeds"] == 1:
        return f"{clause} (one seed: over languages alone)"
    return f"{clause} (one language: over seeds alone)" if line["n_languages"] == 1 else clause


def difference(line: Mapping[str, Any]) -> str:
    """Mean and 95 % interval (keys mean, low, high) in ASCII, such as +2.1 [-0.3, 4.5]."""
    return interval(line["mean"], line["low"], line["high"], minus="-")


def p_value(p: float) -> str:
    """Two significant digits, never a bare zero; `none` for NaN."""
    if np.isnan(p):
        return "none"
    if p < 0.001:
        return "<0.001"
    return f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
