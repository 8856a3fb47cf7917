"""Our predictions as a submission in XTREME's layout (`benchmark_files` has it), and our data as its labels.

    write_submission("xtreme-r", Path("results"), "large/nli/en/seed1", Path("submission"))
    write_labels("xtreme-r", Path("results"), "large/nli/en/seed1", Path("labels"))

Scoring the one against the other gives our own metrics. A run's evaluation of a benchmark task is that of the target
of the same name, or of the one that `targets` names for it. Its data is the test file in results/data whose SHA-256 the
result records, so that predictions never meet rows they were not made for. Languages that a benchmark does not have
are left out, and what a run does not have is told: the scorer says of such a task that it is not complete.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from intermezzo.core.artifacts import atomic, read_json, sha256
from intermezzo.core.errors import UserError, suggestion
from intermezzo.core.provenance import PREDICTIONS
from intermezzo.evaluation.benchmark import BenchmarkTask, load_benchmark
from intermezzo.evaluation.benchmark_files import file_of
from intermezzo.evaluation.evaluate import read_predictions
from intermezzo.tasks.formats import Format, load_format

Row = dict[str, Any]


def write_submission(
    benchmark: str, results: Path, run: str, out: Path, *, targets: Mapping[str, str] | None = None
) -> list[str]:
    """Write predictions to `out`/{task}/test-{language}.{suffix}; returns notes on what the run does not have.

    results: folder with eval/ and data/. run: {encoder}/{intermediate}/{mix}/seed{seed}; where an untouched encoder
    has no such evaluation, seednone is meant. targets: benchmark task -> name of the target, where they differ.

    Raises UserError for unknown names, a run without any task of the benchmark, a target of another format, data that
    is not (or no longer) there, labels that the benchmark does not have, and a task that `out` has already.
    """
    return _write(_predictions, benchmark, results, run, out, targets or {})


def write_labels(
    benchmark: str, results: Path, run: str, out: Path, *, targets: Mapping[str, str] | None = None
) -> list[str]:
    """The same for the right answers to what the run was evaluated on, in the layout of XTREME's label files."""
    return _write(_labels, benchmark, results, run, out, targets or {})


def _predictions(form: Format, rows: Sequence[Row], names: Mapping[str, str]) -> str:
    return form.render(rows, "prediction", names)


def _labels(form: Format, rows: Sequence[Row], names: Mapping[str, str]) -> str:
    return form.render_labels(rows, names)


def _write(
    render: Callable[[Format, Sequence[Row], Mapping[str, str]], str],
    benchmark: str,
    results: Path,
    run: str,
    out: Path,
    targets: Mapping[str, str],
) -> list[str]:
    described = load_benchmark(benchmark)
    if unknown := next((name for name in targets if name not in described.tasks), None):
        raise UserError(f"no task '{unknown}' in {described.title}; {suggestion(unknown, described.tasks)}")
    evaluations: dict[str, dict[str, Path]] = {}
    notes = []
    for name, task in described.tasks.items():
        target = targets.get(name, name)
        files = _evaluations(results, run, target)
        evaluations[name] = {language: files[language] for language in task.languages if language in files}
        if name in targets and not evaluations[name]:
            raise UserError(
                f"{results}/eval/{run}/{target}: no predictions in a language of {described.title}'s {name}"
            )
        if missing := [language for language in task.languages if language not in files]:
            notes.append(f"{name}: no predictions of target '{target}' for {', '.join(missing)}")
    if not any(evaluations.values()):
        names = ", ".join(described.tasks)
        raise UserError(f"{results}/eval/{run}: no predictions for {described.title}; targets named {names} are needed")
    for name in evaluations:
        if evaluations[name] and (out / name).exists():
            raise UserError(f"{out / name}: is there already; remove it or choose another folder")
    written: dict[str, dict[str, str]] = {}
    for name, files in evaluations.items():
        task = described.tasks[name]
        for language, path in files.items():
            text = render(load_format(task.format), _rows(results, path, name, task), task.labels)
            written.setdefault(name, {})[file_of(out, name, task.format, language).name] = text
    for name, contents in written.items():  # all of them can be written, or none is
        with atomic(out / name) as part:
            part.mkdir()
            for file, text in contents.items():
                (part / file).write_text(text, encoding="utf-8")
    return notes


def _evaluations(results: Path, run: str, target: str) -> dict[str, Path]:
    """language -> JSON of an evaluation that has its predictions beside it."""
    folder = results / "eval" / run / target
    if not folder.is_dir():
        folder = results / "eval" / Path(run).parent / "seednone" / target
    paths = (path for path in folder.glob("*.json") if path.name != "manifest.json" and "." not in path.stem)
    return {path.stem: path for path in paths} if (folder / PREDICTIONS).is_file() else {}


def _rows(results: Path, path: Path, name: str, task: BenchmarkTask) -> list[Row]:
    """Rows of the data that an evaluation was made on, each with its `prediction`."""
    result = read_json(path)
    trained, language = result["spec"]["task"], result["language"]
    if trained["format"] != task.format:
        raise UserError(f"{path}: task '{trained['name']}' is {trained['format']}; {name} needs {task.format}")
    paths = sorted(results.glob(f"data/*/{trained['name']}/{language}/test.parquet"))
    data = next((data for data in paths if sha256(data) == result["data_sha256"]), None)
    if data is None:
        pattern = f"{results}/data/*/{trained['name']}/{language}/test.parquet"
        raise UserError(f"{path}: made on other data than {pattern} (its SHA-256 is not theirs); evaluate it again")
    rows = pq.read_table(data).to_pylist()
    predictions = read_predictions(path)
    if [row["id"] for row in rows] != [row["id"] for row in predictions]:
        raise UserError(f"{path}: its predictions are not for the rows of {data}; evaluate it again")
    rows = [row | {"prediction": answer["prediction"]} for row, answer in zip(rows, predictions, strict=True)]
    if task.labels:
        used = {row[column] for row in rows for column in (load_format(task.format).label_column, "prediction")}
        if unknown := sorted(used - task.labels.keys()):
            names = ", ".join(task.labels)
            raise UserError(f"{path}: label '{unknown[0]}' has no counterpart in {name}; those that have: {names}")
    return rows
