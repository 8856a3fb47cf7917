"""Scores per language as Markdown: a table per target, with what a score must be held against in the rows below it.

A row is an encoder, an intermediate and its mix; a cell the mean over seeds in points and, with several seeds, their
standard deviation. Controls stand in the same table: the uninformed guess (majority), the same target without a part
of its input, with shuffled labels, and encoders without pretraining.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from intermezzo.core.errors import UserError

LABELS = ("encoder", "intermediate", "mix")


def tables(
    scores: Sequence[str | Path], main: Mapping[str, str], controls: Mapping[str, str], order: Sequence[str] = ()
) -> str:
    """Markdown for every target of `scores` (files scores.parquet, taken together).

    main: target -> the metric to show. controls: control target -> the target that it belongs to (nli_hypothesis ->
    nli); it gets no table of its own.
    order: languages in the order of the columns; others follow alphabetically.
    """
    for path in map(Path, scores):
        if not path.is_file():
            raise UserError(f"{path}: no such file; run the workflow first (snakemake --cores 8 results/summary.tsv)")
    frame = pd.concat([pq.read_table(path).to_pandas() for path in scores], ignore_index=True)
    own = [target for target in main if target not in controls]
    return "\n".join(_table(frame, target, main[target], controls, order) for target in own)


def _table(frame: pd.DataFrame, target: str, metric: str, controls: Mapping[str, str], order: Sequence[str]) -> str:
    of_target = frame[(frame["target"] == target) & (frame["metric"] == metric)]
    present = set(of_target["language"])
    languages = [code for code in order if code in present] + sorted(present - set(order))
    lines = [f"**{target}** ({metric}, points)", "", _line(["encoder", "intermediate", "mix", *languages])]
    lines.append(_line(["---"] * 3 + ["--:"] * len(languages)))
    for labels, part in of_target.groupby(list(LABELS), sort=False):
        lines.append(_line([*labels, *_cells(part, languages)]))
    for control in (name for name, whole in controls.items() if whole == target):
        part = frame[(frame["target"] == control) & (frame["metric"] == metric)]
        for labels, rows in part.groupby(list(LABELS), sort=False):
            lines.append(_line([f"{labels[0]} ({control})", *labels[1:], *_cells(rows, languages)]))
    guess = of_target.groupby("language")["majority"].first()
    lines.append(_line(["majority", "", "", *(f"{100 * guess[code]:.0f}" for code in languages)]))
    return "\n".join(lines) + "\n"


def _cells(part: pd.DataFrame, languages: Sequence[str]) -> list[str]:
    by_language = part.groupby("language")["value"]
    mean, spread, count = by_language.mean() * 100, by_language.std(ddof=1) * 100, by_language.count()
    return [
        "" if code not in mean else f"{mean[code]:.0f}" if count[code] == 1 else f"{mean[code]:.0f}±{spread[code]:.0f}"
        for code in languages
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
