"""What stages are given on the command line: specifications, and data files with the name of what they hold.

--data nli/en=results/data/world/nli/en/train.parquet      TASK/LANGUAGE=PATH
--data nli/en.dev=results/data/world/nli/en/dev.parquet    TASK/LANGUAGE.dev=PATH (development data of a target)
--text fri=results/data/world/text/fri/train.parquet       LANGUAGE=PATH
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from intermezzo.core import provenance
from intermezzo.core.errors import UserError, machine_fault, suggestion
from intermezzo.specs.base import read


def read_option(option: str, kind: Any, text: str) -> Any:
    """The model `kind` of an option's value: JSON text, or the path of a file of it.

    option: as it is called in messages. Raises UserError with all that is wrong.
    """
    if not text.lstrip().startswith(("{", "[")):
        try:
            text = Path(text).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not text"
            raise UserError(f"{option}: {text[:60]} is neither JSON nor a readable file of it ({reason})") from None
    try:
        return read(kind, text)
    except UserError as error:
        raise UserError(f"{option}: {error}") from None


def named_files(
    option: str,
    values: Iterable[str],
    names: Collection[str] | None = None,
    form: str = "TASK/LANGUAGE=PATH",
    *,
    whole: bool = False,
) -> dict[str, Path]:
    """Name -> path, in the order given.

    option: of the command line, for messages. names: those that the specification has a use for; None = any. whole:
    whether each of them needs a file. Raises UserError with every value that has no name or path, an unknown name, or a
    name that another one has too, and with the names that lack a file.
    """
    files: dict[str, Path] = {}
    problems: list[str] = []
    for value in values:
        name, separator, path = value.partition("=")
        if not (separator and name and path):
            problems.append(f"{value}: a file needs a name, as {form}")
        elif names is not None and name not in names:
            problems.append(f"{value}: the specification has no data called '{name}'; {suggestion(name, names)}")
        elif name in files:
            problems.append(f"{value}: '{name}' is {files[name]} already")
        else:
            files[name] = Path(path)
    if whole and (missing := [name for name in names or () if name not in files]):
        problems.append(f"{form}: no file for {', '.join(missing)}, which the specification names")
    if problems:
        raise UserError("\n".join(f"{option} {line}" for line in problems))
    return files


def check_columns(files: Iterable[Path], fmt: str) -> None:
    """See that data files are what their jobs wrote and have their format's columns, before anything is made of them.

    Raises UserError that names the file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from intermezzo.tasks.formats import load_format

    expected = list(load_format(fmt).columns)
    for path in files:
        if not path.is_file():
            raise UserError(f"{path}: no such file")
        try:
            columns = pq.read_schema(path).names
        except (OSError, pa.ArrowException) as error:
            if machine_fault(error):
                raise
            raise UserError(f"{path}: not a readable Parquet file ({error}); delete it and run again") from None
        if columns != expected:
            raise UserError(f"{path}: columns {columns}, {fmt} data has {expected}; delete it and run again")
        provenance.check(path)


def by_language(task: str, files: dict[str, Path]) -> dict[str, Path]:
    """The files of one task without its name."""
    return {name.removeprefix(f"{task}/"): path for name, path in files.items()}
