"""Numbers as words and Markdown: the only place that decides what a difference may be called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

LEVEL = 0.05
"""A difference is called one when its corrected p is below this."""


def reading(line: Mapping[str, Any], family: int) -> str:
    """One line of `effects.headline` as a clause; `family`: how many comparisons were corrected for."""
    shown = short(line)
    if np.isnan(line["p"]):
        why = "one seed and one language" if line["n_seeds"] * line["n_languages"] == 1 else "all differences are equal"
        return f"{shown}, {why}: no interval, so nothing can be said"
    shown += f", p = {p_value(line['p'])}, corrected {p_value(line['p_holm'])}"
    word = "higher" if line["mean"] > 0 else "lower"
    if line["p"] >= LEVEL:
        said = f"no difference can be shown, {shown}"
    elif line["p_holm"] >= LEVEL:
        said = f"{word} by its own interval, but not after correction for {family} comparisons, {shown}"
    elif line["n_seeds"] == 1:
        return f"{word} with the mix in this one seed, {shown} (over languages alone; another seed may differ)"
    else:
        said = f"**{word}** with the mix, {shown}"
    if line["n_seeds"] == 1:
        return f"{said} (one seed: over languages alone)"
    return f"{said} (one language: over seeds alone)" if line["n_languages"] == 1 else said


def short(line: Mapping[str, Any]) -> str:
    """Mean and interval, such as +2.1 [-0.3, 4.5]."""
    value = f"{line['mean']:+.1f}"
    shown = value if np.isnan(line["low"]) else f"{value} [{line['low']:.1f}, {line['high']:.1f}]"
    return re.sub(r"-(?=0\.0\b)", "", shown)


def p_value(p: float) -> str:
    """Two significant digits, never a bare zero."""
    if np.isnan(p):
        return "none"
    if p < 0.001:
        return "<0.001"
    return f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
