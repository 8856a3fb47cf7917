"""What Snakemake would run and why, for `intermezzo why`: a dry run in this process, and its plan as plain data."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intermezzo.core import provenance
from intermezzo.execution.snakemake_internals.support import feature
from intermezzo.execution.snakemake_internals.verification import job_difference

_workflow: Any = None
"""Snakemake's workflow object of the Snakefile that was read last."""


@dataclass(frozen=True)
class Record:
    """What was recorded when a job's files were made."""

    parameters: list[str]
    """`repr` of each value."""
    inputs: list[str]
    ended: float
    """Seconds since 1970."""


@dataclass(frozen=True)
class PlannedJob:
    """A job that would run."""

    rule: str
    message: str
    priority: int
    wildcards: dict[str, str]
    parameters: dict[str, Any]
    inputs: list[str]
    outputs: list[str]
    record: Record | None
    """Of the first output that has one; what the files say themselves where Snakemake's is missing or in doubt."""
    missing: list[str]
    """Outputs that have a record and are not there."""
    altered: str
    """The output that is not what was made, and why, in words; empty if there is none."""
    interrupted: bool
    """Whether it was running when a run was killed."""
    changed_inputs: list[str]
    """Inputs with other content than was used, which the run itself will not make again."""
    command_changed: bool
    environment_changed: bool


@dataclass(frozen=True)
class Plan:
    """The plan of a dry run."""

    variables: dict[str, Any]
    """Global names of the Snakefile."""
    folder: Path
    """Snakemake's folder of records."""
    jobs: list[PlannedJob]


def register(workflow: Any) -> None:
    """Remember the workflow of the Snakefile that is being read, for a `dry_run` of this process."""
    global _workflow
    _workflow = workflow


@feature("what would run, and why, cannot be told", fallback=None)
def dry_run(arguments: list[str]) -> Plan | None:
    """The plan for arguments of Snakemake's command line; None = it cannot be told.

    Raises SystemExit as Snakemake's command line does when it fails; it prints nothing.
    """
    import snakemake.cli

    register(None)
    with redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
        try:  # bare --quiet ends before jobs count as run
            snakemake.cli.main(["--quiet", "--dry-run", *arguments])
        except SystemExit as end:
            if end.code:
                raise
    jobs = list(_jobs(_workflow.dag, _workflow.persistence))
    return Plan(_workflow.globals, Path(_workflow.persistence.path), jobs)


def _jobs(dag: Any, persistence: Any) -> Iterator[PlannedJob]:
    for job in dag.needrun_jobs():
        if job.rule.norun:
            continue
        reason = dag.reason(job)
        records = {str(path): persistence.metadata(path) for path in job.output}
        record = next((_record(record) for record in records.values() if record), None)
        problem = job_difference(persistence, job)
        if problem is None or problem.before is not None:
            record = own_record(job) if record is None or problem else record
        yield PlannedJob(
            rule=job.rule.name,
            message=str(job.message),
            priority=job.priority,
            wildcards=dict(job.wildcards.items()),
            parameters=dict(job.params.items()),
            inputs=list(map(str, job.input)),
            outputs=list(records),
            record=record,
            missing=[path for path, value in records.items() if value and not Path(path).exists()],
            altered=f"{problem.path} {problem.words}" if problem and problem.before is None else "",
            interrupted=not dag.forcefiles.isdisjoint(job.output),
            changed_inputs=sorted(map(str, reason.updated_input - reason.updated_input_run)),
            command_changed=bool(reason.code_changed),
            environment_changed=bool(reason.software_stack_changed),
        )


def _record(record: Any) -> Record:
    return Record(record.params or [], record.input or [], record.endtime or 0.0)


def own_record(job: Any) -> Record | None:
    """What a job's files say themselves of how they were made; None if they do not."""
    path = provenance.record_path(job.output[0])
    own = provenance.parameters(provenance.read(path))
    return Record(list(map(repr, own.values())), list(map(str, job.input)), path.stat().st_mtime) if own else None
