"""The page: one HTML file that loads nothing, from the answer's text, the figures and the tables.

Its first screen is the verdict and one figure that shows it; statistics are folded below. Tables are never cut: where
the page is too narrow for their columns, each row becomes a block. A small script searches the page; without it all is
there.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
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
from intermezzo.mixing import ENGLISH
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
_FOLDED = re.compile(r"^<details><summary>([^\n]*)</summary>$(.*?)^</details>$", re.MULTILINE | re.DOTALL)
"""What `core.markdown.folded` writes."""
_FEW_COLUMNS, _MANY_COLUMNS, _MOST_COLUMNS = 4, 7, 16
"""Up to so many columns a table is a table on a phone, on a tablet, on a desktop (classes w1 to w4 of page.css)."""
_MOST_CSV = 200_000
"""Bytes of a figure's data on the page; larger ones are in the tables alone."""


@dataclass(frozen=True)
class AnswerPart:
    """A part of the answer: its heading, and its text as HTML. folded: behind a heading to open.

    details: of the lead, what stands between the verdicts and the first part.
    """

    heading: str
    html: Markup
    folded: bool = False
    details: Markup = field(default_factory=Markup)


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
    names = language_names(results)
    lead, sections = answer(results.answer, names)
    data = {name: _csv(frame) for name, frame in frames.by_figure().items()}
    return environment.get_template("page.html.jinja").render(
        style=style,
        light=Markup(css(LIGHT)),
        dark=Markup(css(DARK)),
        version=__version__,
        lead=lead,
        sections=sections,
        names=Markup(json.dumps(names, ensure_ascii=False).replace("<", "\\u003c")),
        languages=_languages(results, names),
        columns=width_class,
        facts=facts(results),
        overview=_overview(overview(results, frames.groups)),
        figures=[_with_panels(figure) | {"csv": data.get(figure.name, "")} for figure in figures],
        heatmaps=_heatmaps(frames.baseline),
        colour_scale=", ".join(cell_colours(step / 10)[0] for step in range(-10, 11)),
        costs=_records(frames.costs),
        checkpoints=_checkpoints(results),
        data_files=_records(accounts.data_files(results).head(MOST_ROWS)),
        most_rows=MOST_ROWS,
    )


def answer(text: str, names: Mapping[str, str] | None = None) -> tuple[AnswerPart, list[AnswerPart]]:
    """The answer's Markdown as HTML: the text before its first part, and its parts (headings of the second level).

    The lead begins with the verdicts, the first paragraph or list. Of the parts only the last, the
    limitations, is unfolded; long tables are folded. names: of languages, by code.
    """
    lead, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    title, _, body = lead.removeprefix("# ").partition("\n")
    verdicts, _, details = body.strip().partition("\n\n")
    sections = []
    for number, part in enumerate(parts):
        heading, _, words = part.partition("\n")
        sections.append(AnswerPart(_inline(heading), _html(words, names), number < len(parts) - 1))
    return AnswerPart(_inline(title), _html(verdicts, names), details=_html(details, names)), sections


def _html(text: str, names: Mapping[str, str] | None = None) -> Markup:
    """Markdown to HTML: what the answer folds is folded, other tags are text, codes have their names."""
    html, end = Markup(), 0
    for match in _FOLDED.finditer(text):
        before, inner = _rendered(text[end : match.start()]), _rendered(match[2], folds=False)
        html += before + Markup(_folded(_inline(match[1]), inner))
        end = match.end()
    html += _rendered(text[end:])
    return Markup(_named(html, names)) if names else html


def _rendered(text: str, *, folds: bool = True) -> Markup:
    """Markdown to HTML: tags in it are text, tables fit the page. folds: whether long ones are folded."""
    html = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    html = re.sub(r"<(/?)h([1-4])>", lambda tag: f"<{tag[1]}h{int(tag[2]) + 1}>" if tag[2] != "1" else tag[0], html)
    html = re.sub(r"<img\b[^>]*>", "", html)
    return Markup(re.sub(r"<table>.*?</table>", lambda match: _table(match[0], folds=folds), html, flags=re.DOTALL))


def _table(html: str, *, folds: bool) -> str:
    """A table whose cells know their column, for pages that are too narrow for it."""
    heads = re.findall(r"<th>(.*?)</th>", html, flags=re.DOTALL)
    labels = [escape(re.sub(r"<[^>]+>", "", head)) for head in heads]
    rows = []
    for row in re.findall(r"<tr>(.*?)</tr>", html.partition("<tbody>")[2], flags=re.DOTALL):
        first, *cells = re.findall(r"<td>(.*?)</td>", row, flags=re.DOTALL)
        marked = (f'<td data-label="{label}">{cell}</td>' for label, cell in zip(labels[1:], cells, strict=False))
        rows.append(f'<tr><th scope="row">{first}</th>{"".join(marked)}</tr>')
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    kind = width_class(len(heads))
    table = f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return table if len(rows) <= LONG_TABLE or not folds else _folded(f"Table of {len(rows)} rows", table)


def _folded(summary: str, html: str) -> str:
    return f"<details><summary>{summary}</summary>{html}</details>"


def width_class(columns: int) -> str:
    """The class of a table with so many columns: from which width on it is a table, and not blocks."""
    return f"w{1 + sum(columns > most for most in (_FEW_COLUMNS, _MANY_COLUMNS, _MOST_COLUMNS))}"


def _named(html: str, names: Mapping[str, str]) -> str:
    """Language codes with their names, where nothing but codes stands: in a cell, or in brackets."""

    def cell(match: re.Match[str]) -> str:
        code = match[2]
        return f"{match[1]}{escape(names[code])} ({code}){match[3]}" if names.get(code, code) != code else match[0]

    def listed(match: re.Match[str]) -> str:
        codes = match[1].split(", ")
        if not all(code in names for code in codes):
            return match[0]
        marked = (f'<abbr title="{escape(names[code])}">{code}</abbr>' for code in codes)
        return f"({', '.join(marked)})"

    html = re.sub(r"\(([a-z][\w, ]*)\)", listed, html)
    return re.sub(r"(<t[dh][^>]*>)([a-z_A-Z]{2,12})(</t[dh]>)", cell, html)


def language_names(results: ExperimentResults) -> dict[str, str]:
    """Code -> name of every language that is evaluated."""
    codes = dict.fromkeys(code for target in results.design.targets.values() for code in target.languages)
    return {code: results.language_name(code) for code in codes}


def _languages(results: ExperimentResults, names: Mapping[str, str]) -> list[dict[str, str]]:
    """What the table of languages says: code, name, family, group, targets that have it."""
    design = results.design.without_controls()
    rows = []
    for code, name in names.items():
        family = getattr(design.attributes.get(code), "family", None) or ""
        group = "English" if code == ENGLISH else "rare" if code in design.rare else "other"
        targets = [target for target, entry in design.targets.items() if code in entry.languages]
        rows.append({"code": code, "name": name, "family": family, "group": group, "targets": ", ".join(targets)})
    return rows


def _csv(frame: pd.DataFrame) -> str:
    """A frame as the address of a CSV file, for a link; empty for one that is too large for a page, or has no lines."""
    if frame.empty:
        return ""
    text = frame.drop(columns="per_intermediate", errors="ignore").to_csv(index=False, float_format="%.6g")
    return "" if len(text) > _MOST_CSV else f"data:text/csv;charset=utf-8;base64,{b64encode(text.encode()).decode()}"


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
    """Per encoder the end of its colour scale (points), and heat maps per group of languages."""
    heatmaps = []
    for encoder, part in frame.groupby("encoder", sort=False) if len(frame) else ():
        limit = colour_limit(part)
        tables: list[tuple[str, Heatmap]] = []
        for group, lines in part.groupby("languages", sort=False):
            name = differences.AVERAGED[group]
            pieces = heatmap_of(lines, limit).parts(_MOST_COLUMNS - 1)
            tables += zip([name] + [f"{name}, continued"] * (len(pieces) - 1), pieces, strict=True)
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
