"""Distances between languages from a file of the user's (`languages.distances`), such as typological ones of URIEL+.

A line has two codes of languages and their distance, a number from 0 on, with tabs between them; lines with `#` are
comments. A distance holds in both directions. Languages that an experiment lacks are read past.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from intermezzo.core.errors import UserError
from intermezzo.core.excerpt import excerpt

Distances = dict[tuple[str, str], float]
"""(code, code), in alphabetical order -> distance."""


def read(path: Path) -> Distances:
    """The distances of a file. Raises UserError that names the line, for one that is no such file."""
    try:
        modified = path.stat().st_mtime_ns
    except OSError as error:
        raise UserError(f"languages.distances: {path}: {error.strerror}; name a file, or remove the key") from None
    return _read(path, modified)


def between(distances: Distances, code: str, other: str) -> float | None:
    """The distance of two languages; None where the file has none."""
    return distances.get((min(code, other), max(code, other)))


def text(distances: Distances, comment: str) -> str:
    """What a file of distances has. comment: its first line."""
    lines = [f"# {comment}", *(f"{code}\t{other}\t{value:g}" for (code, other), value in distances.items())]
    return "\n".join(lines) + "\n"


@cache
def _read(path: Path, modified: int) -> Distances:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); write it as UTF-8 text") from None
    distances: Distances = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        place, cells = f"{path}, line {number}", [cell.strip() for cell in line.split("\t")]
        value = _number(cells[2]) if len(cells) == 3 else None
        if value is None or not (cells[0] and cells[1]):
            raise UserError(
                f"{place}: {excerpt(line)} is no distance; write two codes and a number from 0 on, with tabs between"
            )
        key = (min(cells[:2]), max(cells[:2]))
        if distances.setdefault(key, value) != value:
            raise UserError(
                f"{place}: {key[0]} and {key[1]} have another distance on an earlier line; keep one of them"
            )
    if not distances:
        raise UserError(f"{path}: no line has a distance; write two codes and a number, with tabs between")
    return distances


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None
