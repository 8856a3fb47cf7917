"""Convert a checkpoint into one that this program and transformers read: safetensors and tokenizer.json.

It may be one that pickle wrote (*.bin), or one of `resources/packages.yaml`.
A pickle can run code when it is opened. PyTorch's `weights_only` opens tensors and refuses everything else.
"""

from __future__ import annotations

import pickle
from pathlib import Path

from intermezzo.core.errors import UserError
from intermezzo.core.folders import whole_folder
from intermezzo.core.model_folders import missing_weights
from intermezzo.core.model_packages import model_package
from intermezzo.core.places import local
from intermezzo.modeling.importing import LOCAL, SAFE, locate, read_checkpoint
from intermezzo.modeling.unpacking import unpack


def convert(source: str, folder: Path, revision: str | None = None) -> None:
    """Write the encoder at `source` (a folder, package:NAME, package:MODULE/PATH or a name on the hub) to a new folder.

    The encoder is checked as by an import. Weights keep their type. Raises UserError, and writes nothing, when
    `folder` holds something already, when the weights are safetensors already or no plain tensors, and for whatever
    else an import refuses.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: is there already; name a folder that is new or empty")
    if package := model_package(source):
        with whole_folder(folder) as part:
            read_checkpoint(source, unpack(package, part), LOCAL | SAFE)
        return
    source = local(source)
    place, options = locate(source, revision)
    if isinstance(place, Path) and not missing_weights(place):
        raise UserError(f"{place}: its weights are safetensors already; name it as `from:` of an encoder")
    options = options | {"use_safetensors": False, "weights_only": True, "dtype": "auto"}
    try:
        model, tokenizer = read_checkpoint(source, place, options)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        first = str(error).strip().splitlines()[0]
        raise UserError(
            f"{place}: its weights hold more than tensors, or are damaged, and were not opened ({first}); take another "
            "copy of the model, or one in safetensors format"
        ) from None
    with whole_folder(folder) as part:
        tokenizer.save_pretrained(part)
        model.save_pretrained(part)
