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
from intermezzo.report import accounts, differences, heatmap
from intermezzo.report.axis import duration, short_number, signed
from intermezzo.report.experiment import Experiment
from intermezzo.report.figures import Figure, Plate, Tables, glance
from intermezzo.report.palette import DARK, LIGHT, css

TEMPLATES = Path(__file__).parent
MOST_PANELS = 120
"""Panels of a figure on the page; the files hold all."""
_PLATES = 3
"""Groups of panels up to which a figure shows all; of more it shows the first, the others when they are asked for."""
MOST_ROWS = 1500
"""Rows of hashes on the page; the tables hold all."""
_SECTIONS, _COMPARISONS = 6, 4
"""Parts of an answer that are all shown, and comparisons that are shown of a longer one."""
_LONG = 8
"""Rows of a table of the answer that are shown without being asked for."""


@dataclass(frozen=True)
class Section:
    """A part of the answer: its heading, and its text as HTML. folded: shown when it is asked for."""

    heading: str
    html: Markup
    folded: bool = False


def render(experiment: Experiment, tables: Tables, figures: list[Figure]) -> str:
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
        "short": lambda sha: sha[:16],
    }
    style = Markup((TEMPLATES / "page.css").read_text(encoding="utf-8"))
    lead, sections = answer(experiment.answer)
    return environment.get_template("page.html.jinja").render(
        style=style,
        light=Markup(css(LIGHT)),
        dark=Markup(css(DARK)),
        version=__version__,
        lead=lead,
        sections=sections,
        facts=_facts(experiment),
        glance=_glance(glance(experiment, tables.groups)),
        figures=[_shown(figure) for figure in figures],
        heatmaps=_heatmaps(tables.baseline),
        costs=_records(tables.costs),
        checkpoints=_checkpoints(experiment),
        data_files=_records(accounts.data_files(experiment).head(MOST_ROWS)),
        most_rows=MOST_ROWS,
    )


def answer(text: str) -> tuple[Section, list[Section]]:
    """The answer's Markdown: what stands before its first part, and its parts (headings of the second level).

    Of many parts only the first comparisons of mixes (their headings begin with a mix) and the last part (what the
    numbers cannot say) are unfolded; long tables are folded.
    """
    lead, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    title, _, body = lead.removeprefix("# ").partition("\n")
    comparisons = [number for number, part in enumerate(parts) if part.startswith("`")]
    shown = {*comparisons[:_COMPARISONS], len(parts) - 1} if len(parts) > _SECTIONS else set(range(len(parts)))
    sections = []
    for number, part in enumerate(parts):
        heading, _, words = part.partition("\n")
        sections.append(Section(_inline(heading), _html(words), number not in shown))
    return Section(_inline(title), _html(body)), sections


def _html(text: str) -> Markup:
    """Markdown to HTML: tags in it are text, tables can scroll, and long ones are folded."""
    found = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    found = re.sub(r"<(/?)h([1-4])>", lambda tag: f"<{tag[1]}h{int(tag[2]) + 1}>" if tag[2] != "1" else tag[0], found)
    found = re.sub(r"<img\b[^>]*>", "", found)
    return Markup(re.sub(r"<table>.*?</table>", _table, found, flags=re.DOTALL))


def _table(match: re.Match[str]) -> str:
    table, rows = match[0].replace("<th>", '<th scope="col">'), match[0].count("<tr>") - 1
    table = re.sub(r"<tr>\s*<td>(.*?)</td>", r'<tr><th scope="row">\1</th>', table)
    scrolled = f'<div class="scroll" tabindex="0" role="region" aria-label="table">{table}</div>'
    return scrolled if rows <= _LONG else f"<details><summary>Table of {rows} rows</summary>{scrolled}</details>"


def _inline(text: str) -> Markup:
    return Markup(MarkdownIt("commonmark", {"html": False}).renderInline(text.strip()))


def _facts(experiment: Experiment) -> list[tuple[str, str]]:
    design = experiment.design.without_controls()
    tested = {code for target in design.targets.values() for code in target.languages}
    mixes = dict.fromkeys(mix for name, mix in design.trained() if name != "none")
    return [
        (str(len(design.encoders)), "encoder" + "s" * (len(design.encoders) != 1)),
        (str(len(design.intermediates) - 1), "intermediates"),
        (str(len(mixes)), "mixes"),
        (str(len(design.targets)), "targets"),
        (str(len(tested)), "languages"),
        (str(len(tested & design.rare)), "of them rare"),
        (str(len(design.seeds)), "seed" + "s" * (len(design.seeds) != 1)),
    ]


def _glance(plates: list[Plate]) -> list[dict[str, Any]]:
    return [
        {"heading": plate.heading, "svg": Markup(plate.panels[0].svg(f"glance{number}", inline=True))}
        for number, plate in enumerate(plates[:MOST_PANELS])
    ]


def _shown(figure: Figure) -> dict[str, Any]:
    """A figure with its panels as SVG, as many as a page can take."""
    left, plates, dropped = MOST_PANELS, [], 0
    for number, plate in enumerate(figure.plates):
        chosen = plate.panels[:left]
        left, dropped = left - len(chosen), dropped + len(plate.panels) - len(chosen)
        drawn = [panel.svg(f"{figure.name}{number}-{at}", inline=True) for at, panel in enumerate(chosen)]
        if drawn:
            heights = [panel.height for panel in chosen]
            packed = max(heights) > 1.6 * min(heights)
            panels = [Markup(svg) for svg in drawn]
            plates.append({"heading": plate.heading, "panels": panels, "packed": packed, "folded": False})
    for plate in plates[1:] if len(plates) > _PLATES else ():
        plate["folded"] = True
    caption = figure.caption + (f" {dropped} more panels are in figures/{figure.name}.pdf." if dropped else "")
    return {"name": figure.name, "title": figure.title, "caption": caption, "plates": plates}


def _heatmaps(table: pd.DataFrame) -> list[dict[str, Any]]:
    found = []
    for encoder, part in table.groupby("encoder", sort=False) if len(table) else ():
        limit = heatmap.limit_of(part)
        grids = [
            (differences.AVERAGED[group], heatmap.grid(lines, limit))
            for group, lines in part.groupby("languages", sort=False)
        ]
        found.append({"encoder": encoder, "limit": limit, "grids": grids})
    return found


def _checkpoints(experiment: Experiment) -> list[dict[str, Any]]:
    """Evaluated models in blocks of one encoder, intermediate and mix."""
    table = accounts.checkpoints(experiment).head(MOST_ROWS)
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
