"""The tidy table of scores: one row per value, checked to be the experiment that was asked for, no more and no less."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, FiniteFloat, ValidationError

from intermezzo.analysis.design import Cell, Design
from intermezzo.core import provenance
from intermezzo.core.artifacts import atomic, digest, read_json, sha256
from intermezzo.core.errors import UserError
from intermezzo.tasks.formats import Format, load_format

_PROVENANCE = ("weights_sha256", "data_sha256", "code", "spec")


class _Result(BaseModel):
    """A result file: one model's metrics on one target in one language. Further keys are ignored."""

    encoder: str
    intermediate: str
    mix: str
    seed: int | Literal["none"] | None
    target: str
    language: str
    metrics: dict[str, FiniteFloat]
    majority: dict[str, FiniteFloat]
    n: int
    fertility: FiniteFloat | None = None
    weights_sha256: str
    data_sha256: str
    code: str
    spec: str | dict[str, Any]


SCHEMA = pa.schema(
    [(name, pa.int64() if name == "seed" else pa.string()) for name in Cell._fields]
    + [("value", pa.float64()), ("n", pa.int64()), ("majority", pa.float64()), ("fertility", pa.float64())]
    + [(name, pa.string()) for name in _PROVENANCE]
)
"""Values and majorities are in the range of their metric (`Format.metrics`), mostly 0..1; `seed` is null where nothing
seeded was trained; `spec` is a digest.

`fertility`: subwords per word of the test data under the encoder's tokenizer, null where a result does not tell.
"""


def read(paths: Iterable[str | Path], design: Design) -> pd.DataFrame:
    """Read result files (one JSON per encoder, intermediate, mix, seed, target and language) into `SCHEMA`'s columns.

    Rows are sorted by `Cell`, mixes in the configuration's order. Raises UserError naming the file for a broken one, a
    value that is no number in its metric's range and a cell that two files hold, and naming the cells for results that
    are missing or were not asked for.
    """
    rows: dict[Cell, dict[str, Any]] = {}
    origin: dict[Cell, Path] = {}
    for path in map(Path, paths):
        for cell, row in _rows(path, design):
            if cell in rows:
                raise UserError(f"{path}: {_name(cell)} is already in {origin[cell]}; give each result once")
            rows[cell], origin[cell] = row, path
    return _complete(rows, design, "run the workflow again with this configuration")


def read_table(path: str | Path, design: Design) -> pd.DataFrame:
    """The same from one table (.parquet, .csv, .tsv) that another program may have made.

    Columns: those of `Cell`, and value (in the metric's own range, mostly 0..1), n (rows of the test set) and majority
    (what an uninformed guess gets); fertility and provenance may be missing. `seed` is empty where nothing seeded was
    trained. Raises UserError naming the file and the row for what is missing, no number, out of range or there twice.
    """
    path = Path(path)
    try:
        frame = pq.read_table(path).to_pandas() if path.suffix == ".parquet" else _text_table(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; name a table of scores (.parquet, .csv or .tsv)") from None
    except (OSError, pa.ArrowException, ValueError) as error:
        raise UserError(f"{path}: not a table that can be read ({error}); write .parquet, .csv or .tsv") from None
    needed = [*Cell._fields, "value", "n", "majority"]
    if lacking := [name for name in needed if name not in frame]:
        raise UserError(f"{path}: no column {', '.join(lacking)}; needed are {', '.join(needed)}")
    rows: dict[Cell, dict[str, Any]] = {}
    for number, row in enumerate(frame.to_dict("records"), start=1):
        cell, values = _table_row(f"{path}, row {number}", row, design)
        if cell in rows:
            raise UserError(f"{path}, row {number}: {_name(cell)} is there already; give each value once")
        rows[cell] = values
    return _complete(rows, design, f"complete {path}, or name in the design what was run")


def _text_table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",", dtype=str, keep_default_na=False)


def _table_row(where: str, row: dict[str, Any], design: Design) -> tuple[Cell, dict[str, Any]]:
    """A cell and the columns of `SCHEMA` from a row of a table."""
    empty = {name for name, value in row.items() if value is None or value == "" or value != value}
    texts = {name: "" if name in empty else str(row[name]) for name in ("encoder", "intermediate", "mix", "target")}
    texts |= {name: str(row[name]) for name in ("language", "metric")}
    seed = None if "seed" in empty or row["seed"] == "none" else _number(where, "seed", row["seed"], whole=True)
    numbers = {name: _number(where, name, row[name]) for name in ("value", "majority")}
    rows = _number(where, "n", row["n"], whole=True)
    if rows < 1:
        raise UserError(f"{where}: n is {rows}; write the number of rows of the test set")
    if texts["target"] in design.targets:
        metric = load_format(design.targets[texts["target"]].format).metric(texts["metric"])
        for name, value in numbers.items():
            if not metric.low <= value <= metric.high:
                raise UserError(f"{where}: {name} is {value:g}, but must be from {metric.low:g} to {metric.high:g}")
    fertility = row.get("fertility", "")
    known = "fertility" in row and "fertility" not in empty
    provenance_ = {name: "" if name in empty else str(row.get(name, "")) for name in _PROVENANCE}
    values = texts | numbers | {"n": rows, "seed": seed} | provenance_
    values["fertility"] = _number(where, "fertility", fertility) if known else None
    return Cell(**{name: values[name] for name in Cell._fields}), values


def _number(where: str, name: str, value: Any, *, whole: bool = False) -> Any:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or (whole and number != int(number)):
        kind = "whole number" if whole else "number"
        raise UserError(f"{where}: {name} is {str(value)[:40]!r}; a {kind} is needed")
    return int(number) if whole else number


def _complete(rows: dict[Cell, dict[str, Any]], design: Design, mend: str) -> pd.DataFrame:
    """The table of exactly the values that the design asks for. mend: what to do where there are others."""
    expected = set(design.cells())
    for what, cells in (("missing", expected - rows.keys()), ("not part of the experiment", rows.keys() - expected)):
        if cells:
            listed = "".join(f"\n  {_name(cell)}" for cell in sorted(cells, key=_order)[:10])
            more = f"\n  ... {len(cells)} in all" if len(cells) > 10 else ""
            raise UserError(f"results {what}:{listed}{more}\n{mend}")
    rank = {mix: number for number, mix in enumerate(design.in_order(cell.mix for cell in rows))}
    ordered = sorted(rows, key=lambda cell: _order(cell._replace(mix=rank[cell.mix])))
    frame = pd.DataFrame([rows[cell] for cell in ordered], columns=SCHEMA.names)
    return frame.astype({"seed": "Int64", "fertility": float})


def verify(paths: Iterable[str | Path]) -> list[str]:
    """See that each result file is the one that its evaluation wrote, by the manifest.json beside it.

    Returns the digests of the questions that were asked when they were made, as far as manifests say so. Raises
    UserError naming the first file that is missing or was changed since.
    """
    recorded: dict[Path, dict[str, str]] = {}
    asked = set()
    for path in map(Path, paths):
        manifest = path.with_name(provenance.MANIFEST)
        if manifest not in recorded:
            content = provenance.read(manifest)
            recorded[manifest] = content.get("files") or {}
            asked.add(content.get(provenance.QUESTION))
        if not path.is_file() or sha256(path) != recorded[manifest].get(path.name):
            what = "is missing" if not path.is_file() else "was changed after its evaluation"
            raise UserError(f"{path} {what}; delete {manifest} and run again: its predictions are kept")
    return sorted(value for value in asked if isinstance(value, str))


def write(frame: pd.DataFrame, path: str | Path) -> None:
    """Write the table as Parquet; equal tables give equal bytes."""
    with atomic(path) as part:
        pq.write_table(pa.Table.from_pandas(frame, schema=SCHEMA, preserve_index=False).replace_schema_metadata(), part)


def _rows(path: Path, design: Design) -> Iterator[tuple[Cell, dict[str, Any]]]:
    try:
        result = _Result.model_validate(read_json(path))
        majority = {metric: result.majority[metric] for metric in result.metrics}
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg']} (found {e['input']!r:.60})" for e in error.errors()
        )
        raise UserError(f"{path}: not a usable result: {problems}; delete the file and run again") from None
    except KeyError as error:
        raise UserError(f"{path}: majority lacks the metric {error}; delete the file and run again") from None
    if result.target in design.targets:
        form = load_format(design.targets[result.target].format)
        for key, values in (("metrics", result.metrics), ("majority", majority)):
            _check_range(path, key, values, form)
    seed = None if result.seed == "none" else result.seed
    shared = result.model_dump(
        include={"encoder", "intermediate", "mix", "target", "language", "n", "fertility", *_PROVENANCE}
    )
    shared |= {"seed": seed, "spec": result.spec if isinstance(result.spec, str) else digest(result.spec)}
    for metric, value in result.metrics.items():
        row = shared | {"metric": metric, "value": value, "majority": majority[metric]}
        yield Cell(**{name: row[name] for name in Cell._fields}), row


def _check_range(path: Path, key: str, values: dict[str, float], form: Format) -> None:
    for name, value in values.items():
        metric = form.metric(name)
        if not metric.low <= value <= metric.high:
            problem = f"{key}.{name}: {value}, but it must be from {metric.low:g} to {metric.high:g}"
            raise UserError(f"{path}: not a usable result: {problem}; delete the file and run again")


def _order(cell: Cell) -> tuple[Any, ...]:
    return tuple(-1 if value is None else value for value in cell)


def _name(cell: Cell) -> str:
    return ", ".join(f"{field} {'none' if value is None else value}" for field, value in cell._asdict().items())
