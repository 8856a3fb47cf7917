"""When which job runs on N workers, and how much disk weights take meanwhile.

List scheduling: a free worker takes the ready job of the first stage in order, the longest first, as the workflow
does. No schedule is shorter than the longest chain of jobs, nor than the whole work divided by the workers.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from intermezzo.planning.jobs import STAGES, Job


class Schedule(NamedTuple):
    """When each job runs."""

    seconds: float
    """From the first start to the last end."""
    chain: tuple[str, ...]
    """The longest chain of jobs, in order: no number of workers is faster."""
    chain_seconds: float
    ends: dict[str, float]
    """path -> end."""
    begins: dict[str, float]


def schedule(
    jobs: Mapping[str, Job], seconds: Mapping[str, float], workers: int, order: Sequence[str] = STAGES
) -> Schedule:
    """Place the jobs that `seconds` names (path -> duration); what they need besides is there.

    order: stages, those first whose jobs start first; what it leaves out comes before.
    """

    def rank(path: str) -> tuple[int, float]:
        stage = jobs[path].stage
        return (order.index(stage) if stage in order else -1), -seconds[path]

    waiting = {path: sum(need in seconds for need in jobs[path].needs) for path in seconds}
    following: dict[str, list[str]] = {path: [] for path in seconds}
    for path in seconds:
        for need in jobs[path].needs:
            if need in seconds:
                following[need].append(path)
    paths = [path for path in jobs if path in seconds]
    reach: dict[str, float] = {}
    successor: dict[str, str | None] = {}
    for path in reversed(paths):
        successor[path] = max(following[path], key=reach.__getitem__, default=None)
        reach[path] = seconds[path] + (reach[successor[path]] if successor[path] else 0.0)
    ready = [(rank(path), path) for path, count in waiting.items() if not count]
    heapq.heapify(ready)
    running: list[tuple[float, str]] = []
    begins: dict[str, float] = {}
    ends: dict[str, float] = {}
    now = 0.0
    while ready or running:
        while ready and len(running) < workers:
            path = heapq.heappop(ready)[1]
            begins[path], ends[path] = now, now + seconds[path]
            heapq.heappush(running, (ends[path], path))
        now, path = heapq.heappop(running)
        for follower in following[path]:
            waiting[follower] -= 1
            if not waiting[follower]:
                heapq.heappush(ready, (rank(follower), follower))
    chain = []
    path = max(reach, key=reach.__getitem__, default=None)
    longest = reach[path] if path else 0.0
    while path:
        chain.append(path)
        path = successor[path]
    return Schedule(now, tuple(chain), longest, ends, begins)


def weights_at_most(
    jobs: Mapping[str, Job],
    weights: Mapping[str, float],
    unkept: Collection[str],
    plan: Schedule,
    initial: Collection[str] = (),
) -> tuple[float, float]:
    """(the most that lies on the disk at one time, what lies there at the end), in the unit of `weights`.

    weights: path -> size of a job's weights. unkept: stages whose weights are deleted when all that reads them is done.
    there: jobs whose weights are there from the start.
    """
    last: dict[str, float] = {}
    for path, end in plan.ends.items():
        for need in jobs[path].needs:
            last[need] = max(last.get(need, 0.0), end)
    changes = []
    for path, size in weights.items():
        if path not in plan.ends and path not in initial:
            continue
        changes.append((plan.begins.get(path, 0.0), size))
        if jobs[path].stage in unkept and path in plan.ends and path in last:
            changes.append((last[path], -size))
    now = most = 0.0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most, now
