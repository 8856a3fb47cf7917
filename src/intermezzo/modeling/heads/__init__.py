"""What the modules of the task formats have in common, and how they are found.

Each trained format is one module of this package, named like the format, with
`encode(rows, tokenizer, task, settings) -> list[Feature]`, in the order of the rows, each row's a function of that row,
`COLUMNS`: the Arrow types of a feature's target and extras, of those that it has (so the token cache stores them),
`Head(hidden_size, task, settings)`: `forward(states, batch) -> outputs`, `loss(outputs, features) -> mean loss`
(over `count(features)` predictions, one per feature where a head has no `count`; a head with `joint = True` compares
the features of a batch with each other, and its outputs are a tensor in their order),
and `decode(head, outputs, features) -> one piece per feature`, which `join(pieces, rows)` turns into one prediction
per row. A head may also have `reads(features, batch)`, the tokens whose states it reads, as `reads` below gives them;
`attach(encoder, folder)`, called once when it is made; and `corrupt(features)`, which changes what the encoder sees in
training (masked language modelling, which predicts nothing and has no `decode`).
They are imported by name, so that a job's code fingerprint holds only the formats that it uses.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pyarrow as pa
import torch

from intermezzo.modeling.packing import Numbers, Packed

NUMBER = pa.int32()
NUMBERS = pa.list_(NUMBER)
PAIR = pa.list_(NUMBER, 2)
PAIRS = pa.list_(PAIR)
"""Arrow types of `COLUMNS`: int or None, list of int, tuple of two, list of such tuples."""


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
        return sum(map(len, self.sequences))


def full(values: torch.Tensor) -> torch.Tensor:
    """At least float32: losses are not taken in half precision."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def on(device: torch.device, values: Any) -> torch.Tensor:
    """Numbers as a tensor on `device`, without waiting for the work that a GPU has queued."""
    made = torch.tensor(values)
    return made if device.type == "cpu" else made.pin_memory().to(device, non_blocking=True)


def reads(head: Any, features: list[Feature], batch: Packed) -> torch.Tensor | None:
    """The tokens (R,) of the batch whose states `head` reads, each once; None = all, as where a head says nothing."""
    return head.reads(features, batch) if hasattr(head, "reads") else None


def targets(features: list[Feature], batch: Packed) -> torch.Tensor:
    """The tokens (R,) that targets of (place, value) are at; of features with one sequence each."""
    at = [start + place for start, f in zip(batch.begins, features, strict=True) for place, _ in f.target]
    return on(batch.tokens.device, at)


def format_module(name: str) -> ModuleType:
    """The module of a task format."""
    return importlib.import_module(f"intermezzo.modeling.heads.{name}")
