"""Questions of which a third has no answer, in contexts that hold all words of the question.

Contexts come in twos with the same words: the second one exchanges the subjects, the verbs or the objects of the
first one's two events. What one context states the other does not: a question about an event of the twin is
without an answer, although everything in it occurs, but not together.

Balance: each context is asked for a subject, an object and an adjunct, one of which (any, with equal chance) is not
to be had; each question is as likely to come from either twin. So neither the context, nor the question, nor what is
asked for tells whether there is an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from intermezzo.world.generators.spans import Reading, contexts
from intermezzo.world.scenes import Question, Sampler, Scene

SLOTS = ("subject", "object", "adjunct")
STATED = ("subject", "verb", "object")
"""What a question says, but for what it asks for."""


def draw(sampler: Sampler) -> Iterator[Reading]:
    """Readings, of which three in a row share a context and six in a row the words."""
    rng, context_pairs = sampler.rng, contexts(sampler)
    while True:
        # What is missing is drawn first, so that no slot is favoured because its twins are easier to find. The question
        # has to say what the twins exchange, or it has an answer in both.
        gaps = rng.choice(SLOTS), rng.choice(SLOTS)
        swap = rng.choice([slot for slot in STATED if slot not in gaps])
        twin = None
        while twin is None:
            adjunct, events = next(context_pairs)
            twin = _exchange(sampler, events, swap)
        for context, twin_context, gap in ((events, twin, gaps[0]), (twin, events, gaps[1])):
            for target in rng.sample(SLOTS, len(SLOTS)):
                scene = rng.choice(twin_context if target == gap else context)
                yield Reading(context, Question(scene, adjunct if target == "adjunct" else target))


def _exchange(sampler: Sampler, events: tuple[Scene, Scene], slot: str) -> tuple[Scene, Scene] | None:
    """The events with their fillers of `slot` exchanged; None where that says what cannot be said, or states the same.

    One event states the other's where a noun is the hypernym of its counterpart ("who feeds the animal?").
    """
    inventory = sampler.inventory
    first, second = events
    for counterparts in ((first.subject, second.subject), (first.object, second.object)):
        categories = {inventory.category.get(noun, noun) for noun in counterparts}
        if len(categories) == 1 and any(map(inventory.is_hypernym, counterparts)):
            return None
    first, second = (
        replace(event, **{slot: getattr(counterpart, slot)}, front=sampler.rng.random() < 0.3)
        for event, counterpart in (events, events[::-1])
    )
    for event in (first, second):
        if inventory.category[event.object] not in inventory.objects[event.verb] or not sampler.owns(event):
            return None
    return first, second
