"""Names: of the grid, of the question, and of tasks."""

from __future__ import annotations

from collections.abc import Iterator

from intermezzo.config import catalogue
from intermezzo.config.checks.common import evaluated, repeated, trainable
from intermezzo.config.models import Config
from intermezzo.core.errors import suggestion
from intermezzo.tasks import load_task, task_names

MODELS = 1_000_000
"""Models of a grid; Snakemake plans some thousands a second."""


def check_names(config: Config) -> Iterator[str]:
    """Names of the grid that are unknown, twice in a list, reserved, or too many."""
    grid = config.grid
    sections = {
        "encoders": config.encoders.keys(),
        "mixes": config.mixes.keys(),
        "intermediates": {*config.intermediates, *trainable()},
        "targets": {*config.targets, *evaluated()},
    }
    for section, names in sections.items():
        chosen = getattr(grid, section)
        for name in chosen:
            if name not in names:
                yield f"grid.{section}: unknown name '{name}'; {suggestion(name, names)}"
        yield from repeated(f"grid.{section}", chosen)
        if "none" in {*chosen, *getattr(config, section)}:
            yield f"{section}: the name 'none' is reserved for the baseline; choose another"
    yield from repeated("grid.seeds", grid.seeds)
    for section in ("encoders", "targets", "seeds"):
        if not getattr(grid, section):
            yield f"grid.{section}: the list is empty, so nothing would run; name at least one"
    starts = 1 + len(grid.intermediates) * len(grid.mixes)
    models = len(grid.encoders) * len(grid.seeds) * starts * (1 + len(grid.targets))
    if models > MODELS:
        yield f"grid: {models:,} models would be trained; at most {MODELS:,} can be planned, so shorten its lists"
    if grid.intermediates and not grid.mixes:
        yield "grid.mixes: the list is empty, but intermediates need a mix to be trained in; name at least one"


def check_question(config: Config) -> Iterator[str]:
    """The mixes that the question names are compared in the grid."""
    question, mixes = config.question, config.grid.mixes
    for key in ("mixes", "groups", "pairs"):
        chosen = getattr(question, key)
        yield from repeated(f"question.{key}", chosen or [])
        if chosen == []:
            default = "name at least one" + (", or write null for all with a rare language" if key == "mixes" else "")
            yield f"question.{key}: the list is empty, so nothing would be asked; {default}"
    for key, names in (("mixes", question.mixes or []), ("against", [question.against] if question.against else [])):
        for name in names:
            if name not in mixes:
                yield f"question.{key}: '{name}' is no mix of grid.mixes; {suggestion(name, mixes)}"
    if question.against is not None and question.against in (question.mixes or []):
        yield f"question.mixes: '{question.against}' is in question.against too; take it out of one of them"
    if question.mixes and question.against is None:
        english = [mix for mix in mixes if mix in config.mixes and catalogue.is_english(config, mix)]
        if not english:
            yield "question.against: missing, and grid.mixes has no English-only mix; name a mix of the grid"
        for name in {*question.mixes} & {*english[:1]}:
            yield f"question.mixes: '{name}' is English-only, which the others are compared with; take it out"


def check_tasks(config: Config) -> Iterator[str]:
    if protocol := config.training.protocol:
        protocols = {known for name in task_names() for known in load_task(name).protocol.names()}
        if protocol not in protocols:
            yield f"training.protocol: no task has a protocol '{protocol}'; {suggestion(protocol, protocols)}"
    for task in config.training.tasks:
        if task not in task_names():
            yield f"training.tasks: unknown task '{task}'; {suggestion(task, task_names())}"
    for section in ("intermediates", "targets"):
        for name, entry in getattr(config, section).items():
            named = entry.tasks if section == "intermediates" else [entry.task]
            key = f"{section}.{name}.{'tasks' if section == 'intermediates' else 'task'}"
            for task in named or ():
                if task is not None and task not in task_names():
                    yield f"{key}: unknown task '{task}'; {suggestion(task, task_names())}"
            if section == "intermediates" and entry.align is not None:
                continue  # pairs alone will do
            if name in getattr(config.grid, section) and name not in task_names() and named in (None, [None]):
                yield f"{key}: missing, and there is no task of the name '{name}'; {suggestion(name, task_names())}"
