"""Sentence pairs in a known relation: the premise is built to fit a hypothesis that was drawn first.

The hypothesis is drawn without regard to the label, and each hypothesis occurs once with each label, so that it
says nothing about the label by construction. What is drawn for the premise (number of modifiers, negation,
hypernyms, synonyms) has the same rates under each label, so that the premise alone says next to nothing either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from intermezzo.world.scenes import MODIFIERS, Sampler, Scene

NEGATED = 0.3
"""Share of negated hypotheses; flips are drawn so that premises have the same share under each label."""
FLIP_NEGATED, FLIP_POSITIVE = 0.7, 0.3
REWORDED = 0.3
"""Share of premises in which one word is replaced by its synonym."""
SPECIFIED = 0.5
"""Share of hypernyms in the hypothesis that the premise makes more specific."""
GENERALISED = 0.2
"""Share of neutral premises that are more general in a noun, rather than silent about a modifier."""
TRIES = 200


class Pairs:
    """Builds premises for a hypothesis within the facts of one split."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler, self.rng, self.inventory = sampler, sampler.rng, sampler.inventory

    def hypothesis(self) -> Scene:
        """A scene with one or two modifiers, drawn without regard to any label."""
        scene = self.sampler.scene(self.rng.choice((1, 2)))
        return replace(scene, negated=self.rng.random() < NEGATED, front=self.rng.random() < 0.3)

    def premises(self, hypothesis: Scene) -> dict[str, Scene] | None:
        """One premise per label, all with the same number of modifiers; None if some label finds none."""
        bare = Scene(hypothesis.subject, hypothesis.verb, hypothesis.object)
        room = sum(self.sampler.open(bare, slot) for slot in MODIFIERS)
        # A neutral premise leaves one slot empty, so no premise may fill them all.
        modifiers = min(len(hypothesis.modifiers()) + self.rng.choice((0, 1)), room - 1)
        drafts = {
            "entailment": self._retry(self._entailing, hypothesis),
            "neutral": self._retry(self._neutral, hypothesis),
            "contradiction": self._retry(self._contradicting, hypothesis),
        }
        scenes = {label: scene for label, scene in drafts.items() if scene is not None}
        if len(scenes) < len(drafts):
            return None
        return {label: self._finish(scene, hypothesis, modifiers) for label, scene in scenes.items()}

    def _retry(self, edit: Callable[[Scene], Scene | None], hypothesis: Scene) -> Scene | None:
        for _ in range(TRIES):
            scene = edit(hypothesis)
            if scene is not None and self.sampler.owns(scene):
                return scene
        return None

    def _entailing(self, hypothesis: Scene) -> Scene:
        return self._specified(hypothesis, SPECIFIED)

    def _neutral(self, hypothesis: Scene) -> Scene:
        nouns = {"subject": hypothesis.subject, "object": hypothesis.object}
        hypernyms = {slot: hypernym for slot, noun in nouns.items() if (hypernym := self._general(noun))}
        if hypernyms and self.rng.random() < GENERALISED:
            slot = self.rng.choice(list(hypernyms))
            return hypothesis.with_filler(slot, hypernyms[slot])
        scene = self._specified(hypothesis, 0.9)
        gap = self.rng.choice(hypothesis.modifiers())
        return scene.without(gap)

    def _contradicting(self, hypothesis: Scene) -> Scene | None:
        flip = FLIP_NEGATED if hypothesis.negated else FLIP_POSITIVE
        scene = self._specified(hypothesis, SPECIFIED)
        if self.rng.random() < flip:
            return replace(scene, negated=not scene.negated)
        slot = self.rng.choice(["verb", "subject", "object", *hypothesis.modifiers()])
        return changed(self.sampler, scene, slot)

    def _specified(self, scene: Scene, rate: float) -> Scene:
        """Replace hypernyms by members of their category."""
        for slot in ("subject", "object"):
            noun = getattr(scene, slot)
            if self.inventory.is_hypernym(noun) and self.rng.random() < rate:
                scene = scene.with_filler(
                    slot, self.sampler.word(self.inventory.members[self.inventory.category[noun]])
                )
        return scene

    def _general(self, noun: str) -> str | None:
        if noun.startswith("@") or self.inventory.is_hypernym(noun):
            return None
        return self.inventory.hypernyms[self.inventory.category[noun]]

    def _finish(self, premise: Scene, hypothesis: Scene, modifiers: int) -> Scene:
        """Add modifiers about which the hypothesis is silent, reword, and choose the order afresh."""
        open_slots = [
            slot for slot in MODIFIERS if getattr(hypothesis, slot) is None and self.sampler.open(premise, slot)
        ]
        number = min(max(modifiers - len(premise.modifiers()), 0), len(open_slots))
        premise = self.sampler.add(premise, tuple(self.rng.sample(open_slots, number)))
        if self.rng.random() < REWORDED:
            premise = reworded(self.sampler, premise)
        return replace(premise, front=self.rng.random() < 0.3)


def changed(sampler: Sampler, scene: Scene, slot: str) -> Scene | None:
    """`scene` with a filler of `slot` that excludes the old one; None where there is none."""
    filler = sampler.different(slot, getattr(scene, slot))
    if filler is None:
        return None
    inventory = sampler.inventory
    if (
        slot == "object"
        and filler in inventory.category
        and inventory.category[filler] not in inventory.objects[scene.verb]
    ):
        return None
    return scene.with_filler(slot, filler)


def reworded(sampler: Sampler, scene: Scene) -> Scene:
    """`scene` with one word replaced by its synonym, if any of its words has one."""
    slots = ("subject", "verb", "object", "subject_adjective", "object_adjective")
    slots_with_synonym = [slot for slot in slots if getattr(scene, slot) in sampler.inventory.synonym]
    if not slots_with_synonym:
        return scene
    slot = sampler.rng.choice(slots_with_synonym)
    return scene.with_filler(slot, sampler.inventory.synonym[getattr(scene, slot)])


def swapped(scene: Scene) -> Scene:
    """`scene` with its two participants changing roles (adjectives stay with their nouns)."""
    return replace(
        scene,
        subject=scene.object,
        object=scene.subject,
        subject_adjective=scene.object_adjective,
        object_adjective=scene.subject_adjective,
    )
