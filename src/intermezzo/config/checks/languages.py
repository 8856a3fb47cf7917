"""Languages: those that are asked for, added, rare, or defined nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from intermezzo.config import catalogue
from intermezzo.config.checks.common import known_tasks, repeated, unknown_languages
from intermezzo.config.models import Config
from intermezzo.config.sections.data import RareConfig
from intermezzo.config.settings import training_tasks
from intermezzo.core.errors import UserError, suggestion
from intermezzo.languages import code_problem, distances, find
from intermezzo.languages.pretraining import key_of, known_encoders
from intermezzo.mixing import ENGLISH, Portion
from intermezzo.tasks import Task, task_file


def check_languages(config: Config) -> Iterator[str]:
    """Languages of evaluation, selection, and the rare ones."""
    yield from _added_languages(config)
    yield from _rare_rule(config)
    codes = catalogue.source_languages(config)
    for key in ("evaluation", "rare"):
        value = getattr(config.languages, key)
        if isinstance(value, list):
            yield from unknown_languages(f"languages.{key}", value, codes)
            yield from repeated(f"languages.{key}", value)
    if isinstance(config.languages.rare, list) and ENGLISH in config.languages.rare:
        yield f"languages.rare: '{ENGLISH}' is the language that targets are trained in, and no rare one; take it out"
    yield from unknown_languages("languages.selection", config.languages.selection, codes)
    yield from repeated("languages.selection", config.languages.selection)
    if (path := config.languages.distances) is not None:
        try:
            distances.read(Path(path))
        except UserError as error:
            yield str(error)
    if config.languages.evaluation == []:
        yield "languages.evaluation: the list is empty, so nothing would be evaluated; write all, or name languages"


def _added_languages(config: Config) -> Iterator[str]:
    """Languages of `languages.add` that nobody could use: each with its code, and the encoders that it names."""
    if config.data.source == "world" and config.languages.add:
        yield "languages.add: the world has its own languages; set data.source to files or hub, or remove the key"
    for code, facts in config.languages.add.items():
        key = f"languages.add.{code}"
        if problem := code_problem(code):
            yield f"{key}: {problem}"
        for name in facts.encoders:
            if key_of(name) is None:
                yield f"{key}.encoders: unknown encoder '{name}'; {suggestion(name, known_encoders())}"


def _rare_rule(config: Config) -> Iterator[str]:
    """`languages.rare` as a rule: one key, and what it goes by is known."""
    rule, key = config.languages.rare, "languages.rare"
    if not isinstance(rule, RareConfig):
        return
    if len(given := [name for name in RareConfig.model_fields if getattr(rule, name) is not None]) != 1:
        yield f"{key}: found {', '.join(given) or 'no key'}; write one of {', '.join(RareConfig.model_fields)}"
    elif config.data.source == "world" and rule.unread_by is None:
        yield f"{key}.{given[0]}: nothing of the kind is known of the world's languages; write auto, or a list of codes"
    elif rule.unread_by is not None and rule.unread_by not in config.encoders:
        yield f"{key}.unread_by: unknown encoder '{rule.unread_by}'; {suggestion(rule.unread_by, config.encoders)}"
    elif rule.unread_by is not None and not catalogue.knows_pretraining(config, rule.unread_by):
        yield (
            f"{key}.unread_by: it is not known what encoder '{rule.unread_by}' was pretrained on; say it in "
            f"encoders.{rule.unread_by}.pretrained_on"
        )


def check_unlisted(config: Config) -> Iterator[str]:
    """Languages of the experiment that nobody has defined, by the task file that names them, or that have two codes."""
    table, unlisted = catalogue.language_table(config), catalogue.unlisted(config)
    used = _used_languages(config, unlisted)
    codes = set().union(*used.values())
    for name, of_task in used.items():
        if missing := sorted(of_task & unlisted):
            yield f"{task_file(name)}: {catalogue.undefined(missing, table)}"
        for code in sorted(of_task - unlisted - table.keys()):
            entry = find(code, table)
            if entry and entry.variety_of and entry.variety_of in {*codes, ENGLISH}:
                yield (
                    f"{task_file(name)}: '{code}' is '{entry.variety_of}' of the language table (docs/languages.md); "
                    f"write `languages: {{{entry.variety_of}: {code}}}`, so that it is one language in all tasks"
                )


def _used_languages(config: Config, unlisted: frozenset[str]) -> dict[str, set[str]]:
    """Task -> the languages in which the experiment evaluates or trains on it."""
    used: dict[str, set[str]] = {}
    for name in config.grid.targets:
        for task in known_tasks([config.task_of(name)]):
            used.setdefault(task.name, set()).update(catalogue.evaluation_languages(config, task))
    trained = [
        (task, mix)
        for name in config.grid.intermediates
        for task in known_tasks(config.tasks_of(name))
        for mix in config.mixes_of(name)
    ]
    trained += [
        (used_task, mix)
        for name in config.grid.targets
        if (mix := config.target(name).mix)
        for task in known_tasks([config.task_of(name)])
        for used_task in known_tasks(training_tasks(config, name, task))
    ]
    for task, mix in trained:
        if entry := config.mixes.get(mix):
            named = {*entry.weights, *entry.leave_out} & unlisted
            languages = named or {code for part in _portions(config, mix, task) for code in part.languages}
            used.setdefault(task.name, set()).update(languages)
    return used


def _portions(config: Config, mix: str, task: Task) -> list[Portion]:
    try:
        return catalogue.portions_of(config, mix, task)
    except UserError:  # `_mixes` says it
        return []
