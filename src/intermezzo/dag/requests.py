"""What jobs ask a scheduler for, by encoder and phase: memory and time.

    requests = Requests(grid)
    resources: mem_mb=requests.memory("target"), runtime=requests.time("target")       (in a rule)

A generous estimate from the size of the encoder, the settings and the numbers of rows that configuration and task
files name: no data is read, as the Snakefile is read again in every job. (`intermezzo plan` counts and measures.)
Each attempt asks for twice as much.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from intermezzo.config import catalogue
from intermezzo.config.settings import Phase, examples_of, resolve
from intermezzo.core.errors import UserError
from intermezzo.dag.encoder_size import Shape, adapter_parameters, known_shapes, shape_of
from intermezzo.dag.experiment import Grid
from intermezzo.dag.inputs import Inputs
from intermezzo.dag.paths import BASELINE
from intermezzo.dag.scheduling import Scheduling
from intermezzo.modeling.folder import has_adapter
from intermezzo.tasks import load_task

DAY = 1440
"""Minutes that many partitions allow; a training that takes longer goes on in its next attempt."""
UNKNOWN = Shape(1024, 24, 4096, 250002)
"""The size of an encoder that nobody knows before it is there: XLM-R Large's."""
ROWS = {"train": 400_000, "dev": 10_000, "test": 10_000, "candidates": 100_000}
"""Rows of a file that neither configuration nor task file counts (MNLI has 390,000)."""
WORLD_ROWS = 5_000
"""The same of the embedded world."""
LARGE = 50e6
"""Parameters from which on a GPU is taken for granted."""
CPU_FLOPS, GPU_FLOPS = 4e10, 3e14
"""Arithmetic per second of a training on a core, and on a GPU of 2024 in bfloat16."""
MEAN_LENGTH = 0.5
"""Of the longest that an input may be."""
STEP_SECONDS = 0.025
"""The host's work for one step."""
ROW_MB, ROW_SECONDS = 4e-3, 4e-4
"""Of a tokenised row: its memory, and reading, tokenising and writing it."""
PROCESS_MB, GPU_PROCESS_MB = 750, 3000
"""A process that has imported torch and transformers; with CUDA."""
TRAINING_BYTES, PREDICTION_BYTES, WEIGHT_BYTES = 16, 8, 4
"""Per parameter: weights, gradients and AdamW's two moments in float32; weights twice, while they are read; weights."""
PROMPT_MB = 32_000
"""Of a language model whose size is not known: seven billion parameters in half precision, twice."""
MEMORY_MARGIN, TIME_MARGIN = 1.25, 10.0
"""Ten times as long is an older GPU that others use too."""


class Request(NamedTuple):
    """What a job asks for in its first attempt."""

    mem_mb: float
    minutes: float
    most: int
    """Minutes of the last attempt at most."""


LEAST = {  # with a share of the day where the profiles put 20, or 4, into one submission
    "data": Request(1000, 30, DAY // 20),
    "encoder": Request(4000, 240, DAY),
    "intermediate": Request(4000, 240, DAY),
    "target": Request(4000, 240, DAY),
    "evaluation": Request(4000, 60, DAY // 4),
}
"""Stage -> what its jobs ask for at least."""
DEPENDS = {
    "data": ("source", "task", "language", "split"),
    "encoder": ("encoder",),
    "intermediate": ("encoder", "intermediate", "mix"),
    "target": ("encoder", "training"),
    "evaluation": ("encoder", "target"),
}
"""Stage -> the wildcards that its cost depends on."""


class Requests:
    """The requests of a grid's jobs. Stages: data, encoder, intermediate, target, evaluation."""

    def __init__(self, grid: Grid) -> None:
        self.grid, self.config, self.inputs = grid, grid.config, Inputs(grid)
        self.unkept = Scheduling(grid).unkept
        self._requests: dict[tuple[str, ...], Request] = {}
        self._estimates: dict[str, Callable[..., tuple[float, float]]] = {
            "data": self._data,
            "encoder": self._encoder,
            "intermediate": self._intermediate,
            "target": self._target,
            "evaluation": self._evaluation,
        }

    def memory(self, stage: str) -> Callable[[Any, int], int]:
        """A function of a job's wildcards and attempt, for its rule: MB of the machine's own memory."""

        def mem_mb(wildcards: Any, attempt: int) -> int:
            megabytes = max(request.mem_mb for request in self._parts(stage, wildcards))
            return 1000 * math.ceil(megabytes / 1000) << (attempt - 1)

        return mem_mb

    def time(self, stage: str) -> Callable[[Any, int], int]:
        """The same of minutes. Large encoders are taken to have a GPU, as by `intermezzo plan`."""

        def runtime(wildcards: Any, attempt: int) -> int:
            parts = self._parts(stage, wildcards)
            minutes = math.ceil(sum(request.minutes for request in parts)) << (attempt - 1)
            return min(DAY, sum(request.most for request in parts), minutes)

        return runtime

    def prompt_memory(self, wildcards: Any, attempt: int) -> int:
        """MB of a prompted model's job: its files twice, while they are read; `PROMPT_MB` where they are not here."""
        files = self.inputs.prompted_model(wildcards)
        away = PROCESS_MB if self.config.prompted[wildcards.encoder].server else PROMPT_MB
        megabytes = PROCESS_MB + 2.5e-6 * sum(Path(path).stat().st_size for path in files) if files else away
        return 1000 * math.ceil(max(4000, megabytes) / 1000) << (attempt - 1)

    # -- models whose weights were not kept ----------------------------------------------------------------------

    def _parts(self, stage: str, keys: Any) -> list[Request]:
        """What the job asks for itself, and for training models again whose weights were not kept (`keep`)."""
        parts = [self._request(stage, keys)]
        for above, model, keys_above in self._starts(stage, keys) if self.unkept else ():
            if has_adapter(model):  # it stays, and the weights below it are needed
                continue
            if above not in self.unkept or not _is_away(model):
                break
            parts.append(self._request(above, keys_above))
        return parts

    def _starts(self, stage: str, keys: Any) -> list[tuple[str, Path, Any]]:
        """(stage, folder, wildcards) of the trained models that a job goes back to, the nearest first."""
        models: list[tuple[str, Path, Any]] = []
        if stage == "evaluation" and self.grid.is_trained(keys.target):
            trained = SimpleNamespace(encoder=keys.encoder, training=self.grid.training_of(keys.target))
            models.append(("target", Path(self.inputs.evaluated(keys)).parent, trained))
        if stage in ("evaluation", "target") and keys.intermediate != BASELINE:
            models.append(("intermediate", Path(self.inputs.started_from(keys)).parent, keys))
        return models

    # -- estimates -----------------------------------------------------------------------------------------------

    def _request(self, stage: str, keys: Any) -> Request:
        key = (stage, *(getattr(keys, name) for name in DEPENDS[stage]))
        if key not in self._requests:
            megabytes, seconds = self._estimates[stage](*key[1:])
            least = LEAST[stage]
            memory, minutes = megabytes * MEMORY_MARGIN, seconds * TIME_MARGIN / 60
            self._requests[key] = Request(max(least.mem_mb, memory), max(least.minutes, minutes), least.most)
        return self._requests[key]

    def _data(self, source: str, task: str, language: str, split: str) -> tuple[float, float]:
        """(MB, seconds) of a data file."""
        rows = self._rows(task, language, split)
        return 400 + rows * ROW_MB, rows * ROW_SECONDS

    def _encoder(self, name: str) -> tuple[float, float]:
        """(MB, seconds) of pretraining an encoder, or of reading and writing one."""
        shape = self._shapes[name]
        if name in self.grid.imported:
            return PROCESS_MB + shape.parameters * PREDICTION_BYTES / 1e6, 0.0
        encoder = self.grid.scratch[name]
        training, length = encoder.training, encoder.model.max_length
        rows = sum(self._rows(catalogue.TEXT, code, "train") for code in self.inputs.text(name))
        seconds = self._seconds(shape, training.steps, training.steps * training.batch_size * length, length)
        megabytes = self._training_mb(shape, training.batch_size * length, rows, shape.parameters)
        return megabytes, seconds + rows * ROW_SECONDS

    def _intermediate(self, encoder: str, name: str, mix: str) -> tuple[float, float]:
        """(MB, seconds) of an intermediate training."""
        tasks = self.grid.intermediate_tasks(name)
        rows = math.fsum(self._examples("intermediate", encoder, name, task, mix) for task in tasks)
        rows = self._with_additions(rows, mix)
        share = self.config.intermediate(name).mlm.share
        return self._training("intermediate", encoder, name, tasks, rows, 1 / (1 - share))

    def _target(self, encoder: str, training: str) -> tuple[float, float]:
        """(MB, seconds) of a target training."""
        name = self.grid.trainings[training][0]
        task, mix, data = self.grid.task(name).name, self.config.target(name).mix, self.grid.trained_on(name)
        rows = math.fsum(self._examples("target", encoder, name, part, mix) for part in data)
        shots = catalogue.shots_of(self.config, name, load_task(data[-1]))
        few = (self._rows(data[-1], code, "train") if count is None else count for code, count in shots.items())
        rows = self._with_additions(rows, mix) + sum(few)
        return self._training("target", encoder, name, [task], rows, 1.0)

    def _evaluation(self, encoder: str, name: str) -> tuple[float, float]:
        """(MB, seconds) of predictions in all languages of a target."""
        shape, task = self._shapes[encoder], self.grid.task(name).name
        settings = resolve(self.config, encoder, "target", name, [task])
        files = [*self.inputs.evaluation_files(name).values(), *self.inputs.support_files(name).values()]
        rows = [self._rows(task, language, split) for language, split in map(_language_and_split, files)]
        seconds = self._seconds(shape, 0, sum(rows) * settings.max_length / 3, settings.max_length)  # no way back
        process = GPU_PROCESS_MB if shape.parameters > LARGE else PROCESS_MB
        megabytes = process + shape.parameters * PREDICTION_BYTES / 1e6 + sum(rows) * ROW_MB
        return megabytes, seconds + sum(rows) * ROW_SECONDS

    def _training(
        self, phase: Phase, encoder: str, name: str, tasks: list[str], rows: float, factor: float
    ) -> tuple[float, float]:
        """(MB, seconds) of a fine-tuning on so many rows. factor: steps, in steps of the tasks."""
        shape, settings = self._shapes[encoder], resolve(self.config, encoder, phase, name, tasks)
        steps, length = factor * rows * settings.epochs / settings.batch_size, settings.max_length
        seconds = self._seconds(shape, steps, steps * settings.batch_size * length, length)
        trained = adapter_parameters(shape, settings.adapter) if settings.adapter else shape.parameters
        return self._training_mb(shape, settings.batch_size * length, rows, trained), seconds + rows * ROW_SECONDS

    def _training_mb(self, shape: Shape, tokens: float, rows: float, trained: int) -> float:
        """MB of a training's processes, each of which holds a model, and gradients and moments of what is trained.

        Beside a GPU there is room for the model as well, so that it finds room without one, but for what long inputs
        keep for the way back: about 20 numbers per hidden unit and layer, and the feed-forward's two.
        """
        activations = tokens * (20 * shape.hidden_size + 2 * shape.intermediate_size) * shape.layers * 4
        large = shape.parameters > LARGE
        weights = shape.parameters * WEIGHT_BYTES + trained * (TRAINING_BYTES - WEIGHT_BYTES)
        model = (weights + (0 if large else activations)) / 1e6 + rows * ROW_MB
        return self.config.processes * ((GPU_PROCESS_MB if large else PROCESS_MB) + model)

    def _seconds(self, shape: Shape, steps: float, tokens: float, length: float) -> float:
        """Of a training on inputs of at most `length` tokens. The way back costs twice the way there."""
        flops = GPU_FLOPS if shape.parameters > LARGE else CPU_FLOPS
        return steps * STEP_SECONDS + 3 * MEAN_LENGTH * tokens * shape.flops(length) / flops

    # -- amounts -------------------------------------------------------------------------------------------------

    def _examples(self, phase: Phase, encoder: str, name: str, task: str, mix: str | None) -> float:
        """Examples of one task of a training."""
        entry = task if phase == "intermediate" else self.grid.task(name).name
        if examples := examples_of(self.config, encoder, phase, name, entry):
            return examples
        codes = catalogue.mix_languages(self.config, mix, load_task(task)) if mix else [catalogue.ENGLISH]
        if mix and self.config.mixes[mix].translated:
            return len(codes) * self._rows(task, catalogue.ENGLISH, "train")
        return sum(self._rows(task, code, "train") for code in codes)

    def _with_additions(self, rows: float, mix: str | None) -> float:
        """Examples of a training, with those that a mix adds to English."""
        if mix is None or self.config.mixes[mix].budget == "matched":
            return rows
        weights = self.config.mixes[mix].weights
        english = weights.get(catalogue.ENGLISH)
        return rows * sum(weights.values()) / english if english else rows

    def _rows(self, task: str, language: str, split: str) -> int:
        """Rows of a data file, as far as the configuration or the task's file says it."""
        data = self.config.data
        limit = None if self.inputs.is_whole(task, split) else data.rows.of(task, split)
        parts = load_task(task).sources.parts(data.source_of(task)).get(language, {}).get(split, [])
        counts: list[Any] = [part.get("rows", part.get("unverified_rows")) for part in parts]
        unknown = WORLD_ROWS if data.source_of(task) == "world" else ROWS[split]
        rows = sum(counts) if parts and None not in counts else unknown
        return min(rows, limit) if limit else rows

    @cached_property
    def _shapes(self) -> dict[str, Shape]:
        """Encoder -> its shape; that of a large one where nobody knows."""
        table, shapes = known_shapes(), {}
        for name in self.grid.encoders:
            try:
                shapes[name] = shape_of(self.config, name, table)[0]
            except UserError:
                shapes[name] = UNKNOWN
        return shapes


def _language_and_split(path: str) -> tuple[str, str]:
    """Of results/data/{source}/{task}/{language}/{split}.parquet."""
    language, name = path.split("/")[-2:]
    return language, name.removesuffix(".parquet")


def _is_away(model: Path) -> bool:
    """Was the model made, and its weights deleted since?"""
    return (model / "manifest.json").is_file() and not (model / "model.safetensors").is_file()
