"""What a YAML file may hold, wherever it was read: dictionaries with keys of text, lists, text, numbers, truth values.

YAML makes a truth value of `no`, a date of 2024-01-01 and a number of 1; a word that was meant needs quotes. The limits
are far above what any experiment needs. They keep a file that is not meant as a configuration from filling the memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from intermezzo.core.errors import UserError
from intermezzo.core.excerpt import excerpt

DEPTH = 20
"""Levels of a file; the configuration has six."""
ENTRIES = 10_000
"""Entries of a list or a dictionary."""
VALUES = 200_000
"""Values of a file, each alias counted as what it stands for."""
TEXT = 20_000
"""Characters of a text."""
KEY = 200
"""Characters of a key."""


def plain_data(value: Any, *, text_keys: bool = True) -> tuple[Any, list[str]]:
    """A copy of `value` without what is not plain data, and a line for each thing that it lacks: key path and mend.

    text_keys: whether numbers, truth values and null are refused as keys.
    Raises UserError for more than `VALUES` values, as where lists contain each other.
    """
    copier = _Copier(text_keys)
    return copier.copy(value, ()), copier.problems


def quoting(value: Any) -> str:
    """How to write a value that YAML does not read as text, if text is meant; empty for all others."""
    if isinstance(value, bool):
        words = "'yes', 'on' or 'true'" if value else "'no', 'off' or 'false'"
        return f"; if a word is meant, quote it: {words}"
    if isinstance(value, int | float | date):
        return f"; if text is meant, quote it: '{excerpt(value) if isinstance(value, int | float) else value}'"
    return ""


class _Copier:
    """Copies a value and gathers what is wrong with it."""

    def __init__(self, text_keys: bool) -> None:
        self.text_keys = text_keys
        self.problems: list[str] = []
        self.values = 0

    def copy(self, value: Any, path: tuple[str, ...]) -> Any:
        """The plain part of a value."""
        self.values += 1
        if self.values > VALUES:
            raise UserError(f"more than {VALUES:,} values, {_place(path)} for one; is an anchor used within itself?")
        if isinstance(value, Mapping | list | tuple):
            if len(path) == DEPTH:
                return self._refuse(path, f"more than {DEPTH} levels of lists and dictionaries")
            if len(value) > ENTRIES:
                return self._refuse(path, f"{len(value):,} entries; at most {ENTRIES:,} are allowed")
            if isinstance(value, Mapping):
                entries = [(key, entry) for key, entry in value.items() if self._is_key(key, path)]
                return {key: self.copy(entry, (*path, str(key))) for key, entry in entries}
            return [self.copy(entry, (*path, str(number))) for number, entry in enumerate(value)]
        if isinstance(value, str):
            return self._refuse(path, problem) if (problem := _fault(value, TEXT)) else value
        if value is None or isinstance(value, bool | int | float):
            return value
        return self._refuse(path, f"found {excerpt(value)} ({type(value).__name__}){quoting(value)}")

    def _is_key(self, key: Any, path: tuple[str, ...]) -> bool:
        if isinstance(key, str):
            problem = _fault(key, KEY)
        elif not self.text_keys and isinstance(key, bool | int | float | None):
            problem = ""
        else:
            problem = f"a key must be text; found {excerpt(key)} ({type(key).__name__}){quoting(key)}"
        if problem:
            self._refuse(path, problem)
        return not problem

    def _refuse(self, path: tuple[str, ...], problem: str) -> None:
        self.problems.append(f"{_place(path)}: {problem}")


def _place(path: tuple[str, ...]) -> str:
    return ".".join(path) or "the file"


def _fault(text: str, longest: int) -> str:
    """What no text may be: too long, or with characters that no file name and no terminal takes."""
    if len(text) > longest:
        return f"a text of {len(text):,} characters ({excerpt(text)}); at most {longest:,} are allowed"
    for character in text:
        if (character < " " and character not in "\t\n\r") or "\ud800" <= character <= "\udfff" or character == "\x7f":
            kind = "half a surrogate pair" if character > "\x7f" else "a control character"
            return f"{kind} (U+{ord(character):04X}) in {excerpt(text)}; remove it"
    return ""
