"""Extractive question answering: two events, four candidates of each type, one question about one of them.

Both events have the same kind of adjunct, so that the type of the question leaves at least two candidates and
the event has to be found; each context is asked three different questions, so that the context alone does not
tell the answer. Either event comes first with equal chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from intermezzo.world.grammar import Meaning, Token, text_of
from intermezzo.world.scenes import Question, Sampler, Scene

Say = Callable[[Meaning], list[Token]]
QUESTIONS = 3


@dataclass(frozen=True, slots=True)
class Reading:
    events: tuple[Scene, Scene]
    event: int
    asked: str


def draw(sampler: Sampler) -> Iterator[Reading]:
    rng, base = sampler.rng, sampler.inventory.base
    while True:
        adjunct = rng.choice(("place", "time"))
        events = tuple(replace(sampler.scene((adjunct,)), front=rng.random() < 0.3) for _ in range(2))
        fillers = [base.get(getattr(e, s), getattr(e, s)) for e in events for s in ("subject", "object", adjunct)]
        if len(set(fillers)) < len(fillers) or base[events[0].verb] == base[events[1].verb]:
            continue
        questions = [(event, asked) for event in (0, 1) for asked in ("subject", "object", adjunct)]
        for event, asked in rng.sample(questions, QUESTIONS):
            yield Reading(events, event, asked)


def row(reading: Reading, say: Say, _: Say) -> dict[str, Any]:
    """The answer is the head of the asked phrase as it stands in the context (with its case, without article)."""
    tokens: list[Token] = []
    for number, event in enumerate(reading.events):
        said = say(event)
        if number == reading.event:
            spoken = [len(tokens) + at for at, token in enumerate(said) if token.slot == reading.asked]
        tokens += said
    first, last = spoken[0], spoken[-1]
    start = sum(len(token.text) + 1 for token in tokens[:first])
    answer = text_of(tokens[first : last + 1])
    return {
        "context": text_of(tokens),
        "question": text_of(say(Question(reading.events[reading.event], reading.asked))),
        "answers": [answer],
        "answer_starts": [start],
    }
