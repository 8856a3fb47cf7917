"""The part of the answer below its means: frames of `breakdown` and `best_intermediate` as Markdown tables."""

from __future__ import annotations

import math

import pandas as pd

from intermezzo.analysis import breakdown
from intermezzo.analysis.best_intermediate import best_intermediate
from intermezzo.analysis.effects import GROUPS
from intermezzo.analysis.families import Families
from intermezzo.analysis.pairing import Comparisons
from intermezzo.analysis.verdict import LEVEL, difference, p_value, significant
from intermezzo.core.markdown import long_table
from intermezzo.core.numerals import plain


def blocks(families: Families) -> list[str]:
    """Markdown paragraphs; none where the design and results have nothing to break down by."""
    return _attributes(families) + _fertility(families) + _gap(families)


def best(families: Families, development: pd.DataFrame) -> list[str]:
    """The best intermediate of each target. development: scores on development data (see `best_intermediate`)."""
    return _best_intermediate(families.comparisons, development)


def _attributes(families: Families) -> list[str]:
    frame = breakdown.by_attribute(families)
    if frame.empty:
        return []
    rows = [
        [
            f"`{line['mix']}`, `{line['encoder']}`",
            breakdown.ATTRIBUTES[line["attribute"]],
            _value(line["value"]),
            f"{line['languages'].replace(' ', ', ')} ({line['n_seen']} in the mix)",
            difference(line) + ("\\*" if significant(line) else ""),
        ]
        for line in frame[frame["n_languages"] > 1].to_dict("records")
    ]
    if not rows:
        return []
    return [
        "### Groups of languages",
        "By what languages have in common, where that is more than one language: mix minus reference, mean over the "
        f"pairs that the question counts, without English. \\* = p below {LEVEL} after correction over the values of "
        "one attribute (of a comparison that stands elsewhere too: as there). A description: languages in the mix and "
        "languages of one family are hard to tell "
        "apart where they are few.",
        long_table("Groups of languages", ["mix, encoder", "by", "value", "languages", "difference"], rows),
    ]


def _points(value: float) -> str:
    """One decimal; `none` where there is no such candidate, baseline or language."""
    return "none" if math.isnan(value) else f"{value:.1f}"


def _value(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _fertility(families: Families) -> list[str]:
    return [
        f"Subword fertility and the gain from `{line['mix']}` (encoder `{line['encoder']}`): Spearman's correlation "
        f"{line['correlation']:+.2f} over {line['n_languages']} languages, p = {p_value(line['p'])}."
        for line in breakdown.with_fertility(families).to_dict("records")
    ]


def _gap(families: Families) -> list[str]:
    rows = [
        [
            f"`{line['mix']}`, `{line['encoder']}`",
            GROUPS[line["group"]],
            f"{plain(line['before'], minus='-')} → {plain(line['after'], minus='-')}",
            difference(line) + ("\\*" if significant(line) else ""),
        ]
        for line in breakdown.transfer_gap(families).to_dict("records")
    ]
    if not rows:
        return []
    return [
        "### Transfer gap",
        "English minus the other languages, on targets that have English: with the reference mix, with "
        "this one, and the change. A gap also shrinks when English gets worse.",
        long_table("Transfer gap", ["mix, encoder", "languages", "gap", "change"], rows),
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
    words = "Per target, chosen on development data alone, with its scores on test data."
    return [words, long_table("Best intermediate", header, rows)] if rows else []
