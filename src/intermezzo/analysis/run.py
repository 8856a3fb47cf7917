"""The last stage: result files in, `scores.parquet`, `summary.tsv` and `answer.md` out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from intermezzo.analysis import answer as answers
from intermezzo.analysis import scores as tidy
from intermezzo.analysis import summary as summaries
from intermezzo.analysis.design import Design
from intermezzo.analysis.pairing import Comparisons
from intermezzo.core.artifacts import write_text


def summarize(
    design: Design,
    result_paths: Iterable[str | Path],
    development_paths: Iterable[str | Path],
    scores: str | Path,
    summary: str | Path,
    answer: str | Path,
) -> None:
    """Check that the results are exactly those that the design asks for, and write the three files.

    development_paths: results on development data, on which the best intermediate of each target is chosen, if any.
    Raises UserError, before anything is written, for results that are missing, doubled, broken or not asked for.
    Equal results give equal bytes: nothing depends on time, machine or the order of the files.
    """
    frame = tidy.read(result_paths, design)
    development = tidy.read(development_paths, design.on_development()).assign(split="dev")
    comparisons = Comparisons(frame, design)
    tidy.write(frame, scores)
    summaries.write(summaries.table(comparisons), summary)
    write_text(answer, answers.text(comparisons, None if development.empty else development))
