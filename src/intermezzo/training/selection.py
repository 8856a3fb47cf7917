"""Which rows a run trains on: the mix's examples of every task, drawn from each language in a seeded order.

A language's rows are a prefix of one order that depends on seed, task and language alone. So a mix's English rows are
among those of English-only training, and two mixes share what they can.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from intermezzo.core.errors import UserError
from intermezzo.mixing import ENGLISH, LanguageAllocation, allocate_tasks, in_rows, shares, shortfall
from intermezzo.specs.finetuning import FinetuneSpec, TrainedTask
from intermezzo.specs.mixes import MATCHED, MixSettings
from intermezzo.tasks.controls import shuffle_labels

log = logging.getLogger(__name__)
Row = dict[str, Any]
Lengths = Callable[[TrainedTask, list[Row]], list[int]]
"""Counts the tokens of each row of a task."""
Allocation = dict[str, dict[str, LanguageAllocation]]
"""task -> language -> what it gives."""


def select(
    spec: FinetuneSpec, data: dict[str, Path], lengths: Lengths | None = None
) -> tuple[dict[str, list[Row]], Allocation]:
    """The rows of each task of `spec`, and how the languages share them.

    lengths: counts tokens, which a mix needs whose unit they are.

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
        weights = {task.name: _shares(task, supply[task.name], mix) for task in tasks}
        if mix.unit == "tokens":
            assert lengths is not None
            allocation |= _by_tokens(spec, tasks, weights, files, lengths)
            continue
        allocation |= allocate_tasks(
            {task.name: task.examples for task in tasks},
            weights,
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


def _by_tokens(
    spec: FinetuneSpec,
    tasks: list[TrainedTask],
    weights: dict[str, dict[str, float]],
    files: dict[str, dict[str, Path]],
    lengths: Lengths,
) -> Allocation:
    """The allocation of a mix that divides tokens: the budget is the tokens of English-only training."""
    counted: dict[str, dict[str, list[int]]] = {}
    budgets: dict[str, int | None] = {}
    for task in tasks:
        counted[task.name] = {}
        for code, path in files[task.name].items():
            numbers = lengths(task, pq.read_table(path).to_pylist())
            counted[task.name][code] = [numbers[i] for i in _order(spec.seed, task.name, code, len(numbers))]
        english = counted[task.name].get(ENGLISH, [])
        if task.examples is not None and len(english) < task.examples:
            raise UserError(
                f"task '{task.name}': a budget in tokens is that of {task.examples} examples in '{ENGLISH}', which has "
                f"{len(english)} rows; lower `examples`, or write `unit: examples`"
            )
        budgets[task.name] = None if task.examples is None else sum(english[: task.examples])
        if spec.mix.budget == "english_repeated":
            counted[task.name] = {ENGLISH: english[: task.examples]}
    cells = allocate_tasks(
        budgets,
        weights,
        {name: {code: sum(numbers) for code, numbers in codes.items()} for name, codes in counted.items()},
        budget=spec.mix.budget,
        repeats=spec.mix.repeats,
    )
    return {
        name: {
            code: in_rows(cell, counted[name][code])._replace(supply=_rows(files[name][code]))
            for code, cell in codes.items()
        }
        for name, codes in cells.items()
    }


def _order(seed: int, task: str, code: str, rows: int) -> np.ndarray:
    """The order in which a language's rows are used, which depends on seed, task and language alone."""
    return np.random.default_rng([seed, zlib.crc32(f"{task}/{code}".encode())]).permutation(rows)


def table(allocation: Allocation) -> str:
    """The allocation as tab-separated text, a line per task and language; tokens where the mix divides them."""
    by_tokens = any(cell.tokens is not None for cells in allocation.values() for cell in cells.values())
    number = len(LanguageAllocation._fields) - (not by_tokens)
    lines: list[tuple[object, ...]] = [("task", "language", *LanguageAllocation._fields[:number])]
    for task, cells in allocation.items():
        lines += [
            (task, code, *("" if part is None else part for part in cell[:number])) for code, cell in cells.items()
        ]
    return "".join("\t".join(map(str, line)) + "\n" for line in lines)


def _files(task: TrainedTask, data: dict[str, Path]) -> dict[str, Path]:
    """Language -> file, of the languages of a task that there is data in (a control may read English alone)."""
    codes = [*(code for portion in task.portions for code in portion.languages), *task.shots]
    return {code: data[name] for code in codes if (name := f"{task.name}/{code}") in data}


def _few(task: str, code: str, count: int | None, supply: dict[str, dict[str, int]]) -> LanguageAllocation:
    """Few-shot examples of a language; raises UserError where it has fewer."""
    available = supply[task].get(code, 0)
    count = available if count is None else count
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
        chosen = _order(seed, task.name, code, cell.supply)[: cell.rows]
        order.append(np.resize(np.arange(len(rows), len(rows) + len(chosen)), cell.examples))
        if len(chosen):
            rows += pq.read_table(files[code]).take(chosen).to_pylist()
    if task.shuffle_labels:
        rows = shuffle_labels(rows, task.format, seed)
    return [rows[i] for i in np.concatenate(order)]
