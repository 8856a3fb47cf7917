"""Entity retrieval: a name in a sentence finds the description of who is meant, among others of that name.

An entity is a name and two facts; four entities share a name and no verb. A description states the facts, a query says
one of them in other words: the name leaves four candidates, the sentence tells which. As in Mewsli-X every entity is
described in one language only, whatever the query's, and the languages take turns; training pairs are of one language.
With `names_shared` off a name looks different in a query and in a description of another language.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from intermezzo.world.generators.base import PATIENCE, Row, Say, SetRequest
from intermezzo.world.generators.texts import restated
from intermezzo.world.grammar import text_of
from intermezzo.world.scenes import Sampler, Scene

NAMESAKES = 4
FACTS = 2


@dataclass(frozen=True, slots=True)
class Entity:
    """Somebody or something with a name that others share. `language`: the one that describes it."""

    split: str
    number: int
    language: str
    facts: tuple[Scene, ...]

    @property
    def id(self) -> str:
        """Its id among the candidates."""
        return f"entity:{self.split}:{self.number}"


@dataclass(frozen=True, slots=True)
class Mention:
    """`scene` mentions `entity` as its `slot`; it could also mean its namesakes (all four, it among them)."""

    entity: Entity
    scene: Scene
    slot: str
    namesakes: tuple[Entity, ...]


def draw(sampler: Sampler) -> Iterator[Mention]:
    """One mention of each entity, those of a name in a row; ends when the split's names are used up."""
    rng, languages = sampler.rng, tuple(sampler.inventory.languages)
    names_in_use: set[str] = set()
    while True:
        names = (sampler.name() + (sampler.name() if rng.random() < 0.3 else "") for _ in range(PATIENCE))
        name = next((name for name in names if name not in names_in_use), None)
        if name is None:
            return
        first = NAMESAKES * len(names_in_use)
        names_in_use.add(name)
        facts = _facts(sampler, name)
        namesakes = tuple(
            Entity(sampler.split, number, languages[number % len(languages)], tuple(islice(facts, FACTS)))
            for number in range(first, first + NAMESAKES)
        )
        for entity in rng.sample(namesakes, NAMESAKES):
            scene = rng.choice(entity.facts)
            slot = "subject" if scene.subject == name else "object"
            yield Mention(entity, restated(sampler, scene), slot, namesakes)


def _facts(sampler: Sampler, name: str) -> Iterator[Scene]:
    """Events with somebody or something of that name in either role, all with different verbs."""
    rng, inventory, verbs = sampler.rng, sampler.inventory, set[str]()
    while True:
        if rng.random() < 0.5:
            scene = sampler.scene(1, subject=name)
        else:
            scene = sampler.scene(1, subject=sampler.noun(rng.choice(inventory.animate)), object=name)
        if inventory.base[scene.verb] not in verbs:
            verbs.add(inventory.base[scene.verb])
            yield scene


def row(mention: Mention, say: Say, _: Say) -> Row:
    """The query is the name as it is said, a colon, and the sentence with the name in braces."""
    tokens = say(mention.scene)
    heads = [position for position, token in enumerate(tokens) if token.slot == mention.slot]
    prefix, name, suffix = tokens[: heads[0]], tokens[heads[0] : heads[-1] + 1], tokens[heads[-1] + 1 :]
    marked = " ".join(filter(None, (text_of(prefix), "{", text_of(name), "}", text_of(suffix))))
    train = mention.entity.split == "train"
    return {
        "text": f"{text_of(name)}: {marked}",
        "text_pair": _description(mention.entity, say) if train else None,
        "relevant": [] if train else [mention.entity.id],
    }


def candidates(request: SetRequest) -> list[Row]:
    """Entities described in this language, out of those whose names the first `request.size` rows of dev and test have.

    There are always enough of them for one in each language.
    """
    size = max(request.size, len(request.speakers) + NAMESAKES)
    say = request.speakers[request.language]
    return [
        {"id": entity.id, "text": _description(entity, say), "text_pair": None, "relevant": []}
        for entity in dict.fromkeys(entity for mention in request.queries(size) for entity in mention.namesakes)
        if entity.language == request.language
    ]


def _description(entity: Entity, say: Say) -> str:
    return " ".join(text_of(say(fact)) for fact in entity.facts)
