"""The table of test rows that are in training data, `results/leakage.tsv`: its lines, and what they say.

`sources.overlap` makes it before anything is trained; the analysis reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from intermezzo.core.errors import UserError

KINDS = ("exact", "normalised", "ngram")
COLUMNS = (
    *("language", "training", "test", "rows", *KINDS, "share"),
    *("training_rows", "training_overlap", "dropped"),
)
"""Of leakage.tsv: see `Overlap`."""


class Overlap(NamedTuple):
    """What a training file and the test file of a task have in common, in one language."""

    language: str
    training: str
    """source/task of the training file."""
    test: str
    """Task of the test file."""
    rows: int
    """Of the test file."""
    counts: tuple[int, int, int]
    """Test rows that overlap, by `KINDS`."""
    training_rows: int
    training_overlap: int
    """Training rows that overlap with test rows of this file in any of the ways."""
    dropped: int
    """Training rows that are left out of the trainings because of any test file."""

    @property
    def share(self) -> float:
        """Of the test rows that overlap in any of the ways, 0..1."""
        return self.counts[-1] / self.rows if self.rows else 0.0


def sentences(lines: Iterable[Overlap], least: float = 0.0) -> Iterator[str]:
    """A warning per training file and task of test data, over languages: the share, and the language with the most.

    least: the share of a language's test rows below which there is none, 0..1.
    """
    groups: dict[tuple[str, str], list[Overlap]] = {}
    for line in lines:
        groups.setdefault((line.training, line.test), []).append(line)
    for (training, test), parts in groups.items():
        rows, overlapping = sum(line.rows for line in parts), sum(line.counts[-1] for line in parts)
        worst = max(parts, key=lambda line: line.share)
        if overlapping and worst.share >= least:
            exact = sum(line.counts[0] for line in parts)
            dropped = sum(line.dropped for line in parts)
            yield (
                f"{100 * overlapping / rows:.2g} % of the test rows of `{test}` ({overlapping} of {rows}, {exact} "
                f"exactly) are in the training data of `{training}`, most in {worst.language} "
                f"({100 * worst.share:.2g} %)" + (f"; {dropped} training rows are left out" if dropped else "")
            )


def read(path: Path) -> list[Overlap]:
    """The lines of a file that `table` has written. Raises UserError for another one."""
    try:
        head, *rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
        if tuple(head) != COLUMNS:
            raise ValueError("other columns")
        return [_overlap(dict(zip(COLUMNS, row, strict=True))) for row in rows]
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a table of overlaps ({error}); delete it and run again") from None


def _overlap(row: Mapping[str, str]) -> Overlap:
    exact, normalised, ngram = (int(row[kind]) for kind in KINDS)
    numbers = (int(row[name]) for name in ("training_rows", "training_overlap", "dropped"))
    return Overlap(
        row["language"], row["training"], row["test"], int(row["rows"]), (exact, normalised, ngram), *numbers
    )


def table(lines: Iterable[Overlap]) -> str:
    """The lines as tab-separated text with the columns of `COLUMNS`."""
    rows: list[tuple[str, ...]] = [COLUMNS]
    for line in lines:
        numbers = (line.rows, *line.counts, f"{line.share:.4f}", line.training_rows, line.training_overlap)
        rows.append((line.language, line.training, line.test, *map(str, numbers), str(line.dropped)))
    return "".join("\t".join(row) + "\n" for row in rows)
