"""Readers of records, whatever the task: JSON lines and Parquet, with a table of which field goes where.

    fields: {context: context, question: question_lang, answers: answer.text, answer_starts: answer.answer_start}

maps each column of the task's format to a field of the file; dots go into nested fields, null gives null. Without
an `id` the rows are called `path:line` (JSON) or `path:row` (Parquet).
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from intermezzo.sources.files.reading import File

Row = dict[str, Any]


def jsonl(file: File, fields: dict[str, str | None]) -> list[Row]:
    """One JSON object per line."""
    return [_row(file, number, record, fields, "line") for number, record in file.json_lines()]


def parquet(file: File, fields: dict[str, str | None]) -> list[Row]:
    """A Parquet file; rows are counted from 0."""
    source = pa.BufferReader(file.bytes())
    try:
        records = pq.read_table(source).to_pylist()
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise file.fault(f"not a readable Parquet file ({reason}); is it cut off?") from None
    return [_row(file, number, record, fields, "row") for number, record in enumerate(records)]


def _row(file: File, number: int, record: dict[str, Any], fields: dict[str, str | None], unit: str) -> Row:
    row: Row = {"id": f"{file.name}:{number}"}
    for column, path in fields.items():
        value: Any = record if path else None
        for step in path.split(".") if path else ():
            if not isinstance(value, dict) or step not in value:
                found = ", ".join(value) if isinstance(value, dict) else type(value).__name__
                raise file.fault(f"{unit} {number} has no field '{path}' (wanted as {column}); found {found}")
            value = value[step]
        row[column] = str(value) if column == "id" and value is not None else value
    return row
