"""The generators, by name: each draws meanings (without a language) and turns one meaning into a row.

Meanings come from one random stream; what a row says in a language depends on its meaning and that language
alone. So the same stream gives parallel rows in every language, and a row can be translated exactly.

| format | generators |
|---|---|
| classification | nli, paraphrase |
| multiple_choice | multiple_choice (four choices), choices2, choices3, choices5 |
| tagging | pos, ner, supertag |
| span | qa, qa_unanswerable |
| retrieval | retrieval, parallel |
| mining | mining |
| ranking | answer_retrieval, entity_retrieval |
| mlm | text |
"""

from __future__ import annotations

from functools import partial

from intermezzo.world.generators import (
    answers,
    entities,
    mining,
    pairs,
    retrieval,
    spans,
    supertags,
    tagging,
    texts,
    unanswerable,
)
from intermezzo.world.generators.base import Generator, SetRequest

LABELLED: dict[str, int | None] = {"train": 6000, "dev": 400, "test": 400}
RANKED: dict[str, int | None] = {**LABELLED, "candidates": LABELLED["test"]}
"""The number of candidates follows from that of the queries: n rows are what n queries of dev and of test need."""


def _choices(number: int) -> Generator:
    return Generator(partial(pairs.draw_choices, number=number), pairs.choices_row, LABELLED)


GENERATORS: dict[str, Generator] = {
    "nli": Generator(pairs.draw_nli, pairs.pair_row, LABELLED),
    "paraphrase": Generator(pairs.draw_paraphrase, pairs.pair_row, LABELLED),
    "multiple_choice": _choices(4),
    "choices2": _choices(2),
    "choices3": _choices(3),
    "choices5": _choices(5),
    "pos": Generator(tagging.draw_pos, tagging.pos_row, LABELLED),
    "ner": Generator(tagging.draw_ner, tagging.ner_row, LABELLED),
    "supertag": Generator(supertags.draw, supertags.row, LABELLED),
    "qa": Generator(spans.draw, spans.row, LABELLED),
    "qa_unanswerable": Generator(unanswerable.draw, spans.row, LABELLED),
    "retrieval": Generator(retrieval.draw, retrieval.row, LABELLED),
    "mining": Generator(
        retrieval.draw, retrieval.row, {"dev": 400, "test": 400}, sets={"dev": mining.rows, "test": mining.rows}
    ),
    "answer_retrieval": Generator(answers.draw, answers.row, RANKED, sets={"candidates": answers.candidates}),
    "entity_retrieval": Generator(entities.draw, entities.row, RANKED, sets={"candidates": entities.candidates}),
    "text": Generator(texts.draw, texts.row, {"train": None, "dev": 400, "test": 400}, parallel=()),
    "parallel": Generator(retrieval.draw, retrieval.row, {"train": None, "dev": 400, "test": 400}),
}

__all__ = ["GENERATORS", "Generator", "SetRequest"]
