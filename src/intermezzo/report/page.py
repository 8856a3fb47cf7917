"""The page: one HTML file without scripts that loads nothing, from the answer's text, the figures and the tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from intermezzo import __version__
from intermezzo.analysis.design import BASELINE
from intermezzo.core.markdown import LONG_TABLE
from intermezzo.core.numerals import count, duration, short_number, signed
from intermezzo.report import accounts, differences
from intermezzo.report.figures import PanelGroup, ReportFigure, overview
from intermezzo.report.frames import Frames
from intermezzo.report.palette import DARK, LIGHT, css
from intermezzo.report.plots.heatmap import Heatmap, cell_colours, colour_limit, heatmap_of
from intermezzo.report.results import ExperimentResults

TEMPLATES = Path(__file__).parent
MOST_PANELS = 120
"""Panels of a figure on the page; the files hold all."""
_OPEN_GROUPS = 3
"""A figure of at most so many groups of panels shows all; one of more shows the first and folds the others."""
MOST_ROWS = 1500
"""Rows of hashes on the page; the tables hold all."""
_OPEN_PARTS, _OPEN_COMPARISONS = 6, 4
"""An answer of at most so many parts shows all; a longer one so many comparisons."""
_FOLDED = re.compile(r"^<details><summary>([^\n]*)</summary>$(.*?)^</details>$", re.MULTILINE | re.DOTALL)
"""What `core.markdown.folded` writes."""


@dataclass(frozen=True)
class AnswerPart:
    """A part of the answer: its heading, and its text as HTML. folded: behind a heading to open."""

    heading: str
    html: Markup
    folded: bool = False


def render(results: ExperimentResults, frames: Frames, figures: list[ReportFigure]) -> str:
    """The whole page as HTML."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "breaking": _breaking,
        "signed": signed,
        "number": _number,
        "duration": _duration,
        "count": count,
        "short": lambda sha: sha[:16],
    }
    style = Markup((TEMPLATES / "page.css").read_text(encoding="utf-8"))
    lead, sections = answer(results.answer)
    return environment.get_template("page.html.jinja").render(
        style=style,
        light=Markup(css(LIGHT)),
        dark=Markup(css(DARK)),
        version=__version__,
        lead=lead,
        sections=sections,
        facts=facts(results),
        overview=_overview(overview(results, frames.groups)),
        figures=[_with_panels(figure) for figure in figures],
        heatmaps=_heatmaps(frames.baseline),
        colour_scale=", ".join(cell_colours(step / 10)[0] for step in range(-10, 11)),
        costs=_records(frames.costs),
        checkpoints=_checkpoints(results),
        data_files=_records(accounts.data_files(results).head(MOST_ROWS)),
        most_rows=MOST_ROWS,
    )


def answer(text: str) -> tuple[AnswerPart, list[AnswerPart]]:
    """The answer's Markdown as HTML: the text before its first part, and its parts (headings of the second level).

    Of many parts only the first comparisons of mixes (their headings begin with a mix) and the last part
    (limitations) are unfolded; long tables are folded.
    """
    lead, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    title, _, body = lead.removeprefix("# ").partition("\n")
    comparisons = [number for number, part in enumerate(parts) if part.startswith("`")]
    every = set(range(len(parts)))
    unfolded = {*comparisons[:_OPEN_COMPARISONS], len(parts) - 1} if len(parts) > _OPEN_PARTS else every
    sections = []
    for number, part in enumerate(parts):
        heading, _, words = part.partition("\n")
        sections.append(AnswerPart(_inline(heading), _html(words), number not in unfolded))
    return AnswerPart(_inline(title), _html(body)), sections


def _html(text: str) -> Markup:
    """Markdown to HTML: what the answer folds is folded, other tags are text; tables scroll, and long ones fold."""
    html, end = Markup(), 0
    for match in _FOLDED.finditer(text):
        summary, inner = _inline(match[1]), _rendered(match[2], folds=False)
        html += _rendered(text[end : match.start()]) + Markup(f"<details><summary>{summary}</summary>{inner}</details>")
        end = match.end()
    return html + _rendered(text[end:])


def _rendered(text: str, *, folds: bool = True) -> Markup:
    """folds: whether long tables are folded."""
    html = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    html = re.sub(r"<(/?)h([1-4])>", lambda tag: f"<{tag[1]}h{int(tag[2]) + 1}>" if tag[2] != "1" else tag[0], html)
    html = re.sub(r"<img\b[^>]*>", "", html)
    return Markup(re.sub(r"<table>.*?</table>", lambda match: _table(match[0], folds=folds), html, flags=re.DOTALL))


def _table(html: str, *, folds: bool) -> str:
    table, rows = html.replace("<th>", '<th scope="col">'), html.count("<tr>") - 1
    table = re.sub(r"<tr>\s*<td>(.*?)</td>", r'<tr><th scope="row">\1</th>', table)
    scrollable = f'<div class="scroll" tabindex="0" role="region" aria-label="table">{table}</div>'
    if rows <= LONG_TABLE or not folds:
        return scrollable
    return f"<details><summary>Table of {rows} rows</summary>{scrollable}</details>"


def _inline(text: str) -> Markup:
    return Markup(MarkdownIt("commonmark", {"html": False}).renderInline(text.strip()))


def facts(results: ExperimentResults) -> list[tuple[str, str]]:
    """(number, noun) of what the experiment has, controls apart."""
    design = results.design.without_controls()
    languages = {code for target in design.targets.values() for code in target.languages}
    trained = [pair for pair in design.trained() if pair[0] != BASELINE]
    intermediates, mixes = ({pair[part] for pair in trained} for part in (0, 1))
    counts = [
        (len(design.encoders), "encoder", "encoders"),
        (len(intermediates), "intermediate", "intermediates"),
        (len(mixes), "mix", "mixes"),
        (len(design.targets), "target", "targets"),
        (len(languages), "language", "languages"),
        (len(languages & design.rare), "of them rare", "of them rare"),
        (len(design.seeds), "seed", "seeds"),
    ]
    return [(str(number), noun if number == 1 else plural) for number, noun, plural in counts]


def _overview(groups: list[PanelGroup]) -> list[dict[str, Any]]:
    return [
        {"heading": group.heading, "svg": Markup(group.panels[0].inline(f"overview{number}"))}
        for number, group in enumerate(groups[:MOST_PANELS])
    ]


def _with_panels(figure: ReportFigure) -> dict[str, Any]:
    """A figure with its panels as SVG, as many as a page can take; the heat map is a table instead."""
    room, groups, dropped = MOST_PANELS, [], 0
    for number, group in enumerate(figure.groups if figure.name != "heatmap" else ()):
        panels = group.panels[:room]
        room, dropped = room - len(panels), dropped + len(group.panels) - len(panels)
        if panels:
            drawings = [Markup(panel.inline(f"{figure.name}{number}-{index}")) for index, panel in enumerate(panels)]
            heights = [panel.height + panel.frame for panel in panels]
            packed = max(heights) > 1.6 * min(heights)
            groups.append({"heading": group.heading, "panels": drawings, "packed": packed, "folded": False})
    for group in groups[1:] if len(groups) > _OPEN_GROUPS else ():
        group["folded"] = True
    caption = figure.caption + (f" {dropped} more panels are in figures/{figure.name}.pdf." if dropped else "")
    return {"name": figure.name, "title": figure.title, "caption": caption, "groups": groups}


def _heatmaps(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Per encoder the end of its colour scale (points), and a heat map per group of languages."""
    heatmaps = []
    for encoder, part in frame.groupby("encoder", sort=False) if len(frame) else ():
        limit = colour_limit(part)
        tables: list[tuple[str, Heatmap]] = [
            (differences.AVERAGED[group], heatmap_of(lines, limit))
            for group, lines in part.groupby("languages", sort=False)
        ]
        heatmaps.append({"encoder": encoder, "limit": limit, "tables": tables})
    return heatmaps


def _checkpoints(results: ExperimentResults) -> list[dict[str, Any]]:
    """Evaluated models in blocks of one encoder, intermediate and mix."""
    table = accounts.checkpoints(results).head(MOST_ROWS)
    keys = ["encoder", "intermediate", "mix"]
    return [
        dict(zip(keys, names, strict=True)) | {"rows": _records(part)}
        for names, part in table.groupby(keys, sort=False)
    ]


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _breaking(name: str) -> Markup:
    """A name that may break after its underscores."""
    return Markup("_<wbr>").join(name.split("_"))


def _number(value: float | None) -> str:
    return "–" if value is None else short_number(value)  # noqa: RUF001


def _duration(value: float | None) -> str:
    return "–" if value is None else duration(value)  # noqa: RUF001
