"""The estimate of a whole experiment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property

from intermezzo.config.models import Config
from intermezzo.dag.experiment import Grid
from intermezzo.dag.scheduling import Scheduling
from intermezzo.planning.amounts import Amounts
from intermezzo.planning.costs import Cost, Costs
from intermezzo.planning.downloads import Download, downloads
from intermezzo.planning.durations import Correction, Duration, durations_of
from intermezzo.planning.jobs import STAGES, Completion, Job, jobs_of
from intermezzo.planning.rates import CPU, Rates
from intermezzo.planning.schedule import Schedule, schedule, weights_at_most


@dataclass(frozen=True)
class StageEstimate:
    """One line of the price list; what is not about all jobs is about those still to do."""

    name: str
    jobs: int
    done: int
    tokens: float
    cpu_seconds: float
    gpu_seconds: float
    longest_seconds: float
    memory_mb: float
    disk_mb: float
    """What its files take at the end, those of done jobs included; weights that are not kept are not among them."""


@dataclass(frozen=True)
class Plan:
    """The estimate of an experiment.

    durations: of the jobs that have run here. workers: jobs at a time. downloads: those of the jobs that must run.
    """

    grid: Grid
    jobs: dict[str, Job]
    costs: dict[str, Cost]
    done: set[str]
    durations: dict[str, Duration]
    workers: int
    downloads: list[Download]

    @cached_property
    def todo(self) -> dict[str, float]:
        """path -> seconds, of the jobs that must run, in order."""
        return {path: self.costs[path].seconds for path in self.jobs if path not in self.done}

    @cached_property
    def schedule(self) -> Schedule:
        """When each job runs."""
        return schedule(self.jobs, self.todo, self.workers, Scheduling(self.grid).order)

    @cached_property
    def unkept(self) -> set[str]:
        """Stages whose weights are deleted when nothing needs them any more."""
        return Scheduling(self.grid).unkept

    @cached_property
    def weights_mb(self) -> tuple[float, float]:
        """MB of weights on the disk: (at most, at the end)."""
        sizes = {path: cost.weights_mb for path, cost in self.costs.items() if cost.weights_mb}
        initial = [path for path in sizes if path in self.done and self.jobs[path].stage not in self.unkept]
        return weights_at_most(self.jobs, sizes, self.unkept, self.schedule, initial)

    @cached_property
    def states_mb(self) -> float:
        """MB that the trainings of one moment keep for resuming, at most: weights and two moments of AdamW."""
        sizes = sorted((cost.weights_mb * 3 for path, cost in self.costs.items() if path in self.todo), reverse=True)
        return sum(sizes[: self.workers])

    @cached_property
    def stages(self) -> list[StageEstimate]:
        """The lines of the price list."""
        return [self._stage(name) for name in STAGES if name != "prompt" or self.grid.prompted]

    def _stage(self, name: str) -> StageEstimate:
        paths = [path for path, job in self.jobs.items() if job.stage == name]
        todo = [self.costs[path] for path in paths if path in self.todo]
        weights = 0.0 if name in self.unkept else sum(self.costs[path].weights_mb for path in paths)
        return StageEstimate(
            name,
            len(paths),
            len(paths) - len(todo),
            sum(cost.tokens for cost in todo),
            sum(cost.seconds for cost in todo if cost.device == CPU),
            sum(cost.seconds for cost in todo if cost.device != CPU),
            max((cost.seconds for cost in todo), default=0.0),
            max((cost.memory_mb for cost in todo), default=0.0),
            sum(self.costs[path].disk_mb for path in paths) + weights,
        )


def make(config: Config, *, workers: int | None = None, device: str | None = None) -> Plan:
    """Estimate the experiment of `config` in the present folder.

    workers: jobs at a time; None = as many as the cores allow, or one where a GPU computes. device: see `Costs`.
    """
    grid = Grid(config)
    jobs = jobs_of(grid)
    completion, durations = Completion(grid, jobs), durations_of(jobs)
    amounts = Amounts(config)
    model = Costs(grid, amounts, Rates.read(), device)
    model_costs = {path: model.cost(job) for path, job in jobs.items()}
    correction = Correction()
    for path in durations.keys() & completion.current:
        correction.add(jobs[path], model_costs[path], durations[path], config.threads)
    costs = {path: correction.correct(job, model_costs[path]) for path, job in jobs.items()}
    if workers is None:
        gpu = any(cost.device != CPU for cost in costs.values())
        workers = 1 if gpu else max(1, (os.cpu_count() or 1) // config.threads)
    todo = [job for path, job in jobs.items() if path not in completion.done and job.stage in ("data", "encoder")]
    weights_mb = {job.keys.encoder: costs[job.path].weights_mb for job in todo if job.stage == "encoder"}
    coming = downloads(config, todo, amounts, weights_mb)
    return Plan(grid, jobs, costs, completion.done, durations, workers, coming)
