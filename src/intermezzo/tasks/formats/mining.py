"""Mining of translations in two lists of sentences, of which some translate each other (BUCC 2018).

Nothing is trained for it: sentence vectors are read off the encoder, and a threshold is tuned on development data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from intermezzo.core.errors import UserError
from intermezzo.core.excerpt import excerpt
from intermezzo.tasks import submission_files
from intermezzo.tasks.formats.base import TEXT, Format, Labels, Lengths, Metric, Row

SIDES = ("foreign", "english")


class Mining(Format):
    """`side` is one of `SIDES`; `pair` the id of a foreign row's English translation, null where it has none."""

    columns = {"id": TEXT, "text": TEXT, "side": TEXT, "pair": TEXT}
    skill = "retrieval"
    gold = "pair"
    nullable = ("pair",)
    splits = ("dev", "test")
    whole = True
    paired_with_english = True
    trained = intermediate = False
    translatable = False
    support = "dev"
    metrics = (Metric("mining_f1"), Metric("mining_precision"), Metric("mining_recall"))
    lengths = Lengths(32, 0, 1, 100000)
    read_apart = True
    official = {"f1": "f1", "precision": "precision", "recall": "recall"}

    def problems(self, row: Row, labels: Labels) -> Iterator[str]:
        """A pair on the foreign side alone."""
        if row["side"] not in SIDES:
            yield f"side {excerpt(row['side'])}; allowed: {', '.join(SIDES)}"
        elif row["side"] == "english" and row["pair"] is not None:
            yield "an English row has a pair; pairs belong to the foreign rows"

    def parse(self, path: Path) -> list[tuple[str, ...]]:
        """A pair per line: the id of the sentence, a tab, the id of the English one."""
        pairs = [tuple(line.split("\t")) for line in submission_files.lines(path) if line]
        if wrong := next((pair for pair in pairs if len(pair) != 2), None):
            raise UserError(f"{path}: {' '.join(wrong)!r}; two ids with a tab between them are needed on each line")
        return pairs

    def read_submission(
        self, predictions: Path, labels: Path, note: submission_files.Note
    ) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
        """The mined and the right pairs, which have no order in common and may differ in number."""
        ours, gold = self.parse(predictions), self.parse(labels)
        submission_files.require_examples(gold, labels)
        return ours, gold

    def render(self, rows: Sequence[Row], column: str | None, names: Mapping[str, str]) -> str:
        """The pairs that there are."""
        pairs = ((row["id"], row[str(column)]) for row in rows)
        return submission_files.joined(f"{foreign}\t{english}" for foreign, english in pairs if english is not None)


FORMAT = Mining()
