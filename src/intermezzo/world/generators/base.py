"""What a generator is: meanings out of one random stream, and rows that say them in a language."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from intermezzo.world.grammar import Meaning, Token
from intermezzo.world.scenes import Sampler

Say = Callable[[Meaning], list[Token]]
Row = dict[str, Any]
PATIENCE = 2_000
"""So many draws in a row that cannot be used: there are no more."""


@dataclass(frozen=True)
class SetRequest:
    """Rows that refer to each other and are therefore made together: what is asked for, and what to make it from."""

    language: str
    split: str
    size: int
    meanings: Callable[[str], Iterator[Any]]
    """Split -> the generator's meanings, from the first one on, the same in all languages."""
    speakers: dict[str, Say]
    """Every language of the world -> how it says a meaning."""
    rng: random.Random
    """In the same state for all languages."""

    def queries(self, size: int) -> list[Any]:
        """Meanings of the first `size` rows of development and of test data, which search the same candidates."""
        return [meaning for split in ("dev", "test") for meaning in islice(self.meanings(split), size)]


@dataclass(frozen=True)
class Generator:
    """`draw` yields meanings, mostly without end; `row(meaning, say, say_english)` gives the columns but for `id`."""

    draw: Callable[[Sampler], Iterator[Any]]
    row: Callable[[Any, Say, Say], Row]
    defaults: dict[str, int | None]
    """Split -> number of rows when none is asked for (None: by the language's documents). No other split exists."""
    parallel: tuple[str, ...] = ("dev", "test")
    """Splits that say the same in every language."""
    sets: dict[str, Callable[[SetRequest], list[Row]]] = field(default_factory=dict)
    """Splits whose rows are made together, ids included, instead of one by one."""
