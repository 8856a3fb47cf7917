"""Part-of-speech tagging and named entity recognition, both decidable only from the context.

POS: verbs that sound like nouns, adpositions that are adverbs when alone, names that training never shows.
NER: each split has its own names, and a name belongs to no type: its verb, its role or its adposition tells
whether it is a person, a place or an organisation. In case languages names are inflected.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from intermezzo.world.generators.base import Say
from intermezzo.world.grammar import Meaning
from intermezzo.world.scenes import Question, Sampler, Scene, State


def draw_pos(sampler: Sampler) -> Iterator[Meaning]:
    """Statements with many homographs, a few questions and states."""
    rng, inventory = sampler.rng, sampler.inventory
    homographs, nouns = tuple(inventory.homographs), tuple(inventory.homographs.values())
    while True:
        verbs = homographs if rng.random() < 0.5 else ()
        scene = sampler.scene(rng.choice((0, 1, 1, 2)), verbs=verbs)
        if rng.random() < 0.6:
            scene = _with_homograph(sampler, scene, nouns)
        scene = replace(with_relation(sampler, scene), negated=rng.random() < 0.2, front=rng.random() < 0.3)
        kind = rng.random()
        if kind < 0.1:
            slots = [slot for slot in ("subject", "object", "place", "time") if sampler.owns_question(scene, slot)]
            yield Question(scene, rng.choice(slots))
        elif kind < 0.2 and (qualities := sampler.qualities(scene.subject)):
            yield State(scene.subject, rng.choice(qualities), scene.negated)
        else:
            yield scene


def _with_homograph(sampler: Sampler, scene: Scene, nouns: tuple[str, ...]) -> Scene:
    """Put a noun that sounds like a verb into a slot that takes it, if the fact is still the split's own."""
    inventory = sampler.inventory
    for noun in sampler.rng.sample(nouns, len(nouns)):
        category = inventory.category[noun]
        slots = ["subject"] * (category in inventory.animate and not scene.subject.startswith("@"))
        slots += ["object"] * (category in inventory.objects[scene.verb])
        for slot in slots:
            variant = scene.with_filler(slot, noun)
            if sampler.owns(variant):
                return variant
    return scene


def with_relation(sampler: Sampler, scene: Scene) -> Scene:
    """Vary the adposition of the place, and sometimes say it alone as an adverb."""
    chance = sampler.rng.random()
    relation = sampler.rng.choice(("f:inside", "f:outside"))
    if scene.place is not None:
        return replace(scene, relation=relation) if chance < 0.5 else scene
    return replace(scene, relation=relation) if chance < 0.25 else scene


def pos_row(meaning: Meaning, say: Say, _: Say) -> dict[str, Any]:
    """Columns of a sentence with parts of speech: tokens and tags (universal tags)."""
    tokens = say(meaning)
    return {"tokens": [token.text for token in tokens], "tags": [token.tag for token in tokens]}


def draw_ner(sampler: Sampler) -> Iterator[tuple[Scene, dict[str, str]]]:
    """(scene, slot -> entity type): the three types are equally frequent, a fifth of the scenes have no name."""
    rng, verbs = sampler.rng, sampler.inventory.entity_verbs
    while True:
        kind = rng.choice(("PER", "LOC", "ORG"))
        entity_types: dict[str, str] = {}
        if kind == "PER":
            if rng.random() < 0.5:
                scene, entity_types = _ordinary(sampler, _name(sampler)), {"subject": "PER"}
            else:
                scene, entity_types = _special(sampler, verbs["PER_object"], "object")
        elif kind == "ORG":
            slot = rng.choice(("subject", "object"))
            scene, entity_types = _special(sampler, verbs[f"ORG_{slot}"], slot)
        elif rng.random() < 0.5:
            scene, entity_types = _special(sampler, verbs["LOC_object"], "object")
        else:
            scene = replace(_ordinary(sampler, None), place=_name(sampler), relation="f:in")
            entity_types = {"place": "LOC"}
        if rng.random() < 0.2:
            scene, entity_types = _unnamed(sampler, scene, entity_types), {}
        if rng.random() < 0.25 and scene.time is None:
            scene = replace(scene, time=sampler.time())
        yield replace(scene, negated=rng.random() < 0.15, front=rng.random() < 0.3), entity_types


def _ordinary(sampler: Sampler, subject: str | None) -> Scene:
    """A scene whose subject is a person: `subject`, or a common noun."""
    return sampler.scene(sampler.rng.choice((0, 0, 1)), subject=subject or sampler.noun("person"))


def _special(sampler: Sampler, verbs: tuple[str, ...], slot: str) -> tuple[Scene, dict[str, str]]:
    """A scene with a verb that decides the type of the name in `slot`; the other participant may be a person's name."""
    verb = sampler.rng.choice(verbs)
    sides = {slot: _name(sampler)}
    kind = next(key[:3] for key, values in sampler.inventory.entity_verbs.items() if verb in values)
    entity_types = {slot: kind}
    other_slot = "object" if slot == "subject" else "subject"
    if sampler.rng.random() < 0.3:
        sides[other_slot] = _name(sampler)
        entity_types[other_slot] = "PER"
    else:
        sides[other_slot] = sampler.noun("person")
    return Scene(sides["subject"], verb, sides["object"]), entity_types


def _unnamed(sampler: Sampler, scene: Scene, entity_types: dict[str, str]) -> Scene:
    """The same scene with common nouns in place of its names, as one of the split's own facts."""
    rng, inventory = sampler.rng, sampler.inventory
    if "place" in entity_types:
        return replace(scene, place=rng.choice(inventory.places))
    special = [verb for verbs in inventory.entity_verbs.values() for verb in verbs]
    if scene.verb not in special:
        return _ordinary(sampler, None)
    while any(side.startswith("@") for side in (scene.subject, scene.object)) or not sampler.owns(scene):
        scene = replace(scene, subject=sampler.noun("person"), verb=rng.choice(special), object=sampler.noun("person"))
    return scene


def _name(sampler: Sampler) -> str:
    """A name of one part, or, three times in ten, of two."""
    name = sampler.name()
    return name + sampler.name() if sampler.rng.random() < 0.3 else name


def ner_row(meaning: tuple[Scene, dict[str, str]], say: Say, _: Say) -> dict[str, Any]:
    """Columns of a sentence with entities: tokens and tags (IOB2 with PER, LOC and ORG)."""
    scene, entity_types = meaning
    tokens = say(scene)
    tags, previous_slot = [], ""
    for token in tokens:
        if token.tag == "PROPN" and token.slot in entity_types:
            tags.append(("I-" if previous_slot == token.slot else "B-") + entity_types[token.slot])
            previous_slot = token.slot
        else:
            tags.append("O")
            previous_slot = ""
    return {"tokens": [token.text for token in tokens], "tags": tags}
