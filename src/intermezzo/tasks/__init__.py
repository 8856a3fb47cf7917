"""The task registry: one YAML file per task in `resources/tasks/`, typed here, found by name.

A task is data. What a task *is* (format, labels, metrics, licences) is the same for every source; where its
examples come from is said per source: `world` (a generator of the embedded world) and `files` (published
files below `data.root`).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from intermezzo.errors import UserError, suggestion

RESOURCES = Path(__file__).resolve().parents[3] / "resources"
Format = Literal["classification", "multiple_choice", "tagging", "span", "retrieval", "mlm"]
TRAINED: frozenset[str] = frozenset({"classification", "multiple_choice", "tagging", "span"})
"""Formats that are fine-tuned with a head; retrieval is read off the encoder, mlm is text."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WorldSource(_Strict):
    """Examples made by the embedded world; every language and split exists."""

    generator: str = Field(description="Name of the generator in intermezzo.world.")


class FilesSource(_Strict):
    """Published files below `data.root`."""

    data: dict[str, dict[str, list[dict[str, Any]]]] = Field(
        description="language -> split -> parts, read in order; a part is {reader, path, **options of the reader}."
    )


class Sources(_Strict):
    world: WorldSource | None = None
    files: FilesSource | None = None


class Task(_Strict):
    """One task of the catalogue (a YAML file in resources/tasks)."""

    name: str
    description: str
    format: Format
    labels: tuple[str, ...] = Field(default=(), description="Closed label list of classification and tagging.")
    metrics: tuple[str, ...] = Field(default=(), description="Names in intermezzo.evaluation.metrics; main one first.")
    partial_input: str | None = Field(
        default=None, description="The field that the partial-input control removes (premise, question, context)."
    )
    licence: str = Field(min_length=3, description="Licence of each part; a task without one is refused.")
    citation: str = ""
    sources: Sources

    def languages(self, source: str, split: str) -> tuple[str, ...] | None:
        """Languages that have `split` in `source`, in the task file's order; None: every one of the source's."""
        if source == "world":
            return None if self.sources.world else ()
        if self.sources.files is None:
            return ()
        return tuple(lang for lang, splits in self.sources.files.data.items() if split in splits)


@cache
def task_names() -> tuple[str, ...]:
    """Names of all tasks of the catalogue, sorted."""
    return tuple(sorted(path.stem for path in (RESOURCES / "tasks").glob("*.yaml")))


@cache
def load_task(name: str) -> Task:
    """Read and check one task file.

    Raises UserError for an unknown name (with a suggestion) and for a file that does not fit the schema.
    """
    path = RESOURCES / "tasks" / f"{name}.yaml"
    if name not in task_names():
        raise UserError(f"unknown task '{name}'; {suggestion(name, task_names())}")
    try:
        return Task(name=name, **yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, TypeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: not a valid task file: {error}") from None
