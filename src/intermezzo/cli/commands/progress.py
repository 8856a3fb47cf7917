"""The command `progress`: how far an experiment is, by stage, and how long the rest takes by the plan."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from intermezzo.cli.output import show
from intermezzo.core.errors import UserError

if TYPE_CHECKING:
    from rich.progress import Progress

    from intermezzo.planning.estimate import Plan

_WATCH_SECONDS, _SHARE = 5.0, 0.05
"""With --watch the folder is read so often, and for at most this share of the time."""


def progress(options: Namespace) -> None:
    """Print the jobs that are done of each stage, and the time left; with --watch until all are done or Ctrl-C."""
    from intermezzo.config import load
    from intermezzo.planning.estimate import make

    if options.workers is not None and options.workers < 1:
        raise UserError(f"--workers: {options.workers}; at least 1")
    config = load(*options.overlays)
    plan = make(config, workers=options.workers)
    if not options.watch:
        show(options, _lines(plan, quiet="quiet" in options), as_json(plan))
        return
    if options.json:
        raise UserError("--watch and --json exclude each other")

    def plans() -> Iterator[Plan]:
        yield plan
        last = plan
        while last.todo:
            began = time.monotonic()
            last = make(config, workers=options.workers)
            yield last
            time.sleep(max(_WATCH_SECONDS, (time.monotonic() - began) / _SHARE) if last.todo else 0)

    try:
        (_watch if sys.stdout.isatty() else _follow)(plans())
    except KeyboardInterrupt:
        print()


def as_json(plan: Plan) -> dict[str, Any]:
    """Jobs by stage and the seconds that are left; the keys are part of the interface."""
    stages = {stage.name: {"jobs": stage.jobs, "done": stage.done} for stage in plan.stages if stage.jobs}
    return {"jobs": len(plan.jobs), "done": len(plan.jobs) - len(plan.todo), "stages": stages,
            "workers": plan.workers, "seconds_left": plan.schedule.seconds}  # fmt: skip


def summary(plan: Plan) -> str:
    """The progress of the whole experiment in a line."""
    from intermezzo.core.numerals import duration
    from intermezzo.execution.outcome import ANSWER

    done = f"{len(plan.jobs) - len(plan.todo)} of {len(plan.jobs)} jobs are done"
    if not plan.todo:
        return f"{done}; the answer is in {ANSWER}"
    workers = f"{plan.workers} worker{'s' if plan.workers > 1 else ''}"
    return f"{done}, about {duration(plan.schedule.seconds)} left on {workers}"


def _lines(plan: Plan, *, quiet: bool = False) -> Iterator[str]:
    for stage in () if quiet else plan.stages:
        if stage.jobs:
            yield f"{stage.name:<13}{stage.done:>7} of {stage.jobs}"
    yield summary(plan)


def _follow(plans: Iterator[Plan]) -> None:
    """A line whenever the number of done jobs has changed."""
    done = None
    for plan in plans:
        if done != len(plan.todo):
            done = len(plan.todo)
            print(summary(plan), flush=True)


def _watch(plans: Iterator[Plan]) -> None:
    """A bar for each stage that moves."""
    from rich.console import Group
    from rich.live import Live

    with Live() as live:
        for plan in plans:
            live.update(Group(_bars(plan), summary(plan)), refresh=True)


def _bars(plan: Plan) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress

    bars = Progress("{task.description:<13}", BarColumn(), MofNCompleteColumn())
    for stage in plan.stages:
        if stage.jobs:
            bars.add_task(stage.name, total=stage.jobs, completed=stage.done)
    return bars
