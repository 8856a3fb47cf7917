"""The table of differences from the baseline (Phang et al. 2020, table 2) as a chart, for files.

On the page the same is a table of HTML, which a screen reader can read and a phone can scroll.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from intermezzo.report.axis import fitted, plain, signed
from intermezzo.report.differences import OVERALL
from intermezzo.report.palette import mixed
from intermezzo.report.scene import Scene


@dataclass(frozen=True)
class Square:
    """One cell. share: -1 to 1 on the colour scale, None for a score; sure: its interval leaves out zero."""

    shown: str
    tip: str
    share: float | None
    sure: bool


@dataclass(frozen=True)
class Grid:
    """The cells of one encoder and group of languages. limit: end of the colour scale, points."""

    columns: list[tuple[str, str, bool]]
    """target, metric, whether it is a control"""
    rows: list[tuple[str, str, bool]]
    """intermediate, mix, whether it is a control"""
    squares: dict[tuple[str, str, str], Square]
    limit: float


def grid(lines: pd.DataFrame, limit: float) -> Grid:
    """`lines` of `differences.against_baseline` of one encoder and one group of languages."""
    columns = lines[lines["target"] != OVERALL].groupby(["target", "metric"], sort=False)["control"].min()
    shown = [(target, metric, bool(control)) for (target, metric), control in columns.items()]
    rows = lines.groupby(["intermediate", "mix"], sort=False)["control"].min()
    squares = {(one.intermediate, one.mix, one.target): _square(one, limit) for one in lines.itertuples()}
    named = [(*name, bool(control)) for name, control in rows.items()]
    return Grid([*shown, (OVERALL, "", False)], named, squares, limit)


def limit_of(lines: pd.DataFrame) -> float:
    """The end of the colour scale, in points: the largest difference over all or rare languages, and at least 1.

    English alone may differ by much more; its cells then have the strongest colour.
    """
    shown = (lines["kind"] == "difference") & lines["languages"].isin(["all", "rare"])
    values = lines.loc[shown, "value"].abs()
    return max(1.0, float(values.max())) if len(values) else 1.0


def _square(line: object, limit: float) -> Square:
    value, low, high = line.value, line.low, line.high
    tip = f"{line.intermediate}, {line.mix}: {line.target}"
    if line.kind == "score":
        return Square(plain(value), f"{tip}: {plain(value)} points", None, False)
    known = low == low
    tip += f" {signed(value)} points" + (f", 95 % interval {plain(low)} to {plain(high)}" if known else "")
    return Square(signed(value), tip, max(-1.0, min(1.0, value / limit)), bool(known and (low > 0 or high < 0)))


def draw(cells: Grid, title: str, note: str) -> Scene:
    """The grid as a chart: a row per intermediate and mix, a column per target, the number in each cell."""
    left, width, height, top = 150, 64, 24, 84
    size = left + width * len(cells.columns) + 8
    scene = Scene(max(size, 470), top + height * len(cells.rows) + 46, title, note)
    scene.text(0, 17, title, 14, "ink", bold=True)
    scene.text(0, 34, fitted(note, scene.width), 11, "muted")
    for number, (target, metric, _) in enumerate(cells.columns):
        x = left + width * (number + 0.5)
        scene.text(x, top - 20, fitted(target, width, 11), 11, "ink", "middle", target == OVERALL)
        scene.text(x, top - 7, fitted(metric, width, 9), 9, "muted", "middle")
    for index, (intermediate, mix, _) in enumerate(cells.rows):
        y = top + height * index
        scene.text(0, y + 16, fitted(f"{intermediate} · {mix}" if mix != intermediate else "baseline", left - 6), 11)
        for number, (target, _, _) in enumerate(cells.columns):
            if square := cells.squares.get((intermediate, mix, target)):
                _draw_square(scene, square, left + width * number, y, width, height)
    _key(scene, left, top + height * len(cells.rows) + 16, cells.limit)
    return scene


def _draw_square(scene: Scene, square: Square, x: float, y: float, width: float, height: float) -> None:
    share = square.share
    dark = share is not None and abs(share) > 0.55
    if share is not None:
        colour = mixed("higher" if share > 0 else "lower", abs(share))
        scene.rect(x + 1, y + 1, width - 2, height - 2, colour, tip=square.tip)
    scene.text(x + width / 2, y + 16, square.shown, 11, "#ffffff" if dark else "ink", "middle", square.sure)


def _key(scene: Scene, x: float, y: float, limit: float) -> None:
    for step in range(-10, 11):
        scene.rect(x + 10 * (step + 10), y, 10.2, 8, mixed("higher" if step > 0 else "lower", abs(step) / 10))
    for at, words in ((0, signed(-limit)), (105, "0"), (210, signed(limit))):
        scene.text(x + at, y + 20, words, 10, "muted", "middle")
