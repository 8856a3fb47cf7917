"""The device of this process, its threads and its precision."""

from __future__ import annotations

import ctypes
import os
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from intermezzo.specs.optimisation import Precision

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""glibc's malloc.h."""


def use_threads(count: int) -> None:
    """Pin torch to `count` threads, numpy too if that is one.

    Results depend on it, and more threads than cores are many times slower.
    """
    torch.set_num_threads(count)
    if count == 1 and os.environ.get("OPENBLAS_NUM_THREADS") != "1":  # as jobs have it; to ask each library costs 10 ms
        threadpool_limits(1, "blas")  # numpy's products, which attention takes with one thread
    keep_memory()
    torch.use_deterministic_algorithms(True, warn_only=True)
    deterministic: Any = torch.utils.deterministic  # its settings are properties, which type checkers do not see
    deterministic.fill_uninitialized_memory = False  # a check of PyTorch itself, 2 % of a step


def keep_memory() -> None:
    """Let glibc keep freed memory: giving a step's tensors back and faulting them in anew is up to 8 % of a step."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_MMAP_THRESHOLD, 1 << 30)
        library.mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)


def device() -> torch.device:
    """The GPU of this process where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(precision: Precision) -> torch.autocast:
    """The precision of forward and backward; weights, gradients and the optimizer stay float32.

    precision: `auto` (bfloat16 on a GPU that has it, else float32), `float32` or `bfloat16`.
    """
    kind = device().type
    low = precision == "bfloat16" or (precision == "auto" and kind == "cuda" and torch.cuda.is_bf16_supported())
    return torch.autocast(kind, torch.bfloat16, enabled=low)
