"""Which rows a run trains on: the mix's examples of every task, drawn from each language in a seeded order.

A language's rows are a prefix of one order that depends on seed, task and language alone. So a mix's English rows are
among those of English-only training, and two mixes share what they can.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from intermezzo.mixing import LanguageAllocation, allocate_tasks, shares
from intermezzo.tasks.controls import shuffle_labels

Allocation = dict[str, dict[str, LanguageAllocation]]
"""task -> language -> what it gives."""
_MATCHED = {"budget": "matched", "repeats": 1, "temperature": None}


def select(spec: dict[str, Any], data: dict[str, Path]) -> tuple[dict[str, list[dict]], Allocation]:
    """The rows of each task of `spec`, and how the languages share them.

    data: "task/language" -> Parquet. spec: seed, tasks (name, format, portions, examples, shuffle_labels) and mix
    (budget, repeats, temperature), whose tasks are allocated together; text that goes `beside` them, and tasks in turn,
    by themselves. Shuffled labels are shuffled before rows are repeated. Raises UserError when there are too few rows.
    """
    languages = {task["name"]: [code for _, _, codes in task["portions"] for code in codes] for task in spec["tasks"]}
    files = {name: {code: data.get(f"{name}/{code}") for code in codes} for name, codes in languages.items()}
    there = {name: {code: path for code, path in paths.items() if path} for name, paths in files.items()}
    supply = {name: {code: _rows(path) for code, path in paths.items()} for name, paths in there.items()}
    mix, beside = spec.get("mix") or _MATCHED, spec.get("beside") or {}
    together = [task for task in spec["tasks"] if task["name"] not in beside]
    groups = [([task], _MATCHED) for task in spec["tasks"] if task["name"] in beside]
    groups += [([task], mix) for task in together] if spec["sampling"] == "in_turn" else [(together, mix)]
    allocation: Allocation = {}
    for tasks, how in groups:
        allocation |= allocate_tasks(
            {task["name"]: task["examples"] for task in tasks},
            {task["name"]: _shares(task, supply[task["name"]], how) for task in tasks},
            {task["name"]: supply[task["name"]] for task in tasks},
            budget=how["budget"],
            repeats=how["repeats"],
        )
    return {task["name"]: _draw(task, there, allocation, spec["seed"]) for task in spec["tasks"]}, allocation


def table(allocation: Allocation) -> str:
    """The allocation as tab-separated text, a line per task and language."""
    lines = [("task", "language", *LanguageAllocation._fields)]
    lines += [(task, code, *cell) for task, cells in allocation.items() for code, cell in cells.items()]
    return "".join("\t".join(map(str, line)) + "\n" for line in lines)


def _rows(path: Path) -> int:
    return pq.read_metadata(path).num_rows


def _shares(task: dict[str, Any], supply: dict[str, int], how: dict[str, Any]) -> dict[str, float]:
    """Shares by temperature need the supply of all; English repeated reads English alone, and has none."""
    known = supply if how["budget"] != "english_repeated" else None
    return shares(task["portions"], known, how["temperature"])


def _draw(task: dict[str, Any], files: dict[str, dict[str, Path]], allocation: Allocation, seed: int) -> list[dict]:
    name = task["name"]
    rows: list[dict] = []
    order: list[np.ndarray] = []
    for code, cell in allocation[name].items():
        random = np.random.default_rng([seed, zlib.crc32(f"{name}/{code}".encode())])
        chosen = random.permutation(cell.supply)[: cell.rows]
        order.append(np.resize(np.arange(len(rows), len(rows) + len(chosen)), cell.examples))
        if len(chosen):
            rows += pq.read_table(files[name][code]).take(chosen).to_pylist()
    if task["shuffle_labels"]:
        rows = shuffle_labels(rows, task["format"], seed)
    return [rows[i] for i in np.concatenate(order)]
