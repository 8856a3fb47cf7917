"""A plan in words and as JSON."""

from __future__ import annotations

import textwrap
from collections import Counter
from typing import Any

from intermezzo.planning.downloads import ESTIMATED, PART, licences
from intermezzo.planning.estimate import Plan
from intermezzo.planning.review import Review

LARGEST = 12
"""Downloads that are told one by one."""
_HEAD = ("stage", "jobs", "done", "tokens", "CPU h", "GPU h", "longest", "memory", "disk")


def render(plan: Plan) -> str:
    """The price list: a line per stage, the whole, the wall time, and what each number rests on."""
    lines = [_HEAD, *map(_line, plan.stages), _line(_sum(plan))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    table = ["  ".join([f"{line[0]:<{widths[0]}}", *map(str.rjust, line[1:], widths[1:])]) for line in lines]
    basis = ["What it rests on (jobs to do):", *_basis(plan)]
    return "\n".join([*table, "", *_wall(plan), *_disk(plan), "", *_downloads(plan), *basis])


def render_review(review: Review) -> str:
    """The last estimate and what its jobs took, as text."""
    ran = sum(line.jobs for line in review.lines)
    words = [f"The last estimate: {ran} of its {review.estimated} jobs have run."]
    for line in review.lines:
        off = line.took / max(line.estimated, 1e-9)
        times = f"estimated {_time(line.estimated)}, took {_time(line.took)} (x{off:.2f})"
        words.append(f"  {line.stage:14}{line.jobs:6} jobs: {times}")
    words.append(f"  all: took {review.factor:.2f} times the estimate")
    wall = sum(line.wall for line in review.lines)
    if wall > 1.2 * sum(line.took for line in review.lines):
        words.append(f"  by the clock the jobs took {_time(wall)}: other work shared the processors")
    if ran == review.estimated:
        words.append(f"  wall time: estimated {_time(review.schedule_seconds)}, was {_time(review.wall_seconds)}")
    return "\n".join(words)


def as_json(plan: Plan, review: Review | None) -> dict[str, Any]:
    """The plan and the review of the last one as JSON; the keys are part of the interface."""
    most, last = plan.weights_mb
    return {
        "workers": plan.workers,
        "wall_seconds": plan.schedule.seconds,
        "chain_seconds": plan.schedule.chain_seconds,
        "chain": list(plan.schedule.chain),
        "weights_mb": {"most": most, "end": last},
        "states_mb": plan.states_mb,
        "downloads": [download._asdict() for download in plan.downloads],
        "licences": [licence._asdict() for licence in licences(plan.grid.config, plan.downloads)],
        "stages": [vars(stage) for stage in plan.stages],
        "jobs": {
            path: {"seconds": seconds, "tokens": plan.costs[path].tokens, "device": plan.costs[path].device,
                   "basis": sorted(plan.costs[path].basis)}
            for path, seconds in plan.todo.items()
        },
        "last": None if review is None else {"factor": review.factor, "stages": [vars(line) for line in review.lines]},
    }  # fmt: skip


def _line(stage: Any) -> tuple[str, ...]:
    todo = stage.jobs - stage.done
    return (
        stage.name,
        str(stage.jobs),
        str(stage.done),
        _count(stage.tokens) if stage.tokens else "-",
        _hours(stage.cpu_seconds),
        _hours(stage.gpu_seconds),
        _time(stage.longest_seconds) if todo else "-",
        _size(stage.memory_mb) if todo else "-",
        _size(stage.disk_mb),
    )


def _sum(plan: Plan) -> Any:
    from intermezzo.planning.estimate import StageEstimate

    stages = plan.stages
    added = [sum(getattr(s, key) for s in stages) for key in ("jobs", "done", "tokens", "cpu_seconds", "gpu_seconds")]
    most = [max(getattr(s, key) for s in stages) for key in ("longest_seconds", "memory_mb")]
    return StageEstimate("all", *added, *most, sum(s.disk_mb for s in stages))


def _wall(plan: Plan) -> list[str]:
    if not plan.todo:
        return ["Nothing is to be done."]
    schedule = plan.schedule
    workers = f"{plan.workers} worker{'s' if plan.workers > 1 else ''}"
    words = [f"Wall time on {workers}: {_time(schedule.seconds)} (one: {_time(sum(plan.todo.values()))})"]
    words.append(f"No number of workers takes less than {_time(schedule.chain_seconds)}: {' > '.join(schedule.chain)}")
    return words


def _disk(plan: Plan) -> list[str]:
    most, last = plan.weights_mb
    unkept = f" (keep: not those of {', '.join(sorted(plan.unkept))})" if plan.unkept else ""
    words = f"Weights on the disk: at most {_size(most)}, in the end {_size(last)}{unkept}; "
    return [words + f"states for resuming: at most {_size(plan.states_mb)}"]


def _downloads(plan: Plan) -> list[str]:
    """What is downloaded: how much, from where, for what, and under which licences."""
    if not plan.downloads:
        return []
    by_host: Counter[str] = Counter()
    for download in plan.downloads:
        by_host[download.host] += download.mb  # type: ignore[assignment]
    hosts = ", ".join(f"{host} {_size(mb)}" for host, mb in by_host.most_common())
    lines = [f"Downloads that are not here yet: about {_size(sum(by_host.values()))} ({hosts})"]
    for download in plan.downloads[:LARGEST]:
        about = {ESTIMATED: "~", PART: ">"}.get(download.basis, "")
        place = textwrap.shorten(f"{download.host}/{download.name}", 75, placeholder="...")
        users = textwrap.shorten(", ".join(download.used_by), 60, placeholder=" ...")
        lines.append(f"  {about + _size(download.mb):>9}  {place:76}{users}")
    if rest := plan.downloads[LARGEST:]:
        lines.append(f"  {_size(sum(download.mb for download in rest)):>9}  in {len(rest)} others")
    lines += ["", "Licences of what is downloaded (*: not for commercial use):"]
    for licence in licences(plan.grid.config, plan.downloads):
        text = textwrap.shorten(licence.text, 150, placeholder=" ...")
        lines.append(f"  {' ' if licence.commercial else '*'} {licence.subject}: {text}")
    return [*lines, ""]


def _basis(plan: Plan) -> list[str]:
    """What the times rest on, and by how many of the jobs."""
    counted: Counter[tuple[str, str]] = Counter()
    for path in plan.todo:
        for basis in plan.costs[path].basis:
            counted[plan.jobs[path].stage, basis] += 1
    return [f"  {stage:14}{count:6} jobs: {basis}" for (stage, basis), count in sorted(counted.items())]


def _count(value: float) -> str:
    for size, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.1f} {name}"
    return f"{value:.0f}"


def _hours(seconds: float) -> str:
    return "-" if not seconds else f"{seconds / 3600:.2f}" if seconds < 36000 else f"{seconds / 3600:,.0f}"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"


def _size(mb: float) -> str:
    return f"{mb:.0f} MB" if mb < 1000 else f"{mb / 1e3:.1f} GB" if mb < 1e6 else f"{mb / 1e6:.1f} TB"
