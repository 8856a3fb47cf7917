"""Rows of training data that are in test data, or in other training data: exact, normalised, or by n-gram.

A model that was trained on a test row has seen its answer, or at least its text. An intermediate that was trained on
the target's own rows has begun the target's training. Two rows of one language overlap

- exactly, if their texts (inputs, without labels) are the same;
- normalised, if they are the same in lower case, without punctuation and marks of format;
- by n-gram, if any text of one has as many words in a row in common with a text of the other.

Each kind includes the one before. Words are separated by spaces; in scripts without spaces each letter is a word.
Test data and the training data of targets are kept as hashes (16 to 20 bytes for each), one language at a time; the
training files that may have their rows are read in batches.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

from intermezzo.core.leakage import KINDS, TEST, TRAINING, Overlap
from intermezzo.specs.overlap import EvaluationFile, Kind, TrainingFile
from intermezzo.tasks.formats import Format, load_format

_UNSPACED = ("THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "CJK", "HIRAGANA", "KATAKANA")
"""Beginnings of the names of letters in scripts that put no spaces between words."""
_BATCH = 4096
Texts = tuple[str, ...]
File = EvaluationFile | TrainingFile


class Keys(NamedTuple):
    """What other rows must have to overlap with some rows, by kind: hashes (or their places), and the row of each."""

    rows: int
    by_kind: Sequence[tuple[np.ndarray, np.ndarray]]


class Index:
    """The rows of some files of one language, by which rows of training data are recognised. ngram: words in a row."""

    def __init__(self, files: Mapping[File, Path], ngram: int) -> None:
        self.ngram = ngram
        keys = {file: _joined(_keys(path, file.format, ngram)) for file, path in files.items()}
        empty = np.empty(0, np.int64)
        hashes = np.sort(np.concatenate([empty, *(part for of_file in keys.values() for part, _ in of_file.by_kind)]))
        self._known = hashes[np.append(True, hashes[1:] != hashes[:-1])] if len(hashes) else empty
        self.files = {file: self._placed(part) for file, part in keys.items()}
        """Per file its keys, as places among the known ones."""
        self._members = {file: self.marks(part) for file, part in self.files.items()}

    def marks(self, *parts: Keys) -> np.ndarray:
        """Of each known hash, whether one of these rows has it."""
        marks = np.zeros(len(self._known), bool)
        for part in parts:
            for places, _ in part.by_kind:
                marks[places] = True
        return marks

    def search(self, file: TrainingFile, path: Path) -> Iterator[Keys]:
        """What the rows of a training file have in common with the index, as places of its hashes, batch by batch."""
        if file in self.files:
            return iter((self.files[file],))
        return map(self._placed, _keys(path, file.format, self.ngram))

    def overlapping(self, hits: Keys, file: File, kinds: int = len(KINDS)) -> np.ndarray:
        """Of each row of a batch of training data, whether it overlaps with a file of the index in the first kinds."""
        overlaps = np.zeros(hits.rows, bool)
        for places, rows in hits.by_kind[:kinds]:
            overlaps[rows[self._members[file][places]]] = True
        return overlaps

    def counts(self, file: File, seen: np.ndarray) -> tuple[int, int, int]:
        """How many rows of a file overlap, by kind. seen: of each known hash, whether the training data have it."""
        keys, counts = self.files[file], []
        overlaps = np.zeros(keys.rows, bool)
        for places, rows in keys.by_kind:
            overlaps[rows[seen[places]]] = True
            counts.append(int(overlaps.sum()))
        exact, normalised, ngram = counts
        return exact, normalised, ngram

    def _placed(self, keys: Keys) -> Keys:
        """Keys with places instead of hashes; those that are not known are left out."""
        by_kind = []
        for hashes, rows in keys.by_kind:
            unique, inverse = np.unique(hashes, return_inverse=True)  # sorted, they are looked up three times as fast
            places = np.searchsorted(self._known, unique)
            places[places == len(self._known)] = 0
            known = self._known[places] == unique if len(self._known) else np.zeros(len(unique), bool)
            same = known[inverse]
            by_kind.append((places[inverse[same]].astype(np.int32), rows[same]))
        return Keys(keys.rows, by_kind)


def overlaps(
    tests: Mapping[EvaluationFile, Path],
    intermediates: Mapping[TrainingFile, Path],
    targets: Mapping[TrainingFile, Path],
    ngram: int,
    drop: Kind | None = None,
) -> Iterator[Overlap]:
    """A line per training file and test file of its language; and per file that intermediates are trained on and
    another one that targets are trained on.

    intermediates, targets: training files, which may be the same. drop: which kind of rows the trainings leave out;
    None: they leave out none.
    """
    training = {**intermediates, **targets}
    for language in dict.fromkeys(file.language for file in training):
        files = {file: path for file, path in training.items() if file.language == language}
        tested = [file for file in tests if file.language == language]
        again = [file for file in files if file in targets and files.keys() & intermediates.keys() - {file}]
        index = Index({file: tests[file] for file in tested} | {file: files[file] for file in again}, ngram)
        for file, path in files.items():
            counted = [*tested, *(other for other in again if file in intermediates and other != file)]
            if counted:
                yield from _of_file(index, file, path, counted, tested, drop)


def _of_file(
    index: Index, file: TrainingFile, path: Path, counted: Sequence[File], tested: Sequence[File], drop: Kind | None
) -> Iterator[Overlap]:
    """A line per counted file of the index. tested: files whose rows are left out of the training."""
    seen, overlapping, number, dropped = index.marks(), dict.fromkeys(counted, 0), 0, 0
    for hits in index.search(file, path):
        number += hits.rows
        seen |= index.marks(hits)
        for other in counted:
            overlapping[other] += int(index.overlapping(hits, other).sum())
        dropped += int(_dropped(index, hits, tested, drop).sum())
    for other in counted:
        kind, name = (TEST, other.task) if isinstance(other, EvaluationFile) else (TRAINING, other.name)
        yield Overlap(
            language=file.language,
            training=file.name,
            kind=kind,
            data=name,
            rows=index.files[other].rows,
            counts=index.counts(other, seen),
            training_rows=number,
            training_overlap=overlapping[other],
            dropped=dropped,
        )


def _dropped(index: Index, hits: Keys, tested: Sequence[File], drop: Kind | None) -> np.ndarray:
    """Of each row of a batch, whether it is left out because of any test file."""
    kinds = 0 if drop is None else KINDS.index(drop) + 1
    return np.logical_or.reduce([np.zeros(hits.rows, bool), *(index.overlapping(hits, file, kinds) for file in tested)])


def kept(path: Path, file: TrainingFile, tests: Mapping[EvaluationFile, Path], ngram: int, drop: Kind) -> list[bool]:
    """Of each row of a training file, whether it may be trained on: it overlaps with no test row of its language."""
    index = Index(dict(tests), ngram)
    batches = index.search(file, path)
    return [keep for hits in batches for keep in (~_dropped(index, hits, [*tests], drop)).tolist()]


def _joined(batches: Iterator[Keys]) -> Keys:
    """The hashes of all batches of a file."""
    rows, parts = 0, []
    for batch in batches:
        parts.append([(hashes, places + rows) for hashes, places in batch.by_kind])
        rows += batch.rows
    empty = [(np.empty(0, np.int64), np.empty(0, np.int32))] * len(KINDS)
    joined = [tuple(map(np.concatenate, zip(*kind, strict=True))) for kind in zip(empty, *parts, strict=True)]
    return Keys(rows, joined)  # type: ignore[arg-type]


def _keys(path: Path, form: str, ngram: int) -> Iterator[Keys]:
    """Hashes of the rows of a data file, a batch at a time."""
    batch: list[Texts] = []
    for texts in _texts(path, form):
        batch.append(texts)
        if len(batch) == _BATCH:
            yield _of_batch(batch, ngram)
            batch = []
    if batch:
        yield _of_batch(batch, ngram)


def _of_batch(batch: Sequence[Texts], ngram: int) -> Keys:
    by_kind: list[tuple[list[int], list[int]]] = [([], []) for _ in KINDS]
    for row, texts in enumerate(batch):
        for (hashes, rows), of_row in zip(by_kind, _of_row(texts, ngram), strict=True):
            hashes += of_row
            rows += [row] * len(of_row)
    arrays = [(np.array(hashes, np.int64), np.array(rows, np.int32)) for hashes, rows in by_kind]
    return Keys(len(batch), arrays)


def _of_row(texts: Texts, ngram: int) -> tuple[list[int], list[int], set[int]]:
    """By kind, hashes of what another row must have for an overlap."""
    words = [_words(text) for text in texts]
    grams = {hash(tuple(part[i : i + ngram])) for part in words for i in range(len(part) - ngram + 1)}
    normalised = [hash(("normalised", *map(tuple, words)))] if any(words) else []
    return [hash(("exact", texts))], normalised, grams


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
