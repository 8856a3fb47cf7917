"""The figures of the report: panels in groups, a group per encoder and comparison, for the page and for files.

A panel is one axes that a function of `plots` draws. The page has every panel as an SVG of its own, one column of a
paper wide, so that panels flow with the width of the window; files have pages as wide as a paper's, two panels a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from intermezzo.analysis.design import BASELINE
from intermezzo.core.artifacts import atomic, write_text
from intermezzo.core.numerals import interval, short_number
from intermezzo.report import differences, svg
from intermezzo.report.captions import CAPTIONS, MOST_CURVES, MOST_LANGUAGES, NO_DATA, TITLES
from intermezzo.report.frames import Frames
from intermezzo.report.plots import allocation, costs, forest, heatmap, languages, learning_curves, methods
from intermezzo.report.plots.intervals import difference_limits
from intermezzo.report.plots.style import COLUMN_INCHES, PAGE_INCHES, outside_legend, set_title, style
from intermezzo.report.results import ExperimentResults

_MOST_POINTS = 80
_FRAME_INCHES = 0.62
"""Title above a panel, ticks and label below it."""
_HEADING_INCHES, _LEGEND_INCHES = 0.25, 0.18
_PAGE_HEIGHT_INCHES = 8.5


@dataclass(frozen=True)
class Panel:
    """One axes. draw: draws it; description: its content in words; height: of the axes, inches.

    rows: of a categorical vertical axis, 0 for another; frame: title, ticks and labels, inches. legend: whether the
    panel needs its own on the page.
    """

    title: str
    description: str
    height: float
    draw: Callable[[Axes], Axes]
    rows: int = 0
    frame: float = _FRAME_INCHES
    width: float = COLUMN_INCHES
    legend: bool = False

    def inline(self, name: str) -> str:
        """The panel as an <svg> element of a page; name: unique on the page."""
        figure = _draw([[self]], self.width, legend=self.legend)
        return svg.inline(figure, name, self.title, self.description)


@dataclass(frozen=True)
class PanelGroup:
    """Panels under one heading."""

    heading: str
    panels: list[Panel]
    columns: int = 2
    """Panels beside each other on a page of a file."""

    def pages(self) -> Iterator[Figure]:
        """Figures as wide as a paper's page and at most as high, with as many rows of panels as fit."""
        columns = self.columns if len(self.panels) > 1 and self.panels[0].width < PAGE_INCHES else 1
        width = PAGE_INCHES if columns > 1 else max(panel.width for panel in self.panels)
        page: list[list[Panel]] = []
        for start in range(0, len(self.panels), columns):
            row = self.panels[start : start + columns]
            if page and _height([*page, row], self.heading) > _PAGE_HEIGHT_INCHES:
                yield _draw(page, width, self.heading)
                page = []
            page.append(row)
        yield _draw(page, width, self.heading)


@dataclass
class ReportFigure:
    """One figure of the report: its file name, title, caption and groups of panels."""

    name: str
    title: str
    caption: str
    groups: list[PanelGroup] = field(default_factory=list)


def figures(results: ExperimentResults, frames: Frames) -> list[ReportFigure]:
    """All figures, in the order of the page; a figure without data says why."""
    groups = {
        "rare": _forests(results, frames.groups),
        "heatmap": _heatmaps(frames.baseline),
        "languages": _languages(results, frames.languages),
        "learning": _learning_curves(results, frames.curves),
        "allocation": _allocations(frames.allocation),
        "costs": _costs(frames.costs),
        "methods": _methods(frames.methods),
        "shots": _shots(frames.shots),
    }
    drawn = [ReportFigure(name, TITLES[name], CAPTIONS[name], list(parts)) for name, parts in groups.items()]
    drawn[3].caption += _short_logs(frames.curves)
    for figure in drawn:
        figure.groups = [group for group in figure.groups if group.panels]
        if not figure.groups:
            reason = NO_DATA[figure.name]
            figure.groups = [PanelGroup("", [Panel(figure.title, reason, 0.4, partial(_write_reason, reason))])]
    return drawn


def write(figure: ReportFigure, folder: Path) -> None:
    """{name}.svg with all pages below one another, and {name}.pdf with a page for each; equal data, equal bytes."""
    pages = [page for group in figure.groups for page in group.pages()]
    write_text(folder / f"{figure.name}.svg", svg.document(pages, figure.title, figure.caption))
    undated = dict.fromkeys(("CreationDate", "Creator", "Producer")) | {"Title": figure.title}
    with style(), atomic(folder / f"{figure.name}.pdf") as part, PdfPages(part, metadata=undated) as pdf:
        for page in pages:
            pdf.savefig(page)


def overview(results: ExperimentResults, frame: pd.DataFrame) -> list[PanelGroup]:
    """The answer as one forest plot per comparison, all on one scale: the mean over counted pairs."""
    means = frame[frame["target"] == differences.OVERALL] if len(frame) else frame
    limits = difference_limits(means, room=4) if len(means) else (0.0, 1.0)
    return list(_forests(results, means, limits))


def _draw(rows: Sequence[Sequence[Panel]], width: float, heading: str = "", *, legend: bool = True) -> Figure:
    """Panels in rows on one figure, laid out so that nothing is cut off, with one legend below all."""
    with style():
        figure = Figure(figsize=(width, _height(rows, heading)), layout="constrained")
        if heading:
            figure.suptitle(heading, x=0.008, ha="left", weight="normal")
        ratios = [max(panel.height for panel in row) for row in rows]
        grid = figure.subplots(len(rows), max(map(len, rows)), squeeze=False, height_ratios=ratios)
        drawn = []
        for row, row_axes in zip(rows, grid, strict=True):
            most = max(panel.rows for panel in row)
            for panel, ax in zip(row, row_axes, strict=False):
                panel.draw(ax)
                set_title(ax, panel.title, panel.width)
                if panel.rows:
                    ax.set_ylim(bottom=most - 0.5)  # equal distances of rows in panels beside each other
                drawn.append(ax)
            for ax in row_axes[len(row) :]:
                ax.set_visible(False)
        if legend:
            lines = outside_legend(figure, drawn)
            figure.set_figheight(figure.get_figheight() + _LEGEND_INCHES * lines)
        return figure


def _height(rows: Sequence[Sequence[Panel]], heading: str) -> float:
    panels = sum(max(panel.height + panel.frame for panel in row) for row in rows)
    return panels + (_HEADING_INCHES if heading else 0)


def _forests(
    results: ExperimentResults, frame: pd.DataFrame, limits: tuple[float, float] | None = None
) -> Iterator[PanelGroup]:
    for (encoder, mix), part in _parts(frame, "encoder", "mix"):
        look = {"reference": results.design.against, "limits": limits or difference_limits(part)}
        panels = []
        for target, lines in part.groupby("target", sort=False):
            title = "mean over counted pairs" if target == differences.OVERALL else str(target)
            draw = partial(forest.plot_forest, lines, **look)
            height = forest.ROW_INCHES * len(lines)
            panels.append(Panel(title, forest.describe_forest(lines), height, draw, len(lines)))
        yield PanelGroup(_comparison(results, encoder, mix), panels)


def _heatmaps(frame: pd.DataFrame) -> Iterator[PanelGroup]:
    for (encoder,), part in _parts(frame, "encoder"):
        limit = heatmap.colour_limit(part)
        for group, lines in part.groupby("languages", sort=False):
            title = f"{differences.AVERAGED[group]}, encoder {encoder}"
            width, height, frame_inches = heatmap.size_of(lines)
            words = f"Difference from no intermediate training for {title}: all numbers are in tables/heatmap.tsv."
            draw = partial(heatmap.plot_heatmap, lines, limit=limit)
            panel = Panel(title, words, height, draw, frame=frame_inches, width=width)
            yield PanelGroup("", [panel])


def _languages(results: ExperimentResults, frame: pd.DataFrame) -> Iterator[PanelGroup]:
    for (encoder, mix), part in _parts(frame, "encoder", "mix"):
        reference, limits = results.design.against, difference_limits(part)
        panels = []
        for (target, metric), lines in part.groupby(["target", "metric"], sort=False):
            lines = _largest_gains(lines)
            rows = languages.row_count(lines)
            words = f"Differences in points between {mix} and {reference} on {target}, one language per row."
            draw = partial(languages.plot_languages, lines, reference=reference, limits=limits)
            panels.append(Panel(f"{target} ({metric})", words, languages.ROW_INCHES * rows, draw, rows))
        yield PanelGroup(_comparison(results, encoder, mix), panels)


def _largest_gains(lines: pd.DataFrame) -> pd.DataFrame:
    """At most `MOST_LANGUAGES` lines, rare languages first, in each group from the largest gain to the largest loss."""
    ranks = {group: rank for rank, group in enumerate(differences.GROUPS)}
    order = lines.assign(rank=lines["languages"].map(ranks))
    return order.sort_values(["rank", "value", "language"], ascending=[True, False, True]).head(MOST_LANGUAGES)


def _learning_curves(results: ExperimentResults, frame: pd.DataFrame) -> Iterator[PanelGroup]:
    names = results.design.trained()
    mixes = results.design.in_order(mix for intermediate, mix in names if intermediate != BASELINE)
    intermediates = list(dict.fromkeys(intermediate for intermediate, _ in names if intermediate != BASELINE))
    for (encoder,), part in _parts(_thinned(frame), "encoder"):
        panels = []
        for (phase, name), curves in part.groupby(["phase", "name"], sort=False):
            title = f"{name} ({phase})"
            trainings = _trainings(curves)
            if len(trainings) > MOST_CURVES:
                title += f", seed {results.design.seeds[0]} alone"
                curves = curves[curves["seed"] == results.design.seeds[0]]
            draw = partial(learning_curves.plot_learning_curves, curves, mixes=mixes, intermediates=intermediates)
            words = f"Training loss by optimizer step of {len(_trainings(curves))} trainings; mixes: "
            words += ", ".join(mix for mix in curves["mix"].unique() if mix) + "."
            panels.append(Panel(title, words, learning_curves.HEIGHT_INCHES, draw, legend=True))
        yield PanelGroup(f"encoder {encoder}", panels)


def _trainings(curves: pd.DataFrame) -> pd.DataFrame:
    return curves[["phase", "name", "intermediate", "mix", "seed"]].drop_duplicates()


def _thinned(frame: pd.DataFrame) -> pd.DataFrame:
    """Some `_MOST_POINTS` points of every training, the last among them; trainings of one point are left out."""
    trainings = frame.groupby(["encoder", "phase", "name", "intermediate", "mix", "seed"], dropna=False, sort=False)
    number, size = trainings.cumcount(), trainings["step"].transform("size")
    every = (size / _MOST_POINTS).apply(math.ceil)
    return frame[(size > 1) & ((number % every == 0) | (number == size - 1))]


def _short_logs(frame: pd.DataFrame) -> str:
    """A sentence about trainings that ended before the second line of their log."""
    sizes = frame.groupby(["encoder", "phase", "name", "intermediate", "mix", "seed"], dropna=False, sort=False).size()
    short = dict.fromkeys(f"{phase} {name}" for (_, phase, name, *_), size in sizes.items() if size == 1)
    return f" Too short for one, in part or wholly: {', '.join(short)}." if short else ""


def _allocations(frame: pd.DataFrame) -> Iterator[PanelGroup]:
    for (mix,), part in _parts(frame, "mix"):
        panels = []
        for (task, names), lines in part.groupby(["task", "intermediates"], sort=False):
            words = f"Training examples of task {task} in mix {mix}, by language; used by {names}."
            title = f"{task}: {short_number(lines['examples'].sum())} examples"
            rows = allocation.bar_count(lines)
            draw = partial(allocation.plot_allocation, lines)
            panels.append(Panel(title, words, allocation.ROW_INCHES * rows, draw, rows))
        yield PanelGroup(f"mix {mix}", panels)


def _costs(frame: pd.DataFrame) -> Iterator[PanelGroup]:
    for (encoder,), part in _parts(frame.dropna(subset=["seconds"]), "encoder"):
        times = costs.training_times(part)
        words = "; ".join(f"{phase} {mix}: {seconds:.0f} s" for (phase, mix), seconds in times.items())
        height = costs.ROW_INCHES * len(times)
        panel = Panel("training time, all seeds", words, height, partial(costs.plot_costs, part), len(times))
        yield PanelGroup(f"encoder {encoder}", [panel])


def _methods(frame: pd.DataFrame) -> Iterator[PanelGroup]:
    priced = frame.dropna(subset=["cost"])
    names = list(priced["method"].unique())  # one colour and mark on all pages
    for (encoder, target, mix), part in _parts(priced, "encoder", "target", "seen_in"):
        if part["method"].nunique() == 1:
            continue  # the baseline alone
        limits, panels = difference_limits(part), []
        for group, title in _METHOD_PANELS.items():
            lines = part[part["languages"] == group]
            if len(lines):
                shown = (
                    f"{line['method']}: {short_number(line['cost'])} {line['unit']}, "
                    f"{interval(line['value'], line['low'], line['high'])}"
                    for line in lines.to_dict("records")
                )
                draw = partial(methods.plot_methods, lines, methods=names, limits=limits)
                panels.append(Panel(title, "; ".join(shown), methods.HEIGHT_INCHES, draw, legend=True))
        name = "mean over targets that every method has" if target == differences.OVERALL else target
        yield PanelGroup(f"{name}, encoder {encoder}; seen in {mix}", panels, columns=3)


_METHOD_PANELS = {"rare_seen": "rare, seen", "rare_unseen": "rare, unseen", "english": "English"}


def _shots(frame: pd.DataFrame) -> Iterator[PanelGroup]:
    for (encoder,), part in _parts(frame, "encoder"):
        panels = []
        for (task, metric), lines in part.groupby(["task", "metric"], sort=False):
            shown = (
                f"{line['start']}, {line['group']}, {line['shots']:.0f}: {line['score']:.1f}"
                for line in lines.to_dict("records")
            )
            draw = partial(methods.plot_shots, lines)
            panels.append(Panel(f"{task} ({metric})", "; ".join(shown), methods.HEIGHT_INCHES, draw, legend=True))
        yield PanelGroup(f"encoder {encoder}", panels)


def _parts(frame: pd.DataFrame, *keys: str) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    yield from frame.groupby(list(keys), sort=False) if len(frame) else ()


def _comparison(results: ExperimentResults, encoder: str, mix: str) -> str:
    return f"{mix} against {results.design.against}, encoder {encoder}"


def _write_reason(reason: str, ax: Axes) -> Axes:
    ax.set_axis_off()
    ax.text(0, 0.5, reason, transform=ax.transAxes, va="center")
    return ax
