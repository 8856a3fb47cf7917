"""Taking a pretrained encoder from a folder, a Python package or the hub. It is checked before it is used."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from intermezzo.core.errors import UserError
from intermezzo.core.folders import remove, whole_folder
from intermezzo.core.model_folders import missing_tokenizer, missing_weights
from intermezzo.core.model_packages import model_package
from intermezzo.modeling import architectures
from intermezzo.modeling.checks import UnfitError, check_length, check_states, check_tokenizer, check_type
from intermezzo.modeling.encoder import Encoder, environment, read_model, save_encoder
from intermezzo.modeling.finite import not_finite
from intermezzo.modeling.folder import write_manifest
from intermezzo.modeling.unpacking import unpack
from intermezzo.specs.importing import ImportSpec

LOCAL: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
"""Options with which transformers opens a folder."""
SAFE: dict[str, Any] = {"use_safetensors": True, "dtype": torch.float32}
"""Options with which it reads weights."""


def import_encoder(spec: ImportSpec, out: Path, code: str = "", *, max_length: int = 0) -> None:
    """Copy a pretrained encoder into `out`, and check that it works. max_length: tokens of the longest input to come.

    `spec.source` is a folder, package:NAME (an encoder of `resources/packages.yaml`), package:MODULE/PATH (a model
    folder that an installed package carries) or the name of a model on the Hugging Face hub. Only safetensors weights
    and the files of the table are read, and no code of the model's repository or package is run. Raises UserError when
    there is no such model or no weights in it, when it is no encoder, when its tokenizer is missing or another
    model's, and when it cannot read inputs of `max_length` tokens.
    """
    with whole_folder(out) as part:
        if package := model_package(spec.source):
            place, options = unpack(package, part / "unpacked"), LOCAL
        else:
            place, options = locate(spec.source, spec.revision)
        if isinstance(place, Path) and (missing := missing_weights(place)):
            raise UserError(f"encoder from '{spec.source}': {place} has {missing}")
        model, tokenizer = read_checkpoint(spec.source, place, options | SAFE, max_length)
        tokenizer.save_pretrained(part)
        save_encoder(model, part, part)
        remove(part / "unpacked")
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
    return Path(place), LOCAL


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
        model = read_model(
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
            "package:NAME or package:MODULE/PATH, or a hub name (which needs the network once)"
        ) from None
    return model, tokenizer
