"""Natural language inference, paraphrase and multiple choice.

Balance: in all three the answer is assigned to material that was drawn without regard to it. Each NLI
hypothesis occurs with all three labels, each paraphrase sentence with both, and the choices of a question are
any of the possible results (or causes) with equal chance, so that one side of an example says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from intermezzo.world.edits import TRIES, Pairs, changed, reworded, swapped
from intermezzo.world.generators.base import Say
from intermezzo.world.grammar import text_of
from intermezzo.world.scenes import Prompt, Sampler, Scene, State


def draw_nli(sampler: Sampler) -> Iterator[tuple[Scene, Scene, str]]:
    """(premise, hypothesis, label): three rows in a row share a hypothesis, in random order of the labels."""
    pairs = Pairs(sampler)
    while True:
        hypothesis = pairs.hypothesis()
        premises = pairs.premises(hypothesis)
        if premises is not None:
            for label in sampler.rng.sample(sorted(premises), 3):
                yield premises[label], hypothesis, label


def draw_paraphrase(sampler: Sampler) -> Iterator[tuple[Scene, Scene, str]]:
    """(first, second, label): two rows in a row share their second sentence.

    Half of the negatives exchange who does it to whom (where both are animate), the others change one word.
    """
    while True:
        second = replace(sampler.scene(sampler.rng.choice((0, 1))), front=sampler.rng.random() < 0.3)
        positive = reworded(sampler, second) if sampler.rng.random() < 0.5 else second
        negative = _different(sampler, second)
        if negative is not None:
            rows = [(positive, second, "same"), (negative, second, "different")]
            for first, _, label in sampler.rng.sample(rows, 2):
                yield replace(first, front=sampler.rng.random() < 0.3), second, label


def _different(sampler: Sampler, scene: Scene) -> Scene | None:
    inventory = sampler.inventory
    categories = [inventory.category.get(noun) for noun in (scene.subject, scene.object)]
    if set(categories) <= set(inventory.animate) and sampler.rng.random() < 0.5:
        variant = swapped(scene)
        return variant if sampler.owns(variant) else None
    for _ in range(TRIES):
        change = changed(sampler, scene, sampler.rng.choice(["verb", "subject", "object", *scene.modifiers()]))
        if change is not None and sampler.owns(change):
            return reworded(sampler, change) if sampler.rng.random() < 0.5 else change
    return None


def pair_row(meaning: tuple[Scene, Scene, str], say: Say, _: Say) -> dict[str, Any]:
    """Columns of a sentence pair: text, text_pair and label."""
    first, second, label = meaning
    return {"text": text_of(say(first)), "text_pair": text_of(say(second)), "label": label}


@dataclass(frozen=True, slots=True)
class Choices:
    """A multiple-choice question; `label` is the index of the right choice."""

    context: Scene | State
    question: Prompt
    choices: tuple[Scene | State, ...]
    label: int


def draw_choices(sampler: Sampler, number: int) -> Iterator[Choices]:
    """Result questions (an event, which state follows?) and cause questions (a state, which event led to it?).

    The `number` choices (at most six) are drawn first, the right one afterwards. The subject is a name, so that
    each of the events belongs to the split.
    """
    rng, inventory = sampler.rng, sampler.inventory
    while True:
        category = rng.choice(sorted(inventory.members))
        verbs = [verb for verb in inventory.results if category in inventory.objects[verb]]
        by_result = {inventory.results[verb]: verb for verb in rng.sample(verbs, len(verbs))}
        if len(by_result) < number:
            continue
        holder, subject, label = sampler.noun(category), sampler.name(), rng.randrange(number)
        qualities = rng.sample(sorted(by_result), number)
        states = tuple(State(holder, quality) for quality in qualities)
        events = tuple(Scene(subject, by_result[quality], holder) for quality in qualities)
        if rng.random() < 0.5:
            yield Choices(events[label], Prompt("then"), states, label)
        else:
            yield Choices(states[label], Prompt("why"), events, label)


def choices_row(meaning: Choices, say: Say, _: Say) -> dict[str, Any]:
    """Columns of a multiple-choice question: context, question, choices and label."""
    return {
        "context": text_of(say(meaning.context)),
        "question": text_of(say(meaning.question)),
        "choices": [text_of(say(choice)) for choice in meaning.choices],
        "label": meaning.label,
    }
