"""Whether task files fit what the configuration and the world have: every problem as one line that names its file.

What a file says by itself (format, labels, metrics, fields) is checked when it is loaded (`intermezzo.tasks`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from intermezzo.config.sections.base import Section
from intermezzo.config.sections.targets import RetrievalConfig
from intermezzo.config.sections.training import Overrides
from intermezzo.core.errors import suggestion
from intermezzo.core.excerpt import excerpt
from intermezzo.tasks import CATALOGUE, PublishedSource, Task, load_task, task_file, task_names

LONGEST = 100
"""Characters of a task's name."""


def problems() -> Iterator[str]:
    """Problems of all task files. Generators are looked up for a user's own tasks alone: to load them takes time.

    Raises UserError for a file that cannot be loaded.
    """
    for name in task_names():
        path = task_file(name)
        for line in problems_of(load_task(name), generators=path.parent != CATALOGUE):
            yield f"{path}: {line}"


def problems_of(task: Task, *, generators: bool = True) -> Iterator[str]:
    """Problems of a task file, each beginning with its key. generators: whether the world's generator is looked up."""
    if len(task.name) > LONGEST or "{" in task.name:
        yield f"a task's file has a name of at most {LONGEST} characters without braces, as folders are called so"
    for section in ("files", "hub", "url", "translated"):
        yield from _parts(task, section)
    for protocol, values in task.protocol.settings.items():
        yield from _misfits(f"protocol.settings.{protocol}", Overrides, values)
    for protocol, values in task.protocol.retrieval.items():
        yield from _misfits(f"protocol.retrieval.{protocol}", RetrievalConfig, values)
    for name in task.protocol.train:
        if name not in task_names():
            yield f"protocol.train: unknown task '{name}'; {suggestion(name, task_names())}"
        elif load_task(name).format != task.format:
            yield f"protocol.train: '{name}' is {load_task(name).format}; tasks of format {task.format} are needed"
    if task.sources.world and generators:
        from intermezzo.world.generators import GENERATORS

        if (name := task.sources.world.generator) not in GENERATORS:
            yield f"sources.world.generator: unknown generator '{name}'; {suggestion(name, GENERATORS)}"


def _parts(task: Task, section: str) -> Iterator[str]:
    """What is wrong with the names of splits and files of one source."""
    source: PublishedSource | None = getattr(task.sources, section)
    for language, splits in (source.data if source else {}).items():
        key = f"sources.{section}.data.{language}"
        for split, parts in splits.items():
            if split not in (*task.form.splits, "candidates"):
                yield f"{key}: unknown split '{split}' of format {task.format}; {suggestion(split, task.form.splits)}"
            if not parts:
                yield f"{key}.{split}: the list is empty; name a part, or take the split out"
            for number, part in enumerate(parts):
                path = part.get("path", "")
                if not isinstance(path, str):
                    yield f"{key}.{split}.{number}.path: must be text; found {excerpt(path)} ({type(path).__name__})"
                elif "{" in path:
                    names = "{code}, {split} and {language}"
                    yield f"{key}.{split}.{number}.path: {path}: in braces there may be {names}, below `each`"


def _misfits(key: str, section: type[Section], values: Mapping[str, Any]) -> Iterator[str]:
    """What does not fit a section of the configuration."""
    try:
        section.model_validate(values)
    except ValidationError as error:
        for detail in error.errors():
            name, value = str(detail["loc"][0]), detail["input"]
            if detail["type"] == "extra_forbidden":
                yield f"{key}: unknown key '{name}'; {suggestion(name, section.model_fields)}"
            else:
                message = detail["msg"].replace("Input should be", "must be")
                yield f"{key}.{name}: {message}; found {excerpt(value)} ({type(value).__name__})"
