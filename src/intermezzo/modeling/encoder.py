"""Encoders: transformers' own model classes, read from and written to Hugging Face folders.

`Encoder` runs a packed batch through any of them: directly where the class takes our attention function, and
through a padded batch elsewhere, with equal results.
"""

from __future__ import annotations

import importlib.util
import logging
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from intermezzo.core.errors import UserError
from intermezzo.core.folders import whole_folder
from intermezzo.core.model_folders import missing_tokenizer, missing_weights
from intermezzo.modeling import architectures
from intermezzo.modeling.checks import UnfitError, check_length, check_states, check_tokenizer, check_type
from intermezzo.modeling.finite import not_finite
from intermezzo.modeling.folder import ENCODER, TOKENIZER, TOKENIZER_SETTINGS, check, write_manifest
from intermezzo.modeling.kernels import accelerate
from intermezzo.modeling.packing import Packed, ScatterRows

if TYPE_CHECKING:  # a change of it is none of those who load encoders
    from intermezzo.specs.importing import ImportSpec

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


def load_encoder(folder: Path, *, dropout: float | None = None, max_length: int = 0) -> Encoder:
    """Read an encoder from a model folder, checking its files against the folder's manifest.

    `dropout` replaces the hidden and attention dropout of the configuration. Raises UserError when weights,
    configuration or tokenizer are missing or not as the manifest says, when the weights are of another architecture
    than config.json says, and when the encoder cannot read inputs of `max_length` tokens.
    """
    check(folder, *ENCODER)
    config = AutoConfig.from_pretrained(folder)
    changes = architectures.settings(config, AutoModel._model_mapping[type(config)], dropout)
    model = _read(AutoModel, folder, {"local_files_only": True, **changes})
    check_length(model, max_length, folder)
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


def _read(kind: Any, place: str | Path, options: dict) -> PreTrainedModel:
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
    return model


def save_encoder(model: PreTrainedModel, tokenizer_from: Path, folder: Path) -> None:
    """Write weights, configuration and tokenizer in Hugging Face format."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    for name in (TOKENIZER, TOKENIZER_SETTINGS):
        if tokenizer_from != folder:
            shutil.copyfile(tokenizer_from / name, folder / name)


def environment() -> dict[str, str]:
    """What a model was made with, for its manifest: versions of the libraries that compute, and the device."""
    libraries = {name: version(name) for name in ("torch", "transformers", "tokenizers", "sentencepiece", "numpy")}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return libraries | {"python": platform.python_version(), "device": device}


def import_encoder(spec: ImportSpec, out: Path, code: str = "", *, max_length: int = 0) -> None:
    """Copy a pretrained encoder into `out`, and check that it works. max_length: tokens of the longest input to come.

    `spec.source` is a folder, package:MODULE/PATH (a model that an installed package carries) or the name of a model on
    the Hugging Face hub. Only safetensors weights are read, and no code of the model's repository is run. Raises
    UserError when there is no such model or no weights in it, when it is no encoder, when its tokenizer is missing or
    another model's, and when it cannot read inputs of `max_length` tokens.
    """
    place, hub = locate(spec.source, spec.revision)
    if isinstance(place, Path) and (missing := missing_weights(place)):
        raise UserError(f"encoder from '{spec.source}': {place} has {missing}")
    model, tokenizer = read_checkpoint(
        spec.source, place, hub | {"use_safetensors": True, "dtype": torch.float32}, max_length
    )
    with whole_folder(out) as part:
        tokenizer.save_pretrained(part)
        save_encoder(model, part, part)
        write_manifest(part, {"kind": "encoder", "spec": spec.as_json(), "code": code, "made_with": environment()})


def locate(source: str, revision: str | None) -> tuple[str | Path, dict[str, Any]]:
    """Where a model is: a folder, or its name on the hub; and the options with which transformers opens it.

    Raises UserError for a package that is not installed and a folder that is no model folder.
    """
    place: str | Path = source
    if source.startswith("package:"):
        module, _, inside = source.removeprefix("package:").partition("/")
        package = importlib.util.find_spec(module)
        if package is None or not package.submodule_search_locations:
            raise UserError(f"encoder from '{source}': package '{module}' is not installed (pip install {module})")
        place = Path(package.submodule_search_locations[0]) / inside
    if not Path(place).is_dir() and not isinstance(place, Path) and not source.startswith((".", "/")):
        return source, {"trust_remote_code": False, "revision": revision or "main"}
    if not (Path(place) / "config.json").is_file():
        raise UserError(f"encoder from '{source}': {place} has no config.json; is it a Hugging Face model folder?")
    return Path(place), {"trust_remote_code": False, "local_files_only": True}


def read_checkpoint(
    source: str, place: str | Path, options: dict[str, Any], max_length: int = 0
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model and the tokenizer at a `place`, checked. source: what a message calls it.

    With a masked-language-modelling head, if the checkpoint has one: it serves masked text later. Raises UserError.
    """
    of_weights = {"use_safetensors", "dtype", "weights_only"}
    common = {key: value for key, value in options.items() if key not in of_weights}
    try:
        config = AutoConfig.from_pretrained(place, **common)
        check_type(config)
        masked = any(name.endswith("ForMaskedLM") for name in config.architectures or ())
        model = _read(
            AutoModelForMaskedLM if masked else AutoModel, place, options | architectures.full_attention(config)
        )
        if culprit := not_finite(model.state_dict()):
            raise UnfitError(f"its weights are not finite numbers ({culprit}); take another model")
        if isinstance(place, Path) and (missing := missing_tokenizer(place)):
            raise UnfitError(f"{place} has {missing}")
        tokenizer = AutoTokenizer.from_pretrained(place, use_fast=True, **common)
        if not tokenizer.is_fast:
            raise UnfitError(f"a model of type '{config.model_type}' has no fast tokenizer (tokenizer.json)")
        check_tokenizer(tokenizer.backend_tokenizer, model.get_input_embeddings().weight.shape[0])
        check_length(model.base_model, max_length, f"'{source}'")
        check_states(Encoder(model.base_model), tokenizer.backend_tokenizer)
    except UnfitError as error:
        raise UserError(f"encoder from '{source}': {error}") from None
    except (OSError, ValueError, SafetensorError) as error:
        first = str(error).strip().splitlines()[0]
        raise UserError(
            f"encoder from '{source}' cannot be read: {first}\n  allowed: a Hugging Face model folder, "
            "package:MODULE/PATH, or a hub name (which needs the network once)"
        ) from None
    return model, tokenizer
