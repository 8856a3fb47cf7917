"""What can be said of an experiment before its first job: local files that are missing, and remarks.

Every command on an experiment, and the Snakefile, look at it here, so that all say the same.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from intermezzo.config import listed, load, merge, parse, read
from intermezzo.config.checks.data import BRACES, data_root
from intermezzo.config.load import DEFAULT
from intermezzo.config.models import Config
from intermezzo.config.remarks import remarks
from intermezzo.core.environment import settle
from intermezzo.core.errors import UserError
from intermezzo.core.places import PROJECT
from intermezzo.core.terminal import ERROR, WARNING, say
from intermezzo.dag.experiment import Grid
from intermezzo.dag.inputs import Inputs, matching
from intermezzo.tasks import task_file

_NAMED = 3
"""Missing files of a task that a message names."""


def load_experiment(overlays: Sequence[str | Path]) -> Config:
    """The configuration of an experiment whose jobs can start. Raises UserError with every problem."""
    config = load(*overlays)
    check(Grid(config))
    return config


def grid_of_workflow(
    raw: Mapping[str, Any],
    files: Iterable[str | Path],
    *,
    imported: bool = False,
    moved: bool = False,
    staged: bool,
    plans: bool,
) -> Grid:
    """The grid of a Snakefile's `config`; a bad one ends the program with its message alone.

    files: those of the command line that `raw` was read from, where Snakemake overlooks keys that are given twice.
    imported: whether another workflow imports this one (`module`); `raw`, its section for it, is merged over the
    default. moved: whether it gives files another place, which is refused: jobs name them by their paths. staged: see
    `Grid`. plans: whether this process plans the run, and so says what is wrong; jobs on a cluster read the Snakefile,
    too. Jobs inherit this process's interpreter, package and settings, so that what runs is what was fingerprinted.
    """
    settle(threads=1)
    for variable, folder in (("PATH", Path(sys.executable).parent), ("PYTHONPATH", Path(__file__).parents[2])):
        os.environ[variable] = os.pathsep.join(filter(None, [str(folder), os.environ.get(variable)]))
    try:
        if moved:
            raise UserError(
                "module: prefix and replace_prefix are not supported, as jobs name files by their paths in results/; "
                "leave them out, and choose the folder of the run with snakemake --directory"
            )
        if imported:
            raw = merge(read(DEFAULT), raw if isinstance(raw, Mapping) else {"config": raw})
        if plans:
            for path in files:
                read(path)
        grid = Grid(parse(raw), staged=staged)
        if plans:
            check(grid)
        return grid
    except UserError as error:
        say(f"error: {error}", ERROR)
        raise SystemExit(2) from None


def print_remarks(config: Config, others: Iterable[str] = ()) -> None:
    """Print what is most likely not meant, and other warnings."""
    for line in (*others, *remarks(config)):
        say(f"warning: {line}", WARNING)


def check(grid: Grid) -> None:
    """Raise UserError if jobs could not start, for the project's path or files that are not below `data.root`."""
    if "{" in str(PROJECT):
        raise UserError(f"the project's folder {PROJECT}: {BRACES}")
    if problems := missing_files(grid):
        raise UserError(listed(problems))


def missing_files(grid: Grid) -> list[str]:
    """A line for each task of which the experiment reads files that are not below `data.root`."""
    lines = []
    for task, names in absent_files(grid).items():
        shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        mend = f"put the data of task '{task}' there, or leave it out"
        lines.append(f"data.root: {data_root(grid.config)} has no {shown} ({task_file(task)}); {mend}")
    return lines


def absent_files(grid: Grid) -> dict[str, list[str]]:
    """Task -> files, or patterns of files, that the experiment reads and that are not below `data.root`."""
    root = data_root(grid.config)
    if root is None:
        return {}
    absent: dict[str, list[str]] = {}
    inputs = Inputs(grid)
    for path in inputs.data_paths():
        source, task, language, split = Path(path).with_suffix("").parts[-4:]
        if source not in ("files", "translated"):
            continue
        keys = SimpleNamespace(source=source, task=task, language=language, split=split)
        patterns = [str(part["path"]) for part in inputs.parts(keys) if "path" in part]
        absent.setdefault(task, []).extend(name for name in patterns if not matching(root, name))
    return {task: list(dict.fromkeys(names)) for task, names in absent.items() if names}
