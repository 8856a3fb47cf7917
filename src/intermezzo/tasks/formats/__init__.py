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
from typing import TYPE_CHECKING, Any

from intermezzo.core.errors import UserError, suggestion
from intermezzo.tasks.formats.base import FROM_DATA, Column, Format, Metric, Passage

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


def table(rows: Sequence[dict[str, Any]], fmt: str, labels: Sequence[str] = (), *, origin: str = "data") -> pa.Table:
    """Check `rows` against a format and return them as a table. labels: the allowed ones, or "from_data" (any).

    Raises UserError, naming `origin` and the first offending rows, when a column is missing or of another type, an id
    repeats, a value is not as the format has it (`Format.problems`), or there is no row at all.
    """
    import pyarrow as pa

    if not rows:
        raise UserError(f"{origin}: no rows")
    problems: list[str] = []
    for problem in _problems(rows, load_format(fmt), labels):
        problems.append(problem)
        if len(problems) == _MOST:
            break
    if problems:
        raise UserError(f"{origin}: not usable as {fmt} data:\n  " + "\n  ".join(problems))
    try:
        return pa.Table.from_pylist(list(rows), schema=load_format(fmt).schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise UserError(f"{origin}: not usable as {fmt} data: {error}") from None


def _problems(rows: Sequence[dict[str, Any]], form: Format, labels: Sequence[str]) -> Iterator[str]:
    """A line per problem; doubled ids are told where nothing else is wrong."""
    clean = True
    for number, row in enumerate(rows):
        if set(row) != set(form.columns):
            yield f"row {number}: columns {sorted(row)}, expected {list(form.columns)}"
            clean = False
            continue
        if not isinstance(row["id"], str) or not row["id"]:
            yield f"row {number} (id {row['id']!r}): id must be a non-empty string"
            clean = False
        for problem in form.problems(row, labels):
            yield f"row {number} (id {row['id']!r}): {problem}"
            clean = False
    ids = [row.get("id") for row in rows]
    if clean and len(set(ids)) < len(ids):
        counts = Counter(ids)
        twice = next(name for name in ids if counts[name] > 1)
        yield f"id {twice!r} occurs more than once"
