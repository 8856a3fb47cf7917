"""Scores per language as Markdown: a table per target, with its controls in the rows below.

A row is an encoder, an intermediate and its mix; a cell the mean over seeds in points and, with several seeds, their
standard deviation. Controls stand in the same table: the uninformed guess (majority), the same target without a part
of its input, with shuffled labels, and encoders without pretraining.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from intermezzo.core import markdown, provenance
from intermezzo.core.errors import UserError

LABELS = ("encoder", "intermediate", "mix")


def tables(
    scores: Sequence[str | Path], main: Mapping[str, str], controls: Mapping[str, str], order: Sequence[str] = ()
) -> str:
    """Markdown for every target of `scores` (files scores.parquet, concatenated).

    main: target -> the metric to show. controls: control target -> the target that it belongs to (nli_hypothesis ->
    nli); it gets no table of its own. order: languages in the order of the columns; others follow alphabetically.
    Raises UserError for a file that is missing or was changed.
    """
    for path in map(Path, scores):
        if not path.is_file():
            raise UserError(f"{path}: no such file; run the workflow first (snakemake --cores 8 results/summary.tsv)")
        provenance.check(path, path.with_name(provenance.SUMMARY))
    frame = pd.concat([pq.read_table(path).to_pandas() for path in scores], ignore_index=True)
    targets = [target for target in main if target not in controls]
    return "\n".join(_table(frame, target, main[target], controls, order) for target in targets)


def _table(frame: pd.DataFrame, target: str, metric: str, controls: Mapping[str, str], order: Sequence[str]) -> str:
    of_metric = frame[frame["metric"] == metric]
    of_target = of_metric[of_metric["target"] == target]
    present = set(of_target["language"])
    languages = [code for code in order if code in present] + sorted(present - set(order))
    rows = []
    for name in (target, *(control for control, whole in controls.items() if whole == target)):
        note = "" if name == target else f" ({name})"
        for labels, part in of_metric[of_metric["target"] == name].groupby(list(LABELS), sort=False):
            rows.append([f"{labels[0]}{note}", *labels[1:], *_cells(part, languages)])
    guess = of_target.groupby("language")["majority"].first()
    rows.append(["majority", "", "", *(f"{100 * guess[code]:.0f}" for code in languages)])
    right = [False] * len(LABELS) + [True] * len(languages)
    return f"**{target}** ({metric}, points)\n\n{markdown.table([*LABELS, *languages], rows, right)}\n"


def _cells(part: pd.DataFrame, languages: Sequence[str]) -> list[str]:
    by_language = part.groupby("language")["value"]
    mean, spread, count = by_language.mean() * 100, by_language.std(ddof=1) * 100, by_language.count()
    return [
        "" if code not in mean else f"{mean[code]:.0f}" if count[code] == 1 else f"{mean[code]:.0f}±{spread[code]:.0f}"
        for code in languages
    ]
