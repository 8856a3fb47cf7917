"""Scores of a benchmark: a submission in XTREME's layout in, what XTREME's evaluate.py gives out.

    results = score_benchmark("xtreme", Path("predictions"), Path("labels"))
    results["xquad"]["f1"]["en"], results["xquad"]["avg_metric"], results["qa"], results["all_task"]    # 0..100

A benchmark is data, `resources/benchmarks/{name}.yaml`; its files are described in `benchmark_files`. Averages are the
official ones: of a task over its languages (English included), a question answering task's `avg_metric` being the mean
of its exact match and F1; of a group and of everything (`all_task`) over tasks. As officially, groups and total are
there only when all of their tasks are. What is not official is under `ours`:

| key | what it holds |
|---|---|
| benchmark, seqeval | what was scored, and by which version of seqeval tags are read |
| incomplete | tasks that lack files of some language: scores of the others, without averages |
| notes | what else a reader of the scores must know: missing tasks, files and ids |
| tasks, all_task | XTREME-R: LAReQA, and the total with it, which the official program cannot print |
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, field_validator

from intermezzo.core.errors import UserError, suggestion
from intermezzo.evaluation.benchmark_files import file_of
from intermezzo.evaluation.metrics import score, scorer
from intermezzo.evaluation.metrics.tagging import SEQEVAL
from intermezzo.specs.tasks import TaskSpec
from intermezzo.tasks import RESOURCES
from intermezzo.tasks.formats import load_format
from intermezzo.tasks.submission_files import Note

FOLDER = RESOURCES / "benchmarks"


class BenchmarkTask(BaseModel):
    """One task of a benchmark; its name is that of its folder, and of the task in the catalogue."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: str
    languages: tuple[str, ...]
    rules: Literal["squad", "mlqa"] = "squad"
    """Span: how answers are normalised."""
    labels: dict[str, str] = {}
    """Classification: our label -> the benchmark's."""
    first_only: bool = False
    """Ranking: of the labels' ids the first alone is right, without the white space around it."""
    official: bool = True
    """Whether the official program scores it."""

    @field_validator("format")
    @classmethod
    def _known_format(cls, name: str) -> str:
        return load_format(name).name


class Benchmark(BaseModel):
    """A benchmark: its tasks in their order, and the groups that are averaged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    citation: str
    tasks: dict[str, BenchmarkTask]
    groups: dict[str, tuple[str, ...]]


@cache
def load_benchmark(name: str) -> Benchmark:
    """The description of a benchmark; raises UserError for an unknown name."""
    names = [path.stem for path in sorted(FOLDER.glob("*.yaml"))]
    if name not in names:
        raise UserError(f"unknown benchmark '{name}'; {suggestion(name, names)}")
    return Benchmark(**yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8")))


def score_benchmark(benchmark: str, predictions: Path, labels: Path, *, seqeval: str = SEQEVAL[0]) -> dict[str, Any]:
    """Score the folder `predictions` against `labels`; see above for what comes out.

    Raises UserError for an unknown benchmark or version of seqeval, a folder that is not there or has no file of the
    benchmark, and files that cannot be scored (see `Format.read_submission`).
    """
    described = load_benchmark(benchmark)
    if seqeval not in SEQEVAL:
        raise UserError(
            f"--seqeval {seqeval}: this version's reading of tags is not known; allowed: {', '.join(SEQEVAL)}"
        )
    for folder in (predictions, labels):
        if not folder.is_dir():
            raise UserError(
                f"{folder}: no such folder; one with a folder per task ({_list(described.tasks)}) is needed"
            )
    notes: list[str] = []
    complete: dict[str, Any] = {}
    incomplete: dict[str, Any] = {}
    for name, task in described.tasks.items():
        scores, missing = _score_task(name, task, predictions, labels, seqeval, notes.append)
        if missing:
            notes.append(f"{name}: not scored as a task; {missing}")
            incomplete |= {name: scores} if scores else {}
        else:
            complete[name] = scores | _averages(scores, task)
    if not complete and not incomplete:
        raise UserError(f"nothing to score for {described.title} in {predictions} and {labels}; {notes[0]}")
    strange = sorted(path.name for path in predictions.iterdir() if path.is_dir() and path.name not in described.tasks)
    if strange:
        notes.append(f"no task of {described.title}, so not scored: {', '.join(strange)}")
    ours = {"benchmark": benchmark, "seqeval": seqeval, "incomplete": incomplete, "notes": notes}
    return _overall(described, complete, ours)


def _score_task(
    name: str, task: BenchmarkTask, predictions: Path, labels: Path, seqeval: str, note: Note
) -> tuple[dict[str, dict[str, float]], str]:
    """metric -> language -> score (0..100) of the languages that have both files, and what is missing ("": nothing)."""
    scores: dict[str, dict[str, float]] = {}
    missing: dict[str, list[str]] = {}
    for kind, folder in (("predictions", predictions), ("labels", labels)):
        if not (folder / name).is_dir():
            return {}, f"no folder '{name}' among the {kind}"
        without = [code for code in task.languages if not file_of(folder, name, task.format, code).is_file()]
        if without:
            example = file_of(Path(), name, task.format, without[0])
            missing[f"no {kind} for {', '.join(without)} (no file {example})"] = without
    absent = {code for codes in missing.values() for code in codes}
    for language in task.languages:
        if language not in absent:
            files = [file_of(folder, name, task.format, language) for folder in (predictions, labels)]
            ours, gold = load_format(task.format).read_submission(*files, note)
            if task.first_only:
                gold = [[right[0].strip()] for right in gold]
            for metric, value in _score(name, task, ours, gold, language, seqeval).items():
                scores.setdefault(metric, {})[language] = 100 * value
    return scores, "; ".join(missing)


def _score(
    name: str, task: BenchmarkTask, ours: list[Any], gold: list[Any], language: str, seqeval: str
) -> dict[str, float]:
    """The official names of the metrics of one language, with values in 0..1."""
    module = scorer(task.format)
    keys = {metric: key.format(rules=task.rules) for metric, key in load_format(task.format).official.items()}
    if hasattr(module, "official_scores"):
        values = module.official_scores(ours, gold, seqeval=seqeval)
    else:
        described = TaskSpec(name=name, format=task.format, labels=(), partial_input=None)
        values = score(described, ours, gold, language, list(keys.values()))
    return {metric: values[key] for metric, key in keys.items()}


def _averages(scores: dict[str, dict[str, float]], task: BenchmarkTask) -> dict[str, float]:
    """Means over languages, and the one number of the task."""
    means = {f"avg_{metric}": _mean(values.values()) for metric, values in scores.items()}
    main = load_format(task.format).official_main or [*scores][:1]
    return means | {"avg_metric": _mean(means[f"avg_{metric}"] for metric in main)}


def _overall(described: Benchmark, complete: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """Official groups, total and tasks, and ours beside them."""
    main = {name: scores["avg_metric"] for name, scores in complete.items()}
    unofficial = [name for name, task in described.tasks.items() if not task.official]
    overall: dict[str, Any] = {}
    if missing := [name for name in described.tasks if name not in complete]:
        ours["notes"].append(f"no total: not complete: {', '.join(missing)}")
    elif unofficial:
        ours["all_task"] = _mean(main.values())
        ours["notes"].append(
            f"the total is ours: the mean of all {len(main)} tasks, each counted once, with {', '.join(unofficial)} "
            "by mAP@20; the official program prints none"
        )
    else:
        overall["all_task"] = _mean(main.values())
    for group, members in described.groups.items():
        if all(name in complete for name in members):
            overall[group] = _mean(main[name] for name in members)
    if unofficial:
        ours["tasks"] = {name: complete.pop(name) for name in unofficial if name in complete}
    return overall | complete | {"ours": ours}


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)


def render(result: dict[str, Any]) -> str:
    """The tables of a result as plain text: each task per language, then tasks, groups, total and notes."""
    ours = result["ours"]
    described = load_benchmark(ours["benchmark"])
    tasks = result | ours.get("tasks", {})
    lines = []
    for name in described.tasks:
        scores = tasks.get(name) or ours["incomplete"].get(name)
        if scores:
            metrics = [metric for metric in scores if not metric.startswith("avg_")]
            lines += ["", f"{name:<14}" + "".join(f"{metric:>13}" for metric in metrics)]
            for language in scores[metrics[0]]:
                lines.append(f"  {language:<12}" + "".join(f"{scores[metric][language]:13.2f}" for metric in metrics))
            if "avg_metric" in scores:
                lines.append(f"  {'mean':<12}" + "".join(f"{scores[f'avg_{metric}']:13.2f}" for metric in metrics))
    lines += ["", f"{described.title} (tags as seqeval {ours['seqeval']})"]
    lines += [f"  {name:<24}{tasks[name]['avg_metric']:9.2f}" for name in described.tasks if name in tasks]
    lines += [f"  group {name:<18}{result[name]:9.2f}" for name in described.groups if name in result]
    lines += [f"  {'total':<24}{result['all_task']:9.2f}"] if "all_task" in result else []
    lines += [f"  {'total (ours)':<24}{ours['all_task']:9.2f}"] if "all_task" in ours else []
    return "\n".join([*lines, *(f"note: {note}" for note in ours["notes"])]).lstrip("\n")
