"""What past jobs took, and what that says of those to come.

A job's time is what it took by itself: the CPU seconds of `logs/usage.jsonl` where it ran on one thread of a CPU (a
busy machine does not count), the wall time of its `benchmark:` file elsewhere. Jobs of a kind are corrected by the
ratio of what its past jobs took to what the model says of them; the kind is as special as there are past jobs of it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from intermezzo.planning.costs import Cost
from intermezzo.planning.jobs import Job
from intermezzo.planning.rates import CPU

USAGE = Path("logs/usage.jsonl")
BENCHMARKS = Path("benchmarks/jobs")


@dataclass(frozen=True)
class Took:
    """seconds: wall. ended: seconds since 1970. cpu_seconds, peak_mb: None where the job did not report itself."""

    seconds: float
    ended: float
    cpu_seconds: float | None = None
    peak_mb: float | None = None

    def alone(self, cost: Cost, threads: int) -> float:
        """What it takes when nothing else runs."""
        known = self.cpu_seconds is not None and threads == 1 and cost.device == CPU
        return self.cpu_seconds if known else self.seconds


def took(jobs: Mapping[str, Job]) -> dict[str, Took]:
    """path -> what the job took when it last ran, as far as that is known."""
    reported = _usage()
    found = {}
    for path in jobs:
        file = BENCHMARKS / f"{path}.tsv"
        try:
            with open(file, encoding="utf-8", newline="") as handle:
                seconds = float(next(csv.DictReader(handle, delimiter="\t"))["s"])
            ended = file.stat().st_mtime
        except (OSError, StopIteration, KeyError, TypeError, ValueError):
            continue
        own = reported.get(path, {})
        found[path] = Took(seconds, ended, own.get("cpu_seconds"), own.get("peak_mb"))
    return found


def _usage() -> dict[str, dict[str, float]]:
    """job path -> what it last said of itself."""
    found: dict[str, dict[str, float]] = {}
    try:
        lines = USAGE.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return found
    for line in lines:
        try:
            content = json.loads(line)
            made = Path(content["made"])
        except (ValueError, KeyError, TypeError):  # cut off by a kill
            continue
        parts = made.with_suffix("").parts if made.suffix in (".parquet", ".tsv") else made.parts
        found["/".join(parts[parts.index("results") + 1 :] if "results" in parts else parts)] = content
    return found


@dataclass
class _Sum:
    jobs: int = 0
    took: float = 0.0
    modelled: float = 0.0
    peak_mb: float = 0.0


@dataclass
class Past:
    """Past jobs by kind."""

    kinds: dict[tuple[str, ...], _Sum] = field(default_factory=dict)

    def add(self, job: Job, cost: Cost, took: Took, threads: int) -> None:
        for kind in _kinds(job):
            there = self.kinds.setdefault(kind, _Sum())
            there.jobs += 1
            there.took += took.alone(cost, threads)
            there.modelled += cost.seconds
            there.peak_mb = max(there.peak_mb, took.peak_mb or 0.0)

    def corrected(self, job: Job, cost: Cost) -> Cost:
        """The cost as past jobs of its kind would have it; unchanged where there are none."""
        for kind in _kinds(job):
            if kind in self.kinds:
                found = self.kinds[kind]
                factor = found.took / found.modelled
                said = f"past jobs: {found.jobs} of {' '.join(kind)} (x{factor:.2f})"
                basis = frozenset({said, *(note for note in cost.basis if not note.startswith(cost.device))})
                memory = found.peak_mb if len(kind) == 3 and found.peak_mb else cost.memory_mb
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
    if job.stage in ("data", "summary"):
        yield (job.stage,)
