"""Task formats: what every source writes and every stage reads. One module per format; `base.Format` is the interface.

    load_format("tagging").metrics
    table(rows, "tagging", ["O", "B-PER", "I-PER"])

docs/catalogue.md has a table of the formats and their columns. Formats are imported by name, so that the fingerprint of
a job holds no format but its own.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from intermezzo.core.errors import UserError, suggestion
from intermezzo.core.excerpt import excerpt, one_line
from intermezzo.tasks.formats.base import FROM_DATA, Column, Format, Metric, Passage, is_blank

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FROM_DATA", "MASKED_TEXT", "Column", "Format", "Metric", "Passage", "format_names", "load_format", "table"]
MASKED_TEXT = "mlm"
"""The format that labelled rows have when they are read as text alone."""
_MOST = 5
"""Problems that a message names."""


@cache
def format_names() -> tuple[str, ...]:
    """Names of all formats, sorted: the modules of this package but for `base`."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "base"))


@cache
def load_format(name: str) -> Format:
    """The format of that name; raises UserError for an unknown one."""
    if name not in format_names():
        raise UserError(f"unknown task format '{name}'; {suggestion(name, format_names())}")
    form: Format = importlib.import_module(f"{__name__}.{name}").FORMAT
    return form


def table(
    rows: Sequence[dict[str, Any]],
    fmt: str,
    labels: Sequence[str] = (),
    *,
    origin: str = "data",
    training: bool = True,
) -> pa.Table:
    """Check `rows` against a format and return them as a table. labels: the allowed ones, or "from_data" (any).

    training: whether the rows may be trained on, which asks for more than scores do (`Format.training_problems`).

    Raises UserError, naming `origin` and the first offending rows, when a column is missing or of another type, an id
    repeats, a text is blank or no text (a NUL, half a surrogate pair), a value is not as the format has it
    (`Format.problems`), or there is no row at all.
    """
    import pyarrow as pa

    if not rows:
        raise UserError(f"{origin}: no rows")
    problems: list[str] = []
    for problem in _problems(rows, load_format(fmt), labels, training):
        problems.append(problem)
        if len(problems) == _MOST:
            break
    if problems:
        raise UserError(f"{origin}: not usable as {fmt} data:\n  " + "\n  ".join(map(one_line, problems)))
    try:
        return pa.Table.from_pylist(list(rows), schema=load_format(fmt).schema)
    except (pa.ArrowException, UnicodeEncodeError, OverflowError) as error:
        raise UserError(f"{origin}: not usable as {fmt} data: {error}") from None


def _problems(rows: Sequence[dict[str, Any]], form: Format, labels: Sequence[str], training: bool) -> Iterator[str]:
    """A line per problem; doubled ids are told where nothing else is wrong."""
    strange = [number for number, row in enumerate(rows) if row.keys() != form.columns.keys()]
    for number in strange:
        yield f"row {number}: columns {excerpt(sorted(rows[number]))}, expected {list(form.columns)}"
    if strange:
        return
    clean, doubtful, omitted = True, _doubtful(rows, form), form.omitted(rows)
    for number, row in enumerate(rows):
        lacking = list(_lacking(row, form, omitted)) if doubtful else []
        for problem in lacking or _misfits(row, form, labels, training):
            yield f"row {number} (id {excerpt(row['id'])}): {problem}"
            clean = False
    ids = [row["id"] for row in rows]
    if clean and len(set(ids)) < len(ids):
        counts = Counter(ids)
        twice = next(name for name in ids if counts[name] > 1)
        yield f"id {excerpt(twice)} occurs more than once"


def _misfits(row: dict[str, Any], form: Format, labels: Sequence[str], training: bool) -> Iterator[str]:
    yield from form.problems(row, labels)
    if training:
        yield from form.training_problems(row)


def _doubtful(rows: Sequence[dict[str, Any]], form: Format) -> bool:
    """Whether `_lacking` may find something in any row: it takes ten times as long, and mostly finds nothing."""
    for name, column in form.columns.items():
        values = [row[name] for row in rows]
        present = [value for value in values if value is not None]
        if len(present) < len(values) and name not in form.nullable:
            return True
        if column.item is str:
            texts = list(chain.from_iterable(present)) if column.many else present
            try:
                together = "".join(texts)
            except TypeError:
                return True
            if "\0" in together or "\ufeff" in together or not all(map(str.strip, texts)):
                return True
    return False


def _lacking(row: dict[str, Any], form: Format, omitted: Sequence[str]) -> Iterator[str]:
    """What is wrong with the texts of a row, whatever they say."""
    if not isinstance(row["id"], str) or is_blank(row["id"]):
        yield "id must be a non-empty string"
    for name in form.empty(row, omitted):
        if name != "id":
            yield f"{name} {'has an empty text' if form.columns[name].many else 'is empty'}; {form.mend(name)}"
    for name, column in form.columns.items():
        text = row[name]
        if column.item is str and text and "\0" in ("".join(text) if column.many else text):
            yield f"{name} has a NUL character, which no text has"
