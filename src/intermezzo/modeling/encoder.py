"""Encoders: transformers' own model classes, read from and written to Hugging Face folders.

`Encoder` runs a packed batch through any of them: directly where the class takes our attention function, and
through a padded batch elsewhere, with equal results.
"""

from __future__ import annotations

import importlib.util
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, AutoTokenizer, PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)
from transformers.utils import logging as transformers_logging

from intermezzo.core.errors import UserError
from intermezzo.core.folders import whole_folder
from intermezzo.modeling.finite import not_finite
from intermezzo.modeling.folder import ENCODER, TOKENIZER, TOKENIZER_SETTINGS, check, write_manifest
from intermezzo.modeling.kernels import accelerate
from intermezzo.modeling.packing import GatherRows, Packed, ScatterRows, packed_attention

if TYPE_CHECKING:  # a change of it is none of those who load encoders
    from intermezzo.specs.importing import ImportSpec

ALL_ATTENTION_FUNCTIONS.register("packed", packed_attention)

FIRST_POSITION = {"bert": lambda config: 0, "xlm-roberta": lambda config: config.pad_token_id + 1}
"""Model types that take packed batches -> the position id of a sequence's first token."""
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
        self.packs = model.config.model_type in FIRST_POSITION
        self.typed = getattr(model.config, "type_vocab_size", 0) > 1
        if self.packs:
            model.set_attn_implementation("packed")
        accelerate(model)

    @property
    def hidden_size(self) -> int:
        """Width of the hidden states."""
        return self.config.hidden_size

    def forward(self, batch: Packed, layer: int | None = None, rows: torch.Tensor | None = None) -> torch.Tensor:
        """Hidden states (T, hidden size) after `layer` (0 = embeddings; None = the last one).

        rows: int64 (R,), all different, the tokens whose states will be read (None or empty = all of them): what
        others have is not to be read. Layers after `layer` are not computed, nor, where `rows` are few, what the
        last one does token by token at other tokens. States that are read, and gradients, are the same either way.
        """
        if self.packs:
            inputs = {
                "input_ids": batch.tokens[None],
                "position_ids": batch.positions[None] + FIRST_POSITION[self.config.model_type](self.config),
                "runs": batch.runs,
            }
            if batch.tokens.is_cuda:
                inputs["places"] = batch.places
            if self.typed:
                inputs["token_type_ids"] = batch.types[None]
            total = len(batch.tokens)
            if rows is not None and (layer == 0 or not 0 < len(rows) <= MAX_SPARSE_SHARE * total):
                rows = None
            with _truncated(self.model.encoder, layer, rows):
                states = self.model(**inputs).last_hidden_state[0]
            return states if rows is None else ScatterRows.apply(states, rows, total)
        inputs = {"input_ids": batch.padded(batch.tokens) * batch.mask, "attention_mask": batch.mask.long()}
        if self.typed:
            inputs["token_type_ids"] = batch.padded(batch.types) * batch.mask
        flat = torch.empty(len(batch.tokens), self.hidden_size, dtype=torch.float32, device=batch.tokens.device)
        if layer is None:
            states = self.model(**inputs).last_hidden_state
        else:
            states = self.model(**inputs, output_hidden_states=True).hidden_states[layer]
        return flat.to(states.dtype).index_copy(0, batch.cells[batch.mask], states[batch.mask])


@contextmanager
def _truncated(stack: Any, layer: int | None, rows: torch.Tensor | None) -> Iterator[None]:
    """Truncate BERT's `stack` of layers to the first `layer` ones, the last of which computes just `rows` (R,).

    Keys and values are needed of every token; all that follows attention is computed token by token. The stack is
    whole again afterwards. Not re-entrant: one forward pass at a time.
    """
    layers, hooks = stack.layer, []
    try:
        if layer is not None:
            stack.layer = layers[:layer]
        if rows is not None:
            output = stack.layer[-1].attention.output  # its inputs: what attention gives, and the states before
            hooks.append(output.register_forward_pre_hook(lambda _, inputs: tuple(_rows(x, rows) for x in inputs)))
        yield
    finally:
        stack.layer = layers
        for hook in hooks:
            hook.remove()


def _rows(states: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """(1, T, H) -> (1, R, H)"""
    return GatherRows.apply(states[0], rows)[None]


def load_encoder(folder: Path, *, dropout: float | None = None, max_length: int = 0) -> Encoder:
    """Read an encoder from a model folder, checking its files against the folder's manifest.

    `dropout` replaces the hidden and attention dropout of the configuration. Raises UserError when weights,
    configuration or tokenizer are missing or not as the manifest says, when the weights are of another architecture
    than config.json says, and when the encoder cannot read inputs of `max_length` tokens.
    """
    check(folder, *ENCODER)
    changes = {} if dropout is None else {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    config = AutoConfig.from_pretrained(folder)
    if config.model_type in FIRST_POSITION:
        longest = config.max_position_embeddings - FIRST_POSITION[config.model_type](config)
        if max_length > longest:
            raise UserError(
                f"max_length {max_length}: the encoder in {folder} reads at most {longest} tokens; "
                f"set training's max_length (or that of the encoder's finetuning) to {longest} or less"
            )
        changes["add_pooling_layer"] = False
    return Encoder(_read(AutoModel, folder, {"local_files_only": True, **changes}))


def _read(kind: Any, place: str | Path, options: dict) -> PreTrainedModel:
    """`from_pretrained` that does not make up weights: transformers fills what a checkpoint lacks with random numbers.

    Raises UserError when weights are missing (but those of a pooler, which nothing here uses) or of another shape.
    """
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # no report of what is missing: that is checked below
    try:
        model, info = kind.from_pretrained(place, output_loading_info=True, ignore_mismatched_sizes=True, **options)
    finally:
        transformers_logging.set_verbosity(verbosity)
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


def import_encoder(spec: ImportSpec, out: Path, code: str = "") -> None:
    """Copy a pretrained encoder into `out`.

    `spec.source` is a folder, package:MODULE/PATH (a model that an installed package carries) or the name of a model on
    the Hugging Face hub. Only safetensors weights are read, and no code of the model's repository is run. Raises
    UserError when there is no such model or no weights in it.
    """
    source = spec.source
    place: str | Path = source
    hub: dict = {"trust_remote_code": False, "revision": spec.revision or "main"}
    if source.startswith("package:"):
        module, _, inside = source.removeprefix("package:").partition("/")
        package = importlib.util.find_spec(module)
        if package is None or not package.submodule_search_locations:
            raise UserError(f"encoder from '{source}': package '{module}' is not installed (pip install {module})")
        place = Path(package.submodule_search_locations[0]) / inside
    if Path(place).is_dir() or isinstance(place, Path) or source.startswith((".", "/")):
        place, hub = Path(place), {"trust_remote_code": False, "local_files_only": True}
        if not (place / "config.json").is_file():
            raise UserError(f"encoder from '{source}': {place} has no config.json; is it a Hugging Face model folder?")
        if not any(place.glob("*.safetensors")):
            raise UserError(f"encoder from '{source}': {place} has no weights (*.safetensors)")
    try:
        config = AutoConfig.from_pretrained(place, **hub)
        causal, masked = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_MASKED_LM_MAPPING_NAMES
        if config.is_encoder_decoder or (config.model_type in causal and config.model_type not in masked):
            raise ValueError(f"a model of type '{config.model_type}' is no encoder (BERT, XLM-R and their like are)")
        architectures = config.architectures or ()
        masked = any(name.endswith("ForMaskedLM") for name in architectures)  # its head serves continued pretraining
        kind = AutoModelForMaskedLM if masked else AutoModel
        model = _read(kind, place, {"use_safetensors": True, "dtype": torch.float32, **hub})
        tokenizer = AutoTokenizer.from_pretrained(place, use_fast=True, **hub)
    except (OSError, ValueError, SafetensorError) as error:
        first = str(error).strip().splitlines()[0]
        raise UserError(
            f"encoder from '{source}' cannot be read: {first}\n  allowed: a Hugging Face model folder, "
            "package:MODULE/PATH, or a hub name (which needs the network once)"
        ) from None
    if culprit := not_finite(model.state_dict()):
        raise UserError(f"encoder from '{source}': its weights are not finite numbers ({culprit}); take another model")
    with whole_folder(out) as part:
        tokenizer.save_pretrained(part)
        save_encoder(model, part, part)
        write_manifest(part, {"kind": "encoder", "spec": spec.as_json(), "code": code, "made_with": environment()})
