"""The task registry: one YAML file per task in `resources/tasks/`, typed here, found by name.

A task is data. What a task *is* (format, labels, metrics, protocol, licences) is the same for every source; where its
examples come from is said per source:

| source | its section in the task file |
|---|---|
| world | `world`: a generator of the embedded world |
| files | `files`: published files below `data.root` |
| hub | `hub`: files of a Hugging Face dataset repository; `url`: files that are published elsewhere alone |

Tasks of one's own go into `config/tasks/`, in the same form: that of the working directory, and that of the project.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from intermezzo.core.errors import UserError, suggestion
from intermezzo.core.excerpt import one_line
from intermezzo.core.places import PROJECT
from intermezzo.core.plain_data import plain_data
from intermezzo.core.validation import describe
from intermezzo.core.yaml_files import read_yaml
from intermezzo.tasks.formats import FROM_DATA, Format, format_names, load_format
from intermezzo.tasks.layout import Data, expand

RESOURCES = PROJECT / "resources"
CATALOGUE = RESOURCES / "tasks"
OWN = Path("config/tasks")
"""Where tasks of one's own lie: below the working directory, and below the project."""
_SKILLS = (
    "nli qa commonsense paraphrase similarity pos ner supertagging topic sentiment emotion hate intent coreference "
    "acceptability retrieval entity_linking text"
)
SKILLS = tuple(_SKILLS.split())
"""What a task can ask for; `own:NAME` is another skill. A result is zero-shot in a language if no earlier training had
rows of that skill in it."""
_OWN_SKILL = re.compile(r"own:[a-z][a-z0-9_]*")


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
        default=None,
        description="Published translations: of English training data into a language (`train`), of its `dev` and "
        "`test` data into English; parts as of `files` or `hub`.",
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

    def names(self) -> list[str]:
        """The names of its published protocols, sorted."""
        return sorted({*self.settings, *self.retrieval})


class Task(_Strict):
    """One task of the catalogue (a YAML file in resources/tasks)."""

    name: str
    description: str
    format: str = Field(description="Name of a module of intermezzo.tasks.formats.")
    skill: str = Field(
        default="", description="What it asks for: one of `SKILLS`, or own:NAME; without one, what the format says."
    )
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

    @model_validator(mode="before")
    @classmethod
    def _with_skill(cls, values: Any) -> Any:
        """The skill of the format, where the file names none."""
        if isinstance(values, dict) and "skill" not in values and values.get("format") in format_names():
            return values | {"skill": load_format(values["format"]).skill}
        return values

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

    Raises UserError for an unknown name (with a suggestion) and for a file that does not fit the schema or the format
    that it names.
    """
    if name not in _files():
        raise UserError(f"unknown task '{name}'; {suggestion(name, _files())}")
    path = task_file(name)
    content, problems = plain_data(read_yaml(path, "task file"), text_keys=False)
    if not problems and not isinstance(content, dict):
        problems = [f"must be a dictionary of keys; found {'an empty file' if content is None else 'none'}"]
    elif not problems and "name" in content:
        problems = ["name: unknown key; the name of a task is that of its file"]
    if not problems:
        try:
            task = Task.model_validate({"name": name, **content})
            problems = [*_misfits(task)]
        except ValidationError as error:
            problems = [*map(_hinted, describe(error.errors(), Task))]
    if problems:
        raise UserError("\n  ".join([f"{path}: not a valid task file:", *map(one_line, problems)]))
    return task


def task_file(name: str) -> Path:
    """The file of a task, for complaints about it; `NAME.yaml` for one that is not in the registry."""
    return _files().get(name, Path(f"{name}.yaml"))


def _misfits(task: Task) -> Iterator[str]:
    """What in a task's file does not go with its format."""
    form = task.form
    metrics = [metric.name for metric in form.metrics]
    for name in task.metrics:
        if name not in metrics:
            yield f"metrics: unknown metric '{name}' of format {form.name}; {suggestion(name, metrics)}"
    if task.metrics and task.metrics[0] in metrics and not form.metric(task.metrics[0]).higher_is_better:
        yield f"metrics: of '{task.metrics[0]}' less is better; the main metric, named first, must be one of the others"
    for name in task.fields:
        if name not in form.columns:
            yield f"fields: unknown column '{name}' of format {form.name}; {suggestion(name, form.columns)}"
    if not task.skill:
        yield (
            f"skill: missing; tasks of format {form.name} ask for different things: name one of {', '.join(SKILLS)}, "
            "or own:NAME for another"
        )
    elif task.skill not in SKILLS and not _OWN_SKILL.fullmatch(task.skill):
        yield f"skill: unknown name '{task.skill}'; {suggestion(task.skill, SKILLS)}; own:NAME is one of your own"
    if task.partial_input is not None and task.partial_input not in form.removable:
        hint = suggestion(task.partial_input, form.removable)
        yield f"partial_input: '{task.partial_input}' cannot be taken away from format {form.name}; {hint}"
    yield from _labels(task)


def _labels(task: Task) -> Iterator[str]:
    if task.form.label_column is None:
        if task.labels:
            yield f"labels: format {task.format} has no labels; remove them"
        return
    if task.labels == FROM_DATA:
        return
    if len(set(task.labels)) < 2:
        state = f"found {', '.join(task.labels)}" if task.labels else "missing"
        yield f"labels: {state}; format {task.format} needs a list of two labels or more, or {FROM_DATA}"
    for name in dict.fromkeys(label for label in task.labels if task.labels.count(label) > 1):
        yield f"labels: '{name}' is listed more than once"
    for source, label in (task.sources.world.map if task.sources.world else {}).items():
        if label not in task.labels:
            yield f"sources.world.map.{source}: '{label}' is no label of the task; {suggestion(label, task.labels)}"


def _hinted(problem: str) -> str:
    """A problem with how to mend it, where it does not say so."""
    hint = "; name the licence of the data, as its source states it" if problem.startswith("licence:") else ""
    return f"{problem}{hint}"


@cache
def _files() -> dict[str, Path]:
    files = {path.stem: path for path in sorted(CATALOGUE.glob("*.yaml"))}
    own = {path.stem: path for folder in (PROJECT / OWN, OWN) for path in sorted(folder.glob("[!.]*.yaml"))}
    for name, path in own.items():
        if name in files:
            raise UserError(f"{path}: there is a task of that name already ({files[name]}); choose another")
    return files | own
