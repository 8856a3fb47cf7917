"""Each mix must be possible for each task that it is used with."""

from __future__ import annotations

from collections.abc import Iterator

from intermezzo.config import catalogue
from intermezzo.config.checks.common import known_tasks, target_mixes
from intermezzo.config.models import Config
from intermezzo.config.settings import Phase, resolve, training_tasks
from intermezzo.core.errors import UserError
from intermezzo.mixing import ENGLISH, allocate, allocate_tasks, shares
from intermezzo.tasks import Task

LEAST = 1e-6
"""Share of a mix below which a language gives no example."""


def check_mixes(config: Config) -> Iterator[str]:
    """Each mix must be possible for each task that it is used with: languages, and enough rows."""
    for mix in dict.fromkeys([*config.grid.mixes, *target_mixes(config)]):
        if mix not in config.mixes:
            continue
        weights = config.mixes[mix].weights
        total = sum(weight for weight in weights.values() if weight > 0)
        for name, weight in weights.items():
            if 0 < weight < LEAST * total:
                yield f"mixes.{mix}.weights.{name}: {weight} of {total:g} gives no example; write 0, or a larger weight"
        if not weights:
            yield f"mixes.{mix}.weights: the weights sum to nothing; give at least one language a weight above 0"
            continue
        if config.mixes[mix].unit == "tokens" and not weights.get(ENGLISH):
            yield (
                f"mixes.{mix}.unit: 'tokens' needs a weight of '{ENGLISH}' above 0, as the budget is the tokens of its "
                "examples; give it one, or write `unit: examples`"
            )
        for name in config.grid.intermediates:
            for task in known_tasks(config.tasks_of(name)) if mix in config.mixes_of(name) else ():
                usable = task.form.intermediate or config.is_aligned(name, task.name)
                if usable and catalogue.training_languages(config, mix, task):
                    yield from _mix_of(config, mix, "intermediate", name, task)
    for name in config.grid.targets:
        own = config.target(name).mix
        for task in known_tasks([config.task_of(name)]):
            for used in known_tasks(training_tasks(config, name, task)) if task.form.trained else ():
                if own in config.mixes:
                    yield from _mix_of(config, own, "target", name, used)
                for encoder in config.grid.encoders if own is None else ():
                    examples = resolve(config, encoder, "target", name, [task.name]).examples
                    yield from _enough(config, f"targets.{name}", used, {ENGLISH: 1.0}, examples)


def _mix_of(config: Config, mix: str, phase: Phase, name: str, task: Task) -> Iterator[str]:
    """The mix of an intermediate, or of a target, for one of its tasks."""
    if {*config.mixes[mix].weights, *config.mixes[mix].leave_out} & catalogue.unlisted(config):
        return  # `_unlisted` says it
    try:
        weights = shares(catalogue.portions_of(config, mix, task))
    except UserError as error:
        yield str(error)
        return
    key = f"{phase}s.{name} (mix '{mix}')"
    for encoder in config.grid.encoders:
        entry_task = task.name if phase == "intermediate" else config.task_of(name)
        settings = resolve(config, encoder, phase, name, [entry_task])
        if phase == "intermediate" and settings.examples is None and len(config.mixes_of(name)) > 1:
            yield f"intermediates.{name}: examples null gives each mix another budget; write a number"
        rows = config.data.rows.of(task.name, "train")
        if (
            rows is None
            or settings.examples is None
            or config.mixes[mix].translated
            or config.mixes[mix].unit == "tokens"
        ):
            continue
        entry, supply = config.mixes[mix], dict.fromkeys({*weights, ENGLISH}, rows)
        try:
            examples, shares_ = {task.name: settings.examples}, {task.name: weights}
            allocate_tasks(examples, shares_, {task.name: supply}, budget=entry.budget, repeats=entry.repeats)
        except UserError as error:
            yield f"{key}: with data.rows.train {rows}: {error}"


def _enough(config: Config, key: str, task: Task, weights: dict[str, float], examples: int | None) -> Iterator[str]:
    rows = config.data.rows.of(task.name, "train")
    if rows is not None and examples is not None:
        try:
            allocate(examples, weights, dict.fromkeys(weights, rows))
        except UserError as error:
            yield f"{key}: task '{task.name}', with data.rows.train {rows}: {error}"
