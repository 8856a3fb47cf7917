"""The command that converts a checkpoint."""

from __future__ import annotations

from argparse import Namespace


def convert(options: Namespace) -> None:
    """Write an encoder's weights as safetensors, and its tokenizer as tokenizer.json."""
    from intermezzo.modeling.convert import convert

    convert(options.source, options.folder, options.revision)
    print(f"{options.folder}: name it as `from:` of an encoder")
