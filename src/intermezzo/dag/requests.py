"""What jobs ask a scheduler for, by encoder and phase: memory and time.

    requests = Requests(grid)
    resources: mem_mb=requests.memory("target"), runtime=requests.time("target")       (in a rule)

Generous models of `costs.py`, not its estimates: nothing is read but the configuration and two tables of resources/,
as the Snakefile is read again in every job, and nothing is exact. Each attempt asks for twice as much.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from intermezzo.config.models import Config
from intermezzo.core.errors import UserError
from intermezzo.dag.experiment import BASELINE, Grid
from intermezzo.planning.amounts import Amounts
from intermezzo.planning.costs import Costs
from intermezzo.planning.jobs import Job
from intermezzo.planning.rates import CPU, TABLE, Rates
from intermezzo.planning.shapes import Shape, shape_of

GPU_HOST_MB = 3000
"""Memory beside a GPU's own: torch with CUDA, before any weights (assumed)."""
MEMORY_MARGIN, TIME_MARGIN = 1.25, 10.0
"""Times are those of an H200; ten times as long is an older GPU that others use too."""
DAY = 1440
"""Minutes that many partitions allow; a training that takes longer goes on in its next attempt."""
UNKNOWN = Shape(1024, 24, 4096, 250002)
"""The size of an encoder that nobody knows before it is there: XLM-R Large's."""


class Request(NamedTuple):
    mem_mb: float
    minutes: float
    most: int
    """Minutes of the last attempt at most."""


class Stage(NamedTuple):
    least: Request
    depends: tuple[str, ...]
    """The wildcards that its cost depends on."""


STAGES = {  # with a share of the day where the profiles put 20, or 4, into one submission
    "data": Stage(Request(1000, 30, DAY // 20), ("source", "task", "language", "split")),
    "encoder": Stage(Request(4000, 240, DAY), ("encoder",)),
    "intermediate": Stage(Request(4000, 240, DAY), ("encoder", "intermediate", "mix")),
    "target": Stage(Request(4000, 240, DAY), ("encoder", "target")),
    "evaluation": Stage(Request(4000, 60, DAY // 4), ("encoder", "target")),
}


class Requests:
    """The requests of a grid's jobs. Stages are those of `jobs.py`: encoder, intermediate, target, evaluation."""

    def __init__(self, grid: Grid) -> None:
        self.grid, self.unkept = grid, grid.unkept
        self._known: dict[tuple[str, ...], Request] = {}

    def memory(self, stage: str) -> Callable[[Any, int], int]:
        """A function of a job's wildcards and attempt, for its rule: MB of the machine's own memory."""

        def mem_mb(wildcards: Any, attempt: int) -> int:
            wanted = max(request.mem_mb for request in self._parts(stage, wildcards))
            return 1000 * math.ceil(wanted / 1000) * 2 ** (attempt - 1)

        return mem_mb

    def time(self, stage: str) -> Callable[[Any, int], int]:
        """The same of minutes. Large encoders are taken to have a GPU, as by `intermezzo plan`."""

        def runtime(wildcards: Any, attempt: int) -> int:
            parts = self._parts(stage, wildcards)
            minutes = math.ceil(sum(request.minutes for request in parts)) * 2 ** (attempt - 1)
            return min(DAY, sum(request.most for request in parts), minutes)

        return runtime

    def _parts(self, stage: str, keys: Any) -> list[Request]:
        """What the job asks for itself, and for training models again whose weights were not kept (`keep`)."""
        parts = [self._request(stage, keys)]
        for above, model in self._starts(stage, keys) if self.unkept else ():
            if above not in self.unkept or not _is_away(model):
                break
            parts.append(self._request(above, keys))
        return parts

    def _starts(self, stage: str, keys: Any) -> list[tuple[str, Path]]:
        """(stage, folder) of the trained models that a job goes back to, the nearest first."""
        models = []
        if stage == "evaluation" and self.grid.is_trained(keys.target):
            models.append(("target", Path(self.grid.evaluated(keys)).parent))
        if stage in ("evaluation", "target") and keys.intermediate != BASELINE:
            models.append(("intermediate", Path(self.grid.started_from(keys)).parent))
        return models

    def _request(self, stage: str, keys: Any) -> Request:
        names = STAGES[stage].depends
        key = (stage, *(getattr(keys, name) for name in names))
        if key not in self._known:
            job = Job("", stage, SimpleNamespace(**dict(zip(names, key[1:], strict=True))), (), ())
            self._known[key] = self._ask(job)
        return self._known[key]

    def _ask(self, job: Job) -> Request:
        cost, least = self._costs.cost(job), STAGES[job.stage].least
        trains = job.stage in ("encoder", "intermediate", "target")
        memory = cost.memory_mb * MEMORY_MARGIN * (self.grid.config.processes if trains else 1)  # each holds a model
        return Request(max(least.mem_mb, memory), max(least.minutes, cost.seconds * TIME_MARGIN / 60), least.most)

    @cached_property
    def _costs(self) -> _Host:
        config, rates = self.grid.config, Rates.of(TABLE)
        shapes = {name: _shape(config, name, rates) for name in self.grid.encoders}
        return _Host(self.grid, Amounts(config, read=False), rates, shapes=shapes)


class _Host(Costs):
    """Costs whose memory is the machine's own, also where a GPU computes."""

    def _memory(self, shape: Shape, tokens: float, device: str, *, train: bool, rows: float) -> float:
        """Beside a GPU: room for weights, gradients and AdamW's moments (16 bytes), or for weights twice, and rows.

        So a training finds room without a GPU as well, but for what long or many inputs keep for the way back.
        """
        if device == CPU:
            return super()._memory(shape, tokens, device, train=train, rows=rows)
        return GPU_HOST_MB + (shape.parameters * (16 if train else 8) + rows * 4000) / 1e6


def _shape(config: Config, name: str, rates: Rates) -> tuple[Shape, str]:
    try:
        return shape_of(config, name, rates.shapes)
    except UserError:
        return UNKNOWN, "assumed"


def _is_away(model: Path) -> bool:
    """Was the model made, and its weights deleted since?"""
    return (model / "manifest.json").is_file() and not (model / "model.safetensors").is_file()
