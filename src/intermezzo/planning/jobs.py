"""Which jobs of an experiment are done, as far as the files in this folder say."""

from __future__ import annotations

from intermezzo.dag.experiment import Grid
from intermezzo.dag.jobs import STAGES as STAGES
from intermezzo.dag.jobs import Job as Job
from intermezzo.dag.jobs import Tracked
from intermezzo.dag.jobs import jobs_of as jobs_of
from intermezzo.execution.verification import Verification


class Completion:
    """Which jobs are done: as far as the files, what they say of themselves, and Snakemake's records of them say."""

    def __init__(self, grid: Grid, jobs: dict[str, Job]) -> None:
        self.current: set[str] = set()
        """Paths of jobs whose files are there and were made with the present settings, whatever the code was."""
        self.done: set[str] = set()
        """Paths of jobs that need not run."""
        tracked, verification = Tracked(grid), Verification()
        for path, job in jobs.items():
            made_with = verification.parameters(job)
            if not made_with:
                continue
            wanted = tracked.of(job)
            if repr(wanted["spec"]) in made_with:
                self.current.add(path)
            made_from = (need for need in job.needs if jobs[need].stage != "data")
            as_wanted = made_with.issuperset(map(repr, wanted.values())) and not verification.difference(job, wanted)
            if as_wanted and self.done.issuperset(made_from):
                self.done.add(path)
        needs = {need for path, job in jobs.items() if path not in self.done for need in job.needs}
        self.done |= {path for path, job in jobs.items() if job.stage == "data" and path not in needs}
