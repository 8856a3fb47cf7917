"""What prompted language models answer: which targets of the grid, and in which languages."""

from __future__ import annotations

from intermezzo.config import catalogue
from intermezzo.config.models import Config
from intermezzo.core.places import locate
from intermezzo.mixing import ENGLISH
from intermezzo.tasks import Task, load_task
from intermezzo.tasks.formats import format_names, load_format

OWN_LANGUAGE = "own"
"""The instruction is in the language of each test set."""


def formats() -> list[str]:
    """Formats whose targets a language model can answer."""
    return [name for name in format_names() if load_format(name).prompted]


def refusal(config: Config, target: str) -> str | None:
    """Why a target cannot be answered by a prompted model; None where it can."""
    entry, task = config.target(target), load_task(config.task_of(target))
    if not task.form.prompted:
        return f"format {task.format} cannot be answered; what can: {', '.join(formats())}"
    if entry.partial_input or entry.shuffle_labels:
        return "it is a control of trained models"
    if task.form.label_column is not None and not isinstance(task.labels, tuple):
        return "its labels are those of its data; list them in the task file"
    return None


def answered(config: Config, name: str) -> dict[str, tuple[str, ...]]:
    """Target -> languages that a prompted model answers it in, in the grid's order; none where it has no language."""
    entry = config.prompted[name]
    targets: dict[str, tuple[str, ...]] = {}
    for target in config.grid.targets:
        if (entry.targets is None or target in entry.targets) and refusal(config, target) is None:
            codes = catalogue.target_languages(config, target, load_task(config.task_of(target)))
            chosen = tuple(code for code in codes if entry.languages is None or code in entry.languages)
            targets |= {target: chosen} if chosen else {}
    return targets


def instructions(config: Config, name: str, target: str) -> tuple[str, ...]:
    """Languages of the instructions that a prompted model needs for a target."""
    instruction = config.prompted[name].instruction
    return answered(config, name)[target] if instruction == OWN_LANGUAGE else (instruction,)


def has_shots(config: Config, task: Task) -> bool:
    """Whether a task has English training data to draw shots from."""
    return ENGLISH in catalogue.languages_with(config, task, "train")


def is_local_file(place: str) -> bool:
    """Whether `from` names files that are here, or should be, and are no package's."""
    return not place.startswith("package:") and (locate(place).exists() or place.startswith((".", "/", "~")))
