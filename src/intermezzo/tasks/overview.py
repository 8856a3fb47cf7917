"""The catalogue as a Markdown table, for docs/catalogue.md."""

from __future__ import annotations

from intermezzo.core.markdown import table
from intermezzo.tasks import Task, load_task, task_names

_HEAD = ("task", "format", "metrics", "languages", "trained on", "sources", "protocols")


def markdown() -> str:
    """One line per task of the catalogue, by name."""
    return table(_HEAD, [_row(load_task(name)) for name in task_names()]) + "\n"


def sources_of(task: Task) -> list[str]:
    """The sections that say where a task's examples come from."""
    return [name for name in ("world", "files", "hub", "url", "translated") if getattr(task.sources, name)]


def _row(task: Task) -> tuple[str, ...]:
    published = {language for source in ("files", "hub") for language in task.sources.parts(source)} - {"mul"}
    trained = ", then ".join(task.protocol.train) or ("itself" if task.metrics else "")
    protocols = dict.fromkeys([*task.protocol.settings, *task.protocol.retrieval])
    return (
        f"`{task.name}`",
        task.format,
        ", ".join(task.metrics),
        str(len(published) or "world's"),
        trained if task.form.trained else "",
        ", ".join(sources_of(task)),
        ", ".join(protocols),
    )
