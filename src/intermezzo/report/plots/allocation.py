"""Allocation: how many training examples of a task a mix takes from each language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from intermezzo.core.numerals import short_number
from intermezzo.report.palette import GROUP_COLOURS, LIGHT
from intermezzo.report.plots.style import new_axes, outside_legend, require, style

ROW_INCHES = 0.16
MOST_BARS = 40
"""Languages with a bar of their own; the others share the last."""
_COLOURS = {"english": GROUP_COLOURS["english"], "rare": GROUP_COLOURS["rare_seen"], "other": GROUP_COLOURS["other"]}
_LABELS = {"english": "English", "rare": "rare language", "other": "other language"}
_COLUMNS = ["language", "name", "group", "examples", "share", "rows"]


def plot_allocation(df: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Training examples of one task and mix: a bar per language, with its share and how often its rows are repeated.

    df: lines of `accounts.allocation` (tables/allocation.tsv) of one mix, task and set of intermediates, the largest
    language first.

    | column | meaning |
    |---|---|
    | language, name | code and name |
    | group | english, rare or other |
    | examples | training examples |
    | share | of the task's examples in the mix, 0..1 |
    | rows | different rows among the examples |

    Raises UserError for a frame that lacks a column or mixes several panels.
    """
    require(df, "plot_allocation", _COLUMNS, ["mix", "task", "intermediates"])
    if ax is None:
        with style():
            new = plot_allocation(df, new_axes(0.7 + ROW_INCHES * bar_count(df)))
            outside_legend(new.figure, [new])
            return new
    bars = df.iloc[:MOST_BARS][_COLUMNS].to_dict("records")
    rest = df.iloc[MOST_BARS:]
    if len(rest):
        bars.append({"name": f"{len(rest)} others", "group": ""} | rest[["examples", "share", "rows"]].sum().to_dict())
    for y, bar in enumerate(bars):
        ax.barh(y, bar["examples"], height=0.7, color=_COLOURS.get(bar["group"], LIGHT["axis"]))
        ax.annotate(_amount(bar), (bar["examples"], y), (3, 0), textcoords="offset points", va="center_baseline")
    for group in [group for group in _LABELS if group in set(df["group"])]:
        ax.plot([], [], "s", color=_COLOURS[group], label=_LABELS[group])
    ax.set_yticks(range(len(bars)), [bar["name"].partition(" (")[0] for bar in bars])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(bars) - 0.5, -0.5)
    ax.set_xlim(0, 1.02 * max(1, df["examples"].max()))
    ax.xaxis.set_major_locator(MaxNLocator(3))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    ax.set_xlabel("training examples")
    return ax


def bar_count(df: pd.DataFrame) -> int:
    """Bars of the panel."""
    return min(len(df), MOST_BARS + 1)


def _amount(bar: Mapping[str, Any]) -> str:
    """Examples, their share and, where rows are repeated, how often: 4500 (75 %) x3."""
    share, repeats = bar["share"], bar["examples"] / max(1, bar["rows"])
    factor = f" \N{MULTIPLICATION SIGN}{repeats:.2g}" if repeats > 1.005 else ""
    return f"{bar['examples']:.0f} ({100 * share:.{0 if share >= 0.0995 else 1}f} %){factor}"
