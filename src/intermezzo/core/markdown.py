"""Markdown tables (GitHub's pipe tables), written in one place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[bool] = ()) -> str:
    """A table without a final line break. A pipe in a cell is escaped; other Markdown in it stays Markdown.

    right: whether each column is aligned to the right; all to the left by default.
    """
    rule = "".join("--:|" if column else "---|" for column in right or [False] * len(header))
    return "\n".join([row(header), f"|{rule}", *map(row, rows)])


def row(cells: Iterable[str]) -> str:
    """One line of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
