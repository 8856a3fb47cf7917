"""The source `world`: rows of a task, made by the embedded world."""

from __future__ import annotations

from typing import Any

from intermezzo.core.errors import UserError
from intermezzo.specs.data import WorldData
from intermezzo.tasks import Task, load_task
from intermezzo.world import build

Row = dict[str, Any]
LABELS = {"classification": "label", "tagging": "tags"}
"""Format -> the column that holds labels."""


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
    column = LABELS.get(task.format)
    if column is None:
        return rows
    found = {label for row in rows for label in ([row[column]] if column == "label" else row[column])}
    strange = sorted(
        label for label in found if task.labels != "from_data" and names.get(label, label) not in task.labels
    )
    if strange:
        raise UserError(
            f"task '{task.name}': the embedded world's label '{strange[0]}' "
            + (f"is mapped to '{names[strange[0]]}', which " if strange[0] in names else "")
            + f"is not one of the task's labels ({', '.join(task.labels)}); "
            f"name one of them for it in sources.world.map of the task's file"
        )
    if not names:
        return rows
    if column == "label":
        return [row | {"label": names.get(row["label"], row["label"])} for row in rows]
    return [row | {"tags": [names.get(tag, tag) for tag in row["tags"]]} for row in rows]
