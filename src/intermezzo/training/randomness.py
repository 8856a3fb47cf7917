"""Random numbers of a training.

What belongs to a batch (which tokens are masked) is drawn alike in all processes of a training: from the stream that
one process alone would have. What belongs to a process's part of it (dropout) comes from a stream of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from intermezzo.core.artifacts import digest
from intermezzo.training.distributed import processes, rank

_batches: list[torch.Tensor] = []
"""The state of the batches' stream, while the process has one of its own beside it."""


@contextmanager
def own_stream(name: str) -> Iterator[None]:
    """Within, a process of several draws from a stream of its own: of torch's seed, `name` and its number."""
    if processes() == 1:
        yield
        return
    _batches[:] = [torch.get_rng_state()]
    torch.manual_seed(int(digest([torch.initial_seed(), name, rank()], 15), 16))
    try:
        yield
    finally:
        torch.set_rng_state(_batches.pop())


@contextmanager
def alike() -> Iterator[None]:
    """Within, all processes draw the same numbers (on the CPU)."""
    if not _batches:
        yield
        return
    own = torch.get_rng_state()
    torch.set_rng_state(_batches[0])
    try:
        yield
    finally:
        _batches[0] = torch.get_rng_state()
        torch.set_rng_state(own)


def random_state() -> dict[str, Any]:
    """The state of this process's generators."""
    cuda = [torch.cuda.get_rng_state()] if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda, "batches": list(_batches)}


def set_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["cpu"])
    if state["cuda"]:
        torch.cuda.set_rng_state(state["cuda"][0])
    _batches[:] = state["batches"]
