"""The label names that Hugging Face writes into Parquet files, against the `map` of the task file.

A file with numbers for labels carries their names in its metadata (`ClassLabel`). When an upstream reorders its
labels, numbers keep working and mean something else; this notices.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from intermezzo.sources.files.reading import File


def check(files: Sequence[File], fields: dict[str, Any], names: dict[Any, Any]) -> None:
    """Raise UserError when a file's own label names contradict `names` (its `map`: number -> name).

    They do when the same names stand at other numbers (ignoring case and punctuation). Names that only one side has
    prove nothing: a task may call its labels differently.
    """
    ours = {number: _plain(name) for number, name in names.items() if type(number) is int}
    paths = [fields[column] for column in ("label", "tags") if isinstance(fields.get(column), str)]
    for file in files if ours and paths else ():
        for path in paths:
            theirs = _class_names(file, path)
            for number, name in enumerate(map(_plain, theirs)):
                mapped = ours.get(number, name)
                if mapped != name and (name in ours.values() or mapped in map(_plain, theirs)):
                    task_order = ", ".join(f"{n} = {names[n]}" for n in sorted(ours))
                    file_order = ", ".join(f"{n} = {given}" for n, given in enumerate(theirs))
                    mend = "correct `map` in the task file"
                    raise file.fault(f"its labels are {file_order}, but the task says {task_order}; {mend}")


def _class_names(file: File, path: str) -> list[str]:
    """The class names of the field at `path`, [] where the file does not give any."""
    try:
        metadata = pq.read_schema(pa.BufferReader(file.bytes())).metadata or {}
        feature: Any = json.loads(metadata.get(b"huggingface", b"{}"))
        for key in ("info", "features", *path.split(".")):
            feature = feature.get(key, {})
        while isinstance(feature, (dict, list)):  # a list of labels: [{...}] or {feature: {...}, _type: Sequence}
            if isinstance(feature, dict) and isinstance(feature.get("names"), list):
                return [str(name) for name in feature["names"]]
            feature = (
                feature[0] if isinstance(feature, list) and feature else getattr(feature, "get", {}.get)("feature")
            )
    except (pa.ArrowException, OSError, ValueError, AttributeError):
        pass  # the reader complains about the file itself
    return []


def _plain(name: Any) -> str:
    return re.sub(r"[\W_]", "", str(name)).casefold()
