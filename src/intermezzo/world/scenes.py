"""What can be said: scenes (events), states and kinds, drawn at random within the facts of one split.

Two sentences of one example describe the same scene, as in SNLI: who does what to whom is one event, with one
place and one time, and each noun phrase has one referent.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from intermezzo.world.inventory import Inventory
from intermezzo.world.seeds import owner

MODIFIERS = ("subject_adjective", "object_adjective", "place", "time")


@dataclass(frozen=True, slots=True)
class Scene:
    """An event. Fields hold concept ids or names (`@12`); None is what is not said.

    `relation` is the adposition of the place; with `place` None it is said alone, as an adverb ("inside").
    `front` puts the time, or else the place, first.
    """

    subject: str
    verb: str
    object: str
    subject_adjective: str | None = None
    object_adjective: str | None = None
    place: str | None = None
    time: str | None = None
    relation: str | None = None
    negated: bool = False
    front: bool = False

    def modifiers(self) -> list[str]:
        """The modifier slots in use."""
        return [slot for slot in MODIFIERS if getattr(self, slot) is not None]

    def with_filler(self, slot: str, filler: str) -> Scene:
        """This event with `filler` in a slot, whose name a program has drawn."""
        changes: dict[str, Any] = {slot: filler}
        return replace(self, **changes)

    def without(self, modifier: str) -> Scene:
        """This event, silent about a modifier; a place goes with its adposition."""
        changes: dict[str, Any] = {modifier: None} | ({"relation": None} if modifier == "place" else {})
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class State:
    """`holder` is `quality`, or is not."""

    holder: str
    quality: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """Every `member` is a `category`."""

    member: str
    category: str


@dataclass(frozen=True, slots=True)
class Question:
    """What fills `slot` (subject, object, place or time) in `scene`?"""

    scene: Scene
    slot: str


@dataclass(frozen=True, slots=True)
class Fragment:
    """The filler of a slot alone, as the answer to a question."""

    scene: Scene
    slot: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """A function word as a question by itself ("why ?")."""

    word: str


class Sampler:
    """Draws scenes whose facts belong to one split.

    A fact is (subject, verb, object) up to synonyms. Facts and names are dealt out to the splits by a hash, so
    that no event of a test set, whatever its modifiers, occurs in training data or in the text. Sentences that say
    less than a fact (a question for a participant, a state) are dealt out likewise where they are labelled.
    """

    HYPERNYMS = 0.2
    NAMES = 0.25

    def __init__(self, inventory: Inventory, seed: int, split: str, rng: random.Random) -> None:
        self.inventory, self.seed, self.split, self.rng = inventory, seed, split, rng
        self.names = names_of(seed, split, inventory.names["number"])

    def scene(self, modifiers: int | tuple[str, ...] = 0, *, verbs: tuple[str, ...] = (), **fixed: str) -> Scene:
        """A scene with that many modifiers (or these), its verb from `verbs`, and `fixed` subject, verb or object."""
        while True:
            verb = fixed.get("verb") or self.word(verbs or self.inventory.verbs)
            subject = fixed.get("subject") or self.subject()
            scene = Scene(subject, verb, fixed.get("object") or self.object(verb))
            if self.owns(scene):
                break
        if isinstance(modifiers, int):
            open_slots = [slot for slot in MODIFIERS if self.open(scene, slot)]
            modifiers = tuple(self.rng.sample(open_slots, min(modifiers, len(open_slots))))
        return self.add(scene, modifiers)

    def owns(self, scene: Scene) -> bool:
        """Whether the scene's fact is the split's own, and its two participants differ."""
        base = self.inventory.base
        subject, object_ = base.get(scene.subject, "@"), base.get(scene.object, "@")
        if subject == object_ != "@" or (scene.subject == scene.object):
            return False
        has_name = subject == "@" or object_ == "@"  # names are dealt out themselves
        return has_name or _owner(self.seed, subject, base[scene.verb], object_) == self.split

    def owns_question(self, scene: Scene, slot: str) -> bool:
        """Whether no other split asks for `slot` of this scene in the same words: all but the slot is said."""
        subject, object_ = scene.subject, scene.object
        if slot == "subject":
            return object_.startswith("@") or self._owns_part("?", scene.verb, object_)
        if slot == "object":
            return subject.startswith("@") or self._owns_part(subject, scene.verb, "?")
        return True  # the whole fact is said

    def qualities(self, holder: str) -> list[str]:
        """The qualities in which a state of `holder` is the split's own; a name has none."""
        if holder.startswith("@"):
            return []
        return [quality for quality in self.inventory.adjectives if self._owns_part(holder, "is", quality)]

    def _owns_part(self, *concepts: str) -> bool:
        base = self.inventory.base
        return owner(self.seed, "part", *(base.get(concept, concept) for concept in concepts)) == self.split

    def open(self, scene: Scene, slot: str) -> bool:
        """Whether `slot` can still be filled: names take no adjective."""
        if getattr(scene, slot) is not None:
            return False
        holder = {"subject_adjective": scene.subject, "object_adjective": scene.object}.get(slot, "")
        return not holder.startswith("@")

    def add(self, scene: Scene, slots: tuple[str, ...]) -> Scene:
        """Fill modifier slots at random."""
        for slot in slots:
            if slot == "place":
                scene = replace(scene, place=self.rng.choice(self.inventory.places), relation="f:in")
            elif slot == "time":
                scene = replace(scene, time=self.time())
            else:
                scene = scene.with_filler(slot, self.word(self.inventory.adjectives))
        return scene

    def subject(self) -> str:
        """A name, with probability `NAMES`, or an animate noun."""
        if self.rng.random() < self.NAMES:
            return self.name()
        return self.noun(self.rng.choice(self.inventory.animate))

    def object(self, verb: str) -> str:
        """A noun that the verb can have as its object."""
        return self.noun(self.rng.choice(self.inventory.objects[verb]))

    def noun(self, category: str) -> str:
        """A noun of the category or, with probability `HYPERNYMS`, the name of the category."""
        if self.rng.random() < self.HYPERNYMS:
            return self.inventory.hypernyms[category]
        return self.word(self.inventory.members[category])

    def word(self, concepts: Sequence[str]) -> str:
        """One of `concepts`, said by its synonym half of the time, where there is one."""
        concept = self.rng.choice(concepts)
        return self.inventory.synonym.get(concept, concept) if self.rng.random() < 0.5 else concept

    def name(self) -> str:
        """A name that the split owns (`@12`)."""
        return f"@{self.rng.choice(self.names)}"

    def time(self) -> str:
        """An adverb, a day, a season or a year (`y:2031`)."""
        if self.rng.random() < 0.25:
            return f"y:{self.rng.randint(*self.inventory.years)}"
        return self.rng.choice(self.inventory.times)

    def different(self, slot: str, value: str) -> str | None:
        """Another filler of `slot` that excludes `value`; None where there is none."""
        if value.startswith("@"):
            return self.rng.choice([f"@{name}" for name in self.names if f"@{name}" != value])
        if value.startswith("y:"):
            return f"y:{self.rng.choice([y for y in range(*self.inventory.years) if f'y:{y}' != value])}"
        if value.startswith("n:"):
            return self.sibling(value)
        choices = self.inventory.exclusive.get(value, ())
        return self.word(choices) if choices else None

    def sibling(self, noun: str) -> str:
        """A noun that excludes `noun`: of its category, or, for a hypernym, any of another category."""
        inventory, category = self.inventory, self.inventory.category[noun]
        animate = category in inventory.animate
        if inventory.is_hypernym(noun):
            categories = [c for c in inventory.hypernyms if c != category and (c in inventory.animate) == animate]
            return inventory.hypernyms[self.rng.choice(categories)]
        return self.word([member for member in inventory.members[category] if member != inventory.base[noun]])


@lru_cache(maxsize=200_000)
def _owner(seed: int, subject: str, verb: str, object_: str) -> str:
    return owner(seed, "fact", subject, verb, object_)


@lru_cache(maxsize=64)
def names_of(seed: int, split: str, number: int) -> tuple[int, ...]:
    """The names (numbers below `number`) that `split` owns."""
    return tuple(name for name in range(number) if owner(seed, "name", name) == split)
