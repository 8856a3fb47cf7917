"""The six figures of the report: panels in plates, a plate per encoder and comparison, for the page and for files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from intermezzo.analysis.design import BASELINE
from intermezzo.report import accounts, charts, differences, heatmap
from intermezzo.report.axis import around_zero, short_number
from intermezzo.report.captions import CAPTIONS, MOST_CURVES, MOST_LANGUAGES, NOTHING, POINTS, TITLES
from intermezzo.report.experiment import Experiment, Model
from intermezzo.report.scene import Scene, write_pdf, write_svg

_MOST_POINTS = 80
_MARGIN = 24


@dataclass
class Plate:
    """Panels that belong together, under one heading. anchor: where the page has it."""

    heading: str
    panels: list[Scene]
    anchor: str = ""


@dataclass
class Figure:
    name: str
    title: str
    caption: str
    plates: list[Plate] = field(default_factory=list)


@dataclass
class Tables:
    """Every table that figures are drawn from, computed once."""

    baseline: pd.DataFrame
    groups: pd.DataFrame
    languages: pd.DataFrame
    allocation: pd.DataFrame
    costs: pd.DataFrame

    @classmethod
    def of(cls, experiment: Experiment) -> Tables:
        return cls(
            differences.against_baseline(experiment),
            differences.by_group(experiment),
            differences.by_language(experiment),
            accounts.allocation(experiment),
            accounts.costs(experiment),
        )


def figures(experiment: Experiment, tables: Tables) -> list[Figure]:
    """All figures, in the order of the page; a figure without data says why."""
    plates = {
        "rare": _forests(experiment, tables.groups),
        "heatmap": _heatmaps(tables.baseline),
        "languages": _dots(experiment, tables.languages),
        "learning": _curves(experiment),
        "allocation": _mixes(experiment, tables.allocation),
        "costs": _costs(tables.costs),
    }
    made = [Figure(name, TITLES[name], CAPTIONS[name], list(found)) for name, found in plates.items()]
    made[3].caption += _too_short(experiment)
    for figure in made:
        figure.plates = [plate for plate in figure.plates if plate.panels]
        if not figure.plates:
            figure.plates = [Plate("", [charts.nothing(figure.title, NOTHING[figure.name])])]
    return made


def write(figure: Figure, folder: Path) -> None:
    """{name}.svg with all plates below one another and {name}.pdf with a page for each."""
    sheets = [_sheet(plate) for plate in figure.plates]
    width, height = max(sheet.width for sheet in sheets), sum(sheet.height for sheet in sheets)
    whole, y = Scene(width, height, figure.title, figure.caption), 0.0
    for sheet in sheets:
        whole.place(sheet, 0, y)
        y += sheet.height
    write_svg(whole, folder / f"{figure.name}.svg")
    write_pdf(sheets, folder / f"{figure.name}.pdf")


def _sheet(plate: Plate, columns: int = 3) -> Scene:
    rows = [plate.panels[at : at + columns] for at in range(0, len(plate.panels), columns)]
    step = max(panel.width for panel in plate.panels) + _MARGIN
    heights = [max(panel.height for panel in row) + _MARGIN for row in rows]
    head = 40 if plate.heading else _MARGIN
    sheet = Scene(_MARGIN + step * min(columns, len(plate.panels)), head + sum(heights), plate.heading)
    sheet.text(_MARGIN, 26, plate.heading, 15, "ink", bold=True)
    for number, row in enumerate(rows):
        for column, panel in enumerate(row):
            sheet.place(panel, _MARGIN + step * column, head + sum(heights[:number]))
    return sheet


def _forests(experiment: Experiment, table: pd.DataFrame) -> Iterator[Plate]:
    for (encoder, mix), part in _parts(table, "encoder", "mix"):
        limits = _limits(part)
        panels = [
            charts.forest(_target(target), "", (experiment.design.english_mix, mix), _rows(rows), limits)
            for target, rows in part.groupby("target", sort=False)
        ]
        yield Plate(_against(experiment, encoder, mix), panels)


def glance(experiment: Experiment, table: pd.DataFrame) -> list[Plate]:
    """The answer as one panel per comparison, all on one scale: the mean over all targets."""
    whole = table[table["target"] == differences.OVERALL] if len(table) else table
    limits = _limits(whole, 4) if len(whole) else (0.0, 1.0)
    return [
        Plate(
            _against(experiment, encoder, mix),
            [charts.forest("Mean over all targets", "", (experiment.design.english_mix, mix), _rows(rows), limits)],
        )
        for (encoder, mix), rows in _parts(whole, "encoder", "mix")
    ]


def _heatmaps(table: pd.DataFrame) -> Iterator[Plate]:
    for (encoder,), part in _parts(table, "encoder"):
        limit = heatmap.limit_of(part)
        panels = [
            heatmap.draw(heatmap.grid(lines, limit), differences.AVERAGED[group].capitalize(), POINTS)
            for group, lines in part.groupby("languages", sort=False)
        ]
        yield from (Plate(f"encoder {encoder}", [panel]) for panel in panels)


def _dots(experiment: Experiment, table: pd.DataFrame) -> Iterator[Plate]:
    for (encoder, mix), part in _parts(table, "encoder", "mix"):
        limits = _limits(part)
        panels = [
            charts.languages(target, metric, (experiment.design.english_mix, mix), _rows(_chosen(rows)), limits)
            for (target, metric), rows in part.groupby(["target", "metric"], sort=False)
        ]
        yield Plate(_against(experiment, encoder, mix), panels)


def _chosen(rows: pd.DataFrame) -> pd.DataFrame:
    """At most `MOST_LANGUAGES` rows, rare languages first, in each group from the largest gain to the largest loss."""
    ranks = {group: rank for rank, group in enumerate(differences.GROUPS)}
    order = rows.assign(rank=rows["languages"].map(ranks))
    return order.sort_values(["rank", "value", "language"], ascending=[True, False, True]).head(MOST_LANGUAGES)


def _curves(experiment: Experiment) -> Iterator[Plate]:
    for encoder in experiment.design.encoders:
        models: dict[tuple[str, str], list[Model]] = {}
        for model in experiment.models:
            if model.encoder == encoder and len(model.curve) > 1:
                models.setdefault((model.phase, model.trained), []).append(model)
        panels = [_learning(experiment, phase, name, found) for (phase, name), found in models.items()]
        yield Plate(f"encoder {encoder}", panels)


def _too_short(experiment: Experiment) -> str:
    """Says which trainings were over before a second line of their log."""
    short = dict.fromkeys(f"{one.phase} {one.trained}" for one in experiment.models if len(one.curve) == 1)
    return f" Too short for one, in part or wholly: {', '.join(short)}." if short else ""


def _learning(experiment: Experiment, phase: str, name: str, models: list[Model]) -> Scene:
    if few := len(models) > MOST_CURVES:
        models = [model for model in models if model.seed == experiment.design.seeds[0]]
    lines = [charts.Curve(_mix_name(model), _series(experiment, model.mix), _thinned(model.curve)) for model in models]
    note = phase + (f", seed {experiment.design.seeds[0]} alone" if few else "")
    return charts.curves(name, note, sorted(lines, key=lambda line: (line.series is None, line.series or 0)))


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    step = -(-len(points) // _MOST_POINTS)
    return [*points[:-1:step], points[-1]]


def _mix_name(model: Model) -> str:
    return "baseline" if model.intermediate == BASELINE else model.mix or "text"


def _series(experiment: Experiment, mix: str) -> int | None:
    """The number of a mix among all: the English-only one first; None for what has no mix."""
    mixes = experiment.design.in_order(mix for name, mix in experiment.design.trained() if name != BASELINE)
    return mixes.index(mix) if mix in mixes else None


def _mixes(experiment: Experiment, table: pd.DataFrame) -> Iterator[Plate]:
    for (mix,), part in _parts(table, "mix"):
        panels = []
        for (task, names), lines in part.groupby(["task", "intermediates"], sort=False):
            shown, rest = lines.iloc[:MOST_LANGUAGES], lines.iloc[MOST_LANGUAGES:]
            bars = [
                (one["name"], one["examples"], _amount(one), _kind(experiment, one["language"])) for one in _rows(shown)
            ]
            if len(rest):
                sums = rest[["examples", "share", "rows"]].sum()
                bars.append((f"{len(rest)} others", sums["examples"], _amount(sums), "muted"))
            total = short_number(lines["examples"].sum())
            words = f"Training examples of task {task} in mix {mix}, by language; used by {names}."
            panels.append(charts.bars(task, f"{total} examples", bars, words))
        yield Plate(f"mix {mix}", panels)


def _amount(line: Mapping[str, Any]) -> str:
    """Examples, their share and, where rows are repeated, how often: 4500 (75 %) x3."""
    share, often = line["share"], line["examples"] / max(1, line["rows"])
    repeated = f" \N{MULTIPLICATION SIGN}{often:.2g}" if often > 1.005 else ""
    return f"{line['examples']:.0f} ({100 * share:.{0 if share >= 0.0995 else 1}f} %){repeated}"


def _kind(experiment: Experiment, language: str) -> str:
    if language == experiment.design.english:
        return "english"
    return "rare" if language in experiment.design.rare else "other"


def _costs(table: pd.DataFrame) -> Iterator[Plate]:
    for (encoder,), part in _parts(table.dropna(subset=["seconds"]), "encoder"):
        part = part.assign(mix=part["mix"].where(part["intermediate"] != BASELINE, "baseline"))
        times = part.groupby(["phase", "mix"], sort=False)["seconds"].sum()
        colours = {"pretraining": "muted", "intermediate": "series0", "target": "series2"}
        rows = [(f"{phase} {mix}".strip(), seconds, colours[phase]) for (phase, mix), seconds in times.items()]
        yield Plate(f"encoder {encoder}", [charts.seconds_bars("Training time", "all seeds", rows)])


def _parts(table: pd.DataFrame, *keys: str) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    yield from table.groupby(list(keys), sort=False) if len(table) else ()


def _rows(table: pd.DataFrame) -> list[dict]:
    return table.to_dict("records")


def _limits(table: pd.DataFrame, room: float = 1.5) -> tuple[float, float]:
    singles = [value for each in table.get("each", ()) for value in each]
    return around_zero(table["value"], [*table["low"], *table["high"]], singles, room)


def _target(name: str) -> str:
    return "Mean over all targets" if name == differences.OVERALL else name


def _against(experiment: Experiment, encoder: str, mix: str) -> str:
    return f"{mix} against {experiment.design.english_mix}, encoder {encoder}"
