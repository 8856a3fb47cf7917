"""Features as flat arrays: those of many rows in one Arrow file, read through a memory map.

A file has one record per row: `digest` (of the row's content) and, as lists over the row's features, `sequences`,
`types` (empty where all are 0) and the format's `COLUMNS`. It is sealed (`core.sealed`): a file that is not whole is
noticed before anything of it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from intermezzo.core import sealed
from intermezzo.modeling.heads import NUMBERS, Feature

DIGEST = 16
"""Bytes of a row's digest."""
_HEAD = {"digest": pa.binary(DIGEST), "sequences": pa.list_(pa.list_(NUMBERS)), "types": pa.list_(pa.list_(pa.int8()))}


class Segment:
    """The features of some rows; each is made when it is asked for, its sequences being views.

    digests: uint64 (rows, 2). bounds: (rows + 1,), where each row's features begin. lengths: (features,), in tokens.
    """

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.digests = np.frombuffer(batch["digest"].buffers()[1], np.uint64, 2 * batch.num_rows).reshape(-1, 2)
        self.bounds, features = _list(batch["sequences"])
        self.sequences, sequences = _list(features)
        self.begins, tokens = _list(sequences)
        self.tokens = tokens.to_numpy()
        self.lengths = np.diff(self.begins[self.sequences])
        self.typed, types = _list(batch["types"].flatten())
        self.types, self.zeros = types.to_numpy(), np.zeros(self.lengths.max(initial=0), np.int8)
        self.columns = {name: _reader(batch[name].flatten()) for name in batch.schema.names if name not in _HEAD}
        self._order: np.ndarray | None = None

    def feature(self, index: int, row: int) -> Feature:
        """The feature at `index`; `row` is the number of its row among those asked for."""
        bounds = self.begins[self.sequences[index] : self.sequences[index + 1] + 1].tolist()
        types = self.types[self.typed[index] : self.typed[index + 1]]
        types = types if len(types) else self.zeros
        spans, first = [*pairwise(bounds)], bounds[0]
        values = {name: reader(index) for name, reader in self.columns.items()}
        target = values.pop("target", None)
        tokens = [self.tokens[a:b] for a, b in spans]
        return Feature(row, tokens, [types[a - first : b - first] for a, b in spans], target, values)

    def find(self, digests: np.ndarray) -> np.ndarray:
        """Of each digest (n, 2) its row here, -1 where there is none: int64 (n,)."""
        if not len(self.digests):
            return np.full(len(digests), -1)
        if self._order is None:
            self._order = np.argsort(self.digests[:, 0])
        positions = np.searchsorted(self.digests[:, 0], digests[:, 0], sorter=self._order)
        rows = self._order[np.minimum(positions, len(self._order) - 1)]
        return np.where((self.digests[rows] == digests).all(1), rows, -1)


class Features(Sequence[Feature]):
    """The features of rows that lie in segments, in the order of the rows: a list whose items are made on demand.

    parts: segments. part_of_row, rows: int (n,), for each row the number of its segment and its row in that segment.
    """

    def __init__(self, parts: list[Segment], part_of_row: np.ndarray, rows: np.ndarray) -> None:
        begins, counts = np.empty(len(part_of_row), np.int64), np.empty(len(part_of_row), np.int64)
        for number, part in enumerate(parts):
            in_part = part_of_row == number
            begins[in_part] = part.bounds[rows[in_part]]
            counts[in_part] = part.bounds[rows[in_part] + 1] - begins[in_part]
        first = np.cumsum(counts) - counts
        self.parts, self.rows = parts, np.repeat(np.arange(len(part_of_row), dtype=np.int32), counts)
        self.part_of, self.features = np.repeat(part_of_row.astype(np.int32), counts), np.repeat(begins - first, counts)
        self.features += np.arange(len(self.features))
        self.lengths = np.empty(len(self.features), np.int64)
        for number, part in enumerate(parts):
            in_part = self.part_of == number
            self.lengths[in_part] = part.lengths[self.features[in_part]]

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self.parts[self.part_of[index]].feature(int(self.features[index]), int(self.rows[index]))


def sizes(features: Sequence[Feature]) -> np.ndarray:
    """Tokens of each feature: int64 (n,)."""
    return features.lengths if isinstance(features, Features) else np.array([f.tokens for f in features], np.int64)


def occurring(features: Iterable[Feature]) -> set[int]:
    """The token ids that the features hold."""
    ids: set[int] = set()
    batch: list = []
    for sequence in chain.from_iterable(feature.sequences for feature in features):
        batch.append(sequence)
        if len(batch) == 8192:
            ids.update(np.unique(np.concatenate(batch)).tolist())
            batch.clear()
    return ids.union(np.unique(np.concatenate(batch)).tolist()) if batch else ids


def columns(rows: Sequence[list[Feature]], digests: Sequence[bytes], extra: dict[str, pa.DataType]) -> pa.RecordBatch:
    """One record per row. extra: the format's `COLUMNS`."""
    types = _HEAD | {name: pa.list_(kind) for name, kind in extra.items()}
    values = {
        "digest": digests,
        "sequences": [[f.sequences for f in row] for row in rows],
        "types": [[_types(f) for f in row] for row in rows],
    }
    values |= {name: [[f.target if name == "target" else f.extra[name] for f in row] for row in rows] for name in extra}
    return pa.record_batch([pa.array(values[name], kind) for name, kind in types.items()], names=list(types))


def _types(feature: Feature) -> list[int]:
    types = [*chain.from_iterable(feature.types)]
    return types if any(types) else []


def write(path: Path, batch: pa.RecordBatch) -> None:
    """Write a segment's file, whole or not at all."""
    with sealed.write(path) as part, pa.OSFile(str(part), "wb") as out, pa.ipc.new_file(out, batch.schema) as writer:
        writer.write_batch(batch)


def read(path: Path) -> Segment | None:
    """The segment in a file; None when there is no such file, or one that is not whole, which is removed."""
    content = sealed.read(path)
    return Segment(pa.ipc.open_file(pa.py_buffer(content)).get_batch(0)) if content is not None else None


def _list(array: pa.ListArray) -> tuple[np.ndarray, pa.Array]:
    """Offsets and items of a list array that is no slice and has no nulls."""
    return array.offsets.to_numpy(), array.values


def _reader(array: pa.Array) -> Callable[[int], Any]:
    """What gives the item at an index, as the Python value that it was made of."""
    dtype = array.type
    if pa.types.is_fixed_size_list(dtype):
        tuples = array.values.to_numpy().reshape(-1, dtype.list_size)
        return lambda index: tuple(tuples[index].tolist())
    if pa.types.is_list(dtype):
        offsets, items = _list(array)
        if pa.types.is_fixed_size_list(items.type):
            tuples = items.values.to_numpy().reshape(-1, items.type.list_size)
            return lambda index: [*map(tuple, tuples[offsets[index] : offsets[index + 1]].tolist())]
        numbers = items.to_numpy()
        return lambda index: numbers[offsets[index] : offsets[index + 1]].tolist()
    numbers = array.fill_null(0).to_numpy()
    if not array.null_count:
        return lambda index: numbers[index].item()
    valid = array.is_valid().to_pylist()
    return lambda index: numbers[index].item() if valid[index] else None
