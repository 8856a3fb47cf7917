"""The part of the answer below its means: frames of `breakdown` and `best_intermediate` as Markdown tables."""

from __future__ import annotations

import math

import pandas as pd

from intermezzo.analysis import breakdown
from intermezzo.analysis.best_intermediate import best_intermediate
from intermezzo.analysis.effects import GROUPS
from intermezzo.analysis.pairing import Comparisons
from intermezzo.analysis.verdict import LEVEL, difference, p_value
from intermezzo.core.markdown import table


def blocks(comparisons: Comparisons, development: pd.DataFrame | None) -> list[str]:
    """Markdown paragraphs; none where the design and results have nothing to break down by.

    development: scores on development data (see `best_intermediate`), or None.
    """
    paragraphs = _attributes(comparisons) + _fertility(comparisons) + _gap(comparisons)
    if development is not None:
        paragraphs += _best_intermediate(comparisons, development)
    return ["## Beyond the mean", *paragraphs] if paragraphs else []


def _attributes(comparisons: Comparisons) -> list[str]:
    frame = breakdown.by_attribute(comparisons)
    if frame.empty:
        return []
    rows = [
        [
            f"`{line['mix']}`, `{line['encoder']}`",
            breakdown.ATTRIBUTES[line["attribute"]],
            _value(line["value"]),
            f"{line['languages'].replace(' ', ', ')} ({line['n_seen']} in the mix)",
            difference(line) + ("\\*" if line["p_holm"] < LEVEL else ""),
        ]
        for line in frame[frame["n_languages"] > 1].to_dict("records")
    ]
    if not rows:
        return []
    return [
        "By what languages have in common, where that is more than one language: mix minus English-only, mean over "
        f"the pairs of intermediate and target, without English. \\* = p below {LEVEL} after correction over the "
        "values of one attribute. A description: languages in the mix and languages of one family are hard to tell "
        "apart where they are few.",
        table(["mix, encoder", "by", "value", "languages", "difference"], rows),
    ]


def _points(value: float) -> str:
    """One decimal; `none` where there is no such candidate, baseline or language."""
    return "none" if math.isnan(value) else f"{value:.1f}"


def _value(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _fertility(comparisons: Comparisons) -> list[str]:
    return [
        f"Subword fertility and the gain from `{line['mix']}` (encoder `{line['encoder']}`): Spearman's correlation "
        f"{line['correlation']:+.2f} over {line['n_languages']} languages, p = {p_value(line['p'])}."
        for line in breakdown.with_fertility(comparisons).to_dict("records")
    ]


def _gap(comparisons: Comparisons) -> list[str]:
    rows = [
        [
            f"`{line['mix']}`, `{line['encoder']}`",
            GROUPS[line["group"]],
            f"{line['before']:.1f} → {line['after']:.1f}",
            difference(line) + ("\\*" if line["p_holm"] < LEVEL else ""),
        ]
        for line in breakdown.transfer_gap(comparisons).to_dict("records")
    ]
    if not rows:
        return []
    return [
        "Transfer gap, English minus the other languages, on targets that have English: with English-only training, "
        "with the mix, and the change. A gap also shrinks when English gets worse.",
        table(["mix, encoder", "languages", "gap", "change"], rows),
    ]


def _best_intermediate(comparisons: Comparisons, development: pd.DataFrame) -> list[str]:
    frame = best_intermediate(development, comparisons)
    rows = [
        [
            line["encoder"],
            line["target"],
            line["languages"].replace(" ", ", "),
            f"{line['intermediate']}, `{line['mix']}`",
            f"{line['dev']:.1f}",
            _points(line["runner_up"]),
            f"{_points(line['test_baseline'])} → {_points(line['test'])}",
        ]
        for line in frame.to_dict("records")
    ]
    header = ["encoder", "target", "chosen on", "chosen", "dev", "next best", "test, from baseline to chosen"]
    return ["The best intermediate per target, chosen on development data alone:", table(header, rows)] if rows else []
