"""The source `world`: rows of a task, made by the embedded world."""

from __future__ import annotations

from typing import Any

from intermezzo.core.errors import UserError
from intermezzo.specs.data import WorldData
from intermezzo.tasks import Task, load_task
from intermezzo.tasks.formats import FROM_DATA
from intermezzo.world import build

Row = dict[str, Any]


def read(spec: WorldData) -> list[Row]:
    """Rows of a task in one language and split of the world that `spec.world` describes.

    Labels are renamed as `sources.world.map` of the task says. Of the split `candidates`, `rows` counts the queries
    that are to be answered from it. Raises UserError for a task without a generator, for settings, languages or
    splits that do not exist, and for a label that the task does not have.
    """
    task = load_task(spec.task)
    if task.sources.world is None:
        raise UserError(f"task '{task.name}': the embedded world makes no data for it (sources.world is missing)")
    world = build(spec.world.model_dump())
    rows = world.rows(task.sources.world.generator, spec.language, spec.split, spec.rows)
    return labelled(task, rows)


def labelled(task: Task, rows: list[Row]) -> list[Row]:
    """Rows with the world's labels renamed as the task calls them; UserError for a label that it does not have."""
    names = task.sources.world.map
    labels = {label for row in rows for label in task.form.labels_of(row)}
    strange = sorted(
        label for label in labels if task.labels != FROM_DATA and names.get(label, label) not in task.labels
    )
    if strange:
        raise UserError(
            f"task '{task.name}': the embedded world's label '{strange[0]}' "
            + (f"is mapped to '{names[strange[0]]}', which " if strange[0] in names else "")
            + f"is not one of the task's labels ({', '.join(task.labels)}); "
            f"name one of them for it in sources.world.map of the task's file"
        )
    return [task.form.renamed(row, names) for row in rows] if names else rows
