"""Predictions of a model: length-sorted batches of a fixed number of tokens, in inference mode.

The encoder computes in the precision of training, pooling and heads in float32. What a format makes of outputs or
vectors is in its head module (`intermezzo.modeling.heads`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file

from intermezzo.core.errors import UserError
from intermezzo.evaluation.prediction_batches import PredictionBatches, on_host
from intermezzo.modeling.encoder import Encoder, load_encoder
from intermezzo.modeling.folder import HEADS, MANIFEST, check, damaged, read_manifest
from intermezzo.modeling.heads import (
    Feature,
    Predict,
    format_module,
    positions_needed,
    row_by_row,
    to_device,
    to_float32,
)
from intermezzo.modeling.kernels import fixed_weights
from intermezzo.modeling.packing import Packed
from intermezzo.modeling.pooling import pool, pooled_tokens
from intermezzo.modeling.tokens import Tokens
from intermezzo.specs.prediction import PredictionSpec
from intermezzo.specs.tasks import TaskSpec
from intermezzo.tasks.controls import remove_input
from intermezzo.tasks.formats import FROM_DATA
from intermezzo.training.hardware import computing, device, record, resolve, use_threads


class Predictor(NamedTuple):
    """A function from rows and their language to one prediction per row, and what it is recorded with."""

    predict: Predict
    computed: dict[str, str]
    """As of `intermezzo.training.hardware.record`."""

    def __call__(self, rows: list[dict], language: str) -> list[Any]:
        return self.predict(rows, language)


def predictor(
    spec: PredictionSpec, model: Path, support: dict[str, Path] | None = None, cache: Path | None = None
) -> Predictor:
    """A function from rows and their language to one prediction per row, with `model` loaded once.

    support: language -> Parquet. Mining tunes its threshold on that language's dev data; ranking searches in the
    candidates of all languages given, which are embedded once. cache: folder of tokenised rows; without it every call
    tokenises. What a prediction is depends on the format: a label, the index of a choice or of a sentence, tags, an
    answer, the id of a translation or None, ids of candidates.
    Raises UserError for a model without this task's head or labels, a layer that it lacks, and missing support.
    """
    use_threads(spec.threads)
    module = format_module(spec.task.format)
    read: Any = (_Headed if hasattr(module, "Head") else _Sentences)(spec, model, cache)
    predict = getattr(module, "predictor", row_by_row)(read, spec, support or {})
    return Predictor(predict, record(read.precision))


class _Headed:
    """Predictions by a task's trained head."""

    def __init__(self, spec: PredictionSpec, model: Path, cache: Path | None = None) -> None:
        self.spec, self.model = spec.replace(task=_with_labels(spec, model)), model
        self.task, self.module = self.spec.task, format_module(spec.task.format)
        self.encoder, self.tokens = _load(spec, model), Tokens(model, cache)
        self.precision = resolve(spec.precision, self.encoder.hidden_size)
        self.batches = PredictionBatches()
        self.head = self.module.Head(self.encoder.hidden_size, self.task.head_spec(spec.pooling))
        prefix, weights = f"{spec.head_name}.", _heads(model)
        state = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
        if not state:
            raise UserError(
                f"{model}: no head for task '{self.task.name}' ('{spec.head_name}'); evaluate a model that was "
                "trained on it"
            )
        try:
            self.head.load_state_dict(state)
        except RuntimeError:
            raise UserError(
                f"{model}: its head for task '{self.task.name}' has another shape than the task or the settings ask "
                "for (labels, pooling); train it with these, or evaluate with those of its manifest.json"
            ) from None
        self.head.to(device()).eval()

    @torch.inference_mode()
    @fixed_weights()
    def __call__(self, rows: list[dict]) -> Any:
        """One prediction per row; for ranking, vectors (n, H)."""
        removed = self.task.partial_input
        shown = remove_input(rows, self.task.format, removed) if removed else rows
        features = self.tokens.encode(self.module, shown, self.spec.encoding)
        pieces: list[tuple[Feature, Any]] = []
        largest: list[torch.Tensor] = []
        outputs = self.batches.outputs(features, self._apply)
        for batch, output in outputs if getattr(self.head, "decodes_on_device", False) else on_host(outputs):
            largest.append((output[0] if isinstance(output, tuple) else output).amax())
            pieces += zip(batch, self.module.decode(self.head, output, batch), strict=True)
        _check_numbers(self.model, self.task, largest)
        return self.module.join(pieces, shown)

    def _apply(self, packed: Packed, features: list[Feature]) -> Any:
        return self.head(self._states(packed, positions_needed(self.head, features, packed)), packed)

    def _states(self, packed: Packed, rows: torch.Tensor | None = None) -> torch.Tensor:
        with computing(self.precision):
            states = self.encoder(packed, rows=rows)
        return to_float32(states)


def _load(spec: PredictionSpec, model: Path) -> Encoder:
    return load_encoder(model, max_length=spec.max_length).to(device()).eval()


def _check_numbers(model: Path, task: TaskSpec, largest: list[torch.Tensor]) -> None:
    """Raise UserError where outputs of the model are not finite. largest: of each batch; it is NaN where one is.

    Looked at once, at the end: no batch waits for it. An output of minus infinity is a place that is masked.
    """
    if largest and not torch.stack(largest).isfinite().all():
        raise UserError(
            f"{model}: its outputs for task '{task.name}' are not finite numbers: its weights are too large; "
            "lower the learning_rate of its training"
        )


def _heads(model: Path) -> dict[str, torch.Tensor]:
    """The weights of all heads of a model folder, if they are those of its manifest; none of an encoder."""
    if HEADS not in read_manifest(model)["files"]:
        return {}
    check(model, HEADS)
    return load_file(model / HEADS)


def _with_labels(spec: PredictionSpec, model: Path) -> TaskSpec:
    """The task with the labels that the model was trained with, where those come from its training data."""
    task = spec.task
    if task.labels != FROM_DATA:
        return task
    labels = read_manifest(model).get("labels", {}).get(spec.head_name)
    if not labels:
        raise damaged(model / MANIFEST, f"no labels of task '{spec.head_name}'")
    return task.replace(labels=tuple(labels))


class _Sentences:
    """Sentence vectors read off an encoder: `layer` and `pooling` of the specification."""

    def __init__(self, spec: PredictionSpec, model: Path, cache: Path | None = None) -> None:
        self.spec, self.model, self.module = spec, model, format_module(spec.task.format)
        self.encoder, self.tokens = _load(spec, model), Tokens(model, cache)
        self.precision = resolve(spec.precision, self.encoder.hidden_size)
        self.batches = PredictionBatches()
        layers = self.encoder.config.num_hidden_layers
        if spec.layer is None or spec.layer > layers:
            raise UserError(
                f"task '{spec.task.name}': retrieval layer {spec.layer}, but the encoder has {layers}; "
                f"allowed: 0 (embeddings) to {layers}"
            )

    @torch.inference_mode()
    @fixed_weights()
    def __call__(self, texts: list[str]) -> torch.Tensor:
        """(n, d) float32."""
        read = [self.spec.prefix + text for text in texts] if self.spec.prefix else texts
        features = self.tokens.encode(self.module, read, self.spec.encoding)
        vectors: torch.Tensor | None = None
        for batch, pooled in self.batches.outputs(features, self._pooled):
            if vectors is None:
                vectors = torch.empty(len(texts), pooled.shape[1], device=pooled.device)
            vectors[to_device(pooled.device, [feature.row for feature in batch])] = pooled
        if vectors is None:
            raise ValueError("no texts to embed")
        _check_numbers(self.model, self.spec.task, [vectors.amax()])
        return vectors

    def _pooled(self, packed: Packed, features: list[Feature]) -> torch.Tensor:
        layer, pooling = self.spec.layer, self.spec.pooling
        with computing(self.precision):
            states = self.encoder(packed, layer, pooled_tokens(packed, pooling))
        return pool(to_float32(states), packed, pooling).float()
