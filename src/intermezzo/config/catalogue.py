"""Which languages a source has, and what `@rare` and its like mean for a task: the one place that knows."""

from __future__ import annotations

from intermezzo import languages
from intermezzo.config.models import GROUPS, Config
from intermezzo.errors import UserError, suggestion
from intermezzo.tasks import Task, load_task, task_names

ENGLISH = "en"
TEXT, PARALLEL = "text", "parallel"
"""The tasks that encoders are pretrained on."""
POOL = "mul"
"""The language code (ISO 639-3: multiple languages) of candidates that belong to no one language."""


def source_languages(config: Config) -> tuple[str, ...]:
    """All languages that any task of the configured sources has."""
    if config.data.source == "world":
        return tuple(languages.table("world"))
    found: dict[str, None] = {}
    for name in task_names():
        found |= dict.fromkeys(load_task(name).sources.parts(config.data.source_of(name)))
    return tuple(sorted(found.keys() - {POOL}))


def languages_with(config: Config, task: Task, split: str) -> tuple[str, ...]:
    """Languages that have `split` of a task in the configured source, in a fixed order."""
    source = config.data.source_of(task.name)
    found = task.languages(source, split)
    return tuple(languages.table(source)) if found is None else found


def rare_languages(config: Config) -> tuple[str, ...]:
    """The rare languages: as listed in the configuration, or as the language table says."""
    if config.languages.rare != "auto":
        return tuple(config.languages.rare)
    rare = languages.rare(config.data.source)
    return tuple(code for code in source_languages(config) if code in rare)


def evaluation_languages(config: Config, task: Task) -> tuple[str, ...]:
    """Languages in which a target of this task is evaluated; of pairs with English, English is none."""
    found = languages_with(config, task, config.data.evaluation_split)
    if task.format in ("retrieval", "mining"):
        found = tuple(code for code in found if code != ENGLISH)
    chosen = config.languages.evaluation
    return found if chosen == "all" else tuple(code for code in found if code in chosen)


def training_languages(config: Config, mix: str, task: Task) -> tuple[str, ...]:
    """Languages in which a mix can train on a task: those with data, or with a translation of the English data."""
    found = languages_with(config, task, "train")
    if not config.mixes[mix].translated or ENGLISH not in found:
        return found
    translation = config.translation
    if translation.backend == "world":
        return found
    published = task.sources.parts("translated")
    into = translation.languages if translation.backend == "hub" else published
    return (ENGLISH, *(code for code in into if code != ENGLISH))


def resolve_weights(config: Config, mix: str, task: Task) -> dict[str, float]:
    """language -> share of a mix for one task; the shares are positive and sum to 1.

    Raises UserError for a language or group without training data in the task, an unknown one, a negative weight
    and weights that sum to nothing.
    """
    weights = config.mixes[mix].weights
    available = training_languages(config, mix, task)
    rare = rare_languages(config)
    members = {
        "@all": available,
        "@rare": tuple(code for code in available if code in rare and code != ENGLISH),
        "@other": tuple(code for code in available if code not in rare and code != ENGLISH),
    }
    known = {*source_languages(config), *GROUPS}
    shares: dict[str, float] = {}
    for name, weight in weights.items():
        key = f"mixes.{mix}.weights.{name}"
        if name not in known:
            raise UserError(f"{key}: unknown language or group; {suggestion(name, known)}")
        if weight < 0:
            raise UserError(f"{key}: a weight cannot be negative; found {weight}")
        if weight == 0:
            continue
        meant = members.get(name, (name,) if name in available else ())
        if not meant:
            raise UserError(
                f"{key}: task '{task.name}' has no training data there (source '{config.data.source}'); "
                f"it has some in: {', '.join(available) or '(no language)'}"
            )
        for code in meant:
            shares[code] = shares.get(code, 0.0) + weight / len(meant)
    total = sum(shares.values())
    if total <= 0:
        raise UserError(f"mixes.{mix}.weights: the weights sum to nothing; give at least one language a weight above 0")
    return {code: round(share / total, 12) for code, share in sorted(shares.items())}
