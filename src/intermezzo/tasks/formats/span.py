"""Extractive question answering: the answer is a span of the context."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from intermezzo.core.errors import UserError
from intermezzo.core.excerpt import excerpt
from intermezzo.tasks import submission_files
from intermezzo.tasks.formats.base import (
    INTEGERS,
    TEXT,
    TEXTS,
    Format,
    Labels,
    Lengths,
    Metric,
    Passage,
    Row,
    is_blank,
    stands_at,
)

_DROP = "`drop: [unlocated]` in the task file leaves such questions out"
_NOWHERE = -1
"""The offset of an answer of which no file says where it stands."""


class Span(Format):
    """`answers` are the right ones, and `answer_starts` the characters of the context at which they begin.

    Training reads the offsets. Scores compare texts, so that offsets of other splits may be wrong or missing.
    """

    columns = {"id": TEXT, "context": TEXT, "question": TEXT, "answers": TEXTS, "answer_starts": INTEGERS}
    skill = "qa"
    gold = "answers"
    normalised = False
    answers_in_text = True
    removable = ("question",)
    scored_by_item = True
    metrics = tuple(Metric(f"{rules}_{name}") for rules in ("squad", "mlqa", "jsquad", "cmrc") for name in ("f1", "em"))
    lengths = Lengths(14, 170, 1, 2000)
    suffix = "json"
    prompted = True
    official = {"exact_match": "{rules}_em", "f1": "{rules}_f1"}
    official_main = ("exact_match", "f1")

    def completed(self, row: Row) -> Row:
        """Answers without offsets stand nowhere."""
        if row.get("answer_starts") is None and isinstance(row.get("answers"), list):
            return row | {"answer_starts": [_NOWHERE] * len(row["answers"])}
        return row

    def problems(self, row: Row, labels: Labels) -> Iterator[str]:
        """As many answers as offsets."""
        if len(row["answers"]) != len(row["answer_starts"]):
            yield "answers and answer_starts differ in number"

    def training_problems(self, row: Row) -> Iterator[str]:
        """Answers that stand where it is said that they do."""
        context = row["context"]
        for answer, start in zip(row["answers"], row["answer_starts"], strict=False):
            if start == _NOWHERE:
                yield f"answer {excerpt(answer)} has no offset (answer_start), which training needs; {_DROP}"
            elif not stands_at(answer, context, start):
                place = f"character {excerpt(start)} of its context"
                text = context[start : start + min(len(answer), 60)] if start >= 0 else ""
                actual = f"{excerpt(text)} is there" if text else f"that has the characters 0 to {len(context) - 1}"
                yield f"answer {excerpt(answer)} is not at {place}: {actual}; {_DROP}"

    def mend(self, column: str) -> str:
        """What to do about rows without a text in a column."""
        return f"was it taken out of a test set? {_DROP}" if column == "answers" else super().mend(column)

    def refused(self, rows: Sequence[Row], *, unanswerable: bool) -> str | None:
        """Texts that are missing, and questions without an answer that the task does not allow."""
        if "question" in self.omitted(rows):
            return "all questions are empty"
        if rows and all(row["answers"] and all(map(is_blank, row["answers"])) for row in rows):
            return (
                "all answers are blank: those of a test set were taken out (XTREME's scripts write"
                ' {"text": "", "answer_start": 0}); get the file with its answers from who published the data'
            )
        empty = [] if unanswerable else [row["id"] for row in rows if not row["answers"]]
        if not empty:
            return None
        mend = "set `unanswerable: true` in the task file, or leave them out with `drop: [unlocated]`"
        return f"{len(empty)} questions have no answer (the first: {excerpt(empty[0])}); {mend}"

    def shuffled(self, rows: list[Row], rng: random.Random) -> list[Row]:
        """The answer is a random run of as many words of the context."""
        return [row | _random_answer(row, rng) for row in rows]

    def as_text(self, row: Row) -> list[tuple[str, str | None]]:
        """The question with its context."""
        return [(row["question"], row["context"])]

    def texts(self, row: Row) -> list[str | Passage]:
        """The question, and the context with its first answer."""
        answer = None
        if row["answers"]:
            answer = (row["answer_starts"][0], row["answer_starts"][0] + len(row["answers"][0]))
        return [row["question"], Passage(row["context"], answer)]

    def translated(self, row: Row, texts: Sequence[Any]) -> Row:
        """The row with another question and context, and the answer that was found again."""
        question, context = texts
        changes: Row = {"question": question, "context": context.text}
        if context.answer is not None:
            begin, end = context.answer
            changes |= {"answers": [context.text[begin:end]], "answer_starts": [begin]}
        return row | changes

    def model_inputs(self, row: Row) -> list[tuple[str, ...]]:
        """The question with its context."""
        return [(row["question"], row["context"])]

    def token_counts(self, texts: tuple[float, ...], length: int, stride: int) -> tuple[float, float]:
        """Windows of a long context, each with the question, of which a third of `length` is read at most."""
        question, context = min(texts[0], length // 3), texts[1]
        room, overlap = max(1.0, length - question - 4), min(stride, length // 3)
        windows = 1 + -(-max(0.0, context - room) // max(1.0, room - overlap))
        return windows, context + windows * (question + 4) + (windows - 1) * overlap

    def solution(self, row: Row, answers: Mapping[str, str]) -> str | None:
        """The first right answer."""
        return str(row["answers"][0]) if row["answers"] else None

    def read_submission(
        self, predictions: Path, labels: Path, note: submission_files.Note
    ) -> tuple[list[str | None], list[list[str]]]:
        """Predictions are an object of question id -> answer, labels are SQuAD's JSON."""
        gold = _questions(labels)
        answers = submission_files.json_object(predictions, "a text", note, lists=False)
        return submission_files.matched(answers, gold, predictions, labels, note)

    def render(self, rows: Sequence[Row], column: str | None, names: Mapping[str, str]) -> str:
        """An object of question id -> answer."""
        return submission_files.by_id(rows, str(column))

    def render_labels(self, rows: Sequence[Row], names: Mapping[str, str]) -> str:
        """SQuAD's JSON."""
        paragraphs = []
        for row in rows:
            spans = zip(row["answers"], row["answer_starts"], strict=True)
            answers = [{"text": text, "answer_start": start} for text, start in spans]
            question = {"id": row["id"], "question": row["question"], "answers": answers}
            paragraphs.append({"context": row["context"], "qas": [question]})
        squad = {"version": "1.1", "data": [{"paragraphs": paragraphs}]}
        return json.dumps(squad, ensure_ascii=False, indent=1) + "\n"


def _random_answer(row: Row, rng: random.Random) -> Row:
    context, words, position = row["context"], [], 0
    for word in row["context"].split():
        position = context.index(word, position)
        words.append((position, position + len(word)))
        position += len(word)
    count = min(len(row["answers"][0].split()) if row["answers"] else 1, len(words))
    first = rng.randrange(len(words) - count + 1)
    begin, end = words[first][0], words[first + count - 1][1]
    return {"answers": [context[begin:end]], "answer_starts": [begin]}


def _questions(path: Path) -> list[tuple[str, list[str]]]:
    """Question ids and their right answers from SQuAD's JSON, in its order."""
    try:
        return [
            (item["id"], [answer["text"] for answer in item["answers"]])
            for article in submission_files.load_json(path)
            for paragraph in article["paragraphs"]
            for item in paragraph["qas"]
        ]
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: not SQuAD's JSON (missing or misplaced: {error})") from None


FORMAT = Span()
