"""How good the last estimate was: what `results/plan.json` said, beside what its jobs took."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intermezzo.core.artifacts import read_json, write_json
from intermezzo.core.errors import UserError
from intermezzo.planning.estimate import Plan
from intermezzo.planning.jobs import STAGES

FILE = Path("results/plan.json")


@dataclass(frozen=True)
class StageReview:
    """One stage: its jobs that were estimated and have run since, in seconds."""

    stage: str
    jobs: int
    estimated: float
    took: float
    wall: float
    """Seconds by the clock: more than `took` where other work shared the machine."""


@dataclass(frozen=True)
class Review:
    """The last estimate beside what its jobs took."""

    lines: list[StageReview]
    """By stage, of the jobs that were estimated and have run since."""
    estimated: int
    """Jobs that were estimated."""
    schedule_seconds: float
    wall_seconds: float
    """From the first start to the last end, and what was estimated of it (if all jobs have run)."""

    @property
    def factor(self) -> float:
        """What the jobs took over what was estimated."""
        return sum(line.took for line in self.lines) / max(1e-9, sum(line.estimated for line in self.lines))


def review(plan: Plan) -> Review | None:
    """The last estimate of this folder against what has run since; None when nothing of it has."""
    try:
        last = read_json(FILE)
        seconds, write_time = last["seconds"], FILE.stat().st_mtime
        estimated = {path: float(value) for path, value in seconds.items()}
        length = float(last["wall_seconds"])
    except (UserError, OSError, KeyError, TypeError, ValueError, AttributeError):
        return None
    ran = {
        path: plan.durations[path]
        for path in estimated
        if path in plan.durations and path in plan.costs and plan.durations[path].end > write_time
    }
    lines = []
    threads = plan.grid.threads
    for stage in STAGES:
        paths = [path for path in ran if plan.jobs[path].stage == stage]
        if paths:
            exclusive = sum(ran[path].exclusive_seconds(plan.costs[path], threads) for path in paths)
            wall = sum(ran[path].seconds for path in paths)
            lines.append(StageReview(stage, len(paths), sum(map(estimated.__getitem__, paths)), exclusive, wall))
    if not lines:
        return None
    begun = min(duration.end - duration.seconds for duration in ran.values())
    return Review(lines, len(estimated), length, max(duration.end for duration in ran.values()) - begun)


def remember(plan: Plan) -> None:
    """Keep the estimate for the next review; a finished experiment's last estimate stays."""
    if plan.todo:
        seconds = {path: round(value, 3) for path, value in plan.todo.items()}
        content: dict[str, Any] = {"workers": plan.workers, "wall_seconds": round(plan.schedule.seconds, 3)}
        write_json(FILE, content | {"seconds": seconds})
