"""Predictions of a model: length-sorted batches of a fixed number of tokens, in inference mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from intermezzo.errors import UserError
from intermezzo.modeling.encoder import load_encoder
from intermezzo.modeling.formats import Feature, format_module
from intermezzo.modeling.packing import Packed, pack
from intermezzo.modeling.pooling import pool
from intermezzo.modeling.tokenizer import load_tokenizer
from intermezzo.tasks.controls import remove_input
from intermezzo.training.loop import device, use_threads

TOKENS = 2048
"""Tokens per prediction batch: small batches of similar length beat big ones on a CPU (its cache)."""


def predictor(spec: dict[str, Any], model: Path) -> Callable[[list[dict]], list[Any]]:
    """A function from rows to one prediction per row, with `model` loaded once."""
    use_threads(spec["threads"])
    encoder = load_encoder(model).to(device()).eval()
    tokenizer = load_tokenizer(model)
    task, settings = spec["task"], spec | {"dropout": 0.0}
    module = format_module(task["format"])
    if task["format"] == "retrieval":
        return lambda rows: _retrieve(rows, module, encoder, tokenizer, settings)
    head = module.Head(encoder.hidden_size, task, settings)
    weights = load_file(model / "heads.safetensors")
    prefix = f"{task['name']}."
    own = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
    if not own:
        raise UserError(f"{model}: no head for task '{task['name']}' in heads.safetensors")
    head.load_state_dict(own)
    head.to(device()).eval()
    removed = task["partial_input"]

    def predict(rows: list[dict]) -> list[Any]:
        shown = remove_input(rows, task["format"], removed) if removed else rows
        features = module.encode(shown, tokenizer, task | {"alone": bool(removed)}, settings)
        pieces = []
        for batch, packed in _batches(features):
            outputs = head(encoder(packed), packed)
            pieces += zip(batch, module.decode(head, outputs, batch), strict=True)
        return module.join(pieces, shown)

    return torch.inference_mode()(predict)


def _batches(features: list[Feature]) -> Iterator[tuple[list[Feature], Packed]]:
    """Features by length, cut wherever the next one would pass TOKENS."""
    batch: list[Feature] = []
    used = 0
    for feature in [*sorted(features, key=lambda f: f.tokens), None]:
        if batch and (feature is None or used + feature.tokens > TOKENS):
            packed = pack([s for f in batch for s in f.sequences], [t for f in batch for t in f.types])
            yield batch, packed.to(device())
            batch, used = [], 0
        if feature is not None:
            batch.append(feature)
            used += feature.tokens


@torch.inference_mode()
def _retrieve(rows: list[dict], module: Any, encoder: Any, tokenizer: Any, settings: dict[str, Any]) -> list[int]:
    """For each English sentence (text_pair) the index of the nearest sentence of the language (XTREME's direction)."""

    def embed(texts: list[str]) -> torch.Tensor:
        vectors: dict[int, torch.Tensor] = {}
        for batch, packed in _batches(module.encode(texts, tokenizer, settings)):
            pooled = pool(encoder(packed, settings["layer"]), packed, settings["pooling"])
            vectors |= {feature.row: vector for feature, vector in zip(batch, pooled, strict=True)}
        return torch.stack([vectors[i] for i in range(len(texts))])

    foreign, english = embed([row["text"] for row in rows]), embed([row["text_pair"] for row in rows])
    return module.nearest(english, foreign, center=settings["center"])
