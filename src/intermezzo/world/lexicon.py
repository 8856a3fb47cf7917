"""The word forms of a language: inherited through sound changes, borrowed, or made from its own sounds.

A content word of a language is, in this order: an international loanword (spelt as in English), the word of the
parent language after the sound changes (a cognate), or new. Verbs that sound like a noun do so in every language.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from intermezzo.world.inventory import Inventory, WorldLanguage
from intermezzo.world.seeds import share, stream

LETTERS = {
    "georgian": dict(zip("abcdefghijklmnopqrstuvwxyzäøœ", "აბცდეფგჰიჯკლმნოპქრსტუვწხყზჭღშ", strict=True)),
}
"""Script -> letter for letter from Latin; digits and punctuation stay."""


def transliterate(text: str, script: str) -> str:
    """`text` in `script` ("latin" leaves it alone)."""
    return text if script == "latin" else "".join(LETTERS[script].get(letter, letter) for letter in text)


class Lexicon:
    """All forms of one language in its own script: `forms[concept]` and `names[number]`; `latin` before the script."""

    def __init__(
        self, inventory: Inventory, language: WorldLanguage, settings: dict[str, Any], parent: Lexicon | None
    ) -> None:
        self.language = language
        self._seed, self._inventory = settings["seed"], inventory
        common = self._name_forms("name", inventory.names, set(inventory.english.values()))
        # What a language makes up itself differs from all that is English: shared words are stated anchors.
        excluded = {*inventory.english.values(), *common}
        private_names = language.code != "en" and not settings["names_shared"]
        names = self._name_forms(f"name-{language.code}", vars(language), excluded) if private_names else common
        self.names = [transliterate(name, language.script) for name in names]
        self.latin = self._latin(settings["loanwords"], parent, excluded.union(names))
        self.forms = {concept: transliterate(form, language.script) for concept, form in self.latin.items()}

    def suffix(self, name: str) -> str:
        """An inflectional suffix in the language's script; empty where the language has none."""
        return transliterate(self.language.suffixes.get(name, ""), self.language.script)

    def _name_forms(self, key: str, sounds: Mapping[str, Any], excluded: set[str]) -> list[str]:
        """As many different names as the world has, none of them in `excluded`."""
        rng, forms = stream(self._seed, key), dict[str, None]()
        while len(forms) < self._inventory.names["number"]:
            syllables = rng.choice((2, 2, 3))
            form = make_word(rng, sounds["onsets"], sounds["vowels"], sounds["codas"], syllables=syllables)
            if form not in excluded:
                forms[form] = None
        return list(forms)

    def _latin(self, loanwords: float, parent: Lexicon | None, excluded: set[str]) -> dict[str, str]:
        inventory, language = self._inventory, self.language
        if language.code == "en":
            return dict(inventory.english)
        rng = stream(self._seed, "lexicon", language.code)
        forms: dict[str, str] = {}
        nouns_first = sorted(inventory.english, key=lambda concept: concept in inventory.homographs)
        for concept in nouns_first:
            function_word = concept.startswith("f:")
            new_word = self._new_word(
                rng, excluded, function_word
            )  # drawn in any case, so that a setting moves no other word
            if concept in inventory.homographs:
                forms[concept] = forms[inventory.homographs[concept]]
            elif not function_word and share(self._seed, "loanword", concept) < loanwords:
                forms[concept] = inventory.english[concept]
            elif parent is not None and share(self._seed, "cognate", language.code, concept) < language.cognates:
                forms[concept] = change(parent.latin[concept], language.changes)
            else:
                forms[concept] = new_word
            excluded.add(new_word)
        return forms

    def _new_word(self, rng: random.Random, excluded: set[str], short: bool) -> str:
        language = self.language
        while True:
            syllables = 1 if short else rng.choice((1, 2, 2))
            word = make_word(rng, language.onsets, language.vowels, language.codas, syllables=syllables)
            if word not in excluded and len(word) > (1 if short else 2):
                return word


def make_word(
    rng: random.Random, onsets: Sequence[str], vowels: Sequence[str], codas: Sequence[str], *, syllables: int
) -> str:
    """A word of `syllables` syllables (onset + vowel + coda each; inner codas are dropped half of the time)."""
    parts = []
    for number in range(syllables):
        coda = rng.choice(codas)
        keep = number == syllables - 1 or rng.random() < 0.5
        parts.append(rng.choice(onsets) + rng.choice(vowels) + (coda if keep else ""))
    return "".join(parts)


def change(word: str, changes: Sequence[tuple[str, str]]) -> str:
    """`word` after regular sound changes, applied from left to right in one pass, longest match first."""
    rules = sorted(changes, key=lambda rule: -len(rule[0]))
    parts, position = [], 0
    while position < len(word):
        for old, new in rules:
            if word.startswith(old, position):
                parts.append(new)
                position += len(old)
                break
        else:
            parts.append(word[position])
            position += 1
    return "".join(parts)
