"""Language by language: the effect of a mix on each language, its interval, and the two scores."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from intermezzo.core.numerals import plain
from intermezzo.report.palette import GROUP_COLOURS, LIGHT
from intermezzo.report.plots.intervals import (
    GROUP_LABELS,
    Limits,
    difference_axis,
    difference_limits,
    draw_intervals,
    label_interval,
    side_text,
)
from intermezzo.report.plots.style import new_axes, outside_legend, require, style

ROW_INCHES = 0.14
_NAME_LETTERS = 18
_COLUMNS = ["mix", "languages", "language", "name", "value", "low", "high", "english", "mixed"]


def plot_languages(
    df: pd.DataFrame, ax: Axes | None = None, *, reference: str = "English-only", limits: Limits | None = None
) -> Axes:
    """A language per row, in groups: the difference between a mix and English-only training, and the two scores.

    df: lines of `differences.by_language` (tables/languages.tsv) of one encoder, mix and target, in the order of
    display.

    | column | meaning |
    |---|---|
    | mix | the mix |
    | languages | group: rare_seen, rare_unseen, other or english |
    | language, name | code and name |
    | value, low, high | mean difference over intermediates and its 95 % interval over seeds, points; NaN: none |
    | english, mixed | scores with English-only and with the mix, points |
    | per_intermediate | optional: the difference of each intermediate, a list of points |

    reference: the name of the English-only mix. limits: of the axis, points; chosen from the frame by default.
    Raises UserError for a frame that lacks a column or mixes several panels.
    """
    require(df, "plot_languages", _COLUMNS, ["encoder", "mix", "target"])
    if ax is None:
        with style():
            new = new_axes(0.75 + ROW_INCHES * row_count(df))
            plot_languages(df, new, reference=reference, limits=limits)
            outside_legend(new.figure, [new])
            return new
    difference_axis(ax, limits or difference_limits(df), df["mix"].iloc[0], reference)
    ticks: list[tuple[str, str, str]] = []
    for group in df["languages"].unique():
        rows = df[df["languages"] == group]
        ticks.append((GROUP_LABELS[group], GROUP_COLOURS[group], "bold"))
        positions = range(len(ticks), len(ticks) + len(rows))
        draw_intervals(ax, rows, positions)
        for y, row in zip(positions, rows.to_dict("records"), strict=True):
            singles = row.get("per_intermediate", [])
            if len(singles) > 1:
                ax.plot(singles, [y] * len(singles), "|", color=GROUP_COLOURS[group], alpha=0.6, markersize=6)
            side_text(ax, y, f"{plain(row['english'])} → {plain(row['mixed'])}")
            ticks.append((_label(row["name"], row["language"]), LIGHT["ink"], "normal"))
    ax.set_yticks(range(len(ticks)), [text for text, _, _ in ticks])
    for label, (_, colour, weight) in zip(ax.get_yticklabels(), ticks, strict=True):
        label.set(color=colour, weight=weight)
    side_text(ax, 0, "scores", color=LIGHT["muted"])
    ax.set_ylim(len(ticks) - 0.5, -0.5)
    for marker, size, text in (("o", 4, "mean over intermediates"), ("|", 6, "one intermediate")):
        ax.plot([], [], marker, color=LIGHT["muted"], markersize=size, label=text)
    label_interval(ax)
    return ax


def row_count(df: pd.DataFrame) -> int:
    """Rows of the panel: languages, and a heading per group."""
    return len(df) + df["languages"].nunique()


def _label(name: str, code: str) -> str:
    """Name (without what stands behind it in brackets) and code."""
    short = name.partition(" (")[0]
    short = short if len(short) <= _NAME_LETTERS else f"{short[: _NAME_LETTERS - 1].rstrip()}…"
    return short if short == code else f"{short} ({code})"
