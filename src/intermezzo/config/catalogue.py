"""Which languages a source has, and what `@rare` and its like mean for a task: the one place that knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from intermezzo import languages
from intermezzo.config.models import Config
from intermezzo.config.sections.data import RareConfig
from intermezzo.config.sections.encoders import ScratchEncoder
from intermezzo.core.errors import UserError
from intermezzo.languages import Language
from intermezzo.languages.pretraining import has_read, key_of, languages_of
from intermezzo.mixing import ENGLISH as ENGLISH
from intermezzo.mixing import Portion, members, portions, shares
from intermezzo.tasks import Task, load_task, task_names

TEXT, PARALLEL = "text", "parallel"
"""The tasks that encoders are pretrained on."""
OTHER = "@other"
"""The group of languages that are neither rare nor English."""
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
    """Languages that task files name and nobody has defined."""
    return frozenset(source_languages(config)) - defined(config, source_languages(config)).keys()


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
    """The rare languages: as listed in the configuration, or by its rule."""
    if isinstance(config.languages.rare, list):
        return tuple(config.languages.rare)
    entries = defined(config, source_languages(config))
    rule = config.languages.rare
    if isinstance(rule, str):
        return tuple(code for code, entry in entries.items() if entry.rare)
    if rule.unread_by is not None:
        read = pretraining(config, rule.unread_by, entries)
        return tuple(code for code in entries if not read.get(code, False))
    return tuple(code for code, entry in entries.items() if _is_rare(rule, entry))


def _is_rare(rule: RareConfig, entry: Language) -> bool:
    """Whether a language is rare by Joshi class or by its Wikipedia; one of which nothing is known is."""
    if rule.joshi is not None:
        return entry.joshi is None or entry.joshi <= rule.joshi
    return entry.wikipedia_articles is None or entry.wikipedia_articles < (rule.wikipedia or 0)


def language_table(config: Config) -> dict[str, Language]:
    """The languages that the configured source has a line for, those that are added among them."""
    return languages.table(config.data.source, config.languages.added)


def defined(config: Config, codes: Iterable[str]) -> Mapping[str, Language]:
    """Those of `codes` that anybody has defined, in their order."""
    return languages.find_all(tuple(codes), config.data.source, config.languages.added)


def described(config: Config, codes: Iterable[str]) -> Mapping[str, Language]:
    """The languages of `codes`, in their order. Raises UserError for one that nobody has defined."""
    codes = list(codes)
    entries = defined(config, codes)
    if missing := [code for code in codes if code not in entries]:
        raise UserError(undefined(missing, language_table(config)))
    return entries


def undefined(codes: Sequence[str], table: Mapping[str, Language]) -> str:
    """The complaint about languages that nobody has defined."""
    names = f"language '{codes[0]}' is" if len(codes) == 1 else f"languages {', '.join(codes)} are"
    hint = f" ({languages.hint(codes[0], table)})" if len(codes) == 1 else ""
    return (
        f"{names} not defined{hint}; write a line with code and name into languages.add, or into "
        f"{languages.OWN_TABLE}, or leave them out (languages.evaluation, mixes)"
    )


def pretraining(config: Config, encoder: str, entries: Mapping[str, Language]) -> dict[str, bool]:
    """Language -> whether the pretraining text of an encoder has it; languages of which nobody knows are not there."""
    entry = config.encoders.get(encoder)
    if entry is None:
        return {}
    if isinstance(entry, ScratchEncoder):
        text = set(text_languages(config, entry)) if entry.training.steps else set()
        return {code: code in text for code in entries}
    text_of = entry.from_ if entry.pretrained_on is None else entry.pretrained_on
    codes = languages_of(text_of) if isinstance(text_of, str) else frozenset(text_of)
    if codes is None:
        return {}
    key = key_of(text_of) if isinstance(text_of, str) else None
    answers = {code: has_read(language, codes, key) for code, language in entries.items()}
    return {code: answer for code, answer in answers.items() if answer is not None}


def knows_pretraining(config: Config, encoder: str) -> bool:
    """Whether it is known which languages an encoder was pretrained on."""
    entry = config.encoders[encoder]
    if isinstance(entry, ScratchEncoder) or isinstance(entry.pretrained_on, list):
        return True
    return languages_of(entry.pretrained_on or entry.from_) is not None


def text_languages(config: Config, encoder: ScratchEncoder) -> list[str]:
    """Languages of the text that an encoder is pretrained on here."""
    available = languages_with(config, load_task(TEXT), "train")
    return [code for code in available if encoder.languages == "all" or code in encoder.languages]


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
    if task.form.paired_with_english:
        return pair_languages(config, task)
    if not config.mixes[mix].translated or ENGLISH not in codes:
        return codes
    translation = config.translation
    if translation.backend == "world":
        return tuple(languages.table("world"))
    published = task.sources.parts("translated")
    into = translation.languages if translation.backend == "hub" else published
    return (ENGLISH, *(code for code in into if code != ENGLISH))


def pair_languages(config: Config, task: Task) -> tuple[str, ...]:
    """Languages that have training pairs with English."""
    return tuple(code for code in languages_with(config, task, "train") if code != ENGLISH)


def is_english(config: Config, mix: str) -> bool:
    """Does a mix consist of English alone?"""
    return {code for code, weight in config.mixes[mix].weights.items() if weight > 0} == {ENGLISH}


def portions_of(config: Config, mix: str, task: Task) -> list[Portion]:
    """What the names of a mix mean for one task.

    Raises UserError for a language or group without training data in the task, an unknown one, a negative weight and
    weights that sum to nothing.
    """
    entry, weights = config.mixes[mix], config.mixes[mix].weights
    if task.form.paired_with_english:
        weights = _of_pairs(config, mix, task)
    return portions(
        weights,
        training_languages(config, mix, task),
        defined(config, source_languages(config)),
        rare_languages(config),
        leave_out=entry.leave_out,
        key=f"mixes.{mix}",
        task=task.name,
        source=config.data.source_of(task.name),
    )


def _of_pairs(config: Config, mix: str, task: Task) -> dict[str, float]:
    """The weights of a mix for pairs with English, in which English has no rows of its own.

    Its share goes to the languages that are neither rare nor English, so that a mix trains on rare languages as much as
    it does with a task. Raises UserError where there are no such pairs.
    """
    weights = dict(config.mixes[mix].weights)
    share = weights.pop(ENGLISH, 0.0)
    if share > 0:
        rare, codes = set(rare_languages(config)), training_languages(config, mix, task)
        if not rare.issuperset(codes):
            return weights | {OTHER: weights.get(OTHER, 0.0) + share}
        raise UserError(
            f"mixes.{mix}.weights.{ENGLISH}: task '{task.name}' is pairs with English, so its share goes to languages "
            f"that are not rare, and none of them has any (source '{config.data.source_of(task.name)}'); there are "
            f"some in: {', '.join(codes) or '(no language)'}; name a mix of these in `mixes` of the intermediate"
        )
    return weights


def target_portions(config: Config, target: str, task: Task) -> list[Portion]:
    """What the mix of a target means for one of the tasks that train it; without a mix, English alone."""
    mix = config.target(target).mix
    return portions_of(config, mix, task) if mix else [Portion(ENGLISH, 1.0, (ENGLISH,))]


def shots_of(config: Config, target: str, task: Task) -> dict[str, int]:
    """Language -> few-shot examples that a target takes of a task, in the order of the task's languages.

    Raises UserError for an unknown language or group, one without training data in the task, a language that two
    entries name, and one that the target's mix has as well.
    """
    entry, key = config.target(target), f"targets.{target}.shots"
    if not entry.shots:
        return {}
    available, table = languages_with(config, task, "train"), defined(config, source_languages(config))
    mixed = {code for portion in target_portions(config, target, task) for code in portion.languages}
    shots: dict[str, int] = {}
    for name, count in entry.shots.items():
        codes = members(name, table, rare_languages(config), f"{key}.{name}").intersection(available)
        if not codes:
            raise UserError(
                f"{key}.{name}: task '{task.name}' has no training data there (source "
                f"'{config.data.source_of(task.name)}'); it has some in: {', '.join(available) or '(no language)'}"
            )
        if repeated := sorted(codes & (shots.keys() | mixed)):
            raise UserError(f"{key}.{name}: '{repeated[0]}' is in the target's training already; name it once")
        shots |= dict.fromkeys(codes, count)
    return {code: shots[code] for code in available if code in shots}


def mix_languages(config: Config, mix: str, task: Task) -> tuple[str, ...]:
    """Languages whose training data a mix reads for one task."""
    if config.mixes[mix].budget == "english_repeated":
        return (ENGLISH,)
    return tuple(shares(portions_of(config, mix, task)))
