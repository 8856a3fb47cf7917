"""Tagging: one of the task's labels for every token of a sentence."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from intermezzo.core.errors import UserError
from intermezzo.core.excerpt import excerpt
from intermezzo.tasks import submission_files
from intermezzo.tasks.formats.base import TEXT, TEXTS, Format, Labels, Lengths, Metric, Row, is_withheld

_WITHHELD = (
    "withheld, as their licence wants it; merge the words into the file as its README says, or leave such sentences out"
    " with `drop: [withheld]` in the task file"
)


class Tagging(Format):
    """`tags` has a label per token. Without `context` every word is read alone: a matter of the head's encoding."""

    columns = {"id": TEXT, "tokens": TEXTS, "tags": TEXTS}
    gold = label_column = "tags"
    removable = ("context",)
    translatable = False
    scored_by_item = True
    metrics = (Metric("accuracy"), Metric("span_f1"), Metric("pos_f1"))
    lengths = Lengths(27, 0, 1, 1000)
    unit = "sentences"
    official = {"f1": "f1", "precision": "precision", "recall": "recall"}

    def problems(self, row: Row, labels: Labels) -> Iterator[str]:
        """A tag per token, at least one of both, tags that the task has, and words that are not withheld."""
        if not row["tokens"] or len(row["tokens"]) != len(row["tags"]):
            yield f"{len(row['tokens'])} tokens, {len(row['tags'])} tags"
        elif is_withheld(row["tokens"]):
            yield f"{row['tokens'].count('_')} of {len(row['tokens'])} words are `_`: {_WITHHELD}"
        if unknown := self.unknown_labels(row, labels):
            yield f"tags {excerpt(', '.join(unknown))[1:-1]}; allowed: {', '.join(labels)}"

    def without(self, row: Row, field: str) -> Row:
        """The row as it is: its words are read one by one by `encode`, with `alone`."""
        return row

    def shuffled(self, rows: list[Row], rng: random.Random) -> list[Row]:
        """Tags moved between all tokens of the data."""
        pool = [tag for row in rows for tag in row["tags"]]
        rng.shuffle(pool)
        tags = iter(pool)
        return [row | {"tags": [next(tags) for _ in row["tags"]]} for row in rows]

    def as_text(self, row: Row) -> list[tuple[str, str | None]]:
        """The sentence."""
        return [(" ".join(row["tokens"]), None)]

    def model_inputs(self, row: Row) -> list[tuple[str, ...]]:
        """The sentence."""
        return [(" ".join(row["tokens"]),)]

    def parse(self, path: Path) -> list[list[str]]:
        """A tag per line, and a blank line after each sentence."""
        sentences: list[list[str]] = [[]]
        for number, line in enumerate(submission_files.lines(path), start=1):
            if not line and sentences[-1]:
                sentences.append([])
            elif line:
                if len(line.split()) > 1:
                    raise UserError(f"{path}: line {number} is {line!r}; one tag per line is needed, without its token")
                sentences[-1].append(line)
        return [tags for tags in sentences if tags]

    def read_submission(
        self, predictions: Path, labels: Path, note: submission_files.Note
    ) -> tuple[list[list[str]], list[list[str]]]:
        """As for all formats; the two files also agree about the number of tokens of each sentence."""
        ours, gold = super().read_submission(predictions, labels, note)
        for number, (tags, right) in enumerate(zip(ours, gold, strict=True), start=1):
            if len(tags) != len(right):
                place = f"sentence {number} has {len(tags)} tags, but {len(right)} in {labels}"
                raise UserError(f"{predictions}: {place}; one for each token is needed")
        return ours, gold

    def render(self, rows: Sequence[Row], column: str | None, names: Mapping[str, str]) -> str:
        """A tag per line, and a blank line after each sentence."""
        return "\n".join(submission_files.joined(row[str(column)]) for row in rows)


FORMAT = Tagging()
