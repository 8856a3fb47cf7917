"""What a job costs: tokens, time, memory and disk, from the amounts of data and the rates of its encoder.

These are models: counts are exact where data is prepared, times come from a table of rates. `planning/durations.py`
corrects the times by those of jobs that have run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from intermezzo.config import catalogue
from intermezzo.config.sections.training import Finetuning
from intermezzo.config.settings import Phase, examples_of, resolve
from intermezzo.dag.encoder_size import Shape, shape_of
from intermezzo.dag.experiment import Grid
from intermezzo.dag.inputs import Inputs
from intermezzo.dag.paths import BASELINE, TRANSLATED
from intermezzo.mixing import ENGLISH, budget_of, shares
from intermezzo.planning.amounts import Amounts
from intermezzo.planning.jobs import Job
from intermezzo.planning.rates import BATCH, CPU, Rates
from intermezzo.planning.translators import translator
from intermezzo.tasks import load_task

LARGE = 50e6
"""Parameters from which on a GPU is taken for granted, where no device is named."""
GPU = "h200"
"""The GPU whose price is given, where none is named."""
START_SECONDS = 0.3
"""A job's own start, and reading and checking its inputs, where a fork server runs."""
ROW_SECONDS = 0.4e-3
"""Reading, tokenizing and writing one row."""
FROZEN_PASS = 1 / 6
"""Realignment: what the frozen copy's pass over the English half adds, in tokens of a training step (three passes)."""
OVERLAP_SECONDS = 0.06e-3
"""Reading a row and counting its words."""
FILE_BYTES_PER_SECOND = 3e8
"""Weights: reading, hashing and writing them."""
DOWNLOAD_BYTES_PER_SECOND = 2e7
PROCESS_MB = 480
"""A process that has imported torch and transformers."""
ALLOCATOR_MB = 250
"""What glibc keeps of what a training has once used (100 to 600 MB were seen with small models)."""
GPU_MB = 800
"""CUDA's own."""


@dataclass(frozen=True)
class Cost:
    """What a job costs.

    tokens: that go through the encoder. seconds: of the device. memory_mb: of the device, at the peak. disk_mb: what
    its files take at the end, without weights. weights_mb: the weights that it writes. basis: what the numbers rest on.
    """

    tokens: float
    seconds: float
    device: str
    memory_mb: float
    disk_mb: float
    weights_mb: float
    basis: frozenset[str]


class Costs:
    """The costs of the jobs of a grid."""

    def __init__(
        self,
        grid: Grid,
        amounts: Amounts,
        rates: Rates,
        device: str | None = None,
    ) -> None:
        """device: of trainings and predictions; None = a GPU for large encoders, the CPU for others."""
        self.grid, self.config, self.amounts, self.rates, self.device = grid, grid.config, amounts, rates, device
        self.inputs = Inputs(grid)
        self.shapes = {name: shape_of(self.config, name, rates.shapes) for name in grid.encoders}
        self._training = cache(self._training)
        self._prediction = cache(self._prediction)

    def cost(self, job: Job) -> Cost:
        """The cost of a job, without the correction by past jobs."""
        keys = job.keys
        if job.stage == "data":
            return self._data(job)
        if job.stage == "overlap":
            return self._overlap()
        if job.stage == "encoder":
            return self._encoder(keys.encoder)
        if job.stage == "intermediate":
            return self._training("intermediate", keys.encoder, keys.intermediate, keys.mix)
        if job.stage == "target":
            target = self.grid.trainings[keys.training][0]
            return self._training("target", keys.encoder, target, self.config.target(target).mix)
        if job.stage == "evaluation":
            return self._prediction(keys.encoder, keys.target)
        results = len(self.inputs.evaluation_paths())
        return Cost(0, START_SECONDS + 1 + results * 1e-3, CPU, 300 + results * 0.02, results * 2e-3, 0, frozenset())

    def device_of(self, encoder: str) -> str:
        """The device that trains and predicts with an encoder."""
        if self.device is not None:
            return self.device
        return GPU if self.shapes[encoder][0].parameters > LARGE else CPU

    # -- stages --------------------------------------------------------------------------------------------------

    def _data(self, job: Job) -> Cost:
        keys = job.keys
        rows = self.amounts.rows(keys.task, keys.language, keys.split, keys.source).rows
        per_row = {"world": 0.05e-3, "hub": 0.2e-3, "files": 0.1e-3, TRANSLATED: 0.3e-3}.get(
            keys.source, OVERLAP_SECONDS
        )
        seconds, basis = START_SECONDS / 2 + rows * per_row, frozenset[str]()
        if keys.source == "hub":
            seconds += 5 + rows * 300 / DOWNLOAD_BYTES_PER_SECOND
            basis = frozenset({"downloads: assumed 300 bytes a row and 20 MB/s"})
        if keys.source == TRANSLATED and self.config.translation.backend == "hub":
            return self._translation(keys.task, rows)
        return Cost(0, seconds, CPU, 400 + rows * 3e-3, rows * 80 / 1e6, 0, basis)

    def _translation(self, task: str, rows: int) -> Cost:
        """The translation of English training rows by a model."""
        settings = self.config.translation
        rows = min(rows, settings.examples or rows)
        size = self.amounts.size(task, ENGLISH, "train", next(iter(self.grid.encoders)), settings.max_length, 0)
        tokens, model = rows * size.tokens, translator(str(settings.model))
        seconds, disk_mb = START_SECONDS / 2 + rows * ROW_SECONDS, rows * 160 / 1e6
        if model is None:
            basis = f"translation: the size of {settings.model} is not known, so it has no price"
            return Cost(0, seconds, CPU, PROCESS_MB + rows * 3e-3, disk_mb, 0, frozenset({basis}))
        device = self.device or (GPU if model.parameters > LARGE else CPU)
        rate = self.rates.rate(model.encoder, device, "predict", self.grid.threads)
        seconds += model.seconds(tokens, settings.batch_size, settings.beams, rate) + _files(model.parameters)
        memory = GPU_MB if device != CPU else PROCESS_MB
        memory += model.parameters * 4 / 1e6 + rows * 3e-3
        basis = frozenset({f"translation, assumed from {rate.basis}", f"lengths: {size.basis}"})
        return Cost(2 * tokens, seconds, device, memory, disk_mb, 0, basis)

    def _overlap(self) -> Cost:
        """Of the search for test data in training data: every row is read and its words are counted."""
        paths = [*self.inputs.training_names(), *self.inputs.test_names()]
        keys = [path.removesuffix(".parquet").split("/")[-4:] for path in paths]
        amounts = [self.amounts.rows(task, language, split, source) for source, task, language, split in keys]
        rows, basis = [amount.rows for amount in amounts], frozenset(f"rows: {amount.basis}" for amount in amounts)
        megabytes = 300 + max(rows, default=0) * 3e-3
        return Cost(0, START_SECONDS / 2 + sum(rows) * OVERLAP_SECONDS, CPU, megabytes, 0.1, 0, basis)

    def _encoder(self, name: str) -> Cost:
        shape, origin = self.shapes[name]
        weights, tokenizer_mb = shape.parameters * 4 / 1e6, _tokenizer_mb(shape)
        if name in self.grid.imported:
            seconds = 10 + weights * 1e6 / DOWNLOAD_BYTES_PER_SECOND
            basis = frozenset({f"size of {name}: {origin}"})
            return Cost(0, seconds, CPU, PROCESS_MB + 2 * weights, tokenizer_mb, weights, basis)
        encoder = self.config.encoders[name]
        training, length = encoder.training, encoder.model.max_length
        task, languages = catalogue.TEXT, list(self.inputs.text(name))
        rows = {code: self.amounts.rows(task, code, "train").rows for code in languages}
        draws = {code: count**encoder.language_alpha for code, count in rows.items()}
        sizes = {code: self.amounts.size(task, code, "train", name, length, 0) for code in languages}
        per_text = sum(sizes[code].tokens * part for code, part in draws.items()) / sum(draws.values())
        tokens = training.steps * training.batch_size * per_text
        rate = self.rates.rate(shape, self.device_of(name), "train", self.grid.threads)
        head = 2 * encoder.mask_rate * shape.vocab_size * shape.hidden_size  # the softmax over all pieces
        seconds = rate.seconds(training.steps, tokens * (1 + head / shape.flops(per_text)))
        rows_all = sum(rows.values())
        seconds += START_SECONDS + rows_all * 2 * ROW_SECONDS + _files(2 * shape.parameters)
        memory = self._memory(shape, training.batch_size * per_text, self.device_of(name), train=True, rows=rows_all)
        basis = {rate.basis} | {f"lengths: {size.basis}" for size in sizes.values()}
        return Cost(tokens, seconds, self.device_of(name), memory, tokenizer_mb, weights, frozenset(basis))

    def _training(self, phase: Phase, encoder: str, name: str, mix: str | None) -> Cost:
        shape, _ = self.shapes[encoder]
        tasks = self.grid.intermediate_tasks(name) if phase == "intermediate" else self.grid.trained_on(name)
        own_tasks = tasks if phase == "intermediate" else [self.grid.task(name).name]
        settings = resolve(self.config, encoder, phase, name, own_tasks)
        parts = [self._part(phase, encoder, name, task, mix, settings) for task in tasks]
        tokens, steps, inputs, longest = 0.0, 0.0, 0.0, 0.0
        for part, features in zip(parts, self._shared(phase, name, parts, settings), strict=True):
            steps += -(-features // settings.batch_size)
            tokens += features * part.per_input
            inputs += part.inputs
            longest = max(longest, part.per_input)
        if phase == "intermediate" and (share := self.config.intermediate(name).mlm.share):
            extra = steps * share / (1 - share)
            text = self._text(encoder, name, mix, settings)
            steps, tokens = steps + extra, tokens + extra * settings.batch_size * text
        rate = self.rates.rate(shape, self.device_of(encoder), "train", self.grid.threads)
        seconds = START_SECONDS + rate.seconds(steps, tokens) + inputs * ROW_SECONDS + _files(3 * shape.parameters)
        memory = self._memory(shape, settings.batch_size * longest, self.device_of(encoder), train=True, rows=inputs)
        basis = frozenset({rate.basis, *(basis for part in parts for basis in part.basis)})
        weights = shape.parameters * 4 / 1e6
        return Cost(tokens, seconds, self.device_of(encoder), memory, _tokenizer_mb(shape), weights, basis)

    def _shared(self, phase: Phase, name: str, parts: list[_Part], settings: Finetuning) -> list[float]:
        """Inputs of each task over all epochs, as `intermezzo.training.finetune.plan` shares them."""
        if phase == "target":
            return [part.inputs * settings.epochs for part in parts]
        entry = self.config.intermediate(name)
        capped = [min(part.inputs, entry.cap or part.inputs) for part in parts]
        power = {"proportional": 1.0, "uniform": 0.0}.get(entry.sampling, 1.0 / entry.temperature)
        weights = [max(size, 1e-9) ** power for size in capped]
        total = sum(capped) * settings.epochs
        return [total * weight / sum(weights) for weight in weights]

    def _part(self, phase: Phase, encoder: str, name: str, task: str, mix: str | None, settings: Finetuning) -> _Part:
        """What one task gives to a training: its inputs in one epoch, and the tokens of one."""
        examples = examples_of(
            self.config, encoder, phase, name, task if phase == "intermediate" else self.grid.task(name).name
        )
        portions = catalogue.portions_of(self.config, mix, load_task(task)) if mix else [(ENGLISH, 1.0, [ENGLISH])]
        entry = self.config.mixes[mix] if mix else None
        languages = {code for _, _, codes in portions for code in codes}
        rows = {code: self._supply(task, code, mix) for code in languages}
        temperature = entry.temperature if entry else None
        weights = shares(portions, {code: amount.rows for code, amount in rows.items()}, temperature)
        budget = entry.budget if entry else "matched"
        if examples is None:
            examples = sum(rows[code].rows for code in (weights if budget == "matched" else (ENGLISH,)))
        total = budget_of(examples, weights, budget)
        parts = {ENGLISH: 1.0} if budget == "english_repeated" else weights
        whole = sum(parts.values())
        sizes = {
            code: self.amounts.size(task, code, "train", encoder, settings.max_length, settings.stride)
            for code in parts
        }
        if entry and entry.unit == "tokens":  # of the tokens of English-only training
            of_english = sizes[ENGLISH].tokens
            parts = {code: part * of_english / max(1e-9, sizes[code].tokens) for code, part in parts.items()}
            total = round(total * sum(parts.values()) / whole)
            whole = sum(parts.values())
        inputs = total * sum(sizes[code].inputs * part for code, part in parts.items()) / whole
        tokens = total * sum(sizes[code].tokens * part for code, part in parts.items()) / whole
        shots = catalogue.shots_of(self.config, name, load_task(task)) if phase == "target" else {}
        for code, count in shots.items() if shots and task == self.grid.trained_on(name)[-1] else ():
            size = self.amounts.size(task, code, "train", encoder, settings.max_length, settings.stride)
            total, inputs, tokens = total + count, inputs + count * size.inputs, tokens + count * size.tokens
        align = self.config.intermediate(name).align if phase == "intermediate" else None
        aligned = align is not None and align.task == task
        if load_task(task).form.one_feature or aligned:
            inputs = float(total)
        if aligned and align.regulariser:
            tokens *= 1 + FROZEN_PASS
        basis = {f"lengths: {size.basis}" for size in sizes.values()} | {
            f"rows: {amount.basis}" for amount in rows.values()
        }
        return _Part(inputs, tokens / max(inputs, 1e-9), frozenset(basis))

    def _supply(self, task: str, language: str, mix: str | None) -> Any:
        translated = mix is not None and self.config.mixes[mix].translated and language != ENGLISH
        return self.amounts.rows(task, language, "train", "translated" if translated else None)

    def _text(self, encoder: str, name: str, mix: str | None, settings: Finetuning) -> float:
        """Tokens of a text of continued masked language modelling; languages share it evenly."""
        task = self.config.intermediate(name).mlm.task
        sizes = [
            self.amounts.size(task, code, "train", encoder, settings.max_length, settings.stride).tokens
            for code in self.inputs.continued_mlm_text(name, mix or BASELINE)
        ]
        return sum(sizes) / max(1, len(sizes))

    def _prediction(self, encoder: str, target: str) -> Cost:
        shape, _ = self.shapes[encoder]
        task = self.grid.task(target)
        settings = resolve(self.config, encoder, "target", target, [task.name])
        split = self.config.data.evaluation_split
        splits = [(code, split) for code in self.grid.languages(target)]
        splits += [(code, "dev") for code in self.grid.development(target)]
        results = list(splits)
        splits += catalogue.support_data(self.config, task)
        tokens, rows, basis = 0.0, 0, set[str]()
        for code, part in splits:
            amount = self.amounts.rows(task.name, code, part)
            size = self.amounts.size(task.name, code, part, encoder, settings.max_length, settings.stride)
            tokens, rows = tokens + amount.rows * size.tokens, rows + amount.rows
            basis |= {f"lengths: {size.basis}", f"rows: {amount.basis}"}
        rate = self.rates.rate(shape, self.device_of(encoder), "predict", self.grid.threads)
        seconds = (
            START_SECONDS + rate.seconds(tokens / BATCH, tokens) + rows * ROW_SECONDS + _files(2 * shape.parameters)
        )
        memory = self._memory(shape, BATCH, self.device_of(encoder), train=False, rows=rows)
        predictions = sum(self.amounts.rows(task.name, code, part).rows for code, part in results)
        disk_mb = (predictions * 30 + len(results) * 2500) / 1e6
        return Cost(tokens, seconds, self.device_of(encoder), memory, disk_mb, 0, frozenset({*basis, rate.basis}))

    def _memory(self, shape: Shape, tokens: float, device: str, *, train: bool, rows: float) -> float:
        """MB on a CPU, or of a GPU's own memory.

        Training: weights, gradients and AdamW's two moments, and what a step of so many tokens keeps for the way back
        (about 20 numbers per hidden unit and layer, and the feed-forward's two; half as long on a GPU). Prediction: the
        weights and one layer or two.
        """
        numbers = (20 * shape.hidden_size + 2 * shape.intermediate_size) * (shape.layers if train else 2)
        model = shape.parameters * (16 if train else 4)
        if device != CPU:
            return GPU_MB + (model + tokens * numbers * 2) / 1e6
        return PROCESS_MB + train * ALLOCATOR_MB + (model + tokens * numbers * 4 + rows * 4000) / 1e6


@dataclass(frozen=True)
class _Part:
    """What one task gives to a training: inputs of one epoch, and tokens per input."""

    inputs: float
    per_input: float
    basis: frozenset[str]


def _files(parameters: float) -> float:
    return parameters * 4 / FILE_BYTES_PER_SECOND


def _tokenizer_mb(shape: Shape) -> float:
    """tokenizer.json, and what is small."""
    return shape.vocab_size * 70 / 1e6 + 0.05
