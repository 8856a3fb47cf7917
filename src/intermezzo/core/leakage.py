"""The table of rows that are in training data, `results/leakage.tsv`: its lines, and what they say.

`sources.overlap` makes it before anything is trained; the analysis reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from intermezzo.core.errors import UserError

KINDS = ("exact", "normalised", "ngram")
TEST, TRAINING = "test", "target training"
"""What a line counts: rows of test data; rows that a target is trained on, in the training data of intermediates."""
COLUMNS = (
    *("language", "training", "kind", "data", "rows", *KINDS, "share"),
    *("training_rows", "training_overlap", "dropped"),
)
"""Of leakage.tsv: see `Overlap`."""


class Overlap(NamedTuple):
    """What a training file has in common with test data, or with the training data of a target, in one language."""

    language: str
    training: str
    """source/task of the training file."""
    kind: str
    """`TEST` or `TRAINING`."""
    data: str
    """Task of the test file, or source/task of the file that a target is trained on."""
    rows: int
    """Of that file."""
    counts: tuple[int, int, int]
    """Rows of it that overlap, by `KINDS`."""
    training_rows: int
    training_overlap: int
    """Rows of the training file that overlap with it in any of the ways."""
    dropped: int
    """Training rows that are left out of the trainings because of any test file."""

    @property
    def share(self) -> float:
        """Of the rows that overlap in any of the ways, 0..1."""
        return self.counts[-1] / self.rows if self.rows else 0.0


def sentences(lines: Iterable[Overlap], least: float = 0.0) -> Iterator[str]:
    """A warning per training file and data that are in it, over languages: the share, and the language with the most.

    least: the share of a language's rows below which there is none, 0..1.
    """
    groups: dict[tuple[str, str, str], list[Overlap]] = {}
    for line in lines:
        groups.setdefault((line.training, line.kind, line.data), []).append(line)
    for (training, kind, data), parts in groups.items():
        rows, overlapping = sum(line.rows for line in parts), sum(line.counts[-1] for line in parts)
        worst = max(parts, key=lambda line: line.share)
        if not overlapping or worst.share < least:
            continue
        exact, dropped = sum(line.counts[0] for line in parts), sum(line.dropped for line in parts)
        of, where = f"the test rows of `{data}`", f"the training data of `{training}`"
        if kind == TRAINING:
            of, where = f"the target training rows of `{data}`", f"the intermediate training data of `{training}`"
        most = f", most in {worst.language} ({_percent(worst.share)} %)"
        left_out = f"; {dropped} training rows are left out" if dropped and kind == TEST else ""
        yield (
            f"{_percent(overlapping / rows)} % of {of} ({overlapping} of {rows}, {exact} exactly) are in {where}"
            f"{most}{left_out}"
        )


def _percent(share: float) -> str:
    """Two significant digits, and 100."""
    return f"{100 * share:.2g}" if share < 0.995 else "100"


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
    return Overlap(
        language=row["language"],
        training=row["training"],
        kind=row["kind"],
        data=row["data"],
        rows=int(row["rows"]),
        counts=(exact, normalised, ngram),
        training_rows=int(row["training_rows"]),
        training_overlap=int(row["training_overlap"]),
        dropped=int(row["dropped"]),
    )


def table(lines: Iterable[Overlap]) -> str:
    """The lines as tab-separated text with the columns of `COLUMNS`."""
    rows: list[tuple[str, ...]] = [COLUMNS]
    for line in lines:
        numbers = (line.rows, *line.counts, f"{line.share:.4f}", line.training_rows, line.training_overlap)
        rows.append((line.language, line.training, line.kind, line.data, *map(str, numbers), str(line.dropped)))
    return "".join("\t".join(row) + "\n" for row in rows)
