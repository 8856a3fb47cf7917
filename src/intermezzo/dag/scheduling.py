"""When jobs start and what they take: priorities, the order of stages, threads, GPUs, and whose weights go after use.

The longest jobs of a stage start first, so that no single one runs alone at the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from intermezzo.config import catalogue
from intermezzo.config.settings import Phase, examples_of, resolve
from intermezzo.core.memoize import memoize_by
from intermezzo.dag.experiment import Grid


class Scheduling:
    """Order and resources of a grid's jobs."""

    def __init__(self, grid: Grid) -> None:
        self.grid, self.config = grid, grid.config
        self.training_threads = grid.threads * grid.processes
        several = {"gpu": grid.processes, "nodes": 1, "tasks_per_gpu": 0}  # one task of Slurm starts them all
        self.training_gpus: dict[str, int] = several if grid.processes > 1 else {}
        """GPUs of a training, as resources of its rule; for one process the profile says."""

    # -- weights -------------------------------------------------------------------------------------------------

    @cached_property
    def unkept(self) -> set[str]:
        """Stages whose weights are deleted when all that reads them is done."""
        keep, trained = self.config.keep, any(map(self._starts_from_intermediates, self.grid.targets))
        gone = {"intermediate": keep.intermediate == "none" or (keep.intermediate == "final" and trained)}
        return {stage for stage, is_gone in (gone | {"target": keep.target == "none"}).items() if is_gone}

    @property
    def evaluation_threads(self) -> int:
        """Threads of an evaluation, which may have to train a model again whose weights are gone."""
        return self.training_threads if self.unkept else self.grid.threads

    @property
    def evaluation_gpus(self) -> dict[str, int]:
        """GPUs of an evaluation, likewise."""
        return self.training_gpus if self.unkept else {}

    def _starts_from_intermediates(self, target: str) -> bool:
        return self.grid.is_trained(target) and not self.config.target(target).baseline_only

    # -- order ---------------------------------------------------------------------------------------------------

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Stages, those first whose jobs start first: all models of one before the next, which fills the workers best.

        Where weights go after their use it is the other way round, so that few models are on the disk at a time.
        """
        stages = ("intermediate", "target", "evaluation")
        return stages[::-1] if self.unkept else stages

    def data_priority(self, wildcards: Any) -> int:
        """500 for what encoders are pretrained on; 400 for all else, which is prepared beside their pretraining."""
        return 500 if wildcards.task in (catalogue.TEXT, catalogue.PARALLEL) else 400

    def encoder_priority(self, wildcards: Any) -> int:
        """400 to 499: before all that needs an encoder, the longest pretraining first."""
        steps = {name: encoder.training.steps for name, encoder in self.grid.scratch.items()}
        return 400 + _rank(steps[wildcards.encoder], steps.values())

    @memoize_by("encoder", "intermediate")
    def intermediate_priority(self, wildcards: Any) -> int:
        """The stage's hundred, and by the examples that a training sees."""
        work = {name: self._work("intermediate", wildcards.encoder, name) for name in self.config.grid.intermediates}
        return self._base("intermediate") + _rank(work[wildcards.intermediate], work.values())

    @memoize_by("encoder", "training")
    def target_priority(self, wildcards: Any) -> int:
        """The stage's hundred, and by the examples that a training sees."""
        trainings = self.grid.trainings.items()
        work = {name: self._work("target", wildcards.encoder, targets[0]) for name, targets in trainings}
        return self._base("target") + _rank(work[wildcards.training], work.values())

    def evaluation_priority(self, wildcards: Any) -> int:
        """The stage's hundred."""
        return self._base("evaluation")

    def _base(self, stage: str) -> int:
        return 300 - 100 * self.order.index(stage)

    def _work(self, phase: Phase, encoder: str, name: str) -> int:
        """Examples that a training sees over all its epochs."""
        tasks = self.grid.intermediate_tasks(name) if phase == "intermediate" else [self.grid.task(name).name]
        examples = [examples_of(self.config, encoder, phase, name, task) or 0 for task in tasks]
        return sum(examples) * resolve(self.config, encoder, phase, name, tasks).epochs


def _rank(value: int, values: Iterable[int]) -> int:
    """0 to 99, in proportion to the largest of `values`."""
    return 99 * value // max(1, *values)
