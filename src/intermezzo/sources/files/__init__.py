"""Published datasets on disk, read in the formats that they are published in.

A task file says under `sources.files.data.<language>.<split>` which parts make up a data set, in order:

    - {reader: nli_csv, path: mnli-dev/dev.csv, rows: 19647, hash: {field: text, from: 0, to: 90}}

`reader` is a name in `READERS`, `path` is relative to `data.root` and may be a pattern (its files in sorted order),
the other keys are options of the reader or steps after it (`steps.STEPS`). A reader whose first parameter is `files`
gets all files of its part at once, any other one file after the other. Nothing is dropped or renamed that the task
file does not ask for.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from intermezzo.core.errors import UserError, suggestion
from intermezzo.core.excerpt import excerpt
from intermezzo.sources.files import (
    answers,
    documents,
    entities,
    mining,
    parquet,
    questions,
    records,
    sentences,
    steps,
    supertags,
)
from intermezzo.sources.files.reading import File
from intermezzo.sources.sampling import Sample
from intermezzo.specs.data import FilesData
from intermezzo.tasks import Task, formats, load_task, task_file

Row = dict[str, Any]
READERS: dict[str, Callable[..., list[Row]]] = {
    reader.__name__: reader
    for reader in (
        *(sentences.conllu, sentences.two_column, sentences.iob2, supertags.ccgbank_auto),
        *(questions.squad_json, questions.copa_xml, questions.xcopa_jsonl),
        *(documents.nli_csv, documents.nli_tsv, documents.lines, documents.parallel_lines),
        *(documents.udhr_xml, documents.bible_xml, documents.bible_csv),
        *(answers.xquad_r_json, entities.mewslix_jsonl, mining.bucc),
        *(records.jsonl, records.csv, records.tsv, records.delimited, records.parquet),
    )
}
"""Reader name -> function of a File (or a list of them) and keyword options that returns rows of one format."""
_ACROSS_ROWS = frozenset({"ids", "labels", "without", "pair"})
"""Steps that need all rows of a part at once."""


class _Uneven(Exception):
    """What was told of some rows of a part need not hold for all of them."""


def read(spec: FilesData) -> list[Row]:
    """All rows of a task in one language and split below `spec.root`, in file order, or what `read_sample` leaves.

    Text is in Unicode NFC (span data is left alone: its offsets count the published characters). Raises one
    UserError naming the file, and the line or row, for anything missing, cut off or not in the expected form.
    """
    task = load_task(spec.task)
    parts = _parts(task, spec.language, spec.split, spec.section)
    root = _root(spec.root)
    rows: list[Row] = []
    for number, part in enumerate(parts):
        where = f"{task_file(task.name)}: sources.{spec.section}.data.{spec.language}.{spec.split}[{number}]"
        options = dict(part)
        matching = matching_files(root, str(options.pop("path", "")))
        rows += read_sample(task, options, matching, where, spec.limit, spec.split)[0]
    return rows


def read_part(task: Task, part: dict[str, Any], files: list[File], where: str, split: str = "train") -> list[Row]:
    """The rows of one part of a task file, read from `files` in their order and checked against the task's format.

    `part` is the part without the keys that say where its files lie; `where` names its place in the task file, for
    complaints. Rows of the split `train` must be fit to train on. Raises UserError as `read` does.
    """
    reader, options, step_options = _options(part, where)
    if isinstance(second := step_options.get("labels"), str):  # a pattern of the files may match it, too
        files = [file for file in files if file.name != second] or files
    if _pools(reader):
        rows = reader(files, **options)
    else:
        rows = []
        for file in files:
            read_rows = reader(file, **options)
            rows += _named(task, read_rows, file, options, step_options) if reader is records.parquet else read_rows
    origin, count, left_out = _origin(files), len(rows), Counter[str]()
    rows = _prepared(task, rows, step_options, origin, where, left_out, training=split == "train")
    steps.tell(left_out, count, origin)
    return rows


def read_sample(
    task: Task, part: dict[str, Any], files: list[File], where: str, limit: int | None, split: str = "train"
) -> tuple[list[Row], int]:
    """`limit` rows of a part at least, those that a sample of all rows may have, and the number of all rows.

    Parquet is read batch by batch, so that a large file need not fit into memory. None: all rows. Everything else is as
    in `read_part`.
    """
    reader, options, step_options = _options(part, where)
    if limit is not None and reader is records.parquet and not _ACROSS_ROWS & step_options.keys():
        try:
            return _sampled(task, files, options, step_options, where, limit, training=split == "train")
        except (UserError, _Uneven):
            pass  # read as a whole, the part says what is wrong with it
    rows = read_part(task, part, files, where, split)
    return rows, len(rows)


def _options(part: dict[str, Any], where: str) -> tuple[Callable[..., list[Row]], dict[str, Any], dict[str, Any]]:
    """The reader of a part, its options, and those of the steps after it."""
    options = dict(part)
    name = str(options.pop("reader", ""))
    if name not in READERS:
        raise UserError(f"{where}: unknown reader '{name}'; {suggestion(name, READERS)}")
    step_options = {key: options.pop(key) for key in part if key in steps.STEPS}
    _check_options(READERS[name], options, where)
    return READERS[name], options, step_options


def _origin(files: list[File]) -> File:
    """The files of a part, as complaints call them."""
    return files[0] if len(files) == 1 else File(files[0].root, f"{files[0].name} and {len(files) - 1} more")


def _sampled(
    task: Task,
    files: list[File],
    options: dict[str, Any],
    step_options: dict[str, Any],
    where: str,
    limit: int,
    *,
    training: bool,
) -> tuple[list[Row], int]:
    """The sample of a part of Parquet files, and the number of its rows; a batch of rows is there at a time.

    Raises _Uneven where ids or columns are such that only all rows together can be judged.
    """
    sample, count, left_out, origin = Sample(limit), 0, Counter[str](), _origin(files)
    omitted: set[tuple[str, ...]] = set()
    counts = {key: step_options[key] for key in steps.COUNTS if key in step_options}
    step_options = {key: value for key, value in step_options.items() if key not in counts}
    for file in files:
        for batch in records.parquet_batches(file, **options):
            count += len(batch)
            rows = _named(task, batch, file, options, step_options)
            rows = _prepared(task, rows, step_options, origin, where, left_out, omitted, training=training)
            if len(omitted) > 1 or not sample.add(rows):
                raise _Uneven
    for key, expected in counts.items():
        steps.COUNTS[key](range(count), expected, origin)
    steps.tell(left_out, count, origin)
    return sample.rows(), sample.total


def _prepared(
    task: Task,
    rows: list[Row],
    step_options: dict[str, Any],
    origin: File,
    where: str,
    left_out: Counter[str],
    omitted: set[tuple[str, ...]] | None = None,
    *,
    training: bool,
) -> list[Row]:
    """Rows after all steps, checked. `left_out` counts what `drop` took, `omitted` gets the columns that no row has."""
    before = steps.BEFORE_TYPES | {"labels": partial(steps.add_labels, form=task.form)}
    rows = _apply(before, rows, step_options, origin, where)
    rows = [task.form.completed(row) for row in steps.numbers(rows, task.format)]
    steps.check_types(rows, task.format, origin, nulls=True)
    if omitted is not None:
        omitted.add(task.form.omitted(rows))
    drop = partial(steps.drop, form=task.form, left_out=left_out, training=training)
    rows = _apply(steps.AFTER_TYPES | {"drop": drop}, rows, step_options, origin, where)
    steps.check_types(rows, task.format, origin, nulls=False)
    if problem := task.form.refused(rows, unanswerable=task.unanswerable):
        raise origin.fault(problem)
    if task.form.normalised:
        rows = steps.nfc(rows)
    # here, where the file's name is known
    formats.table(rows, task.format, task.labels, origin=str(origin), training=training)
    return rows


def _named(task: Task, rows: list[Row], file: File, options: dict[str, Any], step_options: dict[str, Any]) -> list[Row]:
    """Rows of a Parquet file; numbers for labels get the names that the file has for them, or are compared."""
    column = task.form.label_column
    path = options["fields"].get(column)
    if isinstance(path, str):
        if "map" in step_options:
            parquet.check_label_names(file, path, step_options["map"])
        elif "replace" not in step_options:
            rows = parquet.name_labels(rows, str(column), file, path)
    return rows


@cache
def _types_of_options(reader: Callable[..., list[Row]]) -> dict[str, TypeAdapter[Any]]:
    return {name: TypeAdapter(kind) for name, kind in get_type_hints(reader).items() if name not in ("file", "files")}


def _parts(task: Task, language: str, split: str, section: str) -> list[dict[str, Any]]:
    data = task.sources.parts(section)
    if not data:
        raise UserError(f"task '{task.name}' has no data in source 'files'; use source 'world' or another task")
    if language not in data:
        raise UserError(f"task '{task.name}' has no files for language '{language}'; {suggestion(language, data)}")
    if split not in data[language]:
        hint = suggestion(split, data[language])
        raise UserError(f"task '{task.name}' has no files for split '{split}' of language '{language}'; {hint}")
    return data[language][split]


def _root(root: str | None) -> Path:
    mend = "set data.root in the configuration, or the environment variable INTERMEZZO_REAL_DATA, to the folder"
    if not root:
        raise UserError(f"data.root: not set, and source 'files' needs it; {mend} of the published datasets")
    if not Path(root).is_dir():
        raise UserError(f"data.root: no folder '{root}'; {mend} of the published datasets")
    return Path(root)


def matching_files(root: Path, path: str) -> list[File]:
    """The file at `path`, or all that match it as a pattern, sorted by name; one that is missing complains later."""
    if not any(sign in path for sign in "*?["):
        return [File(root, path)]
    try:
        names = sorted(str(file.relative_to(root)) for file in root.glob(path) if file.is_file())
    except (NotImplementedError, ValueError) as error:
        raise File(root, path).fault(f"not a pattern of files below data.root, {root} ({error})") from None
    return [File(root, name) for name in names or [path]]


def _pools(reader: Callable[..., list[Row]]) -> bool:
    return next(iter(inspect.signature(reader).parameters)) == "files"


def _apply(
    functions: dict[str, steps.Step], rows: list[Row], step_options: dict[str, Any], file: File, where: str
) -> list[Row]:
    for key in (key for key in functions if key in step_options):
        try:
            rows = functions[key](rows, step_options[key], file)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            option = excerpt(step_options[key])
            raise UserError(f"{where}: step {key}: {option} does not fit these rows ({error})") from None
    return rows


def _check_options(reader: Callable[..., list[Row]], options: dict[str, Any], where: str) -> None:
    parameters = list(inspect.signature(reader).parameters.values())[1:]
    allowed = {p.name for p in parameters} | set(steps.STEPS) | {"reader", "path"}
    for name in options:
        if name not in {p.name for p in parameters}:
            raise UserError(f"{where}: reader {reader.__name__} has no option '{name}'; {suggestion(name, allowed)}")
    for name, value in options.items():
        try:
            _types_of_options(reader)[name].validate_python(value, strict=True)
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
            raise UserError(f"{where}: option {name} is {excerpt(value)}: {problem[0].lower()}{problem[1:]}") from None
    missing = [p.name for p in parameters if p.default is p.empty and p.name not in options]
    if missing:
        raise UserError(f"{where}: reader {reader.__name__} needs the option {', '.join(missing)}")
