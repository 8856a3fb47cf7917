"""Our predictions as a submission in XTREME's layout (`benchmark_files` has it), and our data as its labels.

    write_submission("xtreme-r", Path("results"), "large/nli/en/seed1", Path("submission"))
    write_labels("xtreme-r", Path("results"), "large/nli/en/seed1", Path("labels"))

Scoring the one against the other gives our own metrics. A run's evaluation of a benchmark task is that of the target
of the same name, or of the one that `targets` names for it. Its data is the test file in results/data whose SHA-256 the
result records, so that predictions never meet rows they were not made for. Languages that a benchmark does not have
are left out, and what a run does not have is told: the scorer says of such a task that it is not complete.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from intermezzo.core.artifacts import atomic, read_json, sha256
from intermezzo.core.errors import UserError, suggestion
from intermezzo.evaluation.benchmark import BenchmarkTask, load_benchmark
from intermezzo.evaluation.benchmark_files import file_of
from intermezzo.evaluation.evaluate import PREDICTIONS, read_predictions

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
    return _write(_PREDICTIONS, benchmark, results, run, out, targets or {})


def write_labels(
    benchmark: str, results: Path, run: str, out: Path, *, targets: Mapping[str, str] | None = None
) -> list[str]:
    """The same for the right answers to what the run was evaluated on, in the layout of XTREME's label files."""
    return _write(_LABELS, benchmark, results, run, out, targets or {})


def _write(
    texts: dict[str, Callable[[BenchmarkTask, list[Row]], str]],
    benchmark: str,
    results: Path,
    run: str,
    out: Path,
    targets: Mapping[str, str],
) -> list[str]:
    described = load_benchmark(benchmark)
    if unknown := next((name for name in targets if name not in described.tasks), None):
        raise UserError(f"no task '{unknown}' in {described.title}; {suggestion(unknown, described.tasks)}")
    found: dict[str, dict[str, Path]] = {}
    notes = []
    for name, task in described.tasks.items():
        target = targets.get(name, name)
        files = _evaluations(results, run, target)
        found[name] = {language: files[language] for language in task.languages if language in files}
        if name in targets and not found[name]:
            raise UserError(
                f"{results}/eval/{run}/{target}: no predictions in a language of {described.title}'s {name}"
            )
        if missing := [language for language in task.languages if language not in files]:
            notes.append(f"{name}: no predictions of target '{target}' for {', '.join(missing)}")
    if not any(found.values()):
        wanted = ", ".join(described.tasks)
        raise UserError(
            f"{results}/eval/{run}: no predictions for {described.title}; targets named {wanted} are needed"
        )
    for name in found:
        if found[name] and (out / name).exists():
            raise UserError(f"{out / name}: is there already; remove it or choose another folder")
    written: dict[str, dict[str, str]] = {}
    for name, files in found.items():
        task = described.tasks[name]
        for language, path in files.items():
            text = texts[task.format](task, _rows(results, path, name, task))
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
        wanted = f"{results}/data/*/{trained['name']}/{language}/test.parquet"
        raise UserError(f"{path}: made on other data than {wanted} (its SHA-256 is not theirs); evaluate it again")
    rows = pq.read_table(data).to_pylist()
    predictions = read_predictions(path)
    if [row["id"] for row in rows] != [row["id"] for row in predictions]:
        raise UserError(f"{path}: its predictions are not for the rows of {data}; evaluate it again")
    rows = [row | {"prediction": made["prediction"]} for row, made in zip(rows, predictions, strict=True)]
    if task.format == "classification":
        used = {row[key] for row in rows for key in ("label", "prediction")}
        if unknown := sorted(used - task.labels.keys()):
            known = ", ".join(task.labels)
            raise UserError(f"{path}: label '{unknown[0]}' has no counterpart in {name}; those that have: {known}")
    return rows


# -- what stands in the files: format -> text of one language --------------------------------------------------------


def _lines(lines: Iterable[Any]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _labels(key: str) -> Callable[[BenchmarkTask, list[Row]], str]:
    return lambda task, rows: _lines(task.labels[row[key]] for row in rows)


def _tags(key: str) -> Callable[[BenchmarkTask, list[Row]], str]:
    return lambda task, rows: "\n".join(_lines(row[key]) for row in rows)


def _by_english(key: str | None) -> Callable[[BenchmarkTask, list[Row]], str]:
    """An index per English sentence, these in alphabetical order, as XTREME hides which translates which."""

    def text(task: BenchmarkTask, rows: list[Row]) -> str:
        order = sorted(range(len(rows)), key=lambda i: rows[i]["text_pair"].strip())
        return _lines(rows[i][key] if key else i for i in order)

    return text


def _pairs(key: str) -> Callable[[BenchmarkTask, list[Row]], str]:
    return lambda task, rows: _lines(f"{row['id']}\t{row[key]}" for row in rows if row[key] is not None)


def _choices(key: str) -> Callable[[BenchmarkTask, list[Row]], str]:
    return lambda task, rows: _lines(json.dumps({"label": row[key]}) for row in rows)


def _by_id(key: str) -> Callable[[BenchmarkTask, list[Row]], str]:
    return lambda task, rows: json.dumps({row["id"]: row[key] for row in rows}, ensure_ascii=False, indent=1) + "\n"


def _squad(task: BenchmarkTask, rows: list[Row]) -> str:
    paragraphs = []
    for row in rows:
        found = zip(row["answers"], row["answer_starts"], strict=True)
        answers = [{"text": text, "answer_start": start} for text, start in found]
        question = {"id": row["id"], "question": row["question"], "answers": answers}
        paragraphs.append({"context": row["context"], "qas": [question]})
    return json.dumps({"version": "1.1", "data": [{"paragraphs": paragraphs}]}, ensure_ascii=False, indent=1) + "\n"


_PREDICTIONS = {
    "classification": _labels("prediction"),
    "tagging": _tags("prediction"),
    "retrieval": _by_english("prediction"),
    "mining": _pairs("prediction"),
    "multiple_choice": _choices("prediction"),
    "span": _by_id("prediction"),
    "ranking": _by_id("prediction"),
}
_LABELS = {
    "classification": _labels("label"),
    "tagging": _tags("tags"),
    "retrieval": _by_english(None),
    "mining": _pairs("pair"),
    "multiple_choice": _choices("label"),
    "span": _squad,
    "ranking": _by_id("relevant"),
}
