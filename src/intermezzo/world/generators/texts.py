"""Monolingual documents: one or two sentences that show what words mean to a masked language model.

About a quarter of the documents are an event and its restatement (a synonym, a hypernym, fewer modifiers, another
order): the regularity from which matching across segments can be learnt. Most pairs are two segments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from intermezzo.world.edits import changed, reworded
from intermezzo.world.generators.base import Say
from intermezzo.world.generators.tagging import draw_ner, draw_pos
from intermezzo.world.grammar import Meaning, text_of
from intermezzo.world.scenes import Fragment, Kind, Question, Sampler, Scene, State

SEGMENTS = 0.7
"""Share of the documents of two sentences that are written as two segments."""
KINDS = {
    "event": 0.09,
    "restatement": 0.3,
    "contrast": 0.15,
    "result": 0.1,
    "opposite": 0.05,
    "kind": 0.07,
    "answer": 0.12,
    "names": 0.12,
}
"""Kind of document -> share."""


def draw(sampler: Sampler) -> Iterator[tuple[tuple[Meaning, ...], tuple[Meaning, ...]]]:
    """(first segment, second segment), each some sentences; the second may be empty."""
    rng, names, words = sampler.rng, draw_ner(sampler), draw_pos(sampler)
    kinds, weights = list(KINDS), list(KINDS.values())
    while True:
        kind = rng.choices(kinds, weights)[0]
        if kind == "names":
            scene = next(names)[0] if rng.random() < 0.67 else next(words)
            yield (scene,), ()
            continue
        sentences = _sentences(sampler, kind)
        if len(sentences) > 1 and rng.random() < SEGMENTS:
            yield sentences[:1], sentences[1:]
        else:
            yield sentences, ()


def _sentences(sampler: Sampler, kind: str) -> tuple[Meaning, ...]:
    rng, inventory = sampler.rng, sampler.inventory
    if kind == "kind":
        category = rng.choice(sorted(inventory.members))
        return (Kind(sampler.word(inventory.members[category]), inventory.hypernyms[category]),)
    if kind in ("result", "opposite"):
        scene = sampler.scene(rng.choice((0, 1)), verbs=tuple(inventory.results))
        quality = inventory.results[scene.verb]
        if kind == "result":
            return scene, State(scene.object, quality)
        return State(scene.object, quality), State(scene.object, rng.choice(inventory.exclusive[quality]), True)
    scene = replace(sampler.scene(rng.choice((0, 1, 1, 2))), negated=rng.random() < 0.25, front=rng.random() < 0.3)
    if kind == "restatement":
        return tuple(rng.sample((scene, restated(sampler, scene)), 2))
    if kind == "contrast":
        return _contrast(sampler, scene)
    if kind == "answer":
        slot = rng.choice(["subject", "object", *(slot for slot in ("place", "time") if getattr(scene, slot))])
        return scene, Question(scene, slot), Fragment(scene, slot)
    return (scene,)


def _contrast(sampler: Sampler, scene: Scene) -> tuple[Scene, ...]:
    """What does not happen and what happens instead, in either order: one thing differs."""
    contrast = changed(sampler, scene, sampler.rng.choice(["verb", "subject", "object", *scene.modifiers()]))
    if contrast is None or not sampler.owns(contrast):
        return (scene,)
    contrast = replace(contrast, negated=not scene.negated, front=sampler.rng.random() < 0.3)
    return scene, contrast


def restated(sampler: Sampler, scene: Scene) -> Scene:
    """`scene` said again: fewer modifiers, perhaps a synonym or a hypernym, the order chosen afresh."""
    rng, inventory = sampler.rng, sampler.inventory
    for slot in scene.modifiers():
        if rng.random() < 0.4:
            scene = scene.without(slot)
    if rng.random() < 0.4:
        scene = reworded(sampler, scene)
    for slot in ("subject", "object"):
        noun = getattr(scene, slot)
        if noun in inventory.category and rng.random() < 0.15:
            general_scene = scene.with_filler(slot, inventory.hypernyms[inventory.category[noun]])
            scene = general_scene if sampler.owns(general_scene) else scene
    return replace(scene, front=rng.random() < 0.3)


def row(segments: tuple[tuple[Meaning, ...], tuple[Meaning, ...]], say: Say, _: Say) -> dict[str, Any]:
    """Columns of a document: text and, where it has a second segment, text_pair."""
    first, second = (" ".join(text_of(say(meaning)) for meaning in segment) for segment in segments)
    return {"text": first, "text_pair": second or None}
