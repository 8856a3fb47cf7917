"""The house style of the figures (sizes, fonts, colours of the frame), and checks of the frames that they draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from textwrap import fill

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from intermezzo.core.errors import UserError
from intermezzo.report.palette import LIGHT

COLUMN_INCHES = 3.3
"""Width of a column of a two-column paper (ACL's style: 3.03, IEEE's: 3.5)."""
PAGE_INCHES = 6.9
"""Width of both columns."""

_SETTINGS = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica"],
    "font.size": 7,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "figure.titlesize": 8,
    "text.color": LIGHT["ink"],
    "text.parse_math": False,
    "axes.labelcolor": LIGHT["muted"],
    "axes.edgecolor": LIGHT["axis"],
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": LIGHT["axis"],
    "ytick.color": LIGHT["axis"],
    "xtick.labelcolor": LIGHT["muted"],
    "ytick.labelcolor": LIGHT["ink"],
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "grid.color": LIGHT["grid"],
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.0,
    "figure.constrained_layout.h_pad": 0.05,
    "figure.constrained_layout.w_pad": 0.04,
    # equal figures are equal bytes, with text that stays text
    "path.simplify": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "intermezzo",
    "pdf.fonttype": 42,
}


@contextmanager
def style() -> Iterator[None]:
    """matplotlib's defaults with the house's settings while it lasts; whatever was set before is back afterwards."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def new_axes(height: float, width: float = COLUMN_INCHES) -> Axes:
    """The axes of a new pyplot figure (which notebooks show); inches."""
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(width, height), layout="constrained")[1]


def outside_legend(figure: Figure, axes: Sequence[Axes]) -> int:
    """One legend below all axes, of whatever in them has a label, each label once; returns the number of its lines.

    It has as many columns as fit into the width of the figure.
    """
    handles = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(handles.values(), handles, loc="outside lower left", ncols=columns)
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return -(-len(handles) // columns)
        legend.remove()
    return 0


def require(df: pd.DataFrame, plot: str, columns: Sequence[str], single: Sequence[str] = ()) -> None:
    """Raises UserError for a frame without lines, without one of `columns`, or with two values of a `single` one."""
    missing = [column for column in columns if column not in df]
    if missing or df.empty:
        what = f"no column {', '.join(missing)}" if missing else "no lines"
        raise UserError(f"{plot}: the frame has {what}; it needs lines with the columns {', '.join(columns)}")
    for column in single:
        values = list(df[column].unique()) if column in df else []
        if len(values) > 1:
            examples = ", ".join(map(str, values[:4])) + (", ..." if len(values) > 4 else "")
            raise UserError(
                f"{plot}: {len(values)} values of {column!r} ({examples}), and one axes shows one; "
                f"choose it: df[df[{column!r}] == {values[0]!r}]"
            )


def set_title(ax: Axes, title: str, width: float) -> None:
    """A title above the left end of the axes, broken into lines that fit into a panel so many inches wide."""
    ax.set_title(fill(title, int(7 * width)), loc="left")
