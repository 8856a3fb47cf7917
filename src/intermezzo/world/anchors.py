"""Hooks that say another word than the right one: code-mixed text and noisy translation.

Names, function words, digits and punctuation are never replaced.
"""

from __future__ import annotations

import random
from functools import cache

from intermezzo.world.grammar import Grammar, Substitute
from intermezzo.world.lexicon import Lexicon

DONOR_POWER = 0.6
"""Languages lend words in proportion to their number of documents to this power."""


def code_mixing(grammars: dict[str, Grammar], language: str, rate: float, rng: random.Random) -> Substitute:
    """Replace a share `rate` of the content words by the same word of other languages (case suffixes stay)."""
    donors = [code for code in grammars if code != language]
    weights = [grammars[code].language.documents ** DONOR_POWER for code in donors]

    def substitute(concept: str, slot: str) -> str | None:
        if rng.random() >= rate:
            return None
        return grammars[rng.choices(donors, weights)[0]].lexicon.forms[concept]

    return substitute


def translation_noise(lexicon: Lexicon, rate: float, rng: random.Random) -> Substitute:
    """Replace a share `rate` of the content words by other words of the same class and language."""
    concepts = tuple(sorted(lexicon.forms))

    def substitute(concept: str, slot: str) -> str | None:
        if rng.random() >= rate:
            return None
        return lexicon.forms[rng.choice(_class(concepts, concept[0]))]

    return substitute


@cache
def _class(concepts: tuple[str, ...], kind: str) -> tuple[str, ...]:
    return tuple(concept for concept in concepts if concept[0] == kind)
