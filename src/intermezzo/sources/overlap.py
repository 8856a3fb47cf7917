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
from typing import Any

import pyarrow.parquet as pq

from intermezzo.core.leakage import KINDS, Overlap
from intermezzo.specs.overlap import EvaluationFile, Kind, TrainingFile
from intermezzo.tasks.formats import Format, load_format

_UNSPACED = ("THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "CJK", "HIRAGANA", "KATAKANA")
"""Beginnings of the names of letters in scripts that put no spaces between words."""
_BATCH = 4096
Texts = tuple[str, ...]


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
