"""The jobs of an experiment: what each makes and needs, and which of them are done.

A job's `path` is that of its log and benchmark: `target/{encoder}/{intermediate}/{mix}/seed{seed}/{training}`. Jobs
come in an order in which each stands after what it needs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from intermezzo.dag.experiment import Grid
from intermezzo.dag.inputs import Inputs
from intermezzo.dag.lineage import Lineage
from intermezzo.dag.paths import BASELINE, Run, evaluation_path
from intermezzo.dag.specs import Specs
from intermezzo.execution.snakemake_internals import read_records, unsupported

log = logging.getLogger(__name__)

STAGES = ("data", "encoder", "intermediate", "target", "evaluation", "summary")


@dataclass(frozen=True, eq=False)
class Job:
    """A job: what it makes, and the jobs that have to be done before."""

    path: str
    stage: str
    keys: SimpleNamespace
    """The wildcards of its rule."""
    outputs: tuple[str, ...]
    """The files that tell whether it is done."""
    needs: tuple[str, ...]
    """Paths of the jobs whose files it reads."""

    @property
    def name(self) -> str:
        """The task, encoder, intermediate, training or target that the job is about."""
        keys_by_stage = {"data": "task", "encoder": "encoder", "intermediate": "intermediate", "target": "training"}
        key = {"evaluation": "target", "summary": None, **keys_by_stage}[self.stage]
        return getattr(self.keys, key) if key else self.stage


def jobs_of(grid: Grid) -> dict[str, Job]:
    """path -> job, for all that `snakemake` (without a target) would make in an empty folder."""
    return {job.path: job for job in _jobs(grid)}


def _jobs(grid: Grid) -> Iterator[Job]:
    inputs = Inputs(grid)
    files = dict.fromkeys(inputs.data_paths())
    sources = {file: inputs.translated_from(_data_keys(file)) for file in files if "/translated/" in file}
    for file in dict.fromkeys([*sources.values(), *files]):
        needs = (_of_file(sources[file]),) if file in sources else ()
        yield Job(_of_file(file), "data", _data_keys(file), (file,), needs)
    for encoder in grid.encoders:
        keys = SimpleNamespace(encoder=encoder)
        text = [*inputs.text_files(keys), *inputs.parallel_files(keys)] if encoder in grid.scratch else []
        yield Job(f"encoders/{encoder}", "encoder", keys, (inputs.encoder_of(keys),), tuple(map(_of_file, text)))
    for run in grid.intermediate_runs:
        keys = SimpleNamespace(**run._asdict())
        needs = (f"encoders/{run.encoder}", *map(_of_file, inputs.intermediate_data(keys)))
        yield Job(_start(run), "intermediate", keys, (f"results/{_start(run)}/manifest.json",), needs)
    for training in grid.trainings:
        for run in grid.runs_of_training(training):
            keys, path = SimpleNamespace(**run._asdict(), training=training), f"target/{run.path}/{training}"
            needs = (_start(run), *map(_of_file, inputs.target_data(keys)))
            yield Job(path, "target", keys, (f"results/{path}/manifest.json",), needs)
    for target in grid.targets:
        for run in grid.runs_of(target):
            keys = SimpleNamespace(**run._asdict(), target=target)
            model = f"target/{run.path}/{grid.training_of(target)}" if grid.is_trained(target) else _start(run)
            data = map(_of_file, [*inputs.evaluation_data(keys), *inputs.support_data(keys)])
            outputs = tuple(evaluation_path(run, target, name) for name in grid.results(target))
            yield Job(f"eval/{run.path}/{target}", "evaluation", keys, outputs, (model, *data))
    evaluated = tuple(f"eval/{run.path}/{target}" for target in grid.targets for run in grid.runs_of(target))
    outputs = ("results/scores.parquet", "results/summary.tsv", "results/answer.md")
    yield Job("summary", "summary", SimpleNamespace(), outputs, evaluated)


def _start(run: Run) -> str:
    """The job that makes the model which a run's targets start from."""
    return f"encoders/{run.encoder}" if run.intermediate == BASELINE else f"intermediate/{run.path}"


def _of_file(path: str) -> str:
    return path.removeprefix("results/").removesuffix(".parquet")


def _data_keys(path: str) -> SimpleNamespace:
    source, task, language, split = _of_file(path).split("/")[1:]
    return SimpleNamespace(source=source, task=task, language=language, split=split)


class Completion:
    """Which jobs are done: as far as the files in this folder and Snakemake's records of them say."""

    def __init__(self, grid: Grid, jobs: dict[str, Job]) -> None:
        self.grid, self.specs = grid, Specs(grid)
        self.lineage = Lineage(self.specs)
        self.current: set[str] = set()
        """Paths of jobs whose files are there and were made with the present settings, whatever the code was."""
        self.done: set[str] = set()
        """Paths of jobs that need not run."""
        records, unrecorded = read_records(), 0
        for path, job in jobs.items():
            if not all(Path(output).is_file() for output in job.outputs):
                continue
            record, tracked = None, [repr(tracked_parameter(job.keys)) for tracked_parameter in self._tracked(job)]
            if records is not None:
                record = records.parameters(job.outputs[0])
            unrecorded += record is None
            if record is None or tracked[0] in record:
                self.current.add(path)
            made_from = (need for need in job.needs if jobs[need].stage != "data")
            if self.done.issuperset(made_from) and (record is None or record.issuperset(tracked)):
                self.done.add(path)
        if unrecorded:  # Snakemake, too, takes files without a record for done
            reason = unsupported() or "made without Snakemake, or recorded with --persistence-backend-db-url"
            log.warning(
                "files of %d job(s) count as done whatever they were made with: no record of them can be read (%s)",
                unrecorded,
                reason,
            )
        needs = {need for path, job in jobs.items() if path not in self.done for need in job.needs}
        self.done |= {path for path, job in jobs.items() if job.stage == "data" and path not in needs}

    def _tracked(self, job: Job) -> tuple[Callable[[Any], str], ...]:
        """What the job's rule tracks, its specification first."""
        specs, lineage = self.specs, self.lineage
        if job.stage == "data":
            if job.keys.source == "translated":
                return specs.spec_translate, specs.code_translate, lineage.of_translation
            return specs.spec_data, specs.code_data
        if job.stage == "encoder":
            if job.keys.encoder in self.grid.imported:
                return specs.spec_import, specs.code_import
            return specs.spec_pretrain, specs.code_pretrain, lineage.of_encoder
        return {
            "intermediate": (specs.spec_intermediate, specs.code_intermediate, lineage.of_intermediate),
            "target": (specs.spec_target, specs.code_target, lineage.of_target),
            "evaluation": (specs.spec_evaluate, specs.code_evaluate, lineage.of_evaluation),
            "summary": (specs.spec_summary, specs.code_summary, lineage.of_summary),
        }[job.stage]
