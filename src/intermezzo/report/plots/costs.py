"""Costs: time in the training loops, by phase and mix."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from intermezzo.analysis.design import BASELINE
from intermezzo.core.numerals import duration
from intermezzo.report.palette import LIGHT
from intermezzo.report.plots.style import new_axes, require, style

ROW_INCHES = 0.17
_COLOURS = {"pretraining": LIGHT["axis"], "intermediate": LIGHT["muted"], "target": LIGHT["ink"]}


def training_times(df: pd.DataFrame) -> pd.Series:
    """(phase, mix) -> seconds over all trainings of `plot_costs`'s frame; the baseline's mix is `baseline`."""
    timed = df.dropna(subset=["seconds"])
    mix = timed["mix"].fillna("").where(timed["intermediate"] != BASELINE, "baseline")
    return timed.assign(mix=mix).groupby(["phase", "mix"], sort=False)["seconds"].sum()


def plot_costs(df: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Training time over all seeds: a bar per phase and mix.

    df: lines of `accounts.costs` (tables/costs.tsv) of one encoder.

    | column | meaning |
    |---|---|
    | phase | pretraining, intermediate or target |
    | intermediate, mix | empty where they do not apply; intermediate `none`: the baseline |
    | seconds | time in the training loops of all models of the line; NaN: not known |

    Raises UserError for a frame that lacks a column, has no time or mixes several encoders.
    """
    require(df, "plot_costs", ["phase", "intermediate", "mix", "seconds"], ["encoder"])
    times = training_times(df)
    require(times.to_frame(), "plot_costs", ["seconds"])
    if ax is None:
        with style():
            return plot_costs(df, new_axes(0.7 + ROW_INCHES * len(times)))
    units = {"h": 3600, "min": 60, "s": 1}
    unit, size = next(((unit, size) for unit, size in units.items() if times.max() >= size), ("s", 1))
    for y, ((phase, _), seconds) in enumerate(times.items()):
        ax.barh(y, seconds / size, height=0.7, color=_COLOURS[phase])
        ax.annotate(duration(seconds), (seconds / size, y), (3, 0), textcoords="offset points", va="center_baseline")
    ax.set_yticks(range(len(times)), [f"{phase} {mix}".strip() for phase, mix in times.index])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(times) - 0.5, -0.5)
    ax.set_xlim(0, 1.02 * times.max() / size)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.set_xlabel(f"training time, {unit}")
    return ax
