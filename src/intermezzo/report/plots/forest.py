"""Forest plot: the effect of a mix on each group of languages, with its interval."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from intermezzo.core.numerals import count, interval
from intermezzo.report.palette import GROUP_COLOURS
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

ROW_INCHES = 0.3


def plot_forest(
    df: pd.DataFrame, ax: Axes | None = None, *, reference: str = "English-only", limits: Limits | None = None
) -> Axes:
    """A group of languages per row: the difference between a mix and English-only training, and its 95 % interval.

    df: lines of `differences.by_group` (tables/rare.tsv) of one encoder, mix and target.

    | column | meaning |
    |---|---|
    | mix | the mix |
    | languages | rare, rare_seen, rare_unseen, other or english |
    | value, low, high | mean difference and its 95 % interval, points; NaN: no interval |
    | n_languages | number of languages |

    reference: the name of the English-only mix. limits: of the axis, points; chosen from the frame by default.
    Raises UserError for a frame that lacks a column or mixes several panels.
    """
    columns = ["mix", "languages", "value", "low", "high", "n_languages"]
    require(df, "plot_forest", columns, ["encoder", "mix", "target"])
    if ax is None:
        with style():
            new = new_axes(0.8 + ROW_INCHES * len(df))
            plot_forest(df, new, reference=reference, limits=limits)
            outside_legend(new.figure, [new])
            return new
    difference_axis(ax, limits or difference_limits(df), df["mix"].iloc[0], reference)
    rows = df.to_dict("records")
    draw_intervals(ax, df, range(len(df)), size=5)
    labels = [f"{GROUP_LABELS[row['languages']]}\n{count(row['n_languages'], 'language')}" for row in rows]
    ax.set_yticks(range(len(df)), labels)
    for label, row in zip(ax.get_yticklabels(), rows, strict=True):
        label.set_color(GROUP_COLOURS[row["languages"]])
    for y, row in enumerate(rows):
        side_text(ax, y, interval(row["value"], row["low"], row["high"]))
    label_interval(ax)
    ax.set_ylim(len(df) - 0.5, -0.5)
    return ax


def describe_forest(df: pd.DataFrame) -> str:
    """The figures of a forest plot in words, for those who cannot see it."""
    return "; ".join(
        f"{GROUP_LABELS[row['languages']]}: {interval(row['value'], row['low'], row['high'])}"
        for row in df.to_dict("records")
    )
