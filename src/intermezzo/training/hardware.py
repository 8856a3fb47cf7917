"""The device of this process, its threads and its precision."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

from intermezzo.errors import UserError

PRECISIONS = ("auto", "float32", "bfloat16")


def use_threads(count: int) -> None:
    """Pin torch to `count` threads: results depend on it, and more threads than cores are many times slower."""
    torch.set_num_threads(count)
    torch.use_deterministic_algorithms(True, warn_only=True)


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(settings: dict[str, Any]) -> AbstractContextManager:
    """The precision of forward and backward; weights, gradients and the optimizer stay float32.

    settings: precision `auto` (bfloat16 on a GPU that has it, else float32), `float32` or `bfloat16`.
    """
    wanted, where = settings.get("precision", "auto"), device()
    if wanted not in PRECISIONS:
        raise UserError(f"training precision: '{wanted}'; allowed: {', '.join(PRECISIONS)}")
    low = wanted == "bfloat16" or (wanted == "auto" and where.type == "cuda" and torch.cuda.is_bf16_supported())
    return torch.autocast(where.type, torch.bfloat16, enabled=low)
