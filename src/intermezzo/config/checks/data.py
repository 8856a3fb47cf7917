"""Where the data come from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from intermezzo.config.models import Config
from intermezzo.core.errors import suggestion
from intermezzo.core.places import locate, looked_up
from intermezzo.tasks import task_names

BRACES = "Snakemake takes braces in a path for wildcards; rename it without them"
ROOT_VARIABLE = "INTERMEZZO_REAL_DATA"


def data_root(config: Config) -> Path | None:
    """The folder of the published files: `data.root`, else the environment variable; None if neither is given."""
    root = config.data.root or os.environ.get(ROOT_VARIABLE)
    return Path(os.path.realpath(locate(root))) if root else None


def check_data(config: Config) -> Iterator[str]:
    """The folder of published files, and sources of single tasks."""
    for name in config.data.rows.tasks:
        if name not in task_names():
            yield f"data.rows.tasks: unknown task '{name}'; {suggestion(name, task_names())}"
    for name in config.data.sources:
        if name not in task_names():
            yield f"data.sources: unknown task '{name}'; {suggestion(name, task_names())}"
        elif config.data.source == "world":
            yield f"data.sources.{name}: the world's languages are not real ones; set data.source to files or hub"
    if "files" in (config.data.source, *config.data.sources.values()):
        try:
            root = data_root(config)
        except ValueError as error:
            yield f"data.root: {error}"
            return
        if root is None:
            tasks = ", ".join(task for task, source in config.data.sources.items() if source == "files")
            why = f"data.sources takes {tasks} from files, so " if tasks else ""
            mend = f", or take {tasks} out of the grid, of intermediates and of data.sources" if tasks else ""
            yield f"data.root: not set; {why}name the folder of the published files here or in {ROOT_VARIABLE}{mend}"
        elif not root.is_dir():
            origin = "" if config.data.root else f" (from {ROOT_VARIABLE})"
            places = looked_up(config.data.root or os.environ[ROOT_VARIABLE])
            yield f"data.root: no such folder: {places}{origin}; name the folder of the published files"
        elif "{" in str(root):
            yield f"data.root: {root}: {BRACES}"
