"""What the mixes really had: shares of languages that were asked for and used, from the models' allocation.tsv.

A language with too few rows gives all that it has, and the others share the rest. So a mix can be far from its name: a
quarter of rare languages asked for, a twentieth had.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from intermezzo.analysis.design import BASELINE, Design
from intermezzo.core.errors import UserError

TOLERANCE = 0.01
"""A share of the examples that is missing is said from here on."""


class Shortfall(NamedTuple):
    """A mix of an intermediate that got fewer examples in other languages than English than it asked for."""

    intermediate: str
    mix: str
    asked: int
    used: int
    total: int
    """Examples of the whole mix, English included."""
    languages: tuple[str, ...]
    """The languages that fell short."""

    def __str__(self) -> str:
        return (
            f"mix `{self.mix}` of intermediate `{self.intermediate}` asks for {_percent(self.asked, self.total)} of "
            f"its examples in other languages than English and has {_percent(self.used, self.total)} ({self.used} of "
            f"{self.asked}; {', '.join(self.languages)} had too few rows, and others took their place)"
        )


def shortfalls(results: Path, design: Design) -> list[Shortfall]:
    """The mixes that fell short, of intermediates that are no controls; each once, from the first model that there is.

    results: the folder of the models. A model without allocation.tsv tells nothing. Raises UserError for a broken one.
    """
    design, short = design.without_controls(), []
    for intermediate, mix in design.trained():
        folders = [
            results / "intermediate" / encoder / intermediate / mix / f"seed{seed}"
            for encoder in design.encoders
            for seed in design.seeds
        ]
        path = next((path for folder in folders if (path := folder / "allocation.tsv").is_file()), None)
        if path is not None and intermediate != BASELINE:
            short += _shortfall(path, intermediate, mix, design)
    return short


def _shortfall(path: Path, intermediate: str, mix: str, design: Design) -> Iterator[Shortfall]:
    asked: dict[str, int] = {}
    used: dict[str, int] = {}
    tasks = design.intermediates[intermediate].tasks
    try:
        with open(path, encoding="utf-8", newline="") as lines:
            for line in csv.DictReader(lines, delimiter="\t"):
                if line["task"] in tasks:  # not text of continued masked language modelling
                    asked[line["language"]] = asked.get(line["language"], 0) + int(line["asked"])
                    used[line["language"]] = used.get(line["language"], 0) + int(line["examples"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not an allocation ({error!r}); delete the model's folder and run again") from None
    others = [code for code in asked if code != design.english]
    total, wanted, had = sum(used.values()), sum(asked[code] for code in others), sum(used[code] for code in others)
    missing = tuple(sorted(code for code in others if used[code] < asked[code]))
    lacking = sum(asked[code] - used[code] for code in missing)
    if total and lacking > TOLERANCE * total:
        yield Shortfall(intermediate, mix, wanted, had, total, missing)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %"
