"""The embedded multilingual world: one semantics, several languages, data of every task format.

    world = build({"seed": 13})
    world.rows("nli", "fri", "test", 400)         # rows of the format classification
    world.translate(rows, "fri", noise=0.1)       # the same rows in another language

Rows depend on (settings, generator, language, split) alone, never on what was asked for before, and the first n
rows are the same for every larger n (but of mining, where rows refer to each other). Development and test rows of all
languages are parallel (row i means the same in each); training rows and text are drawn for each language apart. Facts
and names belong to one split. Ranking has a fourth split, `candidates`: the passages or entities of dev and test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from intermezzo.core.errors import UserError, suggestion
from intermezzo.world.anchors import code_mixing, translation_noise
from intermezzo.world.generators import GENERATORS, Generator, SetRequest
from intermezzo.world.grammar import Grammar, Meaning, Substitute, Token
from intermezzo.world.inventory import WorldLanguage, load_inventory
from intermezzo.world.lexicon import Lexicon
from intermezzo.world.scenes import Sampler
from intermezzo.world.seeds import stream

DEFAULTS: dict[str, Any] = {
    "seed": 13,
    "loanwords": 0.2,  # share of content words spelt as in English everywhere
    "names_shared": True,  # False: each language has its own form of each name
    "code_mixed_documents": 0.9,  # share of documents with words of other languages ...
    "code_mixed_words": 0.4,  # ... and of such words in them
    "documents_scale": 1.0,  # multiplies the amount of text of every language
    "translation_noise": 0.0,  # share of wrong words in training data of all languages but English
}
SPLITS = ("train", "dev", "test")
"""Splits of facts and names."""
_worlds: dict[str, World] = {}


class World:
    """A world for one choice of settings; make it with `build`."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.inventory = load_inventory()
        self.languages: dict[str, WorldLanguage] = self.inventory.languages
        self.grammars: dict[str, Grammar] = {}
        for code, language in self.languages.items():  # parents stand before their children in the file
            parent = self.grammars[language.parent].lexicon if language.parent else None
            self.grammars[code] = Grammar(self.inventory, Lexicon(self.inventory, language, settings, parent))

    def rows(self, generator: str, language: str, split: str, n: int | None = None) -> list[dict[str, Any]]:
        """Exactly `n` rows (None: the default number) in the columns of the task's format.

        Of `candidates` n counts the queries: the rows are what the first n rows of dev and of test need, in this
        language. Raises UserError for an unknown generator, language or split, for n < 1 and for more than there is.
        """
        definition: Generator = self._lookup("generator", generator, GENERATORS)
        self._lookup("language", language, self.languages)
        self._lookup(f"split of '{generator}'", split, definition.defaults)
        n = self.amount(generator, language, split) if n is None else n
        if n < 1:
            raise UserError(f"rows: {n} rows of '{generator}' asked for; at least 1")
        if split in definition.sets:
            return definition.sets[split](self._set_request(definition, generator, language, split, n))
        origin = "all" if split in definition.parallel else language
        noise = self.settings["translation_noise"] if split == "train" and generator != "text" else 0.0
        meanings = list(islice(self._meanings(definition, generator, split, origin), n))
        if len(meanings) < n:
            raise UserError(
                f"rows: {n} rows of '{generator}' asked for; split '{split}' of the embedded world "
                f"has {len(meanings)}; ask for at most as many"
            )
        return [
            self._row(definition, (generator, split, origin, number), meaning, language, noise)
            for number, meaning in enumerate(meanings)
        ]

    def amount(self, generator: str, language: str, split: str) -> int:
        """The default number of rows; of text: the language's documents; of parallel text: a tenth of them."""
        default = GENERATORS[generator].defaults[split]
        if default is not None:
            return default
        documents: float = self.languages[language].documents * self.settings["documents_scale"]
        return max(1, round(documents if generator == "text" else documents / 10))

    def translate(
        self, rows: Iterable[dict[str, Any]], target: str, noise: float = 0.0, source: str = "en"
    ) -> list[dict[str, Any]]:
        """`rows` (as `rows` made them, in any language) in `target`, meaning for meaning.

        The meaning of a row is found through its id (rows of mining and candidates have other ids, and are refused).
        `noise` is the share of content words translated by another word of the same class (seeded by the row), as a
        bad dictionary would; labels stay. source: the language of the rows; from each the wrong words are others.
        """
        rows = list(rows)
        self._lookup("language", target, self.languages)
        numbers_by_set: dict[tuple[str, str, str], dict[int, None]] = {}
        for row in rows:
            generator, split, origin, number = self._parse(row.get("id"))
            numbers_by_set.setdefault((generator, split, origin), {})[number] = None
        translations = {}
        for (generator, split, origin), numbers in numbers_by_set.items():
            definition = GENERATORS[generator]
            for number, meaning in enumerate(
                islice(self._meanings(definition, generator, split, origin), max(numbers) + 1)
            ):
                if number in numbers:
                    key = (generator, split, origin, number)
                    translations[key] = self._row(definition, key, meaning, target, noise, source)
        return [translations[self._parse(row["id"])] for row in rows]

    def _set_request(self, definition: Generator, generator: str, language: str, split: str, n: int) -> SetRequest:
        return SetRequest(
            language,
            split,
            n,
            meanings=lambda split: self._meanings(definition, generator, split, "all"),
            speakers={code: self._speaker(code, None) for code in self.languages},
            rng=stream(self.settings["seed"], "set", generator, split),
        )

    def _meanings(self, definition: Generator, generator: str, split: str, origin: str) -> Iterator[Any]:
        rng = stream(self.settings["seed"], generator, split, origin)
        return definition.draw(Sampler(self.inventory, self.settings["seed"], split, rng))

    def _row(
        self,
        definition: Generator,
        key: tuple[str, str, str, int],
        meaning: Any,
        language: str,
        noise: float,
        source: str = "en",
    ) -> dict[str, Any]:
        said_in = (language,) if source == "en" else (language, "from", source)
        rng = stream(self.settings["seed"], "say", *said_in, *key)
        substitute: Substitute | None = None
        if key[0] == "text" and rng.random() < self.settings["code_mixed_documents"]:
            substitute = code_mixing(self.grammars, language, self.settings["code_mixed_words"], rng)
        elif noise > 0 and language != source:
            substitute = translation_noise(self.grammars[language].lexicon, noise, rng)
        row = definition.row(meaning, self._speaker(language, substitute), self._speaker("en", None))
        return {"id": f"{key[0]}:{key[1]}:{key[2]}:{key[3]}", **row}

    def _speaker(self, language: str, substitute: Substitute | None) -> Callable[[Meaning], list[Token]]:
        grammar = self.grammars[language]
        return lambda meaning: grammar.say(meaning, substitute)

    def _parse(self, name: Any) -> tuple[str, str, str, int]:
        parts = str(name).split(":")
        definition = GENERATORS.get(parts[0]) if len(parts) == 4 and parts[3].isdigit() else None
        if definition is None or parts[1] not in definition.defaults or parts[1] in definition.sets:
            raise UserError(f"row id {name!r}: not a row of the embedded world (generator:split:origin:number)")
        return parts[0], parts[1], parts[2], int(parts[3])

    @staticmethod
    def _lookup(what: str, name: str, allowed: dict[str, Any]) -> Any:
        if name not in allowed:
            raise UserError(f"the embedded world has no {what} '{name}'; {suggestion(name, allowed)}")
        return allowed[name]


def build(settings: dict[str, Any] | None = None) -> World:
    """The world for `settings` (missing keys take `DEFAULTS`), made once per process.

    Raises UserError, naming every offending key, for unknown keys and values out of range.
    """
    values = {**DEFAULTS, **(settings or {})}
    problems = [f"world.{key}: unknown key; {suggestion(key, DEFAULTS)}" for key in values if key not in DEFAULTS]
    for key in ("loanwords", "code_mixed_documents", "code_mixed_words", "translation_noise"):
        if not _number(values[key]) or not 0 <= values[key] <= 1:
            problems.append(f"world.{key}: {values[key]!r}; allowed: a share from 0 to 1")
    if not _number(values["documents_scale"]) or not 0 < values["documents_scale"] <= 100:
        problems.append(f"world.documents_scale: {values['documents_scale']!r}; allowed: above 0, at most 100")
    if not isinstance(values["seed"], int) or isinstance(values["seed"], bool):
        problems.append(f"world.seed: {values['seed']!r}; allowed: an integer")
    if not isinstance(values["names_shared"], bool):
        problems.append(f"world.names_shared: {values['names_shared']!r}; allowed: true, false")
    if problems:
        raise UserError("\n".join(problems))
    key = json.dumps(values, sort_keys=True)
    if key not in _worlds:
        _worlds[key] = World(values)
    return _worlds[key]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


__all__ = ["DEFAULTS", "SPLITS", "World", "build"]
