"""Convert a checkpoint that pickle wrote (*.bin) into one that this program reads: safetensors and tokenizer.json.

A pickle can run code when it is opened. PyTorch's `weights_only` opens tensors and refuses everything else.
"""

from __future__ import annotations

import pickle
from pathlib import Path

from intermezzo.core.errors import UserError
from intermezzo.core.folders import whole_folder
from intermezzo.core.model_folders import missing_weights
from intermezzo.core.places import local
from intermezzo.modeling.encoder import locate, read_checkpoint


def convert(source: str, folder: Path, revision: str | None = None) -> None:
    """Write the encoder at `source` (a folder, package:MODULE/PATH or a name on the hub) to the new `folder`.

    The encoder is checked as by an import. Weights keep their type. Raises UserError, and writes nothing, when
    `folder` holds something already, when the weights are safetensors already or no plain tensors, and for whatever
    else an import refuses.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: is there already; name a folder that is new or empty")
    source = local(source)
    place, options = locate(source, revision)
    if isinstance(place, Path) and not missing_weights(place):
        raise UserError(f"{place}: its weights are safetensors already; name it as `from:` of an encoder")
    options |= {"use_safetensors": False, "weights_only": True, "dtype": "auto"}
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
