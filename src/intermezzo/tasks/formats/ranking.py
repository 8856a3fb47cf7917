"""Ranking: a query searches its texts in one pool of candidates in all languages (LAReQA, Mewsli-X).

Beside train, dev and test there is the split `candidates`, what queries search in. The candidates of all languages
together are one pool, so their ids are unique across languages.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from intermezzo.tasks import submission_files
from intermezzo.tasks.formats.base import TEXT, TEXTS, Format, Labels, Lengths, Metric, Row, permuted

_IDS = "a list of ids (texts)"


class Ranking(Format):
    """`text_pair`: in training, what the text should find; `relevant`: ids of the right candidates of a query."""

    columns = {"id": TEXT, "text": TEXT, "text_pair": TEXT, "relevant": TEXTS}
    gold = "relevant"
    splits = ("train", "dev", "test", "candidates")
    support = "candidates"
    scored_by_item = True
    metrics = (Metric("map_at_20"),)
    lengths = Lengths(30, 60, 1, 5000)
    one_feature = True
    read_apart = True
    suffix = "json"
    official = {"map@20": "map_at_20"}

    def problems(self, row: Row, labels: Labels) -> Iterator[str]:
        """Not a training pair and a query at once."""
        if row["text_pair"] is not None and row["relevant"]:
            yield "both text_pair (a training pair) and relevant (a query)"

    def shuffled(self, rows: list[Row], rng: random.Random) -> list[Row]:
        """What a query should find moves between the queries."""
        return permuted(rows, "text_pair", rng)

    def assumed_inputs(self, first: float, second: float, split: str) -> list[tuple[float, ...]]:
        """A training row is two inputs, every other row one."""
        return [(first,), (second,)] if split == "train" else [(first,)]

    def read_submission(
        self, predictions: Path, labels: Path, note: submission_files.Note
    ) -> tuple[list[list[str] | None], list[list[str]]]:
        """Predictions are an object of query id -> candidate ids, best first; labels one of the right ids."""
        gold = list(submission_files.json_object(labels, _IDS, note, lists=True).items())
        answers = submission_files.json_object(predictions, _IDS, note, lists=True)
        return submission_files.matched(answers, gold, predictions, labels, note)

    def render(self, rows: Sequence[Row], column: str | None, names: Mapping[str, str]) -> str:
        """An object of query id -> candidate ids."""
        return submission_files.by_id(rows, str(column))


FORMAT = Ranking()
