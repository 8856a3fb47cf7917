"""What the heads of the task formats have in common, and how they are found: by the name of the format.

| a module has | which is |
|---|---|
| `encode(rows, tokenizer, spec)` | features in the order of the rows, each row's a function of that row |
| `COLUMNS` | Arrow types of a feature's target and extras, for the token cache; a `target` is needed in training |
| `Head(hidden_size, spec)` | what is trained; a format that is evaluated without training has none |
| `decode(head, outputs, features)` | a piece of prediction per feature |
| `join(pieces, rows)` | a prediction per row, of pairs of a feature and its piece |
| `predictor(read, spec, support)` | only where a prediction is not `read(rows)`: see `row_by_row` |

A head is a torch module:

| a head has | which is |
|---|---|
| `forward(states, batch)` | outputs of the token states (T, H) of a packed batch |
| `loss(outputs, features)` | the mean loss, over `count(features)` predictions |
| `count(features)` | only where that is not one per feature |
| `positions_needed(features, batch)` | the tokens whose states it reads, where it does not read all |
| `joint = True` | where features of a batch are compared; outputs are then a tensor in their order |
| `rows(feature)` | only there: rows that a feature has of it, where that is not one per sequence |
| `decodes_on_device = True` | where `decode` takes outputs as they are, not on the CPU |
| `attach(encoder, folder)` | called once after it was made |
| `whole_vocabulary = True` | where every word embedding has a gradient in every batch |
| `prepare(features, device)` | once before training: the features as it trains on them |
| `read(encoder, features, device)` | in place of `forward`, where it runs the encoder itself |
| `corrupt(features)` | what the encoder sees in training (masked language modelling, which predicts nothing) |

Modules are imported by name, so that a job's code fingerprint holds only the formats that it uses.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import torch
from tokenizers import Encoding, Tokenizer

from intermezzo.modeling.packing import Numbers, Packed

if TYPE_CHECKING:
    from intermezzo.specs.prediction import PredictionSpec

NUMBER = pa.int32()
REAL = pa.float64()
NUMBERS = pa.list_(NUMBER)
PAIR = pa.list_(NUMBER, 2)
PAIRS = pa.list_(PAIR)
"""Arrow types of `COLUMNS`: int or None, float or None, list of int, tuple of two, list of such tuples."""
Predict = Callable[[list[dict], str], list[Any]]
"""Predictions for rows and their language, one per row."""


@dataclass(slots=True)
class Feature:
    """One example as an encoder sees it: a row, or a window of one.

    row: index of its row. sequences, types: token ids and token types, as lists or as views of arrays that are not to
    be changed; one sequence unless the format compares several (multiple choice). target: gold in the format's own
    terms. extra: what decoding needs.
    """

    row: int
    sequences: list[Numbers]
    types: list[Numbers]
    target: Any = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        """Tokens of all its sequences."""
        return sum(map(len, self.sequences))


def encode_texts(rows: list[dict], tokenizer: Tokenizer, max_length: int) -> list[Encoding]:
    """The text, or the pair of texts, of each row; pairs longer than `max_length` lose tokens of the longer text."""
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    texts = [(row["text"], row["text_pair"]) if row["text_pair"] is not None else row["text"] for row in rows]
    return tokenizer.encode_batch(texts)


def to_float32(values: torch.Tensor) -> torch.Tensor:
    """At least float32: losses are not taken in half precision."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def to_device(device: torch.device, values: Any) -> torch.Tensor:
    """Numbers as a tensor on `device`, without waiting for the work that a GPU has queued."""
    tensor = torch.tensor(values)
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def positions_needed(head: Any, features: list[Feature], batch: Packed) -> torch.Tensor | None:
    """The tokens (R,) of the batch whose states `head` reads, each once; None = all, as where a head says nothing."""
    return head.positions_needed(features, batch) if hasattr(head, "positions_needed") else None


def targets(features: list[Feature], batch: Packed) -> torch.Tensor:
    """The tokens (R,) that targets of (place, value) are at; of features with one sequence each."""
    positions = [start + place for start, f in zip(batch.begins, features, strict=True) for place, _ in f.target]
    return to_device(batch.tokens.device, positions)


def row_by_row(read: Callable[[list[dict]], list[Any]], spec: PredictionSpec, support: dict[str, Path]) -> Predict:
    """Predictions that depend on a row alone: the default of a head module's `predictor`.

    read: what the trained head makes of rows, one per row; of a format without a head, texts -> vectors (n, d).
    spec: as of `intermezzo.evaluation.predict`. support: language -> Parquet of what predictions need besides.
    """
    return lambda rows, language: read(rows)


def format_module(name: str) -> ModuleType:
    """The head module of a task format."""
    return importlib.import_module(f"intermezzo.modeling.heads.{name}")
