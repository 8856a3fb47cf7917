"""The source `world`: rows of a task, made by the embedded world."""

from __future__ import annotations

from typing import Any

from intermezzo.errors import UserError
from intermezzo.tasks import load_task
from intermezzo.world import build


def read(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows for `spec` = {task, language, split, rows, world}; `world` holds the settings of the world.

    Raises UserError for a task without a generator, and for settings, languages or splits that do not exist.
    """
    task = load_task(spec["task"])
    if task.sources.world is None:
        raise UserError(f"task '{task.name}': the embedded world makes no data for it (sources.world is missing)")
    world = build(spec.get("world"))
    return world.rows(task.sources.world.generator, spec["language"], spec["split"], spec.get("rows"))
