"""What `resources/world.yaml` says: the concepts of the world and its languages, typed and indexed.

A concept is named by its word class and its English word: `n:dog`, `v:guard`, `a:big`, `p:garden` (place),
`t:today` (time), `f:the` (function word). Names are no concepts: they are numbers, written `@12` or `@12@45`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from intermezzo.core.errors import UserError

DESCRIPTION = Path(__file__).resolve().parents[3] / "resources" / "world.yaml"


@dataclass(frozen=True)
class WorldLanguage:
    """One language of the world; the fields are explained in `resources/world.yaml`."""

    code: str
    name: str
    family: str
    documents: int
    rare: bool
    order: str
    adjective: str
    adposition: str
    article: bool
    verb_group: tuple[str, ...]
    adjuncts: str
    question: str
    script: str = "latin"
    training_examples: bool = True
    parent: str | None = None
    cognates: float = 0.0
    changes: tuple[tuple[str, str], ...] = ()
    onsets: tuple[str, ...] = ()
    vowels: tuple[str, ...] = ()
    codas: tuple[str, ...] = ()
    suffixes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Inventory:
    """Concepts and the relations between them; everything is indexed by concept id."""

    english: dict[str, str]
    tag: dict[str, str]
    category: dict[str, str]
    """Noun -> category; a category's own word (the hypernym) is in it too."""
    hypernyms: dict[str, str]
    """Category -> its hypernym."""
    members: dict[str, tuple[str, ...]]
    """Category -> its members, without the hypernym and without synonyms."""
    animate: tuple[str, ...]
    verbs: tuple[str, ...]
    """Ordinary verbs, without synonyms; so are `adjectives`."""
    objects: dict[str, tuple[str, ...]]
    """Verb -> categories of its objects."""
    homographs: dict[str, str]
    """Verb -> the noun that sounds like it in every language."""
    results: dict[str, str]
    """Verb -> adjective that holds of the object afterwards."""
    entity_verbs: dict[str, tuple[str, ...]]
    adjectives: tuple[str, ...]
    synonym: dict[str, str]
    """Concept -> its synonym, both ways."""
    base: dict[str, str]
    """Concept -> the concept that it shares its meaning with (itself, unless it is a synonym)."""
    exclusive: dict[str, tuple[str, ...]]
    """Concept -> concepts that cannot hold with it (antonyms, other colours, places, times), without synonyms."""
    places: tuple[str, ...]
    times: tuple[str, ...]
    time_group: dict[str, str]
    years: tuple[int, int]
    names: dict[str, Any]
    languages: dict[str, WorldLanguage]

    def is_hypernym(self, concept: str) -> bool:
        """Whether the concept is the name of a category of nouns."""
        return concept in self.category and self.hypernyms[self.category[concept]] == concept


@cache
def load_inventory() -> Inventory:
    """Read `resources/world.yaml` (once per process)."""
    try:
        data = yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8"))
        return _index(data)
    except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{DESCRIPTION}: not a valid description of the world: {error!r}") from None


def _index(data: dict[str, Any]) -> Inventory:
    concepts = data["concepts"]
    english: dict[str, str] = {}
    tag: dict[str, str] = {}

    def add(kind: str, word: str, universal: str) -> str:
        english[f"{kind}:{word}"], tag[f"{kind}:{word}"] = word, universal
        return f"{kind}:{word}"

    synonym: dict[str, str] = {}
    base: dict[str, str] = {}

    def with_synonym(kind: str, word: str, universal: str, group: str) -> list[str]:
        concept = add(kind, word, universal)
        base[concept] = concept
        synonym_word = concepts["synonyms"][group].get(word)
        if synonym_word is None:
            return [concept]
        counterpart = add(kind, synonym_word, universal)
        synonym[concept], synonym[counterpart], base[counterpart] = counterpart, concept, concept
        return [concept, counterpart]

    category: dict[str, str] = {}
    hypernyms: dict[str, str] = {}
    members: dict[str, tuple[str, ...]] = {}
    for name, words in concepts["nouns"].items():
        hypernyms[name] = add("n", name, "NOUN")
        base[hypernyms[name]] = hypernyms[name]
        words = [with_synonym("n", word, "NOUN", "noun") for word in words]
        members[name] = tuple(word[0] for word in words)
        category |= dict.fromkeys((hypernyms[name], *(concept for word in words for concept in word)), name)

    verbs: list[str] = []
    objects: dict[str, tuple[str, ...]] = {}
    results: dict[str, str] = {}
    exclusive: dict[str, tuple[str, ...]] = {}
    for pair in concepts["verb_pairs"]:
        sides = [with_synonym("v", verb, "VERB", "verb") for verb in pair["verbs"]]
        for side, opposite, result in zip(sides, sides[::-1], pair.get("results", [None, None]), strict=True):
            verbs.append(side[0])
            for verb in side:
                exclusive[verb] = (opposite[0],)
                objects[verb] = tuple(pair.get("objects", concepts["nouns"]))
                if result:
                    results[verb] = f"a:{result}"
    homographs = {}
    for verb, noun, categories in concepts["homograph_verbs"]:
        verbs.append(with_synonym("v", verb, "VERB", "verb")[0])
        objects[f"v:{verb}"], homographs[f"v:{verb}"] = tuple(categories), f"n:{noun}"
    entity_verbs = {}
    for kind, words in concepts["entity_verbs"].items():
        entity_verbs[kind] = tuple(add("v", word, "VERB") for word in words)
        base |= {verb: verb for verb in entity_verbs[kind]}

    adjectives: list[str] = []
    for pair in concepts["adjective_pairs"]:
        sides = [
            [f"a:{word}"] if f"a:{word}" in english else with_synonym("a", word, "ADJ", "adjective") for word in pair
        ]
        for side, opposite in zip(sides, sides[::-1], strict=True):
            adjectives += [side[0]] if side[0] not in adjectives else []
            exclusive |= {adjective: (*exclusive.get(adjective, ()), opposite[0]) for adjective in side}
    colours = [with_synonym("a", word, "ADJ", "adjective")[0] for word in concepts["colours"]]
    adjectives += colours
    exclusive |= {colour: tuple(c for c in colours if c != colour) for colour in colours}

    places = tuple(add("p", word, "NOUN") for word in concepts["places"])
    exclusive |= {place: tuple(p for p in places if p != place) for place in places}
    time_group: dict[str, str] = {}
    for group, words in concepts["times"].items():
        times = [add("t", word, "ADV" if group == "adverb" else "NOUN") for word in words]
        time_group |= dict.fromkeys(times, group)
        exclusive |= {time: tuple(t for t in times if t != time) for time in times}
    for word, universal in concepts["function"].items():
        add("f", word, universal)
    return Inventory(
        english=english,
        tag=tag,
        category=category,
        hypernyms=hypernyms,
        members=members,
        animate=tuple(concepts["animate"]),
        verbs=tuple(verbs),
        objects=objects,
        homographs=homographs,
        results=results,
        entity_verbs=entity_verbs,
        adjectives=tuple(adjectives),
        synonym=synonym,
        base=base | {concept: concept for concept in english if concept not in base},
        exclusive=exclusive,
        places=places,
        times=tuple(time_group),
        time_group=time_group,
        years=tuple(concepts["years"]),
        names=data["names"],
        languages={code: _language(code, entry) for code, entry in data["languages"].items()},
    )


def _language(code: str, entry: dict[str, Any]) -> WorldLanguage:
    lists = {key: tuple(entry[key]) for key in ("onsets", "vowels", "codas", "verb_group") if key in entry}
    changes: tuple[tuple[str, str], ...] = tuple((old, new) for old, new in entry.get("changes", ()))
    if len(dict(changes)) < len(changes):
        raise ValueError(f"languages.{code}.changes: a sound changes twice")
    values: dict[str, Any] = entry | lists | {"changes": changes}
    return WorldLanguage(code=code, **values)
