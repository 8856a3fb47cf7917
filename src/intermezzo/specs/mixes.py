"""How the languages of a mix share the examples of a task."""

from __future__ import annotations

from typing import Literal, NamedTuple

from intermezzo.specs.base import Count, Positive, Spec

ENGLISH = "en"
"""The language that every mix is measured against."""
Budget = Literal["matched", "additive", "english_repeated"]
Unit = Literal["examples", "tokens"]


class Portion(NamedTuple):
    """A weight, and the languages that share it: one for the name of a language, several for a group."""

    name: str
    weight: float
    languages: tuple[str, ...]


class MixSettings(Spec):
    """How many examples a mix divides (`intermezzo.mixing` explains it)."""

    budget: Budget
    repeats: Count
    """How often a language's rows may be used."""
    temperature: Positive | None
    """A group's languages share its weight by rows^(1/temperature); None = evenly."""
    unit: Unit = "examples"
    """What is divided."""


MATCHED = MixSettings(budget="matched", repeats=1, temperature=None)
"""As many examples as English-only training, each row once."""
