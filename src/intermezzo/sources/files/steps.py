"""Steps between reader and row check, each asked for by a key of the part in the task file.

| key | does |
|---|---|
| labels: piqa/train-labels.lst | take the labels of the rows from a second file, which has a line for each row |
| rows: 1190 | refuse the files when the reader gives another number of rows (cut off, another release) |
| unverified_rows: 1190 | only log a warning then: a number that nobody has seen in a source |
| map: {B-DATE: O, 0: neutral} | rename labels or tags |
| strip: [text, text_pair] | take white space off the ends of these columns' texts |
| replace: {question: {cause: What was the cause?}} | replace whole values of a column; null may be replaced too |
| drop: [empty, ...] | leave out rows with these faults, with the number logged: see `FAULTS` |
| ids: {path: splits.json, key: train} | keep the rows whose id is in that list of a JSON file |
| without: {field: context, paths: [...]} | leave out rows whose field occurs in these JSON-lines files |
| hash: {field: text, from: 0, to: 90} | keep rows by a hash of the field in percent: disjoint, repeatable splits |
| pair: true | join consecutive verses of a chapter two by two as text and text_pair |

They are applied in this order; the types of the columns are checked after `replace`.
"""

from __future__ import annotations

import hashlib
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sized
from typing import Any, TypeVar

from intermezzo.core.artifacts import canonical
from intermezzo.core.errors import suggestion
from intermezzo.core.excerpt import excerpt
from intermezzo.sources.files.reading import File, regular_expression
from intermezzo.tasks.formats import Format, load_format
from intermezzo.tasks.formats.base import INTEGER, INTEGERS, NUMBER, is_blank, is_withheld, stands_at

Row = dict[str, Any]
Rows = TypeVar("Rows", bound=Sized)
log = logging.getLogger(__name__)
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_WORDS = {str: "text", int: "whole numbers", float: "a number"}


def add_labels(rows: list[Row], path: str, file: File, form: Format) -> list[Row]:
    """The rows with the labels that lie in a file of their own, a line for each row and in their order.

    Columns of several labels (tags of a sentence) take what white space parts. Raises UserError for a format without
    labels, rows that have one already, and files of different lengths.
    """
    second, column = file.sibling(path), form.label_column or form.gold
    if column not in ("label", "labels", "tags"):
        raise file.fault(f"labels: format {form.name} has none; remove `labels` from the task file")
    if rows and rows[0].get(column) is not None:
        raise file.fault(f"labels: the rows have a {column} already; name it in `fields`, or {excerpt(path)}, not both")
    lines = [line.strip() for line in second.lines()]
    if len(lines) != len(rows):
        mend = "each row has its label on a line of its own, without a header (and `only` does not go with `labels`)"
        raise second.fault(f"{len(lines)} lines, but {file} has {len(rows)} rows; {mend}")
    many = form.columns[column].many
    if not many and "" in lines:
        raise second.fault("an empty line, where the label of a row should be", lines.index("") + 1)
    return [row | {column: line.split() if many else line} for row, line in zip(rows, lines, strict=True)]


def count(rows: Rows, expected: int, file: File) -> Rows:
    """The rows; UserError when they are not as many as expected."""
    if len(rows) != expected:
        mend = "it is cut off or another release: get the right one, or change `rows` in the task file"
        raise file.fault(f"{len(rows)} rows, expected {expected}; {mend}")
    return rows


def expect(rows: Rows, expected: int, file: File) -> Rows:
    """The rows; a warning when they are not as many as expected."""
    if len(rows) != expected:
        log.warning("%s: %d rows, %d were expected (an unverified number)", file, len(rows), expected)
    return rows


def rename(rows: list[Row], names: dict[Any, Any], file: File) -> list[Row]:
    """Rows with labels renamed. names: old label (or number) -> new one."""
    return replace(rows, {"label": names, "labels": names, "tags": names}, file)


def replace(rows: list[Row], columns: dict[str, dict[Any, Any]], file: File) -> list[Row]:
    """`columns`: column -> {old value: new value}; in a list column each item is such a value.

    Values of different types differ: `true` is not 1.
    """
    values = {column: {(type(old), old): new for old, new in names.items()} for column, names in columns.items()}

    def new(value: Any, names: dict[Any, Any]) -> Any:
        simple = value is None or isinstance(value, (str, int))
        return names.get((type(value), value), value) if simple else value

    def column(value: Any, names: dict[Any, Any]) -> Any:
        return [new(item, names) for item in value] if isinstance(value, list) else new(value, names)

    return [{key: column(value, values[key]) if key in values else value for key, value in row.items()} for row in rows]


def strip(rows: list[Row], columns: list[str], file: File) -> list[Row]:
    """Rows without white space at the ends of the texts in these columns."""
    return [row | {name: row[name].strip() for name in columns if row[name] is not None} for row in rows]


def drop(
    rows: list[Row], faults: list[str], file: File, form: Format, left_out: Counter[str], training: bool = True
) -> list[Row]:
    """The rows of a format without those that have one of `faults`, names in `FAULTS`; `left_out` counts these.

    training: whether the rows are trained on; where an answer stands does not matter elsewhere.
    """
    for fault in [faults] if isinstance(faults, str) else faults:
        if fault not in FAULTS:
            raise file.fault(f"drop: unknown fault '{fault}' in the task file; {suggestion(str(fault), FAULTS)}")
        has_fault = FAULTS[fault](form, rows, training)
        remaining = [row for row in rows if not has_fault(row)]
        left_out[fault] += len(rows) - len(remaining)
        rows = remaining
    return rows


def tell(left_out: Counter[str], count: int, file: File) -> None:
    """Say in the log how many of `count` rows `drop` has left out, and why."""
    for fault, number in left_out.items():
        if number:
            log.warning("%s: %d of %d rows left out (%s)", file, number, count, fault)
            count -= number


def _empty(form: Format, rows: list[Row], training: bool) -> Callable[[Row], bool]:
    omitted = form.omitted(rows)
    return lambda row: bool(form.empty(row, omitted))


def _unlocated(form: Format, rows: list[Row], training: bool) -> Callable[[Row], bool]:
    if training:
        return lambda row: (
            not _answers(row) or not all(None not in answer and stands_at(*answer) for answer in _answers(row))
        )
    return lambda row: not row["answers"] or any(map(is_blank, row["answers"]))


def _answers(row: Row) -> list[tuple[str, str, int]]:
    """(answer, context, start) of each answer, None where it is missing; none where they and their starts differ in
    number."""
    answers, starts = row["answers"] or [], row["answer_starts"] or []
    return [(answer, row["context"] or "", start) for answer, start in zip(answers, starts, strict=False)]


def _cut(form: Format, rows: list[Row], training: bool) -> Callable[[Row], bool]:
    return lambda row: not row["text"] or not unicodedata.category(row["text"][-1]).startswith("P")


def _withheld(form: Format, rows: list[Row], training: bool) -> Callable[[Row], bool]:
    return lambda row: is_withheld(row["tokens"] or ())


FAULTS: dict[str, Callable[[Format, list[Row], bool], Callable[[Row], bool]]] = {
    "empty": _empty,
    "unlocated": _unlocated,
    "cut": _cut,
    "withheld": _withheld,
}
"""What `drop` takes out: a function of the format, all rows and whether they are trained on, which gives one that tells
whether a row has the fault.

| fault | a row has it when |
|---|---|
| empty | a text of it is blank or missing, in any column (but those that may be null) |
| unlocated | it has no answer, a blank one, or (training data) one that does not stand at its offset |
| cut | its text stops without any punctuation mark: verses of the Estonian Bible break off inside a word |
| withheld | most words of the sentence are `_`: treebanks whose words may not be published |
"""


def keep_listed(rows: list[Row], option: dict[str, str], file: File) -> list[Row]:
    """The rows whose id is in the list `option["key"]` of the JSON file `option["path"]`; all of them are there."""
    list_file = file.sibling(option["path"])
    lists = list_file.json()
    if not isinstance(lists, dict) or not isinstance(lists.get(option["key"]), list):
        raise list_file.fault(f"expected a JSON object with a list '{option['key']}'")
    ids = set(lists[option["key"]])
    remaining = [row for row in rows if row["id"] in ids]
    if len(remaining) != len(ids):
        raise file.fault(f"{len(ids) - len(remaining)} of the ids in {list_file} ({option['key']}) are not in the file")
    return remaining


def drop_shared(rows: list[Row], option: dict[str, Any], file: File) -> list[Row]:
    """The rows whose field occurs in none of the JSON-lines files `option["paths"]`."""
    field = option["field"]
    values = {record.get(field) for path in option["paths"] for _, record in file.sibling(path).json_lines()}
    remaining = [row for row in rows if row[field] not in values]
    if len(remaining) < len(rows):
        log.warning("%s: %d of %d rows left out (%s in a test set)", file, len(rows) - len(remaining), len(rows), field)
    return remaining


def keep_hashed(rows: list[Row], option: dict[str, Any], file: File) -> list[Row]:
    """Rows whose hash is in [from, to) percent; with `pattern` only its first group counts (a document in an id)."""

    pattern = regular_expression(file, "hash.pattern", option["pattern"]) if "pattern" in option else None

    def percent(row: Row) -> int:
        key = row[option["field"]]
        if isinstance(key, list):
            key = canonical(sorted(key))  # the two orders of the same choices belong together
        elif pattern:
            match = pattern.match(key)
            key = match.group(1) if match else key
        return int(hashlib.sha256(key.encode()).hexdigest()[:12], 16) % 100

    return [row for row in rows if option["from"] <= percent(row) < option["to"]]


def join_pairs(rows: list[Row], enabled: bool, file: File) -> list[Row]:
    """Verses of a chapter two by two, as text and text_pair; the rows as they are where it is not enabled."""
    joined: list[Row] = []
    for row in rows if enabled else ():
        if joined and joined[-1]["text_pair"] is None and _follows(joined[-1]["id"], row["id"]):
            joined[-1] = {**joined[-1], "text_pair": row["text"]}
        else:
            joined.append(row)
    return joined if enabled else rows


def _follows(first: str, second: str) -> bool:
    """Is the second verse id (MAT.1.2) right after the first (MAT.1.1) in the same chapter?"""
    (chapter, _, verse), (next_chapter, _, next_verse) = first.rpartition("."), second.rpartition(".")
    return chapter == next_chapter and verse.isdigit() and next_verse.isdigit() and int(next_verse) == int(verse) + 1


Step = Callable[[list[Row], Any, File], list[Row]]
BEFORE_TYPES: dict[str, Step] = {
    "labels": add_labels,
    "rows": count,
    "unverified_rows": expect,
    "map": rename,
    "strip": strip,
    "replace": replace,
}
"""Steps on rows as they were read: `map` may turn numbers into label names, and back."""
AFTER_TYPES: dict[str, Step] = {
    "drop": drop,
    "ids": keep_listed,
    "without": drop_shared,
    "hash": keep_hashed,
    "pair": join_pairs,
}
"""Steps that may rely on the columns' types."""
STEPS = BEFORE_TYPES | AFTER_TYPES
COUNTS = {"rows": count, "unverified_rows": expect}
"""Those of `BEFORE_TYPES` that look at the number of rows alone."""


def nfc(rows: list[Row]) -> list[Row]:
    """All strings in Unicode NFC: some Yoruba files are published decomposed, others composed."""

    def composed(value: Any) -> Any:
        if isinstance(value, str):
            return unicodedata.normalize("NFC", value)
        return [composed(item) for item in value] if isinstance(value, list) else value

    return [{name: composed(value) for name, value in row.items()} for row in rows]


def numbers(rows: list[Row], fmt: str) -> list[Row]:
    """Values of columns of numbers as such: a table holds them as text, and JSON may write 3 for 3.0."""
    kinds = {NUMBER: _number, INTEGER: _integer, INTEGERS: _integers}
    columns = {name: kinds[column] for name, column in load_format(fmt).columns.items() if column in kinds}
    return [row | {name: kind(row.get(name)) for name, kind in columns.items()} for row in rows] if columns else rows


def _number(value: Any) -> Any:
    if value is None or isinstance(value, bool) or (isinstance(value, str) and "_" in value):
        return value  # Python reads 1_000 as a number
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return value  # `check_types` says what is wrong with it


def _integer(value: Any) -> Any:
    return int(value) if isinstance(value, str) and _INTEGER.fullmatch(value) else value


def _integers(value: Any) -> Any:
    return [_integer(item) for item in value] if isinstance(value, list) else value


def check_types(rows: list[Row], fmt: str, file: File, *, nulls: bool) -> None:
    """Raise UserError for the first value that has not the type of its column.

    With `nulls` a missing value, or one in a list, passes (a step may yet drop its row); those of `Format.nullable`
    always may.
    """
    form = load_format(fmt)
    columns = form.columns.items()
    for number, row in enumerate(rows):
        for name, (kind, many) in columns:
            value = row.get(name)
            if value is None and (nulls or name in form.nullable):
                continue
            if many:
                fits = type(value) is list and all(type(item) is kind or (nulls and item is None) for item in value)
            else:
                fits = type(value) is kind
            if not fits:
                expected = f"{'a list of ' if many else ''}{_WORDS[kind]}"
                mend = f"; {form.mend(name)}" if value is None or (type(value) is list and None in value) else ""
                if name == form.label_column and value == -1:
                    mend = "; -1 stands for a label that was withheld"
                problem = f"{name} is {excerpt(value)}, not {expected}{mend}"
                raise file.fault(f"row {number} (id {excerpt(row.get('id'))}): {problem}")
