"""The embedded world as translator: the meaning of each row, said in another language."""

from __future__ import annotations

from typing import Any

from intermezzo.sources.world import labelled
from intermezzo.specs.translation import WorldTranslation
from intermezzo.tasks import Task
from intermezzo.world import build

Row = dict[str, Any]


def translate(rows: list[Row], task: Task, spec: WorldTranslation) -> list[Row]:
    """Every row, with `spec.noise` of its content words wrong; labels and answers stay right."""
    return labelled(task, build(spec.world.model_dump()).translate(rows, spec.into, spec.noise, spec.source))
