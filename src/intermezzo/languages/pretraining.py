"""Which languages well-known encoders were pretrained on: `resources/encoders.yaml`, by their names on the hub."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

import yaml

from intermezzo.languages import Language
from intermezzo.tasks import RESOURCES


def key_of(name: str) -> str | None:
    """The entry of an encoder: of its key, of its name on the hub, or of that name without its owner; else None."""
    return _names().get(name)


def languages_of(name: str) -> frozenset[str] | None:
    """Codes of the languages of an encoder's pretraining text (ours, else ISO 639-3); None where nobody knows.

    name: a key of the file, or a name on the hub.
    """
    key = key_of(name)
    if key is None:
        return None
    entry = _entries()[key]
    inherited = languages_of(entry["includes"]) if "includes" in entry else None
    return (inherited or frozenset()) | frozenset(entry["languages"].split())


def known_encoders() -> list[str]:
    """Keys and names of all encoders of the file."""
    return sorted(_names())


def has_read(language: Language, codes: Collection[str], key: str | None = None) -> bool | None:
    """Whether an encoder whose list is `codes` was pretrained on a language; None where the list does not say.

    A list that names a language names no second script of it, unless it says so. key: the encoder's entry, for
    languages that are added with `encoders`.
    """
    if language.code in codes or language.variety_of in codes or (key and key in language.encoders):
        return True
    if "_" in language.code and language.variety_of is None:
        return None
    return language.iso639_3 in codes


@cache
def _entries() -> dict[str, dict[str, str]]:
    entries: dict[str, dict[str, str]] = yaml.safe_load((RESOURCES / "encoders.yaml").read_text(encoding="utf-8"))
    return entries


@cache
def _names() -> dict[str, str]:
    """Any name of an encoder -> its key in the file."""
    names: dict[str, str] = {}
    for key, entry in _entries().items():
        for name in [key, *entry["names"].split()]:
            names[name] = key
            names.setdefault(name.rpartition("/")[2], key)
    return names
