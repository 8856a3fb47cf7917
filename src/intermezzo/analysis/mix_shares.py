"""What the mixes really had: examples that were asked for and used, from the models' allocation.tsv.

A language with too few rows gives all that it has, and the others share the rest. So a mix can be far from its name: a
quarter of rare languages asked for, a twentieth had.
"""

from __future__ import annotations

import csv
from pathlib import Path

from intermezzo.analysis.design import BASELINE, Design
from intermezzo.core.errors import UserError
from intermezzo.mixing import LanguageAllocation, shortfall


def shortfalls(results: Path, design: Design) -> list[str]:
    """A sentence for each mix that fell short, of intermediates that are no controls, by the first model that there is.

    results: the folder of the models. A model without allocation.tsv tells nothing. Raises UserError for a broken one.
    """
    design, sentences = design.without_controls(), []
    for intermediate, mix in design.trained():
        folders = [
            results / "intermediate" / encoder / intermediate / mix / f"seed{seed}"
            for encoder in design.encoders
            for seed in design.seeds
        ]
        paths = [path for folder in folders if (path := folder / "allocation.tsv").is_file()]
        if paths and intermediate != BASELINE:
            tasks = design.intermediates[intermediate].tasks  # not text of continued masked language modelling
            if lacking := shortfall({task: cells for task, cells in _allocation(paths[0]).items() if task in tasks}):
                sentences.append(f"Mix `{mix}` of intermediate `{intermediate}` {lacking}.")
    return sentences


def _allocation(path: Path) -> dict[str, dict[str, LanguageAllocation]]:
    tasks: dict[str, dict[str, LanguageAllocation]] = {}
    try:
        with open(path, encoding="utf-8", newline="") as lines:
            for line in csv.DictReader(lines, delimiter="\t"):
                counts = [int(line[name]) for name in ("asked", "examples", "rows", "supply")]
                tasks.setdefault(line["task"], {})[line["language"]] = LanguageAllocation(
                    float(line["weight"]), *counts
                )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not an allocation ({error!r}); delete the model's folder and run again") from None
    return tasks
