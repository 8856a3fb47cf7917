"""Predictions of a model: length-sorted batches of a fixed number of tokens, in inference mode.

The encoder computes in the precision of training (bfloat16 on a GPU that has it), pooling and heads in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file

from intermezzo.core.artifacts import read_json
from intermezzo.core.errors import UserError
from intermezzo.evaluation.prediction_batches import PredictionBatches, on_host
from intermezzo.modeling.encoder import Encoder, load_encoder
from intermezzo.modeling.heads import Feature, format_module, full, on, reads
from intermezzo.modeling.packing import Packed
from intermezzo.modeling.pooling import pool, pooled_tokens
from intermezzo.modeling.tokens import Tokens
from intermezzo.tasks.controls import remove_input
from intermezzo.training.hardware import autocast, device, use_threads

ROWS = 8192
"""Candidates that are read and embedded at a time."""

Predict = Callable[[list[dict], str], list[Any]]


def predictor(
    spec: dict[str, Any], model: Path, support: dict[str, Path] | None = None, cache: Path | None = None
) -> Predict:
    """A function from rows and their language to one prediction per row, with `model` loaded once.

    support: language -> Parquet. Mining tunes its threshold on that language's dev data; ranking searches in the
    candidates of all languages given, which are embedded once. cache: folder of tokenised rows; without it every call
    tokenises. spec: task, max_length, stride, threads, pooling (and layer, center), and optionally precision (as in
    training). What a prediction is depends on the format: a label, the index of a choice or of a sentence, tags, an
    answer, the id of a translation or None, ids of candidates.
    Raises UserError for a model without this task's head or labels, a layer that it lacks, and missing support.
    """
    use_threads(spec["threads"])
    fmt = spec["task"]["format"]
    if fmt in ("retrieval", "mining"):
        return {"retrieval": _retrieval, "mining": _mining}[fmt](spec, _Sentences(spec, model, cache), support or {})
    predict = _Headed(spec, model, cache)
    return _ranking(predict, support or {}) if fmt == "ranking" else lambda rows, language: predict(rows)


class _Headed:
    """Predictions by a task's trained head."""

    def __init__(self, spec: dict[str, Any], model: Path, cache: Path | None = None) -> None:
        self.task, self.settings = _with_labels(spec["task"], model), spec | {"dropout": 0.0}
        self.module = format_module(self.task["format"])
        self.encoder, self.tokens = _read(spec, model), Tokens(model, cache)
        self.batches = PredictionBatches()
        self.head = self.module.Head(self.encoder.hidden_size, self.task, self.settings)
        prefix, weights = f"{self.task['name']}.", load_file(model / "heads.safetensors")
        own = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
        if not own:
            raise UserError(f"{model}: no head for task '{self.task['name']}' in heads.safetensors")
        try:
            self.head.load_state_dict(own)
        except RuntimeError:
            raise UserError(
                f"{model}: its head for task '{self.task['name']}' has another shape than the task or the settings ask "
                "for (labels, pooling); train it with these, or evaluate with those of its manifest.json"
            ) from None
        self.head.to(device()).eval()

    @torch.inference_mode()
    def __call__(self, rows: list[dict]) -> Any:
        """One prediction per row; for ranking, vectors (n, H)."""
        removed = self.task["partial_input"]
        shown = remove_input(rows, self.task["format"], removed) if removed else rows
        features = self.tokens.encode(self.module, shown, self.task | {"alone": bool(removed)}, self.settings)
        pieces: list[tuple[Feature, Any]] = []
        outputs = self.batches.outputs(features, self._made)
        for batch, made in outputs if self.task["format"] == "ranking" else on_host(outputs):
            pieces += zip(batch, self.module.decode(self.head, made, batch), strict=True)
        return self.module.join(pieces, shown)

    def _made(self, packed: Packed, features: list[Feature]) -> Any:
        return self.head(self._states(packed, reads(self.head, features, packed)), packed)

    def _states(self, packed: Packed, rows: torch.Tensor | None = None) -> torch.Tensor:
        with autocast(self.settings):
            states = self.encoder(packed, rows=rows)
        return full(states)


def _read(spec: dict[str, Any], model: Path) -> Encoder:
    return load_encoder(model, max_length=spec["max_length"]).to(device()).eval()


def _with_labels(task: dict[str, Any], model: Path) -> dict[str, Any]:
    """The task with the labels that the model was trained with, where those come from its training data."""
    if task["labels"] != "from_data":
        return task
    labels = read_json(model / "manifest.json").get("labels", {}).get(task["name"])
    if not labels:
        raise UserError(f"{model}/manifest.json: no labels of task '{task['name']}'; delete the folder and train again")
    return task | {"labels": labels}


class _Sentences:
    """Sentence vectors read off an encoder: `layer` and `pooling` of the specification."""

    def __init__(self, spec: dict[str, Any], model: Path, cache: Path | None = None) -> None:
        self.settings, self.module = spec, format_module(spec["task"]["format"])
        self.encoder, self.tokens = _read(spec, model), Tokens(model, cache)
        self.batches = PredictionBatches()
        layers = self.encoder.config.num_hidden_layers
        if not 0 <= spec["layer"] <= layers:
            raise UserError(
                f"task '{spec['task']['name']}': retrieval layer {spec['layer']}, but the encoder has {layers}; "
                f"allowed: 0 (embeddings) to {layers}"
            )

    @torch.inference_mode()
    def __call__(self, texts: list[str]) -> torch.Tensor:
        """(n, d) float32."""
        settings = self.settings
        vectors: torch.Tensor | None = None
        for batch, pooled in self.batches.outputs(self.tokens.encode(self.module, texts, {}, settings), self._pooled):
            if vectors is None:
                vectors = torch.empty(len(texts), pooled.shape[1], device=pooled.device)
            vectors[on(pooled.device, [feature.row for feature in batch])] = pooled
        if vectors is None:
            raise ValueError("no texts to embed")
        return vectors

    def _pooled(self, packed: Packed, features: list[Feature]) -> torch.Tensor:
        layer, pooling = self.settings["layer"], self.settings["pooling"]
        with autocast(self.settings):
            states = self.encoder(packed, layer, pooled_tokens(packed, pooling))
        return pool(full(states), packed, pooling).float()


def _retrieval(spec: dict[str, Any], embed: Callable[[list[str]], torch.Tensor], support: dict[str, Path]) -> Predict:
    """For each English sentence (text_pair) the index of the nearest sentence of the language (XTREME's direction)."""
    nearest = format_module("retrieval").nearest

    def predict(rows: list[dict], language: str) -> list[int]:
        foreign, english = embed([row["text"] for row in rows]), embed([row["text_pair"] for row in rows])
        return nearest(english, foreign, center=spec["center"])

    return predict


def _mining(spec: dict[str, Any], embed: Callable[[list[str]], torch.Tensor], support: dict[str, Path]) -> Predict:
    """For each foreign row the id of the English row mined for it, at the threshold that is best on dev, or None."""
    module = format_module("mining")

    def predict(rows: list[dict], language: str) -> list[str | None]:
        _need(support, language, "dev data to tune the threshold on")
        dev = pq.read_table(support[language]).to_pylist()
        gold = {(row["id"], row["pair"]) for row in dev if row["pair"] is not None}
        threshold = module.best_threshold(*module.mine_rows(dev, embed, center=spec["center"]), gold)
        scores, pairs = module.mine_rows(rows, embed, center=spec["center"])
        mined = dict(pair for score, pair in zip(scores, pairs, strict=True) if score >= threshold)
        return [mined.get(row["id"]) if row["side"] == "foreign" else None for row in rows]

    return predict


def _ranking(embed: Callable[[list[dict]], torch.Tensor], support: dict[str, Path]) -> Predict:
    """For each query the ids of the best candidates of the pool, best first."""
    module = format_module("ranking")
    index: list[tuple[pa.Array, np.ndarray]] = []

    def predict(rows: list[dict], language: str) -> list[list[str]]:
        if not index:
            index.append(_index(embed, support))
        ids, vectors = index[0]
        best = module.best(embed(rows), vectors)
        return [ids.take(pa.array(row)).to_pylist() for row in best]

    return predict


def _index(embed: Callable[[list[dict]], torch.Tensor], support: dict[str, Path]) -> tuple[pa.Array, np.ndarray]:
    """Ids and vectors (m, d) float32 of all candidates, files in the order given: beside them, ROWS rows in memory."""
    if not support:
        raise UserError("ranking: no candidates to search in; a ranking task needs data of the split 'candidates'")
    vectors, ids, at = np.empty((0, 0), np.float32), [], 0
    size = sum(pq.read_metadata(path).num_rows for path in support.values())
    for path in support.values():
        for part in pq.ParquetFile(path).iter_batches(ROWS):
            made = embed(part.to_pylist()).cpu().numpy()
            if not at:
                vectors = np.empty((size, made.shape[1]), np.float32)
            vectors[at : at + len(made)] = made
            ids.append(part.column("id"))
            at += len(made)
    names = pa.concat_arrays(ids)
    if (distinct := pc.count_distinct(names).as_py()) < size:
        files = ", ".join(map(str, support.values()))
        raise UserError(f"ranking: {size} candidates with {distinct} different ids; they must be unique over {files}")
    return names, vectors


def _need(support: dict[str, Path], language: str, what: str) -> None:
    if language not in support:
        raise UserError(f"language '{language}': no {what}; there is some for: {', '.join(support) or 'none'}")
