"""Readers of records, whatever the task: JSON lines, tables (CSV, TSV) and Parquet, and which field goes where.

    fields: {context: context, question: question_lang, answers: answer.text, answer_starts: answer.answer_start}

maps each column of the task's format to a field of the file. Dots go into nested fields (of each item, where a field
is a list), null gives null, a list of fields gives the list of their values (`choices: [ending0, ending1]`). Without
an `id` the rows are called `path:line` (text) or `path:row` (Parquet).

    only: {language: "^sw$"}

keeps the records whose field the regular expression is found in, for files that hold several languages or sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from intermezzo.sources.files.parquet import batches
from intermezzo.sources.files.reading import File, regular_expression, text_id

Row = dict[str, Any]
Fields = dict[str, str | list[str] | None]
Only = dict[str, str | int]


def jsonl(file: File, fields: Fields, only: Only | None = None) -> list[Row]:
    """One JSON object per line."""
    return _rows(file, file.json_lines(), fields, only, "line")


def delimited(
    file: File,
    fields: Fields,
    only: Only | None = None,
    delimiter: str = ",",
    quoted: bool = True,
    header: list[str] | None = None,
) -> list[Row]:
    """A table with a header (or, with `header`, without one); every value is text. `quoted: false`: quotes are text."""
    table = file.delimited((), delimiter=delimiter, quoted=quoted, header=header)
    return _rows(file, table, fields, only, "line")


def csv(
    file: File,
    fields: Fields,
    only: Only | None = None,
    delimiter: str = ",",
    quoted: bool = True,
    header: list[str] | None = None,
) -> list[Row]:
    """A comma-separated table: `delimited` under the name that people look for."""
    return delimited(file, fields, only, delimiter, quoted, header)


def tsv(
    file: File, fields: Fields, only: Only | None = None, quoted: bool = False, header: list[str] | None = None
) -> list[Row]:
    """A tab-separated table, in which quotes are text: published ones are written so. `quoted: true`: as in CSV.

    A text that only begins with a quote would swallow the lines up to the next one, if it were read as CSV.
    """
    return delimited(file, fields, only, "\t", quoted, header)


def parquet(file: File, fields: Fields, only: Only | None = None) -> list[Row]:
    """A Parquet file; rows are counted from 0."""
    return [row for rows in parquet_batches(file, fields, only) for row in rows]


def parquet_batches(file: File, fields: Fields, only: Only | None = None) -> Iterator[list[Row]]:
    """The rows of a Parquet file, some thousand at a time."""
    columns = {path.split(".")[0] for path in [*_paths(fields), *(only or {})]}
    for batch in batches(file, columns):
        yield _rows(file, batch, fields, only, "row")


def _paths(fields: Fields) -> list[str]:
    return [path for value in fields.values() if value for path in ([value] if isinstance(value, str) else value)]


def _rows(
    file: File,
    numbered: Iterable[tuple[int, dict[str, Any]]],
    fields: Fields,
    only: Only | None,
    unit: str,
) -> list[Row]:
    patterns = {path: regular_expression(file, "only", pattern) for path, pattern in (only or {}).items()}
    rows = []
    for number, record in numbered:
        place = f"{unit} {number}"
        if all(pattern.search(str(_value(file, place, record, path, path))) for path, pattern in patterns.items()):
            row: Row = {"id": f"{file.name}:{number}"}
            for column, path in fields.items():
                paths = path if isinstance(path, list) else [path]
                values = [_value(file, place, record, source_path, column) for source_path in paths]
                row[column] = values if isinstance(path, list) else values[0]
            rows.append(row | {"id": str(row["id"]) if isinstance(row["id"], float) else text_id(row["id"])})
    return rows


def _value(file: File, place: str, record: Any, path: str | None, column: str) -> Any:
    """What is at `path` in the record; of a list, what is there in each of its items."""
    value: Any = record if path else None
    for step in path.split(".") if path else ():
        if isinstance(value, list) and all(isinstance(item, dict) and step in item for item in value):
            value = [item[step] for item in value]
        elif isinstance(value, dict) and step in value:
            value = value[step]
        else:
            fields = ", ".join(value) if isinstance(value, dict) else type(value).__name__
            raise file.fault(f"{place} has no field '{path}' (wanted as {column}); found {fields}")
    return value
