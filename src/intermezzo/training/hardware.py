"""The device of this process, its threads and its precision."""

from __future__ import annotations

import ctypes
import os
from contextlib import AbstractContextManager
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from intermezzo.core import processor
from intermezzo.modeling.kernels import bfloat16_products, plain_kernels
from intermezzo.specs.optimisation import FixedPrecision, Precision

AUTO_UNITS, AUTO_WIDTH = "amx_bf16", 384
"""From which units and width of the hidden states on bfloat16 was measured to be faster on a CPU."""

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


def resolve(precision: Precision, width: int) -> FixedPrecision:
    """The precision in which a model with states of `width` is computed here.

    `auto` is bfloat16 on a GPU that has it, and on a processor with matrix units for it if the model is wide enough. It
    rests on the kind of the processor and on measurements that were made before (docs/performance.md), not on one of
    this process: all jobs on machines of one kind choose alike.
    """
    if precision != "auto":
        return precision
    if device().type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    return "bfloat16" if processor.this().bfloat16 == AUTO_UNITS and width >= AUTO_WIDTH else "float32"


def computing(precision: FixedPrecision) -> AbstractContextManager[Any]:
    """The precision of forward and backward within it; weights, gradients and the optimizer stay float32.

    On a CPU products in bfloat16 are our own (`intermezzo.modeling.kernels`), else they are PyTorch's autocast.
    """
    kind, low = device().type, precision == "bfloat16"
    if kind == "cpu" and low and not plain_kernels():
        return bfloat16_products()
    return torch.autocast(kind, torch.bfloat16, enabled=low)


def record(precision: FixedPrecision) -> dict[str, str]:
    """What a computation here is recorded with: its precision, and the GPU's name or the kind of the processor.

    The same precision on the same kind gives the same bytes.
    """
    kind = torch.cuda.get_device_name() if device().type == "cuda" else str(processor.this())
    return {"precision": precision, "processor": kind}
