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
    from intermezzo.report import figures as plotted
    from intermezzo.report import page
    from intermezzo.report import tables as tabulated
    from intermezzo.report.frames import Frames
    from intermezzo.report.results import ExperimentResults

    experiment = ExperimentResults(design, scores, results)
    frames = Frames.of(experiment)
    drawings = plotted.figures(experiment, frames)
    html = page.render(experiment, frames, drawings)
    for figure in drawings:
        plotted.write(figure, figures)
    for table in tabulated.tables(experiment, frames):
        tabulated.write(table, tables)
    write_text(out, html)
