"""What is allowed and yet most likely not meant: lines for `config check`, `grid`, `plan` and the log of a run."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from intermezzo.config import catalogue
from intermezzo.config.models import Config
from intermezzo.core import processor
from intermezzo.core.artifacts import canonical
from intermezzo.core.errors import UserError
from intermezzo.mixing import shares
from intermezzo.tasks import load_task

ROUNDED = "0.9 to 1.1"
"""Time of a step in bfloat16 over one in float32 on a processor without units (6 x 384, benchmarks/throughput.py)."""


def remarks(config: Config) -> list[str]:
    """All remarks on a configuration that has been checked, each beginning with its key."""
    return [*_english_only(config), *_unused(config), *_untranslated(config), *_alike(config), *_slow(config)]


def _english_only(config: Config) -> Iterator[str]:
    """The question is answered by a comparison with the English-only mix."""
    grid = config.grid
    english = [mix for mix in grid.mixes if catalogue.is_english(config, mix)]
    for mix in english:
        if len(config.mixes[mix].weights) > 1:
            yield f"mixes.{mix}.weights: all are 0 but that of English, so that it trains on English alone"
    if not grid.intermediates or not grid.mixes:
        return
    if not english:
        yield (
            "grid.mixes: no mix is English only, so that no result says what the languages of the others add; "
            "name one with the weights {en: 1}"
        )
        return
    for name in grid.intermediates:
        if not {*english, *_repeated(config)} & {*config.mixes_of(name)}:
            yield (
                f"intermediates.{name}.mixes: '{english[0]}' is not among them, so that no result of '{name}' says "
                "what the languages of its mixes add"
            )


def _unused(config: Config) -> Iterator[str]:
    """Names of the grid that nothing is trained for."""
    grid = config.grid
    if grid.intermediates and all(config.encoders[name].baseline_only for name in grid.encoders):
        yield "grid.intermediates: none is trained, as every encoder of the grid is baseline_only"
    used = {mix for name in grid.intermediates for mix in config.mixes_of(name)}
    for mix in grid.mixes if grid.intermediates else ():
        if mix not in used:
            yield f"grid.mixes: no intermediate is trained in '{mix}'"


def _untranslated(config: Config) -> Iterator[str]:
    """Languages that a target with translated test data lacks."""
    for name in config.grid.targets:
        if config.target(name).translate_test:
            task = load_task(config.task_of(name))
            codes = catalogue.target_languages(config, name, task)
            if lacking := [code for code in catalogue.evaluation_languages(config, task) if code not in codes]:
                yield (
                    f"targets.{name}.translate_test: {', '.join(lacking)} cannot be translated into English by "
                    f"translation.backend '{config.translation.backend}', and '{name}' is not evaluated there"
                )


def _repeated(config: Config) -> list[str]:
    """Controls that train on English alone."""
    return [mix for mix in config.grid.mixes if config.mixes[mix].budget == "english_repeated"]


def _alike(config: Config) -> Iterator[str]:
    """Entries of the grid that differ in name only: the same training twice."""
    grid = config.grid
    contents: dict[str, dict[str, Hashable]] = {
        "encoders": {name: canonical(config.encoders[name].model_dump()) for name in grid.encoders},
        "intermediates": {name: canonical(_intermediate(config, name)) for name in grid.intermediates},
        "mixes": {name: canonical(_mix(config, name)) for name in grid.mixes},
        "targets": {name: canonical(config.target(name).model_dump()) for name in grid.targets},
    }
    for section, entries in contents.items():
        for names in _groups(entries):
            yield f"{section}: {' and '.join(names)} differ in name only, so that the same runs {len(names)} times"


def _slow(config: Config) -> Iterator[str]:
    """bfloat16 where it gains nothing."""
    keys = [*_keys(config.model_dump(), "precision", "bfloat16")]
    kind = processor.this()
    if keys and not kind.bfloat16 and not processor.has_gpu():
        more = f" (and {len(keys) - 1} more)" if len(keys) > 1 else ""
        yield (
            f"{keys[0]}: bfloat16{more}, but the processor of this machine ({kind}) has no units for it and gains "
            f"nothing: a step takes {ROUNDED} times as long as with float32, more in narrow models (recorded in "
            "docs/performance.md, not measured now); 'auto' takes bfloat16 where it is faster"
        )


def _keys(section: Any, name: str, value: Any) -> Iterator[str]:
    """The paths of all keys called `name` in nested sections that have this value."""
    for key, content in section.items() if isinstance(section, dict) else ():
        if key == name and content == value:
            yield key
        yield from (f"{key}.{path}" for path in _keys(content, name, value))


def _groups(entries: dict[str, Hashable]) -> Iterable[list[str]]:
    together: dict[Hashable, list[str]] = {}
    for name, content in entries.items():
        together.setdefault(content, []).append(name)
    return [names for names in together.values() if len(names) > 1]


def _intermediate(config: Config, name: str) -> dict[str, Any]:
    entry = config.intermediate(name).model_dump()
    return entry | {"tasks": config.tasks_of(name), "mixes": config.mixes_of(name)}


def _mix(config: Config, name: str) -> dict[str, Any]:
    """A mix with the share of each language in each task, however it is written."""
    entry = config.mixes[name]
    tasks = dict.fromkeys(task for used in config.grid.intermediates for task in config.tasks_of(used))
    try:
        weights: Any = {task: shares(catalogue.portions_of(config, name, load_task(task))) for task in tasks}
    except UserError:  # a task that this mix is not for
        weights = {}
    return entry.model_dump() | ({"weights": weights, "leave_out": []} if weights else {})
