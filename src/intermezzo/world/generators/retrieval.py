"""Translations, sentence by sentence: for retrieval and as parallel text. No two rows of a set mean the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from intermezzo.world.generators.base import Say
from intermezzo.world.grammar import text_of
from intermezzo.world.scenes import Sampler, Scene


def draw(sampler: Sampler) -> Iterator[Scene]:
    """Different statements, a fifth of them negated."""
    earlier_scenes: set[Scene] = set()
    while True:
        scene = sampler.scene(sampler.rng.choice((0, 1, 1, 2)))
        scene = replace(scene, negated=sampler.rng.random() < 0.2)
        if scene not in earlier_scenes:
            earlier_scenes.add(scene)
            yield replace(scene, front=sampler.rng.random() < 0.3)


def row(scene: Scene, say: Say, say_english: Say) -> dict[str, Any]:
    """Columns of a translation: text in the language, text_pair in English."""
    return {"text": text_of(say(scene)), "text_pair": text_of(say_english(scene))}
