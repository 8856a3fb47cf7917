"""Multiple choice: which of several choices fits a context and a question."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from intermezzo.core.errors import UserError
from intermezzo.core.excerpt import excerpt
from intermezzo.tasks import submission_files
from intermezzo.tasks.formats.base import INTEGER, TEXT, TEXTS, Format, Labels, Lengths, Metric, Passage, Row


class MultipleChoice(Format):
    """`label` is the index of the right one of `choices` (0 = first)."""

    columns = {"id": TEXT, "context": TEXT, "question": TEXT, "choices": TEXTS, "label": INTEGER}
    removable = ("context", "question")
    scored_by_item = True
    metrics = (Metric("accuracy"),)
    lengths = Lengths(40, 15, 4, 5000)
    one_feature = True
    suffix = "jsonl"
    prompted = True

    def problems(self, row: Row, labels: Labels) -> Iterator[str]:
        """A context or a question, at least two choices, and a label that is the index of one."""
        if not row["context"] and not row["question"]:
            yield "context and question are both empty"
        if len(row["choices"]) < 2 or not 0 <= row["label"] < len(row["choices"]):
            withheld = " (-1 where it was withheld)" if row["label"] == -1 else ""
            yield f"label {excerpt(row['label'])}{withheld} with {len(row['choices'])} choices"

    def shuffled(self, rows: list[Row], rng: random.Random) -> list[Row]:
        """Any choice is right: rows have different numbers of choices, so labels cannot move between them."""
        return [row | {"label": rng.randrange(len(row["choices"]))} for row in rows]

    def as_text(self, row: Row) -> list[tuple[str, str | None]]:
        """Every choice with the context and the question, as in training."""
        return [(f"{row['context']} {row['question']}".strip(), choice) for choice in row["choices"]]

    def texts(self, row: Row) -> list[str | Passage]:
        """Context, question and choices."""
        return [row["context"], row["question"], *row["choices"]]

    def translated(self, row: Row, texts: Sequence[Any]) -> Row:
        """The row with another context, question and choices."""
        context, question, *choices = texts
        return row | {"context": context, "question": question, "choices": choices}

    def model_inputs(self, row: Row) -> list[tuple[str, ...]]:
        """One input per choice."""
        return [(f"{row['context']} {row['question']}", choice) for choice in row["choices"]]

    def choices(self, row: Row, answers: Mapping[str, str]) -> list[str]:
        """Those of the row."""
        return list(row["choices"])

    def solution(self, row: Row, answers: Mapping[str, str]) -> str:
        """The right one of the choices."""
        return str(row["choices"][row["label"]])

    def parse(self, path: Path) -> list[int]:
        """`{"label": index}` per line."""
        labels = []
        for number, line in enumerate(submission_files.lines(path), start=1):
            try:
                value = json.loads(line)
            except ValueError as error:
                raise UserError(f"{path}: line {number} is not JSON ({error})") from None
            label = value.get("label") if isinstance(value, dict) else None
            if type(label) is not int:
                raise UserError(f'{path}: line {number} is {line[:60]!r}; {{"label": 0}} or another index is needed')
            labels.append(label)
        return labels

    def render(self, rows: Sequence[Row], column: str | None, names: Mapping[str, str]) -> str:
        """`{"label": index}` per line."""
        return submission_files.joined(json.dumps({"label": row[str(column)]}) for row in rows)


FORMAT = MultipleChoice()
