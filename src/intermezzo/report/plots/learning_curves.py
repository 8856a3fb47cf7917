"""Learning curves: training loss against optimizer steps, a line per training."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from intermezzo.analysis.design import BASELINE
from intermezzo.core.numerals import short_number
from intermezzo.report.palette import LIGHT, SERIES
from intermezzo.report.plots.style import new_axes, outside_legend, require, style

HEIGHT_INCHES = 1.35
_DASHES = ["-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (7, 2)), (0, (3, 1, 1, 1, 1, 1))]
"""Line styles of intermediates; a seventh has the first again."""
_TRAINING = ["intermediate", "mix", "seed"]


def plot_learning_curves(
    df: pd.DataFrame,
    ax: Axes | None = None,
    *,
    mixes: Sequence[str] | None = None,
    intermediates: Sequence[str] | None = None,
) -> Axes:
    """Training loss against steps: colour is the mix, the line style the intermediate, and each seed a line.

    df: lines of `accounts.learning_curves` of one encoder, phase and name.

    | column | meaning |
    |---|---|
    | intermediate, mix, seed | the training; empty where they do not apply; intermediate `none`: the baseline |
    | step | optimizer steps so far |
    | loss | training loss, in the unit of the objective (nats per label or token), a mean over some steps |

    mixes, intermediates: all of them in their order, so that several axes agree on colours and line styles; by default
    those of the frame. Raises UserError for a frame that lacks a column or mixes several panels.
    """
    require(df, "plot_learning_curves", [*_TRAINING, "step", "loss"], ["encoder", "phase", "name"])
    if ax is None:
        with style():
            new = new_axes(HEIGHT_INCHES + 0.8)
            plot_learning_curves(df, new, mixes=mixes, intermediates=intermediates)
            outside_legend(new.figure, [new])
            return new
    trained = df[df["intermediate"] != BASELINE]
    mixes = list(trained["mix"].unique()) if mixes is None else list(mixes)
    present = list(trained["intermediate"].unique())
    order = present if intermediates is None else list(intermediates)
    several = len(present) > 1
    curves = list(df.groupby(_TRAINING, sort=False, dropna=False))
    width = 1.0 if len(curves) <= 12 else 0.7
    for (intermediate, mix, _), curve in curves:
        look = {"color": _colour(intermediate, mix, mixes), "linewidth": width, "alpha": 0.8}
        dashes = _DASHES[order.index(intermediate) % len(_DASHES)] if several and intermediate != BASELINE else "-"
        ax.plot(curve["step"], curve["loss"], linestyle=dashes, **look)
    if BASELINE in set(df["intermediate"]):
        ax.plot([], [], color=LIGHT["muted"], label="no intermediate")
    for mix in [mix for mix in mixes if mix and mix in set(trained["mix"])]:
        ax.plot([], [], color=_colour("", mix, mixes), label=f"mix {mix}")
    for intermediate in present if several else ():
        dashes = _DASHES[order.index(intermediate) % len(_DASHES)]
        ax.plot([], [], color=LIGHT["ink"], linestyle=dashes, label=f"intermediate {intermediate}")
    ax.set_xlabel("optimizer steps")
    ax.set_ylabel("training loss")
    ax.set_xlim(left=0)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.tick_params(axis="y", labelcolor=LIGHT["muted"])
    ax.grid(axis="y")
    return ax


def _colour(intermediate: str, mix: str, mixes: Sequence[str]) -> str:
    if intermediate == BASELINE or mix not in mixes:
        return LIGHT["muted"]
    return SERIES[list(mixes).index(mix) % len(SERIES)]
