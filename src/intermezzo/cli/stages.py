"""The stages behind the command line: arguments in, one call of the library. Heavy imports happen inside.

`options.spec` is the stage's model (`intermezzo.specs`), which the command line has read; data files are named
(`arguments`).
"""

from __future__ import annotations

import logging
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intermezzo.cli.arguments import by_language, check_columns, named_files, read_option
from intermezzo.core import provenance
from intermezzo.core.artifacts import atomic, digest, sha256
from intermezzo.core.environment import bulk_import
from intermezzo.core.errors import UserError
from intermezzo.execution import adoption, questions, weight_leases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intermezzo.analysis.design import Design
    from intermezzo.specs.overlap import EvaluationFile, TrainingFile

log = logging.getLogger(__name__)


def prepare(options: Namespace) -> None:
    """Read one task, language and split from its source and write it as Parquet; equal rows give equal bytes."""
    import pyarrow.parquet as pq

    from intermezzo import sources
    from intermezzo.tasks import formats, load_task

    spec = options.spec
    task = load_task(spec.task)
    training = spec.split == "train"
    table = formats.table(sources.read(spec), task.format, task.labels, origin=spec.origin, training=training)
    with atomic(options.out) as part:
        pq.write_table(table, part, compression="zstd")
    _record(options, options.out)
    log.info("%s: %d rows", spec.origin, table.num_rows)


def translate(options: Namespace) -> None:
    """Translate training rows of a task from English, or others into English, and write them as Parquet.

    Where nothing is left of a text, a training row is left out, and a row that is scored keeps its own texts.
    """
    import pyarrow.parquet as pq

    from intermezzo.tasks import formats, load_task
    from intermezzo.translation import translate

    spec = options.spec
    task = load_task(spec.task)
    (path,) = named_files("--data", [options.data], [f"{task.name}/{spec.source}"]).values()
    check_columns([path], task.format)
    originals = pq.read_table(path).to_pylist()
    translated = translate(spec, originals)
    omitted, training = task.form.omitted(translated), spec.split == "train"
    lost = [number for number, row in enumerate(translated) if task.form.empty(row, omitted)]
    if lost:
        what = "left out" if training else "kept untranslated"
        log.warning("%d of %d rows %s: a text became empty", len(lost), len(translated), what)
    for number in lost if not training else ():
        translated[number] = originals[number]
    gone = set(lost if training else ())
    rows = [row for number, row in enumerate(translated) if number not in gone]
    origin = f"{task.name}, translated from {spec.source} into {spec.into}"
    table = formats.table(rows, task.format, task.labels, origin=origin, training=training)
    with atomic(options.out) as part:
        pq.write_table(table, part, compression="zstd")
    _record(options, options.out)


def leakage(options: Namespace) -> None:
    """Count the rows of test data, and of a target's training, that are in training data, and warn of them."""
    from intermezzo.core import leakage as table
    from intermezzo.core.artifacts import write_text
    from intermezzo.sources import overlap

    spec = options.spec
    training, tests = _overlap_files(options, spec.training, spec.tests)
    intermediates, targets = ({file: training[file] for file in files} for files in (spec.intermediates, spec.targets))
    lines = list(overlap.overlaps(tests, intermediates, targets, spec.ngram, spec.drop))
    write_text(options.out, table.table(lines))
    for sentence in table.sentences(lines):
        log.warning("%s", sentence)
    _record(options, options.out)


def disjoin(options: Namespace) -> None:
    """Write training data without the rows that are in test data."""
    import pyarrow.parquet as pq

    from intermezzo.sources import overlap

    spec = options.spec
    training, tests = _overlap_files(options, (spec.training,), spec.tests)
    rows = pq.read_table(training[spec.training])
    keep = overlap.kept(training[spec.training], spec.training, tests, spec.ngram, spec.drop)
    with atomic(options.out) as part:
        pq.write_table(rows.filter(keep), part, compression="zstd")
    _record(options, options.out)
    log.info("%s: %d of %d rows left out", spec.training.data_name, len(keep) - sum(keep), len(keep))


def _overlap_files(
    options: Namespace, training: Sequence[TrainingFile], tests: Sequence[EvaluationFile]
) -> tuple[dict[TrainingFile, Path], dict[EvaluationFile, Path]]:
    """The files of a specification of overlaps, checked."""
    trained = {f"train/{file.data_name}": file for file in training}
    tested = {f"test/{file.data_name}": file for file in tests}
    paths = named_files("--data", options.data, [*trained, *tested], "NAME=PATH", whole=True)
    for name, path in paths.items():
        check_columns([path], (trained.get(name) or tested[name]).format)
    return {file: paths[name] for name, file in trained.items()}, {file: paths[name] for name, file in tested.items()}


def pretrain(options: Namespace) -> None:
    """Pretrain an encoder, or adopt the one that a killed run's job has made."""
    from intermezzo.tasks import load_task

    with bulk_import():
        from intermezzo.training.pretrain import pretrain

    spec = options.spec
    text = named_files("--text", options.text, spec.languages, "LANGUAGE=PATH", whole=True)
    parallel = named_files("--parallel", options.parallel, spec.languages, "LANGUAGE=PATH")
    check_columns(text.values(), load_task("text").format)
    check_columns(parallel.values(), load_task("parallel").format)
    state = _state(options, [*text.values(), *parallel.values()])
    with adoption.exclusive(options.out, state) as adopted:
        if not adopted:
            pretrain(spec, text, parallel, options.out, state, options.code, options.inputs)


def import_encoder(options: Namespace) -> None:
    """Take an encoder from elsewhere."""
    with bulk_import():
        from intermezzo.modeling.importing import import_encoder

    import_encoder(options.spec, options.out, options.code, max_length=options.max_length)


def finetune(options: Namespace) -> None:
    """Fine-tune a model, or adopt the one that a killed run's job has made."""
    with bulk_import():
        from intermezzo.training.finetune import finetune

    spec = options.spec
    data = named_files("--data", options.data, spec.data_names, whole=True)
    for task in spec.tasks:
        check_columns((path for name, path in data.items() if name.startswith(f"{task.name}/")), task.format)
    tokens = options.states.with_name(".cache") / "tokens"
    state, model = _state(options, [options.model, *data.values()]), options.model.parent
    adoption.discard(model, options.states)
    with adoption.exclusive(options.out, state) as adopted:
        if not adopted:
            weight_leases.ensure_weights(model, options.out, options.states, _train_again(tokens))
            finetune(spec, model, data, options.out, state, options.code, tokens, options.inputs)
    weight_leases.release(model, options.out)


def evaluate(options: Namespace) -> None:
    """Predict and score one target in all its languages."""
    with bulk_import():
        from intermezzo.evaluation.evaluate import evaluate
    from intermezzo.specs.evaluation import CodeStamps, RunNames

    spec, task = options.spec, options.spec.prediction.task
    names = read_option("--run", RunNames, options.names)
    code = read_option("--code", CodeStamps, options.code or "{}")
    data = by_language(task.name, named_files("--data", options.data, spec.data_names))
    support = named_files("--support", options.support, form="LANGUAGE=PATH")
    check_columns([*data.values(), *support.values()], task.format)
    outputs = {name: options.out / f"{name}.json" for name in data}
    model, tokens = options.model.parent, options.cache / "tokens"
    adoption.discard(model, options.states)
    evaluate(
        spec,
        model,
        data,
        outputs,
        names.as_json(),
        support=support,
        cache=options.cache,
        code=code,
        inputs=options.inputs,
        question=questions.present(options.out.parents[5]) if len(options.out.parents) > 5 else "",
        fetch=lambda: weight_leases.ensure_weights(model, options.out, options.states, _train_again(tokens)),
    )
    weight_leases.release(model, options.out)


def prompt(options: Namespace) -> None:
    """Answer one target by a prompted language model, and score the answers."""
    from intermezzo.evaluation.prompted.evaluate import evaluate
    from intermezzo.specs.evaluation import CodeStamps, RunNames

    spec = options.spec
    names = read_option("--run", RunNames, options.names)
    code = read_option("--code", CodeStamps, options.code or "{}")
    data = by_language(spec.task.name, named_files("--data", options.data, spec.data_names))
    shots = named_files("--shots", options.shots, [f"{spec.shots_task}/en"] if spec.shots else [])
    check_columns([*data.values(), *shots.values()], spec.task.format)
    evaluate(
        spec,
        data,
        {language: options.out / f"{language}.json" for language in data},
        names.as_json(),
        shots=next(iter(shots.values()), None),
        cache=options.cache,
        code=code,
        inputs=options.inputs,
        question=questions.present(options.out.parents[5]) if len(options.out.parents) > 5 else "",
    )


def summarize(options: Namespace) -> None:
    """Bring all scores together."""
    from intermezzo.analysis.record import NAME
    from intermezzo.analysis.run import summarize
    from intermezzo.analysis.scores import verify

    design = options.spec
    results = _results(design, options.results)
    development = _results(design.on_development(), options.results, ".dev")
    asked = verify([*results, *development])
    summarize(
        design,
        results,
        development,
        options.scores,
        options.summary,
        options.answer,
        question=options.answer.with_name(NAME),
        asked=asked,
        results=options.results.parent,
        leakage=options.leakage,
    )
    _record(options, options.summary, options.scores, options.answer)


def report(options: Namespace) -> None:
    """Write the report, its figures and its tables."""
    from intermezzo.report import build

    build(options.spec, options.scores, options.results, options.page, options.figures, options.tables)
    folders = (options.figures, options.tables)
    _record(options, options.page, *(path for folder in folders for path in sorted(folder.iterdir())))


def _record(options: Namespace, *files: Path) -> None:
    """Write beside the first of these files how they were made, with its name and .json."""
    if ".snakemake" in files[0].parts:  # a local copy of a file in a storage, which the record would outlive
        return
    within = [path for path in files if path.is_relative_to(files[0].parent)]
    provenance.write(files[0].with_suffix(".json"), options.spec, options.code, options.inputs, within)


def _results(design: Design, root: Path, suffix: str = "") -> list[str]:
    """The result files of a design, below `root`."""
    from intermezzo.dag.paths import Run, evaluation_path

    paths: dict[str, None] = {}
    for cell in design.cells():
        run = Run(cell.encoder, cell.intermediate, cell.mix, "none" if cell.seed is None else cell.seed)
        paths[evaluation_path(run, cell.target, f"{cell.language}{suffix}", str(root))] = None
    return list(paths)


def _train_again(tokens: Path) -> weight_leases.Train:
    """Train a model from the specification in its manifest. tokens: folder of tokenised rows."""

    def train(spec: dict[str, Any], model: Path, data: dict[str, Path], out: Path, state: Path, code: str) -> None:
        from intermezzo.specs.finetuning import FinetuneSpec
        from intermezzo.training.finetune import finetune

        finetune(FinetuneSpec.read(spec), model, data, out, state, code, tokens)

    return train


def _state(options: Namespace, inputs: list[Path]) -> Path:
    """Where a training keeps what it needs to resume: another setting, code or input is another folder."""
    for path in inputs:
        if not path.is_file():
            raise UserError(f"{path}: no such file")
    return options.states / digest([options.spec.as_json(), options.code, [sha256(path) for path in inputs]], 32)
