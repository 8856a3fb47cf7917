"""What several checks ask for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from intermezzo.config.models import Config
from intermezzo.core.errors import suggestion
from intermezzo.tasks import Task, load_task, task_names


def repeated(key: str, values: Sequence[Any]) -> Iterator[str]:
    """Values that a list has twice."""
    for value, number in Counter(values).items():
        if number > 1:
            yield f"{key}: {value!r} is listed more than once"


def unknown_languages(key: str, values: list[str], allowed: tuple[str, ...]) -> Iterator[str]:
    """Languages that are not among `allowed`."""
    for code in values:
        if code not in allowed:
            yield f"{key}: unknown language '{code}'; {suggestion(code, allowed)}"


def known_tasks(names: list[str]) -> list[Task]:
    """The tasks of these names, as far as there are any (another check names the others)."""
    return [load_task(name) for name in names if name in task_names()]


def trainable() -> list[str]:
    """Names of the tasks that an intermediate can be trained on."""
    return [name for name in task_names() if load_task(name).form.intermediate]


def evaluated() -> list[str]:
    """Names of the tasks that can be targets."""
    return [name for name in task_names() if load_task(name).metrics]


def source_of(config: Config, task: Task) -> str:
    """The source that the data of a task come from."""
    return config.data.source_of(task.name)


def target_mixes(config: Config) -> list[str]:
    """The mixes that targets are trained in."""
    return [mix for name in config.grid.targets if (mix := config.target(name).mix)]
