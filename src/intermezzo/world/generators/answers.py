"""Answer retrieval: a question finds the sentence that answers it, in every language at once.

A passage has three events of different verbs and participants; a candidate is a sentence followed by its passage, so
that the candidates of a passage differ only in the sentence. A question is answered by one sentence of the pool
(in each language): no two events of development and test data share what a question about them says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from intermezzo.world.generators.base import PATIENCE, Row, Say, SetRequest
from intermezzo.world.grammar import text_of
from intermezzo.world.inventory import load_inventory
from intermezzo.world.scenes import Question, Sampler, Scene
from intermezzo.world.seeds import share

SENTENCES = 3
QUESTIONS = 3
Words = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Passage:
    """Three events; `number` counts the passages of a split."""

    split: str
    number: int
    events: tuple[Scene, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """What fills `slot` in that event of the passage?"""

    passage: Passage
    event: int
    slot: str


def draw(sampler: Sampler) -> Iterator[Query]:
    """Three different questions to each passage; ends when the split's questions are used up."""
    rng, number = sampler.rng, 0
    earlier_questions: set[Words] = set()
    while True:
        adjunct = rng.choice(("place", "time"))
        events: list[Scene] = []
        while len(events) < SENTENCES:
            event = _event(sampler, adjunct, events, earlier_questions)
            if event is None:
                return
            events.append(event)
        if sampler.split != "train":
            earlier_questions.update(question for event in events for question in _questions(sampler, event))
        passage = Passage(sampler.split, number, tuple(events))
        number += 1
        questions = [(index, slot) for index in range(SENTENCES) for slot in ("subject", "object", adjunct)]
        for index, slot in rng.sample(questions, QUESTIONS):
            yield Query(passage, index, slot)


def _event(sampler: Sampler, adjunct: str, events: list[Scene], earlier_questions: set[Words]) -> Scene | None:
    """An event that shares nothing but the kind of its adjunct with the others; None where there seems to be none."""
    inventory = sampler.inventory
    slots = ("subject", "verb", "object", adjunct)

    def fillers(scene: Scene) -> set[str]:
        return {inventory.base.get(getattr(scene, name), getattr(scene, name)) for name in slots}

    fillers_in_use = set().union(*map(fillers, events))
    for _ in range(PATIENCE):
        scene = sampler.scene((adjunct, "object_adjective"))
        if inventory.is_hypernym(scene.subject) or inventory.is_hypernym(scene.object):
            continue  # "who feeds the animal?" has an answer wherever somebody feeds a dog
        if sampler.open(scene, "subject_adjective"):
            scene = sampler.add(scene, ("subject_adjective",))
        questions = _questions(sampler, scene)
        is_new = earlier_questions.isdisjoint(questions) and fillers_in_use.isdisjoint(fillers(scene))
        if is_new and all(_owns(sampler, question) for question in questions):
            return replace(scene, front=sampler.rng.random() < 0.3)
    return None


def _questions(sampler: Sampler, scene: Scene) -> tuple[Words, Words]:
    """What the question for the subject says, and what the one for the object does (the one for an adjunct: both)."""
    subject, its_adjective, verb, object_, adjective = (
        part if part is None else sampler.inventory.base.get(part, part)
        for part in (scene.subject, scene.subject_adjective or "", scene.verb, scene.object, scene.object_adjective)
    )
    return ("who", verb, adjective, object_), ("what", its_adjective, subject, verb)


def _owns(sampler: Sampler, question: Words) -> bool:
    """Development and test data share a pool of candidates, so questions are dealt out to the two."""
    return sampler.split == "train" or (share(sampler.seed, "question", *question) < 0.5) == (sampler.split == "dev")


def row(query: Query, say: Say, _: Say) -> Row:
    """A question with what it should find (training), or with the ids of its sentence in all languages."""
    passage = query.passage
    train = passage.split == "train"
    return {
        "text": text_of(say(Question(passage.events[query.event], query.slot))),
        "text_pair": _texts(passage, say)[query.event] if train else None,
        "relevant": [] if train else [_id(code, passage, query.event) for code in load_inventory().languages],
    }


def candidates(request: SetRequest) -> list[Row]:
    """All sentences, in one language, of the passages of the first `request.size` rows of dev and of test."""
    say = request.speakers[request.language]
    return [
        {"id": _id(request.language, passage, number), "text": text, "text_pair": None, "relevant": []}
        for passage in dict.fromkeys(query.passage for query in request.queries(request.size))
        for number, text in enumerate(_texts(passage, say))
    ]


def _texts(passage: Passage, say: Say) -> list[str]:
    sentences = [text_of(say(event)) for event in passage.events]
    return [" ".join([sentence, *sentences]) for sentence in sentences]


def _id(language: str, passage: Passage, sentence: int) -> str:
    return f"{language}:{passage.split}{passage.number}:{sentence}"
