"""The last stage: result files in, `scores.parquet`, `summary.tsv` and `answer.md` out; `question.json` is kept."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from pathlib import Path

import pandas as pd

from intermezzo.analysis import answer as answers
from intermezzo.analysis import record
from intermezzo.analysis import scores as tidy
from intermezzo.analysis import summary as summaries
from intermezzo.analysis.design import Design
from intermezzo.analysis.families import Families
from intermezzo.analysis.items import Items
from intermezzo.analysis.mix_shares import shortfalls
from intermezzo.analysis.pairing import Comparisons
from intermezzo.core import leakage as leakages
from intermezzo.core.artifacts import write_text

log = logging.getLogger(__name__)


def summarize(
    design: Design,
    result_paths: Iterable[str | Path],
    development_paths: Iterable[str | Path],
    scores: str | Path,
    summary: str | Path,
    answer: str | Path,
    *,
    question: str | Path | None = None,
    asked: Collection[str] = (),
    results: Path | None = None,
    leakage: Path | None = None,
) -> None:
    """Check that the results are exactly those that the design asks for, and write the three files.

    development_paths: results on development data, on which the best intermediate of each target is chosen, if any.
    question: the record of the question and of earlier looks at results (see `record`), which is read and written;
    None: there is none. asked: digests of the questions that results were made under (`scores.verify`). results: the
    folder of all results, for the scores of single test items and for what the mixes had. leakage: the table of rows
    that are in training data (`sources.overlap`). Raises UserError, before anything is written, for results that are
    missing, doubled, broken or not asked for.
    Equal results give equal bytes: nothing depends on time, machine or the order of the files.
    """
    frame = tidy.read(result_paths, design)
    development = tidy.read(development_paths, design.on_development()).assign(split="dev")
    outputs = (Path(scores), Path(summary), Path(answer))
    notes = answers.Notes(shortfalls(results, design) if results else [], leakages.read(leakage) if leakage else [])
    _write(design, frame, development, outputs, question, results, notes, asked)


def analyse(table: Path, design: Design, folder: Path) -> None:
    """The same for scores that another program may have made: `scores.read_table` says what the table has.

    Writes scores.parquet, summary.tsv, answer.md and the record of the question into `folder`. Raises UserError, before
    anything is written, for a table that is not what the design asks for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    outputs = (folder / "scores.parquet", folder / "summary.tsv", folder / "answer.md")
    _write(design, tidy.read_table(table, design), pd.DataFrame(), outputs, folder / record.NAME, None, answers.Notes())


def _write(
    design: Design,
    frame: pd.DataFrame,
    development: pd.DataFrame,
    outputs: tuple[Path, Path, Path],
    question: str | Path | None,
    results: Path | None,
    notes: answers.Notes,
    asked: Collection[str] = (),
) -> None:
    scores, summary, answer = outputs
    comparisons = Comparisons(frame, design, Items(design, results))
    past, content = record.history(Path(question) if question else None, Families(comparisons), asked)
    families = Families(comparisons, past.looks)
    text = answers.text(families, None if development.empty else development, past, notes)
    table = summaries.table(families)
    tidy.write(frame, scores)
    if question:
        record.write(Path(question), content)
    summaries.write(table, summary)
    write_text(answer, text)
    for shortfall in notes.shortfalls:
        log.warning("%s", shortfall)
    for verdict in answers.verdicts(text):
        log.info("%s", verdict)
