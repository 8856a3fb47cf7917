"""The stages behind the command line: arguments in, one call of the library. Heavy imports happen inside."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from intermezzo.core.artifacts import atomic, digest, sha256
from intermezzo.core.environment import bulk_import
from intermezzo.core.errors import UserError
from intermezzo.execution import adoption, weight_leases

CODES = {"predict": "", "score": ""}


def prepare(options: Namespace) -> None:
    """Read one task, language and split from its source and write it as Parquet; equal rows give equal bytes."""
    import pyarrow.parquet as pq

    from intermezzo import sources
    from intermezzo.tasks import formats, load_task

    spec = options.spec
    task = load_task(spec["task"])
    origin = "/".join(spec[key] for key in ("source", "task", "language", "split"))
    table = formats.table(sources.read(spec), task.format, task.labels, origin=origin)
    with atomic(options.out) as part:
        pq.write_table(table, part, compression="zstd")
    print(f"{origin}: {table.num_rows} rows", file=sys.stderr)


def translate(options: Namespace) -> None:
    """Translate English training rows of a task and write them as Parquet."""
    import pyarrow.parquet as pq

    from intermezzo.tasks import formats, load_task
    from intermezzo.translation import translate

    task = load_task(options.spec["task"])
    _check([options.data], {task.name: task.format})
    rows = translate(options.spec, pq.read_table(options.data).to_pylist())
    origin = f"{task.name}, translated into {options.spec['language']}"
    with atomic(options.out) as part:
        pq.write_table(formats.table(rows, task.format, task.labels, origin=origin), part, compression="zstd")


def pretrain(options: Namespace) -> None:
    from intermezzo.tasks import load_task

    with bulk_import():
        from intermezzo.training.pretrain import pretrain

    text, parallel = _by_language(options.text), _by_language(options.parallel)
    _check([*options.text, *options.parallel], {name: load_task(name).format for name in ("text", "parallel")})
    state = _state(options, [*options.text, *options.parallel])
    with adoption.exclusive(options.out, state) as adopted:
        if not adopted:
            pretrain(options.spec, text, parallel, options.out, state, options.code)


def import_encoder(options: Namespace) -> None:
    with bulk_import():
        from intermezzo.modeling.encoder import import_encoder

    import_encoder(options.spec, options.out, options.code)


def finetune(options: Namespace) -> None:
    with bulk_import():
        from intermezzo.training.finetune import finetune

    data = {f"{path.parts[-3]}/{path.parts[-2]}": path for path in options.data}
    _check(options.data, {task["name"]: task["format"] for task in options.spec["tasks"]})
    state, model = _state(options, [options.model, *options.data]), options.model.parent
    adoption.discard(model, options.states)
    with adoption.exclusive(options.out, state) as adopted:
        if not adopted:
            train = partial(finetune, tokens=options.states.with_name(".cache") / "tokens")
            weight_leases.ensure_weights(model, options.out, options.states, train)
            train(options.spec, model, data, options.out, state, options.code)
    weight_leases.release(model, options.out)


def evaluate(options: Namespace) -> None:
    with bulk_import():
        from intermezzo.evaluation.evaluate import evaluate

    split = options.spec.get("split", "test")
    names = {path: f"{path.parts[-2]}{'' if path.stem == split else '.dev'}" for path in options.data}
    data = {names[path]: path for path in options.data}
    _check([*options.data, *options.support], {options.spec["task"]["name"]: options.spec["task"]["format"]})
    outputs = {name: options.out / f"{name}.json" for name in data}
    code = CODES | (json.loads(options.code) if options.code else {})
    support, model = _by_language(options.support), options.model.parent
    adoption.discard(model, options.states)

    def fetch() -> None:
        from intermezzo.training.finetune import finetune

        train = partial(finetune, tokens=options.cache / "tokens")
        weight_leases.ensure_weights(model, options.out, options.states, train)

    evaluate(
        options.spec,
        model,
        data,
        outputs,
        options.names,
        support=support,
        cache=options.cache,
        code=code,
        fetch=fetch,
    )
    weight_leases.release(model, options.out)


def summarize(options: Namespace) -> None:
    from intermezzo.analysis.design import Design
    from intermezzo.analysis.run import summarize
    from intermezzo.analysis.scores import verify
    from intermezzo.dag.experiment import Run, evaluation_path

    def paths(design: Design, suffix: str = "") -> list[str]:
        found = (
            (Run(cell.encoder, cell.intermediate, cell.mix, "none" if cell.seed is None else cell.seed), cell)
            for cell in design.cells()
        )
        root = str(options.results)
        return list(dict.fromkeys(evaluation_path(run, c.target, f"{c.language}{suffix}", root) for run, c in found))

    design = Design.read(options.spec)
    results, development = paths(design), paths(design.on_development(), ".dev")
    verify([*results, *development])
    summarize(options.spec, results, development, options.scores, options.summary, options.answer)


def report(options: Namespace) -> None:
    from intermezzo.report import build

    build(options.spec, options.scores, options.results, options.page, options.figures, options.tables)


def _check(data: Iterable[Path], formats_of: dict[str, str]) -> None:
    """See that each data file is whole and has its format's columns, before anything is trained or written.

    formats_of: task name -> format; the task is a folder of the path.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from intermezzo.tasks.formats import load_format

    for path in data:
        fmt = formats_of[path.parts[-3]]
        columns = list(load_format(fmt).columns)
        try:
            found = pq.read_schema(path).names
        except (OSError, pa.ArrowException) as error:
            raise UserError(f"{path}: not a readable Parquet file ({error}); delete it and run again") from None
        if found != columns:
            raise UserError(f"{path}: columns {found}, {fmt} data has {columns}; delete it and run again")


def _by_language(paths: list[Path]) -> dict[str, Path]:
    """Language -> file; the language is a folder of the path (results/data/{source}/{task}/{language}/{split})."""
    return {path.parts[-2]: path for path in paths}


def _state(options: Namespace, inputs: list[Path]) -> Path:
    """Where a training keeps what it needs to resume: another setting, code or input is another folder."""
    for path in inputs:
        if not path.is_file():
            raise UserError(f"{path}: no such file")
    return options.states / digest([options.spec, options.code, [sha256(path) for path in inputs]], 32)
