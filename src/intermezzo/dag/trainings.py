"""Which targets share a training: a target's model depends on what it is trained on and how, not on its name.

XNLI, AmericasNLI and AfriXNLI are all fine-tuned on English MNLI; with equal settings that is one training, whose model
is evaluated on all three. A training has the name of its data (`mnli`; `socialiqa+copa` for one after the other). A
control, a training in other languages than English, and whatever else is trained on that data in another way, has a
name with its target's (`mnli-shuffled`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from intermezzo.config import catalogue
from intermezzo.config.sections.intermediates import MixConfig
from intermezzo.config.sections.training import Finetuning
from intermezzo.config.settings import examples_of, resolve
from intermezzo.specs.adapters import AdapterSpec
from intermezzo.specs.finetuning import FinetuneSpec, TrainedTask, TrainingSettings
from intermezzo.specs.mixes import MixSettings
from intermezzo.tasks import Task, load_task

if TYPE_CHECKING:
    from intermezzo.dag.experiment import Grid


def group_targets(grid: Grid) -> dict[str, list[str]]:
    """Name of a training -> the targets that share it, for all targets of a grid that are fine-tuned.

    Where two trainings are on the same data, the plain name is that of targets without settings of their own, as far as
    there are such, so that a special target that is added changes no name.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for target in grid.trained_targets:
        specs = (target_spec(grid, encoder, target, seed=0).canonical() for encoder in grid.encoders)
        groups.setdefault(tuple(specs), []).append(target)
    names: dict[str, list[str]] = {}
    for targets in sorted(groups.values(), key=lambda targets: all(_is_special(grid, target) for target in targets)):
        data, first = "+".join(grid.trained_on(targets[0])), targets[0]
        is_plain = data not in names and not _has_other_data(grid, first)
        names[data if is_plain else _unused(f"{data}-{first}", names)] = targets
    return names


def target_spec(grid: Grid, encoder: str, target: str, seed: int) -> FinetuneSpec:
    """The specification of the training that a target needs."""
    config, entry, task = grid.config, grid.config.target(target), grid.task(target)
    data = grid.trained_on(target)
    mix = config.mixes[entry.mix] if entry.mix else MixConfig(weights={})
    tasks = tuple(
        TrainedTask(
            **task_fields(task) | {"name": name},
            head=head_of(data),
            partial_input=task.partial_input if entry.partial_input else None,
            shuffle_labels=entry.shuffle_labels,
            examples=examples_of(config, encoder, "target", target, task.name),
            portions=tuple(catalogue.target_portions(config, target, load_task(name))),
            shots=catalogue.shots_of(config, target, load_task(name)) if name == data[-1] else {},
        )
        for name in data
    )
    return FinetuneSpec(
        phase="target",
        seed=seed,
        tasks=tasks,
        sampling="in_turn",
        mix=MixSettings(budget=mix.budget, repeats=mix.repeats, temperature=mix.temperature, unit=mix.unit),
        training=training_settings(resolve(config, encoder, "target", target, [task.name])),
        threads=grid.threads,
        processes=grid.processes,
    )


def head_of(data: list[str]) -> str:
    """The head of a target's model: tasks that are trained on one after another share that of the first."""
    return data[0]


def task_fields(task: Task) -> dict[str, Any]:
    """The fields of a `TaskSpec` that the task's file says."""
    return {"name": task.name, "format": task.format, "labels": task.labels, "unanswerable": task.unanswerable}


def training_settings(settings: Finetuning) -> TrainingSettings:
    """The settings of a training; each task has its own number of examples."""
    values: dict[str, Any] = {name: value for name, value in settings if name != "examples"}
    if settings.adapter is not None:
        values["adapter"] = AdapterSpec.read(settings.adapter.model_dump())
    return TrainingSettings(**values)


def _has_other_data(grid: Grid, target: str) -> bool:
    """Is it trained with less than its English data, or with those of other languages?"""
    entry = grid.config.target(target)
    return entry.partial_input or entry.shuffle_labels or entry.mix is not None or bool(entry.shots)


def _is_special(grid: Grid, target: str) -> bool:
    """Does the configuration say how this very target is trained?"""
    entry = grid.config.target(target)
    named = entry.train is not None or entry.protocol is not None or bool(entry.training.model_fields_set)
    return named or _has_other_data(grid, target)


def _unused(name: str, names: Iterable[str]) -> str:
    """The name, with a mark behind it where another training has it."""
    while name in names:
        name += "_"
    return name
