"""The charts, one panel each: `panel` pixels wide, so that one fills a phone and three stand side by side on a desk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from intermezzo.report.axis import (
    Axis,
    difference_grid,
    duration,
    fitted,
    interval,
    plain,
    short_number,
    signed,
)
from intermezzo.report.palette import SERIES, SHAPES
from intermezzo.report.scene import Scene

PANEL = 350
_ROW = 18
_TOP = 34
LABELS = {"rare_seen": "rare, seen", "rare_unseen": "rare, unseen", "other": "other", "english": "English"}
Row = Mapping[str, Any]


def languages(
    title: str, metric: str, mixes: tuple[str, str], rows: Sequence[Row], limits: tuple[float, float]
) -> Scene:
    """A language per row: the difference between two mixes, its interval, and the two scores.

    rows: lines of `differences.by_language` in the order of display; limits: of the differences' scale.
    """
    groups = list(dict.fromkeys(row["languages"] for row in rows))
    height = _TOP + 24 + _ROW * (len(rows) + len(groups)) + 36
    words = f"Differences in points between {mixes[1]} and {mixes[0]} on {title} ({metric}), one language per row."
    scene = Scene(PANEL, height, f"{title}: {mixes[1]} against {mixes[0]}, per language", words)
    axis = Axis(*limits, 100, PANEL - 84)
    _heading(scene, title, metric)
    bottom = height - 36
    scene.text(PANEL - 2, _TOP + 12, "score", 10, "muted", "end")
    difference_grid(scene, axis, _TOP + 18, bottom, mixes)
    y = _TOP + 24
    for group in groups:
        scene.text(0, y + 12, LABELS[group], 10.5, group, bold=True)
        y += _ROW
        for row in (row for row in rows if row["languages"] == group):
            middle = y + _ROW / 2
            scene.text(8, middle + 4, fitted(_short(row["name"]), axis.start - 14), 11)
            tip = f"{row['name']} ({row['language']}): {plain(row['english'])} with {mixes[0]}, "
            tip += f"{plain(row['mixed'])} with {mixes[1]}; {interval(row['value'], row['low'], row['high'])}"
            _whisker(scene, axis, middle, row, group)
            for one in row["each"] if len(row["each"]) > 1 else ():
                scene.line(axis.at(one), middle - 4.5, axis.at(one), middle + 4.5, group, 1, 0.55)
            scene.dot(axis.at(row["value"]), middle, 4, group, SHAPES[group], tip)
            scores = f"{plain(row['english'])} → {plain(row['mixed'])}"
            scene.text(PANEL - 2, middle + 4, scores, 10.5, "ink", "end")
            y += _ROW
    return scene


def forest(title: str, note: str, mixes: tuple[str, str], rows: Sequence[Row], limits: tuple[float, float]) -> Scene:
    """A group of languages per row: rare against others. rows: lines of `differences.by_group`."""
    row_height, height = 30, _TOP + 6 + 30 * len(rows) + 36
    words = "; ".join(f"{LABELS[row['languages']]}: {interval(row['value'], row['low'], row['high'])}" for row in rows)
    scene = Scene(PANEL, height, f"{title}: {mixes[1]} against {mixes[0]}, per group of languages", words)
    axis = Axis(*limits, 88, PANEL - 84)
    _heading(scene, title, note)
    bottom = height - 36
    difference_grid(scene, axis, _TOP, bottom, mixes)
    for number, row in enumerate(rows):
        middle, group = _TOP + 4 + row_height * (number + 0.5), row["languages"]
        scene.text(0, middle, LABELS[group], 11.5, group, bold=True)
        scene.text(0, middle + 11, f"{row['n_languages']} language{'s' * (row['n_languages'] != 1)}", 9.5, "muted")
        _whisker(scene, axis, middle, row, group, 2.6)
        tip = f"{LABELS[group]}: {interval(row['value'], row['low'], row['high'])}"
        scene.dot(axis.at(row["value"]), middle, 5, group, SHAPES[group], tip)
        scene.text(PANEL - 2, middle, signed(row["value"]), 12, "ink", "end", True)
        if not math.isnan(row["low"]):
            scene.text(PANEL - 2, middle + 11, f"[{plain(row['low'])}, {plain(row['high'])}]", 9.5, "muted", "end")
    return scene


def _whisker(scene: Scene, axis: Axis, y: float, row: Row, colour: str, width: float = 2) -> None:
    """The interval, with an arrow where it leaves the scale."""
    if math.isnan(row["low"]):
        return
    scene.line(axis.at(row["low"]), y, axis.at(row["high"]), y, colour, width, 0.45)
    for cut, x, way in ((row["low"] < axis.low, axis.start, -1), (row["high"] > axis.high, axis.end, 1)):
        if cut:
            scene.path([(x + way * 4, y), (x - way * 2, y - 3.5), (x - way * 2, y + 3.5)], colour, 0, 0.7, fill=True)


@dataclass(frozen=True)
class Curve:
    """One training: its mix, its colour as a number of the series (None: the baseline), and (step, loss) points."""

    name: str
    series: int | None
    points: Sequence[tuple[float, float]]

    @property
    def colour(self) -> str:
        return "baseline" if self.series is None else f"series{self.series % SERIES}"

    @property
    def dash(self) -> tuple[float, float] | None:
        return (5.0, 3.0) if self.series is not None and self.series >= SERIES else None


def curves(title: str, note: str, lines: Sequence[Curve]) -> Scene:
    """Training loss against steps, one line per training, each mix named at the end of its lines."""
    names = list(dict.fromkeys(line.name for line in lines))
    height = max(220, 72 + 14 * len(names))
    words = f"Training loss by optimizer step of {len(lines)} trainings; mixes: {', '.join(names)}."
    scene = Scene(PANEL, height, f"{title}: training loss", words)
    _heading(scene, title, note)
    every = [point for line in lines for point in line.points]
    low, high = min(loss for _, loss in every), max(loss for _, loss in every)
    room = max(high - low, 0.02 * abs(high), 1e-3)
    x, bottom = Axis(0, max(step for step, _ in every) * 1.02, 34, PANEL - 88), height - 34
    y = Axis(low - 0.06 * room, high + 0.06 * room, bottom, _TOP + 6)
    for tick in y.ticks(5):
        scene.line(x.start, y.at(tick), x.end, y.at(tick), "grid")
        scene.text(x.start - 5, y.at(tick) + 3.5, f"{tick:.3g}", 10, "muted", "end")
    for tick in x.ticks(4):
        scene.line(x.at(tick), bottom, x.at(tick), bottom + 3, "axis")
        scene.text(x.at(tick), bottom + 14, short_number(tick), 10, "muted", "middle")
    scene.line(x.start, bottom, x.end, bottom, "axis")
    scene.text((x.start + x.end) / 2, bottom + 28, "optimizer steps", 10, "muted", "middle")
    thin = 1.6 if len(lines) <= 12 else 1.0
    for line in lines:
        points = [(x.at(step), y.at(loss)) for step, loss in line.points]
        scene.path(points, line.colour, thin, 0.75, line.dash) if len(points) > 1 else None
        scene.dot(*points[-1], 2.2, line.colour, tip=f"{line.name}: loss {line.points[-1][1]:.3f}")
    ends = {name: [y.at(line.points[-1][1]) for line in lines if line.name == name] for name in names}
    spots = _apart({name: sum(at) / len(at) for name, at in ends.items()}, 13, _TOP + 10, bottom)
    for name, at in spots.items():
        colour = next(line.colour for line in lines if line.name == name)
        scene.text(x.end + 6, at + 4, fitted(name, PANEL - x.end - 8), 11, colour, bold=True)
    return scene


def _apart(wanted: dict[str, float], gap: float, top: float, bottom: float) -> dict[str, float]:
    """Positions close to those wanted, at least `gap` from one another, between top and bottom where they fit."""
    placed: dict[str, float] = {}
    last = top - gap
    for name, at in sorted(wanted.items(), key=lambda item: item[1]):
        last = placed[name] = max(at, last + gap)
    limit = bottom
    for name in reversed(placed):
        placed[name] = limit = min(placed[name], limit)
        limit -= gap
    return placed


def bars(title: str, note: str, rows: Sequence[tuple[str, float, str, str]], words: str) -> Scene:
    """Horizontal bars from zero, a number at the end of each. rows: name, value, number as text, colour."""
    height = _TOP + 18 * len(rows) + 8
    scene = Scene(PANEL, height, f"{title} ({note})" if note else title, words)
    _heading(scene, title, note)
    room = 12 + 6 * max(len(shown) for _, _, shown, _ in rows)
    left = min(160, 14 + 6 * max(len(_short(name)) for name, _, _, _ in rows))
    axis = Axis(0, max([value for _, value, _, _ in rows] + [1e-9]), left, PANEL - room)
    for number, (name, value, shown, colour) in enumerate(rows):
        y = _TOP + 18 * number
        scene.text(0, y + 12.5, fitted(_short(name), axis.start - 6), 11)
        scene.rect(axis.start, y + 3, max(axis.at(value) - axis.start, 0.8), 11, colour, tip=f"{name}: {shown}")
        scene.text(max(axis.at(value), axis.start) + 5, y + 12.5, shown, 10.5, "muted")
    scene.line(axis.start, _TOP, axis.start, height - 6, "axis")
    return scene


def seconds_bars(title: str, note: str, rows: Sequence[tuple[str, float, str]]) -> Scene:
    """Times of training. rows: name, seconds, colour."""
    timed = [(name, value, duration(value), colour) for name, value, colour in rows]
    return bars(title, note, timed, "; ".join(f"{name}: {shown}" for name, _, shown, _ in timed))


def nothing(title: str, why: str) -> Scene:
    """In place of a figure that this experiment has no data for."""
    scene = Scene(PANEL, 70, title, why)
    _heading(scene, title, "")
    scene.text(0, 50, fitted(why, PANEL, 11), 11, "muted")
    return scene


def _short(name: str) -> str:
    """A language's name without what stands behind it in brackets."""
    return name.partition(" (")[0]


def _heading(scene: Scene, title: str, note: str) -> None:
    scene.text(0, 17, fitted(title, PANEL - 8 - 6 * len(note), 14), 14, "ink", bold=True)
    scene.text(PANEL - 2, 17, note, 11, "muted", "end")
