"""Encoders: transformers' own model classes, read from and written to Hugging Face folders.

`Encoder` runs a packed batch through any of them: directly where the class takes our attention function, and
through a padded batch elsewhere, with equal results.
"""

from __future__ import annotations

import logging
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers.utils import logging as transformers_logging

from intermezzo.core.errors import UserError
from intermezzo.modeling import adapters, architectures
from intermezzo.modeling.checks import check_length
from intermezzo.modeling.folder import (
    ADAPTER,
    ADAPTER_SETTINGS,
    ENCODER,
    TOKENIZER,
    TOKENIZER_SETTINGS,
    check,
    has_adapter,
    start_of,
)
from intermezzo.modeling.kernels import accelerate
from intermezzo.modeling.packing import Packed, ScatterRows

log = logging.getLogger(__name__)

MAX_SPARSE_SHARE = 0.75
"""Up to this share of the tokens the last layer is computed for these alone; above it, that would save too little."""


class Encoder(nn.Module):
    """An encoder that maps a packed batch to hidden states (T, hidden size).

    packs: whether the model class takes packed batches; another one computes a padded batch. typed: whether the model
    has token types.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model
        self.config = model.config
        module = architectures.PACKED.get(model.config.model_type)
        self.packs = module is not None and module.packs(model)
        self.typed = getattr(model.config, "type_vocab_size", 0) > 1
        if self.packs:
            module.prepare(model)
        accelerate(model)

    @property
    def hidden_size(self) -> int:
        """Width of the hidden states."""
        return self.config.hidden_size

    @property
    def padding(self) -> int:
        """Id of the token that fills padded batches."""
        return getattr(self.config, "pad_token_id", None) or 0

    def forward(self, batch: Packed, layer: int | None = None, rows: torch.Tensor | None = None) -> torch.Tensor:
        """Hidden states (T, hidden size) after `layer` (0 = embeddings; None = the last one).

        rows: int64 (R,), all different, the tokens whose states will be read (None or empty = all of them): what
        others have is not to be read. Layers after `layer` are not computed, nor, where `rows` are few, what the
        last one does token by token at other tokens. States that are read, and gradients, are the same either way.
        """
        if self.packs:
            total = len(batch.tokens)
            if rows is not None and (layer == 0 or not 0 < len(rows) <= MAX_SPARSE_SHARE * total):
                rows = None
            states = architectures.PACKED[self.config.model_type].states(self.model, batch, layer, rows)
            return states if rows is None else ScatterRows.apply(states, rows, total)
        if self.config.model_type in architectures.UNPADDED:
            return self._by_length(batch, layer)
        return self._padded(batch, layer)

    def _padded(self, batch: Packed, layer: int | None) -> torch.Tensor:
        """States (T, H) of a type that does not pack, computed with padding."""
        inputs = {
            "input_ids": batch.padded(batch.tokens).masked_fill(~batch.mask, self.padding),
            "attention_mask": batch.mask.long(),
        }
        if self.typed:
            inputs["token_type_ids"] = batch.padded(batch.types) * batch.mask
        states = self._transformers(inputs, layer)
        flat = torch.empty(len(batch.tokens), self.hidden_size, dtype=states.dtype, device=batch.tokens.device)
        return flat.index_copy(0, batch.cells[batch.mask], states[batch.mask])

    def _by_length(self, batch: Packed, layer: int | None) -> torch.Tensor:
        """States (T, H) of a type that must see no padding: sequences of equal length are neighbours in the layout."""
        sizes = [count * length for count, length in batch.runs]
        parts = []
        for run, tokens, types in zip(batch.runs, batch.tokens.split(sizes), batch.types.split(sizes), strict=True):
            inputs = {"input_ids": tokens.view(run), "attention_mask": torch.ones_like(tokens.view(run))}
            if self.typed:
                inputs["token_type_ids"] = types.view(run)
            parts.append(self._transformers(inputs, layer).flatten(0, 1))
        return torch.cat(parts)

    def _transformers(self, inputs: dict[str, torch.Tensor], layer: int | None) -> torch.Tensor:
        """States (N, S, H) by the model's own code."""
        device = inputs["input_ids"].device.type
        full = self.config.model_type in architectures.FULL_PRECISION
        with torch.autocast(device, enabled=False) if full else nullcontext():
            if layer is None:
                return self.model(**inputs).last_hidden_state
            return self.model(**inputs, output_hidden_states=True).hidden_states[layer]


def load_encoder(folder: Path, *, dropout: float | None = None, max_length: int = 0, stacked: bool = False) -> Encoder:
    """Read an encoder from a model folder, checking its files against the folder's manifest.

    `dropout` replaces the hidden and attention dropout of the configuration. Adapters are merged into the weights;
    stacked: they stay beside them. Raises UserError when weights, configuration or tokenizer are missing or not as the
    manifest says, when the weights are of another architecture than config.json says, and when the encoder cannot read
    inputs of `max_length` tokens.
    """
    with_adapters: list[Path] = []
    while has_adapter(folder):
        check(folder, *ENCODER, ADAPTER, ADAPTER_SETTINGS)
        with_adapters.insert(0, folder)
        folder = start_of(folder)
    check(folder, *ENCODER)
    config = AutoConfig.from_pretrained(folder)
    changes = architectures.settings(config, AutoModel._model_mapping[type(config)], dropout)
    model = read_model(AutoModel, folder, {"local_files_only": True, **changes})
    check_length(model, max_length, folder)
    adapters.read(model, with_adapters, stacked=stacked)
    if config.model_type in architectures.UNPADDED:
        log.info(
            "the states of an encoder of type '%s' depend on padding: sentences of one length are computed together, "
            "without any, which is slower", config.model_type,
        )  # fmt: skip
    return Encoder(model)


@contextmanager
def quietly() -> Iterator[None]:
    """Keep transformers from reporting what is missing in a checkpoint."""
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)


def read_model(kind: Any, place: str | Path, options: dict) -> PreTrainedModel:
    """`from_pretrained` that does not make up weights: transformers fills what a checkpoint lacks with random numbers.

    Raises UserError when weights are missing (but those of a pooler, which nothing here uses) or of another shape.
    """
    with quietly():  # no report of what is missing: that is checked below
        model, info = kind.from_pretrained(place, output_loading_info=True, ignore_mismatched_sizes=True, **options)
    missing = sorted(name for name in info["missing_keys"] if "pooler" not in name)
    if missing or info["mismatched_keys"]:
        problem = f"{len(missing)} weights are missing" if missing else "weights have other shapes"
        names = [*missing, *(key if isinstance(key, str) else key[0] for key in info["mismatched_keys"])]
        raise UserError(
            f"{place}: the checkpoint is of another architecture than its config.json ({model.config.model_type}): "
            f"{problem}, {names[0]} for one"
        )
    with torch.no_grad():
        for name in info["missing_keys"]:
            model.get_parameter(name).zero_()  # of a pooler: random numbers would make every import another one
    return model


def save_encoder(model: PreTrainedModel, tokenizer_from: Path, folder: Path) -> None:
    """Write weights, configuration and tokenizer in Hugging Face format."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    copy_tokenizer(tokenizer_from, folder)


def copy_tokenizer(start: Path, folder: Path) -> None:
    """Copy the tokenizer of a model folder into another one."""
    for name in (TOKENIZER, TOKENIZER_SETTINGS):
        if start != folder:
            shutil.copyfile(start / name, folder / name)


def environment() -> dict[str, str]:
    """What a model was made with, for its manifest: versions of the libraries that compute, and the device."""
    libraries = {name: version(name) for name in ("torch", "transformers", "tokenizers", "sentencepiece", "numpy")}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return libraries | {"python": platform.python_version(), "device": device}
