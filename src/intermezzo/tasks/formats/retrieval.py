"""Retrieval of translations: row i's sentence among all rows, searched with its English translation.

Nothing is trained for it: sentence vectors are read off the encoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from intermezzo.core.errors import UserError
from intermezzo.tasks import submission_files
from intermezzo.tasks.formats.base import TEXT, Format, Lengths, Metric, Row


class Retrieval(Format):
    """`text` is in the language, `text_pair` its English translation."""

    columns = {"id": TEXT, "text": TEXT, "text_pair": TEXT}
    skill = "retrieval"
    gold = None
    nullable = ()
    paired_with_english = True
    trained = intermediate = False
    translatable = False
    scored_by_item = True
    metrics = (Metric("accuracy"),)
    lengths = Lengths(15, 0, 2, 1000)
    read_apart = True

    def parse(self, path: Path) -> list[str]:
        """Per English sentence, these in alphabetical order, the index of its translation (0 = first)."""
        lines = submission_files.lines(path)
        for number, line in enumerate(lines, start=1):
            if not line.isdecimal():
                raise UserError(f"{path}: line {number} is {line!r}; the index of a sentence (0, 1, 2, ...) is needed")
        return lines

    def render(self, rows: Sequence[Row], column: str | None, names: Mapping[str, str]) -> str:
        """Indices in the order of the English sentences, as XTREME hides which sentence translates which."""
        order = sorted(range(len(rows)), key=lambda i: rows[i]["text_pair"].strip())
        return submission_files.joined(rows[i][column] if column else i for i in order)


FORMAT = Retrieval()
