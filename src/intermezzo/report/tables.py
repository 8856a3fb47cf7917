"""The report's tables as files: TSV for programs, Markdown and LaTeX (booktabs) for texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from intermezzo.core import markdown
from intermezzo.core.artifacts import write_text
from intermezzo.report import accounts, differences
from intermezzo.report.frames import Frames
from intermezzo.report.results import ExperimentResults

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
_PAGE_ROWS = 45
"""Rows that fit on a page of a paper; a longer table breaks over pages."""


@dataclass(frozen=True)
class Table:
    """A table of the report. digits: decimals of a column of numbers, one by default."""

    name: str
    caption: str
    frame: pd.DataFrame
    digits: dict[str, int]


def tables(results: ExperimentResults, frames: Frames) -> list[Table]:
    """Every table, with its caption and the decimals of its columns."""
    share = {"weight": 4, "share": 4}
    return [
        Table("heatmap", "Differences from no intermediate training, points", _wide(frames.baseline), {}),
        Table("baseline", "The same with intervals, a line per cell", _marked(frames.baseline), {}),
        Table("rare", "Differences from English-only, per group of languages, points", frames.groups, {}),
        Table(
            "languages",
            "Differences from English-only, per language, points",
            frames.languages.drop(columns="per_intermediate", errors="ignore"),
            {},
        ),
        Table("allocation", "Training examples of every mix", frames.allocation, share),
        Table("costs", "Cost of the trainings", frames.costs, dict.fromkeys(("examples", "steps", "tokens"), 0)),
        Table("checkpoints", "Hashes of the models behind every number", accounts.checkpoints(results), {}),
        Table("data", "Hashes of the data files", accounts.data_files(results), {"rows": 0}),
    ]


def _wide(lines: pd.DataFrame) -> pd.DataFrame:
    """Targets as columns, named with their metric."""
    if not len(lines):
        return lines
    overall = lines["target"] == differences.OVERALL
    names = lines["target"].where(overall, lines["target"] + " (" + lines["metric"] + ")")
    keys = ["encoder", "languages", "intermediate", "mix"]
    columns = [*dict.fromkeys(names[~overall]), differences.OVERALL]
    wide = lines.assign(column=names).pivot(index=keys, columns="column", values="value")[columns]
    order = pd.MultiIndex.from_frame(lines[keys].drop_duplicates())
    return wide.reindex(order).reset_index().rename_axis(columns=None)


def _marked(lines: pd.DataFrame) -> pd.DataFrame:
    return lines.assign(control=lines["control"].map({True: "yes", False: ""})) if len(lines) else lines


def write(table: Table, folder: Path) -> None:
    """{name}.tsv, {name}.md and {name}.tex."""
    header = [str(column) for column in table.frame.columns] or ["nothing"]
    columns = [[_text(value, table.digits.get(str(name), 1)) for value in table.frame[name]] for name in table.frame]
    rows = [list(row) for row in zip(*columns, strict=True)]
    write_text(folder / f"{table.name}.tsv", "".join("\t".join(map(_flat, row)) + "\n" for row in [header, *rows]))
    numeric = [bool(rows) and all(_is_number(row[column]) for row in rows) for column in range(len(header))]
    write_text(folder / f"{table.name}.md", markdown_file(table.caption, header, rows, numeric))
    write_text(folder / f"{table.name}.tex", latex(table.caption, table.name, header, rows, numeric))


def markdown_file(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> str:
    """A GitHub table under its caption; numbers to the right."""
    cells = [[_flat(cell).replace("\\", "\\\\") for cell in row] for row in [header, *rows]]
    return f"{caption}\n\n{markdown.table(cells[0], cells[1:], numeric)}\n"


def latex(
    caption: str, label: str, header: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool]
) -> str:
    """A table with the rules of booktabs; over several pages (longtable) where it does not fit on one."""
    kinds = "".join("r" if right else "l" for right in numeric)
    head = " & ".join(map(escape_latex, header)) + r" \\"
    body = []
    for row in rows:
        cells = [_latex_number(cell) if right else escape_latex(cell) for cell, right in zip(row, numeric, strict=True)]
        line = " & ".join(cells) + r" \\"
        body.append("{}" + line if line.startswith(("[", "*")) else line)  # else an option of the line break above
    head_lines = [r"\toprule", head, r"\midrule"]
    caption_line, label_line = rf"\caption{{{escape_latex(caption)}}}", rf"\label{{tab:{label}}}"
    if len(rows) > _PAGE_ROWS:
        needs = r"% \usepackage{booktabs,longtable}"
        opening = [rf"\begin{{longtable}}{{{kinds}}}", caption_line, label_line + r" \\", *head_lines, r"\endhead"]
        closing = [r"\bottomrule", r"\end{longtable}"]
    else:
        needs = r"% \usepackage{booktabs}"
        opening = [r"\begin{table}", r"\centering", caption_line, label_line, rf"\begin{{tabular}}{{{kinds}}}"]
        opening += head_lines
        closing = [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join([needs, *opening, *body, *closing]) + "\n"


def escape_latex(text: str) -> str:
    """Text whose every character LaTeX prints as it stands."""
    return "".join(_LATEX.get(letter, letter) for letter in _flat(text))


def _latex_number(text: str) -> str:
    """A number with a minus sign, which in LaTeX's text is a hyphen."""
    return text.replace("-", "$-$")


def _text(value: object, digits: int) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        shown = f"{value:.{digits}f}"
        return shown.removeprefix("-") if not float(shown) else shown
    return str(value)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _is_number(text: str) -> bool:
    try:
        return text == "" or float(text) is not None
    except ValueError:
        return False
