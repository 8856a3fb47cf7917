"""Rows of training data that are in test data too: exact, normalised, or by a sequence of words.

A model that was trained on a test row has seen its answer, or at least its text. Two rows of one language overlap

- exactly, if their texts (inputs, without labels) are the same;
- normalised, if they are the same in lower case, without punctuation and marks of format;
- by n-gram, if any text of one has as many words in a row in common with a text of the other.

Each kind includes the one before. Words are separated by spaces; in scripts without spaces each letter is a word.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from intermezzo.core.errors import UserError
from intermezzo.specs.overlap import EvaluationFile, Kind, TrainingFile
from intermezzo.tasks.formats import Format, load_format

KINDS: tuple[Kind, ...] = ("exact", "normalised", "ngram")
COLUMNS = (
    *("language", "training", "test", "rows", *KINDS, "share"),
    *("training_rows", "training_overlap", "dropped"),
)
"""Of leakage.tsv: see `Overlap`."""
_UNSPACED = ("THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "CJK", "HIRAGANA", "KATAKANA")
"""Beginnings of the names of letters in scripts that put no spaces between words."""
_BATCH = 4096
Texts = tuple[str, ...]


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


class Index:
    """What the test rows of a language hold, by which training rows are recognised. ngram: words in a row."""

    def __init__(self, tests: Mapping[str, Iterable[Texts]], ngram: int) -> None:
        self.ngram = ngram
        self.rows = {name: [self._keys(texts) for texts in rows] for name, rows in tests.items()}
        self._known = {key for rows in self.rows.values() for kinds in rows for keys in kinds for key in keys}

    def hits(self, texts: Texts) -> tuple[frozenset[int], ...]:
        """By kind, the keys of a training row that some test row has too."""
        return tuple(frozenset(keys) & self._known for keys in self._keys(texts))

    def _keys(self, texts: Texts) -> tuple[frozenset[int], ...]:
        """By kind, hashes of what another row must have for an overlap."""
        words = [_words(text) for text in texts]
        exact = hash(("exact", texts))
        normalised = hash(("normalised", *map(tuple, words)))
        n = self.ngram
        grams = {hash(tuple(part[i : i + n])) for part in words for i in range(len(part) - n + 1)}
        return (frozenset({exact}), frozenset({normalised}) if any(words) else frozenset(), frozenset(grams))


def overlaps(
    training: Iterable[tuple[TrainingFile, Path]],
    tests: Mapping[EvaluationFile, Path],
    ngram: int,
    drop: Kind | None = None,
) -> Iterator[Overlap]:
    """A line per training file and test file of its language, in the order of both.

    drop: which kind of rows the trainings leave out; None: they leave out none.
    """
    files = list(training)
    for language in dict.fromkeys(file.language for file, _ in files):
        of_language = {
            test.task: _texts(path, test.format) for test, path in tests.items() if test.language == language
        }
        if not of_language:
            continue
        index = Index(of_language, ngram)
        for file, path in files:
            if file.language == language:
                yield from _of_file(index, file, path, drop)


def _of_file(index: Index, file: TrainingFile, path: Path, drop: Kind | None) -> Iterator[Overlap]:
    keys_of_test = {
        test: [frozenset().union(*(row[kind] for row in rows)) for kind in range(len(KINDS))]
        for test, rows in index.rows.items()
    }
    shared: list[set[int]] = [set() for _ in KINDS]
    overlapping, number, dropped = dict.fromkeys(index.rows, 0), 0, 0
    for texts in _texts(path, file.format):
        number += 1
        hits = index.hits(texts)
        if not any(hits):
            continue
        dropped += drop is not None and any(hits[: KINDS.index(drop) + 1])
        for keys, common in zip(shared, hits, strict=True):
            keys |= common
        for test, keys_by_kind in keys_of_test.items():
            overlapping[test] += any(keys & common for keys, common in zip(keys_by_kind, hits, strict=True))
    for test, rows in index.rows.items():
        first = [next((k for k, keys in enumerate(kinds) if keys & shared[k]), len(KINDS)) for kinds in rows]
        counts = tuple(sum(kind <= number for kind in first) for number in range(len(KINDS)))
        yield Overlap(
            file.language,
            file.name,
            test,
            len(rows),
            counts,
            number,
            overlapping[test],
            dropped,  # type: ignore[arg-type]
        )


def kept(path: Path, file: TrainingFile, tests: Mapping[EvaluationFile, Path], ngram: int, drop: Kind) -> list[bool]:
    """Of each row of a training file, whether it may be trained on: it overlaps with no test row of its language."""
    index = Index({test.task: _texts(where, test.format) for test, where in tests.items()}, ngram)
    kinds = KINDS.index(drop) + 1
    return [not any(index.hits(texts)[:kinds]) for texts in _texts(path, file.format)]


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
    rows = [COLUMNS]
    for line in lines:
        numbers = (line.rows, *line.counts, f"{line.share:.4f}", line.training_rows, line.training_overlap)
        rows.append((line.language, line.training, line.test, *map(str, numbers), str(line.dropped)))
    return "".join("\t".join(row) + "\n" for row in rows)


def _texts(path: Path, form_name: str) -> Iterator[Texts]:
    """The texts of each row of a data file."""
    form = load_format(form_name)
    for batch in pq.ParquetFile(path).iter_batches(_BATCH):
        for row in batch.to_pylist():
            yield _inputs(row, form)


def _inputs(row: dict[str, Any], form: Format) -> Texts:
    """Every text that a model reads of a row, each once."""
    return tuple(dict.fromkeys(text for pair in form.as_text(row) for text in pair if text))


class _Separated(dict[int, str]):
    """Letters as `str.translate` takes them: marks of format go, punctuation is a space, an unspaced letter a word."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        category = unicodedata.category(letter)
        if category == "Cf":
            value = ""
        elif category[0] in "PSZC":
            value = " "
        else:
            name = unicodedata.name(letter, "")
            value = f" {letter}" if category[0] == "L" and name.startswith(_UNSPACED) else letter
        self[code] = value
        return value


_separated = _Separated()


def _words(text: str) -> list[str]:
    return unicodedata.normalize("NFKC", text).casefold().translate(_separated).split()
