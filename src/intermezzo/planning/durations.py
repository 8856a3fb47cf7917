"""How long past jobs took, and how that corrects the estimates of later ones.

A job's duration is that of the job alone: the CPU seconds of `logs/usage.jsonl` where it ran on one thread of a CPU (so
other load of the machine does not count), the wall time of its `benchmark:` file elsewhere. The estimates of a kind of
jobs are multiplied by the ratio of the durations to the estimates of its past jobs. Of the kinds that a job belongs to,
the most specific one with past jobs counts.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from intermezzo.execution import usage
from intermezzo.planning.costs import Cost
from intermezzo.planning.jobs import Job
from intermezzo.planning.rates import CPU

USAGE = usage.LOG
BENCHMARKS = Path("benchmarks/jobs")


@dataclass(frozen=True)
class Duration:
    """How long a job took.

    seconds: wall time. end: seconds since 1970. cpu_seconds, peak_mb: None where the job has not reported them.
    """

    seconds: float
    end: float
    cpu_seconds: float | None = None
    peak_mb: float | None = None

    def exclusive_seconds(self, cost: Cost, threads: int) -> float:
        """The seconds that the job takes when nothing else runs on the machine."""
        own_report = self.cpu_seconds is not None and threads == 1 and cost.device == CPU
        return self.cpu_seconds if own_report else self.seconds


def durations_of(jobs: Mapping[str, Job]) -> dict[str, Duration]:
    """path -> how long the job took when it last ran, of the jobs that have run here."""
    reports = usage.reports(USAGE)
    durations = {}
    for path in jobs:
        file = BENCHMARKS / f"{path}.tsv"
        try:
            with open(file, encoding="utf-8", newline="") as handle:
                seconds = float(next(csv.DictReader(handle, delimiter="\t"))["s"])
            end = file.stat().st_mtime
        except (OSError, StopIteration, KeyError, TypeError, ValueError):
            continue
        report = reports.get(path, [{}])[-1]
        durations[path] = Duration(seconds, end, report.get("cpu_seconds"), report.get("peak_mb"))
    return durations


@dataclass
class _Sums:
    """Over the past jobs of a kind: their number, durations and estimates; the highest memory peak."""

    jobs: int = 0
    seconds: float = 0.0
    model_seconds: float = 0.0
    peak_mb: float = 0.0


@dataclass
class Correction:
    """The ratio of durations to estimates of past jobs, by kind of job."""

    kinds: dict[tuple[str, ...], _Sums] = field(default_factory=dict)

    def add(self, job: Job, cost: Cost, duration: Duration, threads: int) -> None:
        """Take a past job into account. cost: its estimate. threads: of a job."""
        for kind in _kinds(job):
            sums = self.kinds.setdefault(kind, _Sums())
            sums.jobs += 1
            sums.seconds += duration.exclusive_seconds(cost, threads)
            sums.model_seconds += cost.seconds
            sums.peak_mb = max(sums.peak_mb, duration.peak_mb or 0.0)

    def correct(self, job: Job, cost: Cost) -> Cost:
        """The estimate of a job times the ratio of its kind; unchanged where no job of its kinds has run."""
        for kind in _kinds(job):
            if kind in self.kinds:
                sums = self.kinds[kind]
                factor = sums.seconds / sums.model_seconds
                note_on_past = f"past jobs: {sums.jobs} of {' '.join(kind)} (x{factor:.2f})"
                basis = frozenset({note_on_past, *(note for note in cost.basis if not note.startswith(cost.device))})
                memory = sums.peak_mb if len(kind) == 3 and sums.peak_mb else cost.memory_mb
                return Cost(
                    cost.tokens, cost.seconds * factor, cost.device, memory, cost.disk_mb, cost.weights_mb, basis
                )
        return cost


def _kinds(job: Job) -> Iterator[tuple[str, ...]]:
    """The kinds that a job belongs to, the most special first. Another encoder's time says nothing."""
    if job.stage in ("intermediate", "target", "evaluation"):
        yield job.stage, job.keys.encoder, job.name
        yield job.stage, job.keys.encoder
    elif job.stage in ("data", "encoder"):
        yield job.stage, job.name
    if job.stage in ("encoder", "intermediate", "target"):
        yield "training", job.keys.encoder
    if job.stage in ("data", "overlap", "summary"):
        yield (job.stage,)
