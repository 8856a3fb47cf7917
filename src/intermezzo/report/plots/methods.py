"""Cost against gain: intermediate training and its rivals, a point each; and the curve of few-shot examples."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from intermezzo.core.numerals import signed
from intermezzo.report.palette import LIGHT, SERIES
from intermezzo.report.plots.intervals import Limits, difference_limits
from intermezzo.report.plots.style import new_axes, outside_legend, require, style

HEIGHT_INCHES = 1.7
_MARKERS = "osD^vPX<>p*h"
_CURVE_GROUPS = {"trained_in": "rare, in the training", "others": "rare, not in it"}


def plot_methods(
    df: pd.DataFrame, ax: Axes | None = None, *, methods: list[str] | None = None, limits: Limits | None = None
) -> Axes:
    """A point per method: its cost, its gain over no intermediate training, and the 95 % interval of the gain.

    df: lines of `methods.cost_and_gain` (tables/methods.tsv) of one encoder, target, mix that splits the languages, and
    group of languages.

    | column | meaning |
    |---|---|
    | method | the name |
    | cost, unit | of one seed; NaN: not known, so that the point is left out |
    | value, low, high | gain in points and its interval; NaN: no interval |

    methods: all names of a figure, so that each has one colour and mark in all panels. limits: of the gain, points.
    Raises UserError for a frame that lacks a column or mixes several panels.
    """
    columns = ["method", "cost", "unit", "value", "low", "high"]
    require(df, "plot_methods", columns, ["encoder", "target", "seen_in", "languages", "unit"])
    if ax is None:
        with style():
            new = new_axes(HEIGHT_INCHES + 0.6)
            plot_methods(df, new, methods=methods, limits=limits)
            outside_legend(new.figure, [new])
            return new
    names = methods or list(df["method"])
    low, high = limits or difference_limits(df)
    ax.axhline(0, color=LIGHT["axis"], linewidth=0.8, zorder=1)
    for row in df.to_dict("records"):
        number, x = names.index(row["method"]), row["cost"]
        colour = SERIES[number % len(SERIES)]
        if math.isnan(x):
            continue
        if not math.isnan(row["low"]):
            ax.plot((x, x), (max(row["low"], low), min(row["high"], high)), color=colour, alpha=0.5, linewidth=1.6)
            for cut, y, arrow in ((row["low"] < low, low, "v"), (row["high"] > high, high, "^")):
                if cut:
                    ax.plot(x, y, arrow, color=colour, markersize=3, markeredgewidth=0, clip_on=False)
        marker = _MARKERS[number % len(_MARKERS)]
        ax.plot(x, row["value"], marker, color=colour, markersize=4.5, linestyle="", label=row["method"], zorder=3)
    ax.set_ylim(low, high)
    _cost_axis(ax, df["cost"].dropna())
    ax.set_xlabel(f"cost, {df['unit'].iloc[0]}")
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    ax.yaxis.set_major_formatter(FuncFormatter(_difference_label))
    ax.tick_params(axis="y", labelcolor=LIGHT["muted"])
    ax.set_ylabel("gain, points")
    ax.grid(axis="y")
    return ax


def _cost_axis(ax: Axes, costs: pd.Series) -> None:
    """A logarithmic axis of costs, if there are any above 0."""
    if costs.empty or costs.min() <= 0:
        return
    ax.set_xscale("log")
    span = max(costs.max() / costs.min(), 1.5)
    ax.set_xlim(costs.min() / span**0.12, costs.max() * span**0.12)
    steps = (1.0,) if span > 100 else (1.0, 3.0) if span > 10 else (1.0, 2.0, 5.0) if span > 3 else range(1, 10)
    ax.xaxis.set_major_locator(LogLocator(subs=tuple(map(float, steps)), numticks=6))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def plot_shots(df: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The score by the number of few-shot examples of each rare language in the target's training.

    df: lines of `rival_targets.curve` (tables/shots.tsv) of one encoder and task.

    | column | meaning |
    |---|---|
    | start | the mix of the intermediates that targets start from; `none`: no intermediate; its colour |
    | group | trained_in (the languages of the examples: solid line) or others (dashed) |
    | shots | examples of each language; inf: all there are |
    | score | mean, points |
    | value, low, high | difference from 0 shots and its 95 % interval; NaN: no interval |

    The interval is drawn around the score. Raises UserError for a frame that lacks a column or mixes several panels.
    """
    require(df, "plot_shots", ["start", "group", "shots", "score", "value", "low", "high"], ["encoder", "task"])
    if ax is None:
        with style():
            new = new_axes(HEIGHT_INCHES + 0.6)
            plot_shots(df, new)
            outside_legend(new.figure, [new])
            return new
    shots = [float(number) for number in sorted(df["shots"].astype(float).unique())]
    starts = list(df["start"].unique())
    for (start, group), part in df.groupby(["start", "group"], sort=False):
        number = starts.index(start)
        colour, solid = SERIES[number % len(SERIES)], group == "trained_in"
        places = [shots.index(float(value)) + 0.06 * (number - (len(starts) - 1) / 2) for value in part["shots"]]
        label = f"{'no intermediate' if start == 'none' else start}: {_CURVE_GROUPS[group]}"
        look = {"color": colour, "marker": "o" if solid else "s", "markersize": 3.5, "label": label}
        look |= {"linestyle": "-" if solid else (0, (3, 2)), "markerfacecolor": colour if solid else LIGHT["page"]}
        ax.plot(places, part["score"], **look)
        for x, row in zip(places, part.to_dict("records"), strict=True):
            if not math.isnan(row["low"]):
                ends = [row["score"] + row[end] - row["value"] for end in ("low", "high")]
                ax.plot((x, x), ends, color=colour, alpha=0.4, linewidth=1.4, zorder=1)
    scores = df["score"]
    room = max(2.0, scores.max() - scores.min())  # intervals of few seeds may be twenty times as wide
    ax.set_ylim(scores.min() - 0.4 * room, scores.max() + 0.4 * room)
    ax.set_xticks(range(len(shots)), ["all" if math.isinf(number) else f"{number:.0f}" for number in shots])
    ax.set_xlabel("examples of each language in the target's training")
    ax.set_ylabel("score, points")
    ax.tick_params(axis="y", labelcolor=LIGHT["muted"])
    ax.grid(axis="y")
    return ax


def _difference_label(value: float, _: int) -> str:
    return signed(value, 0 if abs(value - round(value)) < 1e-6 else 1) if abs(value) > 1e-9 else "0"
