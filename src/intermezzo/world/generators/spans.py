"""Extractive question answering: two events, four candidates of each type, one question about one of them.

Both events have the same kind of adjunct, so that the type of the question leaves at least two candidates and
the event has to be found; each context is asked three different questions, so that the context alone does not
tell the answer. Either event comes first with equal chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from intermezzo.world.generators.base import Say
from intermezzo.world.grammar import Token, text_of
from intermezzo.world.scenes import Question, Sampler, Scene

QUESTIONS = 3


@dataclass(frozen=True, slots=True)
class Reading:
    """A context and a question, which has no answer if its scene is none of the events."""

    events: tuple[Scene, Scene]
    question: Question


def contexts(sampler: Sampler) -> Iterator[tuple[str, tuple[Scene, Scene]]]:
    """(place or time, two events with that adjunct), which share neither the verb nor what fills any slot."""
    rng, base = sampler.rng, sampler.inventory.base
    while True:
        adjunct = rng.choice(("place", "time"))
        first, second = (replace(sampler.scene((adjunct,)), front=rng.random() < 0.3) for _ in range(2))
        fillers = [
            base.get(getattr(e, s), getattr(e, s)) for e in (first, second) for s in ("subject", "object", adjunct)
        ]
        if len(set(fillers)) == len(fillers) and base[first.verb] != base[second.verb]:
            yield adjunct, (first, second)


def draw(sampler: Sampler) -> Iterator[Reading]:
    """Three different questions about each context; every question has an answer."""
    for adjunct, events in contexts(sampler):
        questions = [Question(event, slot) for event in events for slot in ("subject", "object", adjunct)]
        for question in sampler.rng.sample(questions, QUESTIONS):
            yield Reading(events, question)


def row(reading: Reading, say: Say, _: Say) -> dict[str, Any]:
    """The answer is the head of the asked phrase as it stands in the context (with its case, without article)."""
    tokens: list[Token] = []
    answer_positions: list[int] = []
    for event in reading.events:
        sentence = say(event)
        if event == reading.question.scene:
            answer_positions = [
                len(tokens) + position for position, token in enumerate(sentence) if token.slot == reading.question.slot
            ]
        tokens += sentence
    answers, starts = [], []
    if answer_positions:
        answers.append(text_of(tokens[answer_positions[0] : answer_positions[-1] + 1]))
        starts.append(sum(len(token.text) + 1 for token in tokens[: answer_positions[0]]))
    return {
        "context": text_of(tokens),
        "question": text_of(say(reading.question)),
        "answers": answers,
        "answer_starts": starts,
    }
