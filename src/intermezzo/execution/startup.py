"""What a run does before its first job: fork server, check of Slurm's partitions, leases, clean-up. And if it fails."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from intermezzo.core.errors import UserError
from intermezzo.core.terminal import ERROR, GOOD, say
from intermezzo.execution import (
    adoption,
    containers,
    forkserver,
    locks,
    outcome,
    questions,
    runlock,
    snakemake_internals,
    trackers,
    weight_leases,
)
from intermezzo.specs.summary import SummarySpec

_run: dict[str, Any] = {}
"""Of the run that goes on: `began` (seconds since the epoch), and `files`: which of answer and report it makes."""


def begin(workflow: Any, unkept: Collection[str]) -> None:
    """Called by the Snakefile's `onstart`; a bad profile or setting of trackers ends the run with its message alone.

    workflow: Snakemake's. unkept: stages whose weights are deleted after their last reader.
    """
    snakemake_internals.install_sigterm_handler(workflow)
    if use_forkserver(workflow):
        forkserver.start()
    try:
        trackers.check()
        containers.check(*snakemake_internals.deployment(workflow))
        if partitions := snakemake_internals.partition_file(workflow):
            check_partitions(Path(partitions))
    except UserError as error:
        say(f"error: {error}", ERROR)
        raise SystemExit(2) from None
    jobs = snakemake_internals.planned_jobs(workflow)
    made = {str(file) for job in jobs or () for file in job.output}
    _run.update(began=time.time(), files=[file for file in (outcome.ANSWER, outcome.REPORT) if file in made])
    weight_leases.lease(jobs, unkept)
    adoption.clean(jobs)


def ask(spec: str, *, staged: bool) -> None:
    """Called by the Snakefile's `onstart`: record the question of the experiment before there are results.

    spec: the design, as JSON. staged: whether results lie elsewhere, where nothing can be recorded.
    """
    try:
        if not staged:
            questions.ask(SummarySpec.read(spec))
    except UserError as error:
        say(f"error: {error}", ERROR)
        raise SystemExit(2) from None


def tidy() -> None:
    """Called by the Snakefile's `onerror`: remove temporary files of jobs that were killed."""
    runlock.clean(Path("results"), locks.identity() | {"local": True})


def show_answer() -> None:
    """Called by the Snakefile's `onsuccess`: the verdicts, and where answer and report are, if the run made them."""
    files = _run.get("files", ())
    if outcome.ANSWER in files:
        say("\n".join(["", *outcome.verdicts(Path(outcome.ANSWER))]), "bold")
        say(f"The answer of this experiment is in {outcome.ANSWER}", GOOD)
    if outcome.REPORT in files:
        say(f"The report is in {outcome.REPORT}; open it in a browser", GOOD)


def show_failures(workflow: Any) -> None:
    """Called by the Snakefile's `onerror`: repeat the messages of all jobs that failed."""
    jobs = [outcome.FailedJob(*job) for job in snakemake_internals.failed_jobs(workflow)]
    if text := outcome.failures(jobs, _run.get("began", 0.0)):
        say(text, ERROR)


def use_forkserver(workflow: Any) -> bool:
    """Whether local jobs are forked from a server.

    Not jobs of a cluster: they run, and are limited and killed, where the scheduler has put them. Not jobs in software
    environments of their own (`--sdm conda`, containers): they use the packages of those. Not outside Linux, where a
    process that has loaded torch and pyarrow cannot be forked safely.
    """
    return sys.platform == "linux" and snakemake_internals.runs_in_own_environment(workflow)


def check_partitions(file: Path) -> None:
    """Raise UserError for a partition of the profile that the cluster does not have.

    Snakemake would submit, fail and retry every job, and for groups of jobs it does not pass on sbatch's reason.
    """
    names = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("partitions", {})
    command = ["sinfo", "--noheader", "--format=%R"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1]
        raise UserError(f"sinfo does not answer ({reason}); run snakemake where Slurm's commands work") from None
    partitions = set(result.stdout.split())
    if unknown := [name for name in names if name not in partitions]:
        raise UserError(
            f"{file}: the cluster has no partition {', '.join(map(repr, unknown))}; "
            f"it has {', '.join(sorted(partitions))} (sinfo shows them)"
        )
