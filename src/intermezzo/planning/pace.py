"""The time that a run still takes: the plan's estimate of each job, corrected by the pace of the run so far."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from threading import Thread
from typing import Any

from intermezzo.config.models import Config
from intermezzo.core.numerals import duration
from intermezzo.execution import snakemake_internals
from intermezzo.planning.estimate import make
from intermezzo.planning.schedule import schedule

_PRIOR = 0.2
"""The plan counts as much as this share of the work."""
_REFRESH_SECONDS = 2.0
"""The time left is computed at most so often: a large run has thousands of jobs, and several end in a second."""


@dataclass(frozen=True)
class Pace:
    """seconds: path -> estimate of each job of the run. length: estimate of the whole run by the clock, in seconds."""

    seconds: Mapping[str, float]
    length: float

    def left(self, waiting: Iterable[str], elapsed: float) -> float:
        """Seconds until the end.

        waiting: paths of the jobs that have not ended. elapsed: seconds since the start of the run.
        """
        whole = sum(self.seconds.values())
        rest = sum(self.seconds.get(path, 0.0) for path in waiting)
        done = 1 - rest / whole if whole else 1.0
        return (elapsed + _PRIOR * self.length) / (done + _PRIOR) * (1 - done)


class ProgressLine:
    """What stands after Snakemake's "42 of 120 steps (35%) done"."""

    def __init__(self, workflow: Any) -> None:
        self._workflow, self._began = workflow, time.monotonic()
        self._pace: Pace | None = None
        self._text, self._until = "", 0.0

    def estimate(self, config: Config) -> None:
        """Read the plan of the jobs that will run. A plan that cannot be made leaves the line without a time."""
        jobs = snakemake_internals.planned_jobs(self._workflow)
        cores = self._workflow.resource_settings.cores or 1
        plan = make(config)
        seconds = {path: plan.costs[path].seconds for job in jobs or () if (path := _path(job)) in plan.costs}
        workers = min(plan.workers, max(1, cores // config.threads))
        self._pace = Pace(seconds, schedule(plan.jobs, seconds, workers).seconds)

    def words(self, done: int, total: int) -> str:
        """The time that is left; at the end the time that the run took."""
        now = time.monotonic()
        if done >= total:
            return f" in {duration(now - self._began)}"
        if self._pace is not None and now >= self._until:
            waiting = snakemake_internals.planned_jobs(self._workflow) or ()
            left = self._pace.left(map(_path, waiting), now - self._began)
            self._text, self._until = f", about {duration(left)} left", now + _REFRESH_SECONDS
        return self._text


def begin(workflow: Any, config: Config) -> None:
    """Called by the Snakefile's `onstart`: the progress line says how long the rest takes.

    The plan is read beside the first jobs, so none of them waits for it.
    """
    line = ProgressLine(workflow)
    if snakemake_internals.install_progress(line.words):
        Thread(target=_quietly, args=(line, config), daemon=True).start()


def _quietly(line: ProgressLine, config: Config) -> None:
    try:
        line.estimate(config)
    except Exception:  # the time left is a courtesy: a run goes on without it
        return


def _path(job: Any) -> str:
    """The path by which a plan knows a job of Snakemake's: that of its benchmark file."""
    return str(job.benchmark or "").removeprefix("benchmarks/jobs/").removesuffix(".tsv")
