"""Encoders of `resources/packages.yaml` as folders in Hugging Face format.

A module of this folder reads one format of weights: `read(path, config)` gives the tensors of transformers' class by
their names there, in float32. It is found by the name of the format.
"""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

from safetensors.torch import save_file

from intermezzo.core.artifacts import write_json
from intermezzo.core.errors import UserError
from intermezzo.core.model_packages import ModelPackage
from intermezzo.modeling.folder import TOKENIZER, TOKENIZER_SETTINGS


def unpack(package: ModelPackage, folder: Path) -> Path:
    """Write the encoder of a package to `folder`, which is returned.

    Raises UserError for files that are missing, of another version or hash, or not in the format.
    """
    places = package.locate()
    reader = importlib.import_module(f"{__name__}.{package.format}")
    try:
        tensors = reader.read(places["weights"], package.config)
    except ValueError as error:
        raise UserError(f"encoder from 'package:{package.name}': {places['weights']}: {error}") from None
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    shutil.copyfile(places["tokenizer"], folder / TOKENIZER)
    write_json(folder / "config.json", dict(package.config))
    write_json(folder / TOKENIZER_SETTINGS, dict(package.tokenizer_config))
    return folder
