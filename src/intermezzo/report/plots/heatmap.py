"""Heat map of the differences from the baseline: a row per intermediate and mix, a column per target.

The same numbers as table 2 of Phang et al. (2020, arXiv 2005.13013). On the page it is a table of HTML, which a screen
reader can read and a phone can scroll; both take cells and colours from here.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_hex, to_rgb
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

from intermezzo.analysis.design import BASELINE
from intermezzo.core.numerals import plain, signed
from intermezzo.report.differences import OVERALL
from intermezzo.report.palette import LIGHT
from intermezzo.report.plots.style import PAGE_INCHES, new_axes, require, style

COLOURMAP = "PRGn"
"""ColorBrewer's purple (lower) to green (higher), safe for colour-blind readers."""
_ROW_INCHES, _LEAST_INCHES, _CELL_INCHES, _LABEL_INCHES = 0.19, 1.1, 0.4, 2.2
_LABEL_LETTERS = 30
_COLUMNS = ["intermediate", "mix", "target", "metric", "kind", "value", "low", "high"]


@dataclass(frozen=True)
class HeatmapCell:
    """One cell. text: its number; share: -1..1 on the colour scale, None for a score of the baseline.

    significant: it is shown after correction. tip: the cell in words.
    """

    text: str
    tip: str
    share: float | None
    significant: bool

    @property
    def colours(self) -> tuple[str, str]:
        """Background and text, hexadecimal; text has the larger contrast of black and white (at least 4.5 to 1)."""
        return cell_colours(self.share or 0.0)


@dataclass(frozen=True)
class Heatmap:
    """The cells of one encoder and group of languages.

    columns: (target, metric, is a control). rows: (intermediate, mix, is a control). cells: by (intermediate, mix,
    target).
    """

    columns: list[tuple[str, str, bool]]
    rows: list[tuple[str, str, bool]]
    cells: dict[tuple[str, str, str], HeatmapCell]

    def parts(self, most: int) -> list[Heatmap]:
        """Heat maps of at most so many columns each, as equal as can be, that show this one beside each other."""
        count = math.ceil(len(self.columns) / most)
        ends = [len(self.columns) * part // count for part in range(count + 1)]
        return [replace(self, columns=self.columns[start:end]) for start, end in itertools.pairwise(ends)]


def heatmap_of(df: pd.DataFrame, limit: float) -> Heatmap:
    """Arrange the lines that `plot_heatmap` takes; limit: end of the colour scale, points."""
    df = df.assign(metric=df["metric"].fillna(""), control=_controls(df))
    columns = df[df["target"] != OVERALL].groupby(["target", "metric"], sort=False)["control"].min()
    rows = df.groupby(["intermediate", "mix"], sort=False)["control"].min()
    cells = {(row["intermediate"], row["mix"], row["target"]): _cell(row, limit) for row in df.to_dict("records")}
    overall = [(OVERALL, "", False)] if OVERALL in set(df["target"]) else []
    return Heatmap([(*names, bool(control)) for names, control in columns.items()] + overall,
                   [(*names, bool(control)) for names, control in rows.items()], cells)  # fmt: skip


def colour_limit(df: pd.DataFrame) -> float:
    """The end of the colour scale, points: the largest difference over all or rare languages, and at least 1.

    English alone may differ by much more; its cells then have the strongest colour.
    """
    in_scale = (df["kind"] == "difference") & df["languages"].isin(["all", "rare"])
    values = df.loc[in_scale, "value"].abs()
    return max(1.0, float(values.max())) if len(values) else 1.0


def cell_colours(share: float) -> tuple[str, str]:
    """Background and text colour, hexadecimal, for a position -1..1 on the colour scale."""
    background = matplotlib.colormaps[COLOURMAP]((share + 1) / 2)
    luminance = relative_luminance(to_hex(background))
    return to_hex(background), "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#ffffff"


def relative_luminance(colour: str) -> float:
    """Relative luminance 0..1 of an sRGB colour (WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance)."""
    parts = np.array(to_rgb(colour))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def plot_heatmap(df: pd.DataFrame, ax: Axes | None = None, *, limit: float | None = None) -> Axes:
    """Differences from no intermediate training: a row per intermediate and mix, a column per target, and a colour bar.

    df: lines of `differences.against_baseline` (tables/baseline.tsv) of one encoder and one group of languages.

    | column | meaning |
    |---|---|
    | intermediate, mix | the row |
    | target, metric | the column; `mean` is the mean over targets |
    | kind | difference (from the baseline) or score (of the baseline: no colour) |
    | value, low, high | points, with the 95 % interval of a difference |
    | significant | optional: whether it is shown after correction; bold |
    | control | optional: whether intermediate or target is a control |

    limit: end of the colour scale, points; by default the largest difference. Cells beyond it keep its colour.
    Raises UserError for a frame that lacks a column or mixes several heat maps.
    """
    require(df, "plot_heatmap", _COLUMNS, ["encoder", "languages"])
    differences = df.loc[df["kind"] == "difference", "value"].abs()
    limit = limit or max(1.0, differences.max() if len(differences) else 1.0)
    heatmap = heatmap_of(df, limit)
    if ax is None:
        with style():
            width, height, frame = size_of(df)
            return plot_heatmap(df, new_axes(height + frame, width), limit=limit)
    for y, (intermediate, mix, _) in enumerate(heatmap.rows):
        for x, (target, _, _) in enumerate(heatmap.columns):
            if cell := heatmap.cells.get((intermediate, mix, target)):
                _draw(ax, cell, x, y)
    ax.set_xlim(-0.5, len(heatmap.columns) - 0.5)
    ax.set_ylim(len(heatmap.rows) - 0.5, -0.5)
    ax.set_xticks(range(len(heatmap.columns)), [_column_label(*column) for column in heatmap.columns])
    ax.set_xticks([], minor=True)
    ax.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False, labelcolor=LIGHT["ink"])
    for label in ax.get_xticklabels():
        label.set(rotation=40, ha="left", rotation_mode="anchor")
    ax.set_yticks(range(len(heatmap.rows)), [_row_label(*row) for row in heatmap.rows])
    ax.set_ylabel("intermediate, mix")
    ax.spines[:].set_visible(False)
    scale = ScalarMappable(Normalize(-limit, limit), COLOURMAP)
    bar = ax.figure.colorbar(scale, ax=ax, fraction=0.025, pad=0.01, aspect=15, format=FuncFormatter(_scale_label))
    bar.set_label("points above\nno intermediate")
    bar.outline.set_visible(False)
    return ax


def size_of(df: pd.DataFrame) -> tuple[float, float, float]:
    """Inches: width (a paper's page, more only for more than 11 columns), height of the cells, and of the rest."""
    columns, rows = df["target"].nunique(), len(df.groupby(["intermediate", "mix"]))
    letters = min(_LABEL_LETTERS, max(df["target"].str.len().max(), df["metric"].fillna("").str.len().max() + 11))
    width = max(PAGE_INCHES, _LABEL_INCHES + _CELL_INCHES * columns)
    return width, max(_LEAST_INCHES, _ROW_INCHES * rows), 0.5 + 0.036 * letters  # of names at 40 degrees


def _draw(ax: Axes, cell: HeatmapCell, x: int, y: int) -> None:
    colour = LIGHT["muted"]
    if cell.share is not None:
        background, colour = cell.colours
        ax.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=background, linewidth=0))
    weight = "bold" if cell.significant else "normal"
    ax.text(x, y, cell.text, ha="center", va="center_baseline", color=colour, weight=weight)


def _cell(row: dict[str, Any], limit: float) -> HeatmapCell:
    value, low, high = row["value"], row["low"], row["high"]
    tip = f"{row['intermediate']}, {row['mix']}: {row['target']}"
    if row["kind"] == "score":
        return HeatmapCell(plain(value), f"{tip}: {plain(value)} points", None, False)
    has_interval = not np.isnan(low)
    tip += f" {signed(value)} points" + (f", 95 % interval {plain(low)} to {plain(high)}" if has_interval else "")
    return HeatmapCell(signed(value), tip, max(-1.0, min(1.0, value / limit)), bool(row.get("significant", False)))


def _controls(df: pd.DataFrame) -> pd.Series:
    """Whether each line is of a control; tables/baseline.tsv says yes or nothing."""
    return df["control"].isin([True, "yes"]) if "control" in df else pd.Series(False, index=df.index)


def _scale_label(value: float, _: int) -> str:
    return signed(value, 0 if value == round(value) else 1) if value else "0"


def _column_label(target: str, metric: str, control: bool) -> str:
    notes = [note for note in (metric, "control" if control else "") if note]
    name = target if len(target) <= _LABEL_LETTERS else f"{target[: _LABEL_LETTERS - 1]}…"
    return f"{name}\n({', '.join(notes)})" if notes else name


def _row_label(intermediate: str, mix: str, control: bool) -> str:
    if intermediate == BASELINE:
        return "none: baseline scores"
    return f"{intermediate}, {mix}" + (" (control)" if control else "")
