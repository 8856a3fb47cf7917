"""The task registry: one YAML file per task in `resources/tasks/`, typed here, found by name.

A task is data. What a task *is* (format, labels, metrics, protocol, licences) is the same for every source; where its
examples come from is said per source:

| source | its section in the task file |
|---|---|
| world | `world`: a generator of the embedded world |
| files | `files`: published files below `data.root` |
| hub | `hub`: files of a Hugging Face dataset repository; `url`: files that are published elsewhere alone |

Tasks of one's own go into `config/tasks/` of the working directory, in the same form.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from intermezzo.core.errors import UserError, suggestion
from intermezzo.tasks.formats import Format, format_names, load_format
from intermezzo.tasks.layout import Data, expand

RESOURCES = Path(__file__).resolve().parents[3] / "resources"
FOLDERS = (RESOURCES / "tasks", Path("config/tasks"))
"""Where task files lie: the catalogue, and the working directory's own."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WorldSource(_Strict):
    """Examples made by the embedded world; every language and split exists."""

    generator: str = Field(description="Name of the generator in intermezzo.world.")
    map: dict[str, str] = Field(default={}, description="World's label -> the task's label.")


class PublishedSource(_Strict):
    """Published files. `data` names their parts; `each` (see `intermezzo.tasks.layout`) is short for many of them."""

    data: Data = Field(description="language -> split -> parts, read in order; what a part is, its source says.")

    @model_validator(mode="before")
    @classmethod
    def _expanded(cls, value: Any) -> Any:
        return expand(value) if isinstance(value, dict) and "each" in value else value


class Sources(_Strict):
    world: WorldSource | None = None
    files: PublishedSource | None = None
    hub: PublishedSource | None = None
    url: PublishedSource | None = None
    translated: PublishedSource | None = Field(
        default=None, description="Published translations of the training data; parts as of `files` or `hub`."
    )

    _merged: tuple[PublishedSource | None, PublishedSource | None, Data] | None = PrivateAttr(None)
    """The parts of `hub`, once they are put together, and what from: a copy of a task may have other sections."""

    def parts(self, source: str) -> Data:
        """language -> split -> parts of `files` or `translated`, or of `hub` and, where that has nothing, `url`."""
        if source != "hub":
            section = getattr(self, source) if source in ("files", "translated") else None
            return section.data if section else {}
        if self._merged is not None and self._merged[0] is self.hub and self._merged[1] is self.url:
            return self._merged[2]
        merged: Data = {}
        self._merged = (self.hub, self.url, merged)
        for section in filter(None, (self.hub, self.url)):
            for language, splits in section.data.items():
                for split, parts in splits.items():
                    merged.setdefault(language, {}).setdefault(split, parts)
        return merged


class Protocol(_Strict):
    """How the field trains and evaluates a target."""

    train: tuple[str, ...] = Field(
        default=(),
        description="Tasks whose English data train the target, one after the other with one head; none: its own.",
    )
    settings: dict[str, dict[str, Any]] = Field(
        default={}, description="Name of a published protocol -> its values of `training.target`."
    )
    retrieval: dict[str, dict[str, Any]] = Field(
        default={}, description="Name of a published protocol -> its values of a target's `retrieval`."
    )
    direction: str = Field(default="", description="What searches in what (retrieval, mining, ranking).")
    notes: str = Field(default="", description="What else one has to know to compare with published numbers.")


class Task(_Strict):
    """One task of the catalogue (a YAML file in resources/tasks)."""

    name: str
    description: str
    format: str = Field(description="Name of a module of intermezzo.tasks.formats.")
    fields: dict[str, str] = Field(default={}, description="Column of the format -> what it holds in this task.")
    labels: tuple[str, ...] | Literal["from_data"] = Field(
        default=(),
        description="Closed label list of classification and tagging; from_data: those of its training data.",
    )
    metrics: tuple[str, ...] = Field(default=(), description="Metrics of the format; main one first.")
    unanswerable: bool = Field(default=False, description="Span: a question may have no answer in its context.")
    partial_input: str | None = Field(
        default=None, description="The field that the partial-input control removes (premise, question, context)."
    )
    licence: str = Field(min_length=3, description="Licence of each part; a task without one is refused.")
    citation: str = Field(default="", description="Who made it, and where the files come from.")
    protocol: Protocol = Protocol()
    sources: Sources

    @field_validator("format")
    @classmethod
    def _known_format(cls, name: str) -> str:
        if name not in format_names():
            raise ValueError(f"unknown format '{name}'; {suggestion(name, format_names())}")
        return name

    @property
    def form(self) -> Format:
        """What the task's format says."""
        return load_format(self.format)

    def languages(self, source: str, split: str) -> tuple[str, ...] | None:
        """Languages that have `split` in `source`, in the task file's order; None: every one of the source's."""
        if source == "world":
            return None if self.sources.world else ()
        return tuple(lang for lang, splits in self.sources.parts(source).items() if split in splits)


@cache
def task_names() -> tuple[str, ...]:
    """Names of all tasks, sorted."""
    return tuple(sorted(_files()))


@cache
def load_task(name: str) -> Task:
    """Read and check one task file.

    Raises UserError for an unknown name (with a suggestion) and for a file that does not fit the schema.
    """
    files = _files()
    if name not in files:
        raise UserError(f"unknown task '{name}'; {suggestion(name, files)}")
    path = files[name]
    try:
        return Task(name=name, **yaml.load(path.read_text(encoding="utf-8"), _LOADER))
    except ValidationError as error:
        raise UserError(f"{path}: not a valid task file:\n" + "\n".join(_problem(e) for e in error.errors())) from None
    except (TypeError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path}: not a valid task file: {error}") from None


def _problem(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"])
    hint = "; name the licence of the data, as its source states it" if key == "licence" else ""
    message = error["msg"].removeprefix("Value error, ")
    return f"  {key}: {message[0].lower()}{message[1:]}{hint}"


@cache
def _files() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for path in sorted(folder.glob("*.yaml")):
            if path.stem in found:
                raise UserError(f"{path}: there is a task of that name already ({found[path.stem]}); choose another")
            found[path.stem] = path
    return found
