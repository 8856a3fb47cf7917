"""Which languages a source has, and what `@rare` and its like mean for a task: the one place that knows."""

from __future__ import annotations

from functools import cache

from intermezzo import languages
from intermezzo.config.models import Config
from intermezzo.mixing import ENGLISH as ENGLISH
from intermezzo.mixing import Portion, portions, shares
from intermezzo.tasks import Task, load_task, task_names

TEXT, PARALLEL = "text", "parallel"
"""The tasks that encoders are pretrained on."""
POOL = "mul"
"""The language code (ISO 639-3: multiple languages) of candidates that belong to no one language."""


def source_languages(config: Config) -> tuple[str, ...]:
    """All languages that any task of the configured sources has."""
    if config.data.source == "world":
        return tuple(languages.table("world"))
    return _of_tasks(tuple((name, config.data.source_of(name)) for name in task_names()))


@cache
def _of_tasks(sources: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    codes: set[str] = set()
    for name, source in sources:
        codes |= load_task(name).sources.parts(source).keys()
    return tuple(sorted(codes - {POOL}))


def unlisted(config: Config) -> frozenset[str]:
    """Languages that task files name and the language table lacks."""
    return frozenset(source_languages(config)) - languages.table(config.data.source).keys()


def languages_with(config: Config, task: Task, split: str) -> tuple[str, ...]:
    """Languages that have `split` of a task in the configured source, in a fixed order."""
    source = config.data.source_of(task.name)
    codes = task.languages(source, split)
    if codes is not None:
        return codes
    labelled = split == "train" and task.name not in (TEXT, PARALLEL)
    table = languages.table(source)
    return tuple(code for code, language in table.items() if language.training_examples or not labelled)


def rare_languages(config: Config) -> tuple[str, ...]:
    """The rare languages: as listed in the configuration, or as the language table says."""
    if config.languages.rare != "auto":
        return tuple(config.languages.rare)
    rare = languages.rare(config.data.source)
    return tuple(code for code in source_languages(config) if code in rare)


def evaluation_languages(config: Config, task: Task) -> tuple[str, ...]:
    """Languages in which a target of this task is evaluated; of pairs with English, English is none."""
    codes = languages_with(config, task, config.data.evaluation_split)
    if task.form.paired_with_english:
        codes = tuple(code for code in codes if code != ENGLISH)
    chosen = config.languages.evaluation
    return codes if chosen == "all" else tuple(code for code in codes if code in chosen)


def support_data(config: Config, task: Task) -> list[tuple[str, str]]:
    """(language, split) of what the predictions of a target need beside its test data: see `Format.support`."""
    if task.form.support == "candidates":
        return [(code, "candidates") for code in languages_with(config, task, "candidates")]
    return [(code, "dev") for code in evaluation_languages(config, task)] if task.form.support == "dev" else []


def training_languages(config: Config, mix: str, task: Task) -> tuple[str, ...]:
    """Languages in which a mix can train on a task: those with data, or with a translation of the English data."""
    codes = languages_with(config, task, "train")
    if not config.mixes[mix].translated or ENGLISH not in codes:
        return codes
    translation = config.translation
    if translation.backend == "world":
        return tuple(languages.table("world"))
    published = task.sources.parts("translated")
    into = translation.languages if translation.backend == "hub" else published
    return (ENGLISH, *(code for code in into if code != ENGLISH))


def is_english(config: Config, mix: str) -> bool:
    """Does a mix consist of English alone?"""
    return {code for code, weight in config.mixes[mix].weights.items() if weight > 0} == {ENGLISH}


def portions_of(config: Config, mix: str, task: Task) -> list[Portion]:
    """What the names of a mix mean for one task.

    Raises UserError for a language or group without training data in the task, an unknown one, a negative weight and
    weights that sum to nothing.
    """
    entry, table = config.mixes[mix], languages.table(config.data.source)
    return portions(
        entry.weights,
        training_languages(config, mix, task),
        {code: table[code] for code in source_languages(config) if code in table},
        rare_languages(config),
        leave_out=entry.leave_out,
        key=f"mixes.{mix}",
        task=task.name,
        source=config.data.source_of(task.name),
    )


def mix_languages(config: Config, mix: str, task: Task) -> tuple[str, ...]:
    """Languages whose training data a mix reads for one task."""
    if config.mixes[mix].budget == "english_repeated":
        return (ENGLISH,)
    return tuple(shares(portions_of(config, mix, task)))
