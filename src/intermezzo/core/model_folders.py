"""What a model folder in Hugging Face format must hold, by the names of its files alone."""

from __future__ import annotations

from pathlib import Path

_TOKENIZERS = ("tokenizer.json", "*vocab*", "*.model", "*bpe*", "*spm*", "*spiece*")
"""Files that a tokenizer can be read from; each type of model has its names for them."""
_PICKLED = ("pytorch_model*.bin", "*.bin", "*.pt", "*.pth", "*.ckpt")


def missing_weights(folder: Path) -> str:
    """What to say of a folder without safetensors; "" if there are some."""
    if any(folder.glob("*.safetensors")):
        return ""
    pickled = [path.name for pattern in _PICKLED for path in sorted(folder.glob(pattern))]
    if not pickled:
        return "no weights (*.safetensors)"
    return (
        f"no weights in safetensors format, but {pickled[0]}, which could run code when it is opened; "
        f"`intermezzo convert {folder} NEW_FOLDER` opens it without that and writes *.safetensors"
    )


def missing_tokenizer(folder: Path) -> str:
    """What to say of a folder without a tokenizer; "" if there is one."""
    if any(path.is_file() for pattern in _TOKENIZERS for path in folder.glob(pattern)):
        return ""
    return (
        "no tokenizer (tokenizer.json, sentencepiece.bpe.model, vocab.txt or the like); copy the files of the "
        "model's own tokenizer into it, tokenizer_config.json too"
    )
