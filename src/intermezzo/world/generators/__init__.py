"""The generators, by name: each draws meanings (without a language) and turns one meaning into a row.

Meanings come from one random stream; what a row says in a language depends on its meaning and that language
alone. So the same stream gives parallel rows in every language, and a row can be translated exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from intermezzo.world.generators import pairs, retrieval, spans, tagging, texts
from intermezzo.world.grammar import Meaning, Token
from intermezzo.world.scenes import Sampler

Say = Callable[[Meaning], list[Token]]


@dataclass(frozen=True)
class Generator:
    """`draw` yields meanings without end; `row(meaning, say, say_english)` gives the columns but for `id`."""

    draw: Callable[[Sampler], Iterator[Any]]
    row: Callable[[Any, Say, Say], dict[str, Any]]
    defaults: dict[str, int | None]
    """Split -> number of rows when none is asked for (None: by the language's documents)."""
    parallel: tuple[str, ...] = ("dev", "test")
    """Splits that say the same in every language."""


LABELLED: dict[str, int | None] = {"train": 6000, "dev": 400, "test": 400}

GENERATORS: dict[str, Generator] = {
    "nli": Generator(pairs.draw_nli, pairs.pair_row, LABELLED),
    "paraphrase": Generator(pairs.draw_paraphrase, pairs.pair_row, LABELLED),
    "multiple_choice": Generator(pairs.draw_choices, pairs.choices_row, LABELLED),
    "pos": Generator(tagging.draw_pos, tagging.pos_row, LABELLED),
    "ner": Generator(tagging.draw_ner, tagging.ner_row, LABELLED),
    "qa": Generator(spans.draw, spans.row, LABELLED),
    "retrieval": Generator(retrieval.draw, retrieval.row, LABELLED),
    "text": Generator(texts.draw, texts.row, {"train": None, "dev": 400, "test": 400}, parallel=()),
    "parallel": Generator(retrieval.draw, retrieval.row, {"train": None, "dev": 400, "test": 400}),
}
