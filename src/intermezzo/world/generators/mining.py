"""Mining: sentences of a language and English sentences, among which those that translate each other are to be found.

Half of the English sentences have a translation on the other side, and (with an even number of rows) half of the
foreign ones. The others have none. Both sides are in random order, and numbered in it. In every language the same
meanings stand in the same places.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from itertools import islice
from typing import Any

from intermezzo.core.errors import UserError
from intermezzo.world.generators.base import Row, SetRequest
from intermezzo.world.grammar import text_of
from intermezzo.world.inventory import load_inventory
from intermezzo.world.scenes import Scene

ENGLISH = "en"
LEAST = 4


def rows(request: SetRequest) -> list[Row]:
    """`request.size` rows, the foreign side first; of an odd number it has one more.

    Raises UserError for English, which is the other side of every pair, and for fewer rows than have a pair.
    """
    if request.language == ENGLISH:
        raise UserError(
            f"mining: no rows in language '{ENGLISH}', which is the other side of every language's file; "
            "leave it out of the languages of this task"
        )
    if request.size < LEAST:
        raise UserError(f"rows: {request.size} rows of 'mining' asked for; at least {LEAST} (one pair, one distractor)")
    english = request.size // 2
    foreign, pairs = request.size - english, english // 2
    scenes = list(islice(_different(request), foreign + english - pairs))
    sides = {code: scenes[part] for code, part in zip((request.language, ENGLISH), _parts(foreign, pairs), strict=True)}
    numbered: dict[str, dict[Scene, str]] = {}
    for code, side in sides.items():
        request.rng.shuffle(side)
        numbered[code] = {scene: f"{code}-{number}" for number, scene in enumerate(side, 1)}
    return [
        {
            "id": name,
            "text": text_of(request.speakers[code](scene)),
            "side": "english" if code == ENGLISH else "foreign",
            "pair": None if code == ENGLISH else numbered[ENGLISH].get(scene),
        }
        for code, side in numbered.items()
        for scene, name in side.items()
    ]


def _parts(foreign: int, pairs: int) -> tuple[slice, slice]:
    """Where the two sides lie among the sentences: they overlap in the pairs."""
    return slice(foreign), slice(foreign - pairs, None)


def _different(request: SetRequest) -> Iterator[Scene]:
    """Sentences no two of which mean the same (synonyms are the same) or sound the same in any language."""
    base = load_inventory().base
    earlier_expressions: set[tuple[Any, ...]] = set()
    for scene in request.meanings(request.split):
        meaning = tuple(base.get(part, part) if isinstance(part, str) else part for part in astuple(scene)[:-1])
        expressions = {(code, text_of(say(scene))) for code, say in request.speakers.items()} | {meaning}
        if earlier_expressions.isdisjoint(expressions):
            earlier_expressions |= expressions
            yield scene
