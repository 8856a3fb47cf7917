"""The report: results as one page that needs no network, as figures and tables for papers, and models to hand on."""

from __future__ import annotations

from pathlib import Path

from intermezzo.analysis.design import Design
from intermezzo.core.artifacts import write_text


def build(design: Design, scores: Path, results: Path, out: Path, figures: Path, tables: Path) -> None:
    """Write the page `out`, every figure to `figures` (SVG, PDF) and every table to `tables` (TSV, Markdown, LaTeX).

    design: what was asked for. scores: scores.parquet. results: the folder with answer.md and the models'
    manifests, logs and allocations. Equal results give equal bytes. Raises UserError, before anything is written, for
    scores that are not those of the design, a missing answer, and broken manifests or logs.
    """
    from intermezzo.report import figures as drawn
    from intermezzo.report import page
    from intermezzo.report import tables as tabled
    from intermezzo.report.experiment import Experiment

    experiment = Experiment(design, scores, results)
    made = drawn.Tables.of(experiment)
    shown = drawn.figures(experiment, made)
    html = page.render(experiment, made, shown)
    for figure in shown:
        drawn.write(figure, figures)
    for table in tabled.tables(experiment, made):
        tabled.write(table, tables)
    write_text(out, html)
