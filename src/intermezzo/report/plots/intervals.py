"""Differences with intervals as marks on a horizontal axis: the common part of the forest plot and of languages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from intermezzo.core.numerals import MINUS, signed
from intermezzo.report.palette import GROUP_COLOURS, GROUP_MARKERS, LIGHT

GROUP_LABELS = {
    "rare": "rare, all",
    "rare_seen": "rare, seen",
    "rare_unseen": "rare, unseen",
    "other": "other",
    "english": "English",
}
Limits = tuple[float, float]


def difference_limits(df: pd.DataFrame, room: float = 1.5) -> Limits:
    """Limits of an axis of differences, points: they hold zero, every value, and of the intervals as much as fits.

    Intervals of few seeds may be twenty times as wide as the differences that matter, so they get at most `room` times
    the space of the values. Columns: value, low, high and, where there is one, per_intermediate (lists).
    """
    values = [value for value in df["value"] if not math.isnan(value)]
    singles = [value for values in df.get("per_intermediate", ()) for value in values]
    most = room * max([0.5, *map(abs, values)])
    ends = [max(-most, min(end, most)) for end in (*df["low"], *df["high"]) if not math.isnan(end)]
    low, high = min(0.0, *values, *singles, *ends), max(0.0, *values, *singles, *ends)
    margin = 0.06 * max(high - low, 1.0)
    return low - margin, high + margin


def difference_axis(ax: Axes, limits: Limits, mix: str, reference: str) -> None:
    """The horizontal axis: differences in points, with a line at zero."""
    ax.set_xlim(limits)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    ax.xaxis.set_major_formatter(FuncFormatter(_tick_label))
    ax.grid(axis="x")
    ax.axvline(0, color=LIGHT["axis"], linewidth=0.8, zorder=1)
    ax.set_xlabel(fill(f"difference, points ({mix} {MINUS} {reference})", 44))
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)


def draw_intervals(ax: Axes, rows: pd.DataFrame, positions: Sequence[float], size: float = 4) -> None:
    """A mark at every value and a line for its interval, in the colour of its group of languages.

    rows: columns languages (group), value, low, high. positions: on the vertical axis. An interval that leaves the
    limits of the axis ends in an arrow.
    """
    low, high = ax.get_xlim()
    for row, y in zip(rows.to_dict("records"), positions, strict=True):
        colour = GROUP_COLOURS[row["languages"]]
        if not math.isnan(row["low"]):
            ends = max(row["low"], low), min(row["high"], high)
            ax.plot(ends, (y, y), color=colour, alpha=0.5, linewidth=0.4 * size, solid_capstyle="butt")
            for cut, x, arrow in ((row["low"] < low, low, "<"), (row["high"] > high, high, ">")):
                if cut:
                    ax.plot(x, y, arrow, color=colour, markersize=0.8 * size, markeredgewidth=0, clip_on=False)
        ax.plot(
            row["value"],
            y,
            GROUP_MARKERS[row["languages"]],
            color=colour,
            markersize=size,
            markerfacecolor=LIGHT["page"] if row["languages"] == "rare_unseen" else colour,
            markeredgewidth=1,
            zorder=3,
        )


def label_interval(ax: Axes) -> None:
    """Give the interval an entry in a legend; nothing is drawn."""
    ax.plot([], [], color=LIGHT["muted"], alpha=0.5, linewidth=1.6, label="95 % interval")


def side_text(ax: Axes, y: float, text: str, **look: object) -> None:
    """Text to the right of the axes, at a position of the vertical axis."""
    ax.text(1.04, y, text, transform=ax.get_yaxis_transform(), va="center_baseline", **look)


def _tick_label(value: float, _: int) -> str:
    if abs(value) < 1e-9:
        return "0"
    digits = 0 if abs(value - round(value)) < 1e-6 else 1
    return signed(value, digits)
