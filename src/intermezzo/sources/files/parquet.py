"""Parquet files: their records, read batch by batch, and the label names that the Hugging Face hub writes into them.

A file with numbers for labels carries their names in its metadata, as the feature `ClassLabel` of `datasets`. Where the
task file has no `map`, labels get these names. Where it has one, the two are compared: when an upstream reorders its
labels, numbers keep working and mean something else.

Records are read by pyarrow, and `datasets` reads the features alone: of MNLI's 392,702 pairs `datasets` makes Python
objects in 4.0 (through a copy on the disk) to 18 (streamed) CPU seconds, pyarrow in 2.9.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from intermezzo.core.excerpt import excerpt
from intermezzo.sources.files.reading import File, repeated

Row = dict[str, Any]
BATCH_ROWS = 1024
"""Records that are Python objects at a time, beside the rows that are made of them."""


def batches(file: File, columns: Collection[str]) -> Iterator[list[tuple[int, Row]]]:
    """(number, record) of each row, from 0, some thousand rows at a time.

    Records have the given columns alone, or all where the file lacks one of them. Raises UserError for a file that is
    not Parquet, is cut off, or has a text that is not UTF-8.
    """
    path = file.path()
    try:
        with pq.ParquetFile(path, memory_map=True, page_checksum_verification=True) as content:
            names = [name for name in content.schema_arrow.names if name in columns]
            if name := repeated(names):
                raise file.fault(f"two columns are called {excerpt(name)}; rename or remove one of them")
            number = 0
            chosen = names if len(names) == len({*columns}) else None
            for batch in content.iter_batches(BATCH_ROWS, columns=chosen, use_threads=False):  # threads: more memory
                yield list(enumerate(_objects(batch, number, file), number))
                number += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise file.fault(f"not a readable Parquet file ({reason}); is it cut off?") from None


def _objects(batch: pa.RecordBatch, number: int, file: File) -> list[Row]:
    """The records of a batch, the first of which is row `number` of the file."""
    try:
        return batch.to_pylist()
    except (ValueError, OverflowError) as error:
        for row in range(batch.num_rows):
            try:
                batch.slice(row, 1).to_pylist()
            except UnicodeDecodeError:
                raise file.fault(f"row {number + row}: a text is not UTF-8; write the file anew as UTF-8") from None
            except (ValueError, OverflowError) as fault:
                raise file.fault(f"row {number + row}: not readable ({fault})") from None
        raise file.fault(f"rows {number} to {number + batch.num_rows - 1}: not readable ({error})") from None


def name_labels(rows: list[Row], column: str, file: File, path: str) -> list[Row]:
    """Rows with the names that the file has for the numbers in `column`, which were read from its field at `path`.

    A number without a name (-1 stands for "without a label") stays as it is.
    """
    names = dict(enumerate(class_names(file, path)))

    def name(value: Any) -> Any:
        return [names.get(item, item) for item in value] if isinstance(value, list) else names.get(value, value)

    return [row | {column: name(row[column])} for row in rows] if names else rows


def check_label_names(file: File, path: str, names: dict[Any, Any]) -> None:
    """Raise UserError when a file's own names for the labels at `path` contradict `names` (its `map`: number -> name).

    They do when the same names stand at other numbers (ignoring case and punctuation). Names that only one side has
    prove nothing: a task may call its labels differently.
    """
    ours = {number: _plain(name) for number, name in names.items() if type(number) is int}
    theirs = class_names(file, path) if ours else []
    for number, name in enumerate(map(_plain, theirs)):
        mapped = ours.get(number, name)
        if mapped != name and (name in ours.values() or mapped in map(_plain, theirs)):
            task_order = ", ".join(f"{n} = {names[n]}" for n in sorted(ours))
            file_order = ", ".join(f"{n} = {label}" for n, label in enumerate(theirs))
            mend = "correct `map` in the task file"
            raise file.fault(f"its labels are {file_order}, but the task says {task_order}; {mend}")


def class_names(file: File, path: str) -> list[str]:
    """The names of the labels in the field at `path` (dots go into nested fields); [] where the file gives none."""
    column, *inner = path.split(".")
    try:
        metadata = pq.read_schema(file.path(), memory_map=True).metadata or {}
        description = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"][column]
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, RecursionError):
        return []  # not of the hub, or broken: of that the reader complains
    import datasets  # half a second, which files without names need not pay

    try:
        feature = datasets.Features.from_dict({column: description})[column]
        for name in inner:
            feature = _item(feature)[name]
    except (ValueError, KeyError, TypeError, AttributeError):  # a kind of feature that this version does not know
        return []
    feature = _item(feature)
    return list(feature.names) if isinstance(feature, datasets.ClassLabel) else []


def _item(feature: Any) -> Any:
    """The feature of a list's items, however lists are written; any other feature itself."""
    while isinstance(feature, list) or hasattr(feature, "feature"):
        feature = feature[0] if isinstance(feature, list) else feature.feature
    return feature


def _plain(name: Any) -> str:
    return re.sub(r"[\W_]", "", str(name)).casefold()
