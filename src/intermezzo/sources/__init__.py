"""Where examples come from: one `read(spec)` for every source, rows of the task's format out.

| source | examples |
|---|---|
| world | made by the embedded world (`intermezzo.world`), any number of them |
| files | published datasets below `data.root`, in the formats they are published in |
| hub | the same, downloaded: from the Hugging Face hub, or from the address they are published at |

An adapter is a module `intermezzo.sources.<source>` with a function `read(spec) -> rows`; it is imported when it
is asked for, so that a run on one source never loads the other's libraries.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from intermezzo.sources.sampling import Sample
from intermezzo.specs.data import DataSpec

Row = dict[str, Any]


def read(spec: DataSpec) -> list[Row]:
    """Rows of `spec.task` in `spec.language` and `spec.split`, at most `spec.rows` of them (None: all).

    What is kept of a larger set depends on the rows alone: the first ones of the world (which makes them in random
    order), and a sample by hashed id of published data (sorted by document, label or difficulty). Ids that are the same
    in every language therefore give parallel samples.

    Raises UserError for whatever the source finds wrong.
    """
    rows = import_module(f"intermezzo.sources.{spec.source}").read(spec)
    limit = spec.limit
    if limit is None or len(rows) <= limit:
        return rows
    return rows[:limit] if spec.source == "world" else sample(rows, limit)


def sample(rows: list[Row], size: int) -> list[Row]:
    """The `size` rows whose hashed id is smallest, in their old order."""
    smallest = Sample(size)
    smallest.add(rows)
    return smallest.rows()
