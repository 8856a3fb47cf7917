"""Random number generators of a training by one or several processes.

What belongs to a batch (which tokens are masked) is drawn alike in all processes: from the generator that one process
alone would have. What belongs to a process's part of the batch (dropout) comes from a generator of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from intermezzo.core.artifacts import digest
from intermezzo.training.distributed import rank, world_size

_shared: list[torch.Tensor] = []
"""The state of the shared generator, while the process has a generator of its own beside it."""


@contextmanager
def per_rank_rng(name: str) -> Iterator[None]:
    """Within it, torch's CPU generator of each of several processes is seeded by torch's seed, `name` and the rank."""
    if world_size() == 1:
        yield
        return
    _shared[:] = [torch.get_rng_state()]
    torch.manual_seed(int(digest([torch.initial_seed(), name, rank()], 15), 16))
    try:
        yield
    finally:
        torch.set_rng_state(_shared.pop())


@contextmanager
def shared_rng() -> Iterator[None]:
    """Within it, all processes draw the same numbers (on the CPU)."""
    if not _shared:
        yield
        return
    rank_state = torch.get_rng_state()
    torch.set_rng_state(_shared[0])
    try:
        yield
    finally:
        _shared[0] = torch.get_rng_state()
        torch.set_rng_state(rank_state)


def random_state() -> dict[str, Any]:
    """The state of this process's generators."""
    cuda = [torch.cuda.get_rng_state()] if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda, "batches": list(_shared)}


def set_random_state(state: dict[str, Any]) -> None:
    """Restore what `random_state` gave."""
    torch.set_rng_state(state["cpu"])
    if state["cuda"]:
        torch.cuda.set_rng_state(state["cuda"][0])
    _shared[:] = state["batches"]
