"""The language table: names, families, scripts, resource classes, and which languages are rare.

Real languages are in `resources/languages.tsv` (its head says where each column comes from), the artificial ones
of source "world" in `resources/world.yaml`. Rare means Joshi classes 0-2, in the world the flag `rare`.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache

import yaml

from intermezzo.core.errors import UserError, suggestion
from intermezzo.tasks import RESOURCES

RARE_CLASSES = frozenset({0, 1, 2})


@dataclass(frozen=True)
class Language:
    """One language.

    rare: Joshi class 0-2, or the flag of an artificial language. training_examples: whether an artificial language has
    labelled examples (of a real language the task files say it). script: ISO 15924 code; of an artificial
    language a name, or None for Latin. joshi: resource class 0-5 (Joshi et al. 2020, arXiv:2004.09095). xlmr: whether
    XLM-R's pretraining text has the language (Conneau et al. 2020, arXiv:1911.02116). The last two are None for an
    artificial language. The table has further columns, which nothing here reads.
    """

    code: str
    name: str
    family: str
    rare: bool
    training_examples: bool = True
    script: str | None = None
    joshi: int | None = None
    xlmr: bool | None = None


@cache
def table(source: str) -> dict[str, Language]:
    """Code -> language, in the order of the source's file; every source but "world" has the real languages."""
    return _world() if source == "world" else _real()


def language(code: str, source: str) -> Language:
    """The language of that code; UserError with a suggestion when there is none."""
    languages = table(source)
    if code not in languages:
        raise UserError(f"unknown language '{code}' of source '{source}'; {suggestion(code, languages)}")
    return languages[code]


def rare(source: str) -> frozenset[str]:
    """Codes of the rare languages."""
    return frozenset(code for code, entry in table(source).items() if entry.rare)


def family(code: str, source: str) -> str:
    """Top-level family of a language (an isolate's is "isolate")."""
    return language(code, source).family


def name(code: str, source: str) -> str:
    """English name of a language."""
    return language(code, source).name


def _real() -> dict[str, Language]:
    lines = (RESOURCES / "languages.tsv").read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader((line for line in lines if not line.startswith("#")), delimiter="\t")
    return {
        row["code"]: Language(
            code=row["code"],
            name=row["name"],
            family=row["family"],
            rare=int(row["joshi"]) in RARE_CLASSES,
            script=row["script"],
            joshi=int(row["joshi"]),
            xlmr=row["xlmr"] == "yes",
        )
        for row in rows
    }


def _world() -> dict[str, Language]:
    entries = yaml.safe_load((RESOURCES / "world.yaml").read_text(encoding="utf-8"))["languages"]
    return {
        code: Language(
            code=code,
            name=entry["name"],
            family=entry["family"],
            rare=entry["rare"],
            training_examples=entry.get("training_examples", True),
            script=entry.get("script"),
        )
        for code, entry in entries.items()
    }
