"""Which rows a run trains on: the mix's examples of every task, drawn from each language in a seeded order.

A language's rows are a prefix of one order that depends on seed, task and language alone. So a mix's English rows are
among those of English-only training, and two mixes share what they can.
"""

from __future__ import annotations

import logging
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from intermezzo.core.errors import UserError
from intermezzo.mixing import LanguageAllocation, allocate_tasks, shares, shortfall
from intermezzo.specs.finetuning import FinetuneSpec, TrainedTask
from intermezzo.specs.mixes import MATCHED, MixSettings
from intermezzo.tasks.controls import shuffle_labels

log = logging.getLogger(__name__)
Row = dict[str, Any]
Allocation = dict[str, dict[str, LanguageAllocation]]
"""task -> language -> what it gives."""


def select(spec: FinetuneSpec, data: dict[str, Path]) -> tuple[dict[str, list[Row]], Allocation]:
    """The rows of each task of `spec`, and how the languages share them.

    data: "task/language" -> Parquet. The tasks of a mix are allocated together; text of continued masked language
    modelling, and tasks in turn, by themselves; few-shot examples come on top. Shuffled labels are shuffled before rows
    are repeated. Languages that fall short of what the mix asks are logged. Raises UserError when there are too few
    rows.
    """
    files = {task.name: _files(task, data) for task in spec.tasks}
    supply = {name: {code: _rows(path) for code, path in paths.items()} for name, paths in files.items()}
    mixed = [task for task in spec.tasks if task.name not in spec.continued_mlm]
    groups = [([task], MATCHED) for task in spec.tasks if task.name in spec.continued_mlm]
    groups += [([task], spec.mix) for task in mixed] if spec.sampling == "in_turn" else [(mixed, spec.mix)]
    allocation: Allocation = {}
    for tasks, mix in groups:
        allocation |= allocate_tasks(
            {task.name: task.examples for task in tasks},
            {task.name: _shares(task, supply[task.name], mix) for task in tasks},
            {task.name: supply[task.name] for task in tasks},
            budget=mix.budget,
            repeats=mix.repeats,
        )
    for task in spec.tasks:
        allocation[task.name] |= {code: _few(task.name, code, n, supply) for code, n in task.shots.items()}
    if lacking := shortfall({task.name: allocation[task.name] for task in mixed}):
        log.warning("the mix %s", lacking)
    rows = {task.name: _draw(task, files[task.name], allocation[task.name], spec.seed) for task in spec.tasks}
    return rows, allocation


def table(allocation: Allocation) -> str:
    """The allocation as tab-separated text, a line per task and language."""
    lines: list[tuple[object, ...]] = [("task", "language", *LanguageAllocation._fields)]
    lines += [(task, code, *cell) for task, cells in allocation.items() for code, cell in cells.items()]
    return "".join("\t".join(map(str, line)) + "\n" for line in lines)


def _files(task: TrainedTask, data: dict[str, Path]) -> dict[str, Path]:
    """Language -> file, of the languages of a task that there is data in (a control may read English alone)."""
    codes = [*(code for portion in task.portions for code in portion.languages), *task.shots]
    return {code: data[name] for code in codes if (name := f"{task.name}/{code}") in data}


def _few(task: str, code: str, count: int, supply: dict[str, dict[str, int]]) -> LanguageAllocation:
    """Few-shot examples of a language; raises UserError where it has fewer."""
    available = supply[task].get(code, 0)
    if count > available:
        raise UserError(f"task '{task}': shots ask for {count} examples of '{code}', and there are {available}")
    return LanguageAllocation(0.0, count, count, count, available)


def _rows(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def _shares(task: TrainedTask, supply: dict[str, int], mix: MixSettings) -> dict[str, float]:
    """Shares by temperature need the supply of all; English repeated reads English alone, and has none."""
    return shares(task.portions, supply if mix.budget != "english_repeated" else None, mix.temperature)


def _draw(task: TrainedTask, files: dict[str, Path], cells: dict[str, LanguageAllocation], seed: int) -> list[Row]:
    """The rows of one task, language after language, each drawn in an order that depends on seed, task and language."""
    rows: list[Row] = []
    order: list[np.ndarray] = []
    for code, cell in cells.items():
        random = np.random.default_rng([seed, zlib.crc32(f"{task.name}/{code}".encode())])
        chosen = random.permutation(cell.supply)[: cell.rows]
        order.append(np.resize(np.arange(len(rows), len(rows) + len(chosen)), cell.examples))
        if len(chosen):
            rows += pq.read_table(files[code]).take(chosen).to_pylist()
    if task.shuffle_labels:
        rows = shuffle_labels(rows, task.format, seed)
    return [rows[i] for i in np.concatenate(order)]
