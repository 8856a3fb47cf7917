"""Patterns for paths inside a repository or an archive, with the meaning that shells give them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase


def matching(names: Iterable[str], pattern: str) -> list[str]:
    """The `names` that match, sorted.

    `*` and `?` stay within one component of a path, `**` stands for any number of them.

    >>> matching(["a/en.txt", "a/fr.txt", "a/b/en.txt", "en.txt"], "a/*.txt")
    ['a/en.txt', 'a/fr.txt']
    >>> matching(["a/en.txt", "a/fr.txt", "a/b/en.txt", "en.txt"], "**/en.txt")
    ['a/b/en.txt', 'a/en.txt', 'en.txt']
    """
    components = pattern.split("/")
    return sorted(name for name in names if _match(name.split("/"), components))


def is_pattern(text: str) -> bool:
    """Whether the text has signs that stand for others."""
    return any(sign in text for sign in "*?[")


def _match(names: Sequence[str], components: Sequence[str]) -> bool:
    if not components:
        return not names
    if components[0] == "**":
        return _match(names, components[1:]) or (bool(names) and _match(names[1:], components))
    return bool(names) and fnmatchcase(names[0], components[0]) and _match(names[1:], components[1:])
