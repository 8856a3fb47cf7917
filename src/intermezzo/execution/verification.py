"""Results in this folder, compared with what a configuration asks for, without Snakemake's plan.

`intermezzo plan` asks here which jobs are done. And where Snakemake cannot be made to see how results say they were
made (`snakemake_internals.verification`), `refuse` ends a run that would take results of other settings for its own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from intermezzo.core import provenance
from intermezzo.core.provenance import Difference
from intermezzo.dag.experiment import Grid
from intermezzo.dag.jobs import Job, Tracked, jobs_of
from intermezzo.execution.snakemake_internals import FOLDER, PLAIN, Records, switched_off, unsupported

SHOWN = 3
"""Files that a message names."""


class Verification:
    """Files of jobs, Snakemake's records of them, and their own."""

    def __init__(self, folder: Path = FOLDER) -> None:
        """folder: Snakemake's."""
        self.records = Records(folder)

    def parameters(self, job: Job) -> set[str]:
        """The `repr` of the parameters that the files of a job were made with; empty if some are not there.

        Snakemake's record comes first; without one, or one that is in doubt, what the files say themselves.
        """
        if not all(map(os.path.exists, job.outputs)) or self.is_incomplete(job):
            return set()
        record = self.records.parameters(job.outputs[0])
        if record is not None and not self._altered(job):
            return record
        own = provenance.parameters(provenance.read(provenance.record_path(job.outputs[0])))
        return {repr(value) for value in own.values()}

    def difference(self, job: Job, wanted: dict[str, str]) -> Difference | None:
        """How the files of a job differ from what is asked for; None if they do not, or if there are none.

        wanted: the job's parameters (`Tracked`). Of files that Snakemake has recorded only those count that were
        written at another time: others are Snakemake's to compare.
        """
        missing = [path for path in job.outputs if not os.path.exists(path)]
        if len(missing) == len(job.outputs):
            return None
        return provenance.difference(job.outputs, wanted, self._altered(job), missing)

    def is_incomplete(self, job: Job) -> bool:
        """Whether the job was running when a run was killed."""
        return any(map(self.records.is_incomplete, job.outputs))

    def _altered(self, job: Job) -> list[str]:
        """The outputs that were written at another time than Snakemake recorded."""
        return [
            path for path in job.outputs if os.path.exists(path) and os.lstat(path).st_mtime != self.records.end(path)
        ]


def refuse(grid: Grid) -> None:
    """End the program with one message if Snakemake would take files for results of this configuration that are not.

    These are files without a record of Snakemake's, and such that were replaced since: what else differs, and what a
    killed run has left, Snakemake makes again by itself.
    """
    tracked, verification = Tracked(grid), Verification()
    problems = []
    for job in jobs_of(grid).values():
        if not any(map(os.path.exists, job.outputs)) or verification.is_incomplete(job):
            continue
        wanted, record = tracked.of(job), verification.records.parameters(job.outputs[0])
        if record is None or record.issuperset(map(repr, wanted.values())):
            problem = verification.difference(job, wanted)
            if problem is not None and not (record and problem.words == provenance.MISSING):
                problems.append(problem)
    if problems:
        print(f"error: {_message(problems)}", file=sys.stderr)
        raise SystemExit(2)


def _message(problems: list[Difference]) -> str:
    listed = "".join(f"\n  {problem.path} {problem.words}" for problem in problems[:SHOWN])
    more = f"\n  ... and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    how = (
        f"unset {PLAIN}, which plans them again"
        if switched_off()
        else f"use a version of Snakemake that is known ({unsupported()})"
    )
    return (
        f"{len(problems)} files are not results of this configuration, and Snakemake has no record that says so:"
        f"{listed}{more}\ndelete them to make them again, take the configuration that they were made with, or {how}"
    )
