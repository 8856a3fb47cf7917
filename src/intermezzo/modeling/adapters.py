"""Adapters (LoRA, IA3) by peft: a few weights are trained beside those of an encoder, which stay as they are.

    add(encoder, spec)                               # before training: all but the new adapter is frozen
    save(encoder, spec, start, folder)               # peft's two files
    read(model, [folder, ...], stacked=False)        # merged into the weights; or beside them, frozen

The weights that an adapter belongs to are in the folder that it was trained from, which may hold an adapter itself.
peft is imported here alone, when it is needed.
"""

from __future__ import annotations

import importlib
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel

from intermezzo.core.artifacts import sha256, write_text
from intermezzo.core.errors import UserError, suggestion
from intermezzo.core.excerpt import excerpt
from intermezzo.modeling.folder import ADAPTER, ADAPTER_SETTINGS, WEIGHTS, read_manifest
from intermezzo.modeling.kernels import accelerate
from intermezzo.specs.adapters import ALL_MODULES, AdapterSpec, is_named

_TRAINED = "default"
"""peft's name of the adapter that is trained; those that it stands on are start0, start1, ..."""
_PREFIX = "base_model.model."
"""Of all names in peft's files."""
_MARKS = ("lora_", "ia3_")
_TABLES = {
    "lora": "TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING",
    "ia3": "TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING",
    "feedforward": "TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING",
}
"""Kind of adapter -> peft's table of its modules, by type of model; of IA3 also those whose inputs are scaled."""


def peft() -> Any:
    """The library. Raises UserError where it is not installed."""
    try:
        return importlib.import_module("peft")
    except ImportError as error:
        raise UserError(
            f"adapters need the package peft, which cannot be imported ({error}); pip install 'intermezzo[adapters]'"
        ) from None


def add(model: PreTrainedModel, spec: AdapterSpec) -> None:
    """Put a new adapter into `model`, from torch's random numbers, and freeze all else.

    Raises UserError for modules that the model lacks, and for an adapter on top of one of another kind.
    """
    kinds = {config.peft_type.value.lower() for config in getattr(model, "peft_config", {}).values()}
    if kinds - {spec.kind}:
        raise UserError(
            f"training.adapter.start: stacked, but the adapter of the model to start from is {', '.join(kinds)} and "
            f"this one {spec.kind}; set `start: merged`, or give both the same kind"
        )
    names = [*getattr(model, "peft_config", ()), _TRAINED]
    _inject(model, _config(model, spec), _TRAINED)
    _activate(model, names)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(_TRAINED in name.split(".") and any(mark in name for mark in _MARKS))
    accelerate(model)


def save(model: PreTrainedModel, spec: AdapterSpec, start: Path, folder: Path) -> None:
    """Write the trained adapter as peft does, and the encoder's configuration.

    start: the model folder that it was trained from. In the place of weights there is a line of text with the digests
    of the adapter and of the weights below it, so that its SHA-256 stands for both; no library takes it for weights.
    """
    state = peft().get_peft_model_state_dict(model, adapter_name=_TRAINED, save_embedding_layers=False)
    tensors = {_PREFIX + name: values.detach().cpu().contiguous() for name, values in state.items()}
    save_file(tensors, folder / ADAPTER, {"format": "pt"})
    settings = _config(model, spec).to_dict() | {"base_model_name_or_path": str(start), "inference_mode": True}
    settings = {key: sorted(value) if isinstance(value, set) else value for key, value in settings.items()}
    write_text(folder / ADAPTER_SETTINGS, json.dumps(settings, indent=2, sort_keys=True, default=str) + "\n")
    model.config.save_pretrained(folder)
    below = read_manifest(start)["weights_sha256"]
    line = f"These weights are an adapter: {ADAPTER} (sha256 {sha256(folder / ADAPTER)}) for those of sha256 {below}.\n"
    write_text(folder / WEIGHTS, line)


def read(model: PreTrainedModel, folders: Sequence[Path], *, stacked: bool) -> None:
    """Put the adapters of `folders` into the weights of `model`, in this order; stacked: beside them, frozen."""
    for number, folder in enumerate(folders):
        name = f"start{number}"
        if not stacked:
            with _quietly():
                peft().PeftModel.from_pretrained(model, folder, adapter_name=name).merge_and_unload()
            _forget(model)
            continue
        _inject(model, peft().PeftConfig.from_pretrained(folder), name)
        peft().set_peft_model_state_dict(model, load_file(folder / ADAPTER), adapter_name=name)
    if stacked and folders:
        _activate(model, [*model.peft_config])


def is_scale(name: str) -> bool:
    """Whether a parameter of this name scales states (IA3), so that no weight decay may draw it to 0."""
    return ".ia3_l." in name


def versions() -> dict[str, str]:
    """The version of peft, for manifests."""
    return {"peft": version("peft")}


def linear_modules(model: nn.Module) -> dict[str, nn.Linear]:
    """Full name -> linear layer of an encoder, those within adapters not among them."""
    return {
        name.removesuffix(".base_layer"): module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not any(mark in name for mark in _MARKS)
    }


def _inject(model: PreTrainedModel, config: Any, name: str) -> None:
    with _quietly():
        peft().inject_adapter_in_model(config, model, adapter_name=name)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without peft's warnings that adapters are several, and transformers' of names that peft still uses."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")
        warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
        yield


def _config(model: PreTrainedModel, spec: AdapterSpec) -> Any:
    """peft's configuration, with the full names of the modules."""
    linear = linear_modules(model)
    names = _chosen(model.config.model_type, [*linear], spec)
    if spec.kind == "lora":
        return peft().LoraConfig(
            r=spec.rank, lora_alpha=spec.alpha, lora_dropout=spec.dropout, target_modules=names, bias="none"
        )
    ends = _table("feedforward", model.config.model_type) or ()
    at_inputs = [name for name in names if linear[name].in_features > linear[name].out_features]
    at_inputs += [name for name in names if any(is_named(name, end) for end in ends) and name not in at_inputs]
    return peft().IA3Config(target_modules=names, feedforward_modules=at_inputs)


def _chosen(model_type: str, linear: Sequence[str], spec: AdapterSpec) -> list[str]:
    """The full names of the modules that a specification means, in their order in the model."""
    if spec.modules == ALL_MODULES:
        return [*linear]
    parts = spec.modules
    if parts is None:
        parts = _table(spec.kind, model_type)
        if parts is None:
            names = ", ".join(dict.fromkeys(_short(name) for name in linear))
            raise UserError(
                f"training.adapter.modules: peft names none for encoders of type '{model_type}'; name some "
                f"({names}), or write `all`"
            )
    chosen: list[str] = []
    for part in parts:
        matches = [name for name in linear if is_named(name, part)]
        if not matches:
            allowed = suggestion(part, {end for name in linear for end in (_short(name), name.rpartition(".")[2])})
            raise UserError(
                f"training.adapter.modules: the encoder has no linear layer {excerpt(part)}; {allowed}, or `all`"
            )
        chosen += matches
    return [name for name in linear if name in {*chosen}]


def _table(name: str, model_type: str) -> list[str] | None:
    """The modules that peft names for a type of encoder, in one of its tables; XLM-R's are RoBERTa's."""
    table = getattr(importlib.import_module("peft.utils.constants"), _TABLES[name])
    modules = table.get(model_type, table.get(model_type.removeprefix("xlm-")))
    return modules if isinstance(modules, list) else None


def _short(name: str) -> str:
    """The name of a module without those around its layer: layer.3.output.dense -> output.dense."""
    parts = name.split(".")
    number = max((i for i, part in enumerate(parts) if part.isdigit()), default=-1)
    return ".".join(parts[number + 1 :])


def _activate(model: nn.Module, names: list[str]) -> None:
    """Let these adapters compute."""
    layer = importlib.import_module("peft.tuners.tuners_utils").BaseTunerLayer
    for module in model.modules():
        if isinstance(module, layer):
            module.set_adapter(names)


def _forget(model: PreTrainedModel) -> None:
    """Take away what peft leaves on a model whose adapter was merged."""
    for name in ("peft_config", "_hf_peft_config_loaded"):
        if name in vars(model):
            delattr(model, name)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
