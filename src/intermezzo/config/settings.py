"""Which value of a fine-tuning setting holds for a run: the more special section wins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from intermezzo.config.models import Config
from intermezzo.config.sections.base import Section
from intermezzo.config.sections.targets import RetrievalConfig
from intermezzo.config.sections.training import EncoderTraining, Finetuning, TaskTraining
from intermezzo.tasks import Task, load_task

Phase = Literal["intermediate", "target"]


def resolve(config: Config, encoder: str, phase: Phase, name: str, tasks: Sequence[str]) -> Finetuning:
    """All settings of one run, for the intermediate or target called `name`.

    In rising order: `training.<phase>`, a target's published protocol, `training.tasks.<task>.<phase>`, the encoder's
    `finetuning.<phase>` and `finetuning.tasks.<task>.<phase>`, and the `training` of the intermediate or target
    itself. Sections of a task apply to runs on that task alone; for a run on several tasks see `examples_of`.
    """
    own = config.encoders[encoder].finetuning if encoder in config.encoders else EncoderTraining()
    named = config.intermediate(name) if phase == "intermediate" else config.target(name)
    settings: dict[str, Any] = {}
    if phase == "target" and (protocol := protocol_of(config, name)):
        settings |= load_task(tasks[0]).protocol.settings.get(protocol, {})
    for layer in (
        *_of_task(config.training.tasks, tasks, phase),
        getattr(own, phase),
        *_of_task(own.tasks, tasks, phase),
        named.training,
    ):
        settings |= {key: getattr(layer, key) for key in layer.model_fields_set}
    return getattr(config.training, phase).model_copy(update=settings)


def examples_of(config: Config, encoder: str, phase: Phase, name: str, task: str) -> int | None:
    """Training examples of one task of a run (of several tasks each has its own number)."""
    return resolve(config, encoder, phase, name, [task]).examples


def protocol_of(config: Config, target: str) -> str | None:
    """The published protocol that a target follows, if any."""
    return config.target(target).protocol or config.training.protocol


def training_tasks(config: Config, target: str, task: Task) -> list[str]:
    """The tasks whose English data train a target, in turn."""
    chosen = config.target(target).train
    return list(task.protocol.train) or [task.name] if chosen is None else chosen


def retrieval_of(config: Config, target: str, task: Task) -> RetrievalConfig:
    """How sentence vectors are read off an encoder: the target's own settings, else its protocol's, else defaults."""
    own = config.target(target).retrieval
    published = task.protocol.retrieval.get(protocol_of(config, target) or "", {})
    return own.model_copy(update=published | own.model_dump(include=own.model_fields_set))


def _of_task(sections: dict[str, TaskTraining], tasks: Sequence[str], phase: Phase) -> list[Section]:
    return [getattr(sections[tasks[0]], phase)] if len(tasks) == 1 and tasks[0] in sections else []
