"""Resolution of fine-tuning settings: the value of the most specific section applies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from intermezzo.config.models import Config
from intermezzo.config.sections.base import Section
from intermezzo.config.sections.targets import RetrievalConfig
from intermezzo.config.sections.training import EncoderTraining, Finetuning, Overrides, TaskTraining
from intermezzo.tasks import Task, load_task

Phase = Literal["intermediate", "target"]


def resolve(config: Config, encoder: str, phase: Phase, name: str, tasks: Sequence[str]) -> Finetuning:
    """All settings of one run, for the intermediate or target called `name` on `tasks`.

    Later sections override earlier ones: `training.<phase>`, a target's published protocol,
    `training.tasks.<task>.<phase>`, the encoder's `finetuning.<phase>` and `finetuning.tasks.<task>.<phase>`, and the
    `training` of the intermediate or target itself. Sections of a task apply to runs on that task only; for a run on
    several tasks see `examples_of`.
    """
    encoder_training = config.encoders[encoder].finetuning if encoder in config.encoders else EncoderTraining()
    entry = config.intermediate(name) if phase == "intermediate" else config.target(name)
    settings: dict[str, Any] = {}
    published: list[Section] = []
    if phase == "target" and (protocol := protocol_of(config, name)):
        published = [Overrides.model_validate(load_task(tasks[0]).protocol.settings.get(protocol, {}))]
    for layer in (
        *published,
        *_of_task(config.training.tasks, tasks, phase),
        getattr(encoder_training, phase),
        *_of_task(encoder_training.tasks, tasks, phase),
        entry.training,
    ):
        settings |= {key: getattr(layer, key) for key in layer.model_fields_set}
    defaults: Finetuning = getattr(config.training, phase)
    return defaults.model_copy(update=settings)


def examples_of(config: Config, encoder: str, phase: Phase, name: str, task: str) -> int | None:
    """Training examples of one task of a run; None = all. In a run on several tasks each has its own number."""
    if phase == "intermediate" and (align := config.intermediate(name).align) and align.task == task and align.pairs:
        return align.pairs
    return resolve(config, encoder, phase, name, [task]).examples


def protocol_of(config: Config, target: str) -> str | None:
    """The name of the published protocol that a target follows, or None."""
    return config.target(target).protocol or config.training.protocol


def training_tasks(config: Config, target: str, task: Task) -> list[str]:
    """The tasks whose English data train a target, in the order of training."""
    names = config.target(target).train
    return list(task.protocol.train) or [task.name] if names is None else names


def retrieval_of(config: Config, target: str, task: Task) -> RetrievalConfig:
    """Settings of the extraction of sentence vectors: the target's own, then its protocol's, then the defaults."""
    settings = config.target(target).retrieval
    protocol = task.protocol.retrieval.get(protocol_of(config, target) or "", {})
    protocol = RetrievalConfig.model_validate(protocol).model_dump(include={*protocol})
    return settings.model_copy(update=protocol | settings.model_dump(include=settings.model_fields_set))


def _of_task(sections: dict[str, TaskTraining], tasks: Sequence[str], phase: Phase) -> list[Section]:
    """The section of a run's task, if the run has one task and the task has a section."""
    return [getattr(sections[tasks[0]], phase)] if len(tasks) == 1 and tasks[0] in sections else []
