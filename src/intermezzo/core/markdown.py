"""Markdown tables (GitHub's pipe tables) and what is folded, written in one place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

LONG_TABLE = 8
"""Rows of a table that is not folded, where it stands among words."""


def table(header: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[bool] = ()) -> str:
    """A table without a final line break. A pipe in a cell is escaped; other Markdown in it stays Markdown.

    right: whether each column is aligned to the right; all to the left by default.
    """
    rule = "".join("--:|" if column else "---|" for column in right or [False] * len(header))
    return "\n".join([row(header), f"|{rule}", *map(row, rows)])


def row(cells: Iterable[str]) -> str:
    """One line of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def folded(summary: str, text: str) -> str:
    """Text behind a line that opens it (GitHub shows `details`). summary: plain words without names from outside."""
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def long_table(summary: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, folded if it is long."""
    text = table(header, rows)
    return text if len(rows) <= LONG_TABLE else folded(f"{summary}: {len(rows)} rows", text)
