"""Linear layers and dropout at less cost on a CPU, measured on AMD EPYC with PyTorch 2.13 (docs/performance.md).

- Linear layers in float32 by oneDNN. PyTorch takes MKL, which is slower on some processors.
- Dropout from 16 random bits per value instead of one draw of the Mersenne twister. The rate is rounded to a multiple
  of 2**-16 (0.1 becomes 0.100006), and the values that stay are scaled by exactly that rate.
- Attention of training is in `intermezzo.modeling.attention`.

`accelerate` gives the linear and dropout layers of a model a subclass. The subclass computes as PyTorch does on another
device, in another precision and under autocast. The environment variable INTERMEZZO_PLAIN_KERNELS=1 turns off all of
this, and our attention too: PyTorch's and transformers' own operations run instead. Private operations of PyTorch are
tried once before they are used; where one is missing or has changed, PyTorch's public ones run.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

PLAIN = "INTERMEZZO_PLAIN_KERNELS"
"""Environment variable: 1 = PyTorch's own operations everywhere."""
MIN_WEIGHTS = 128 * 128
"""Fewest weights of a linear layer for which oneDNN is worth its set-up."""
SFC64_FROM = 2**17
"""From this many values on, draw with numpy's SFC64 seeded from torch's generator; below, with torch's own."""
_LEVELS = 2**16


def plain_kernels() -> bool:
    """Whether the user wants PyTorch's own operations; the only place that reads the variable."""
    return os.environ.get(PLAIN, "") not in ("", "0")


def use_kernels(values: torch.Tensor) -> bool:
    """Whether our operations compute `values`: float32 on a CPU, without autocast, and not switched off."""
    return (
        values.device.type == "cpu"
        and values.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not plain_kernels()
    )


def accelerate(model: nn.Module) -> None:
    """Let the linear and dropout layers of `model` compute by this module; weights and their names stay."""
    if plain_kernels():
        return
    for module in model.modules():
        if type(module) is nn.Linear and module.weight.numel() >= MIN_WEIGHTS and has_onednn_linear():
            module.__class__ = Linear
        elif type(module) is nn.Dropout:
            module.__class__ = Dropout


class Linear(nn.Linear):
    """nn.Linear by oneDNN: (..., in) -> (..., out)."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if not use_kernels(values):
            return super().forward(values)
        return _Linear.apply(values, self.weight, self.bias)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(values, weight)
        ctx.has_bias = bias is not None
        out = _onednn_linear(values, weight, bias)
        # not as a view, which models that go on in place (RoCBert) may not write to
        return torch.ops.aten._unsafe_view(out, out.shape) if out._is_view() else out

    @staticmethod
    def backward(ctx: Any, grad_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        values, weight = ctx.saved_tensors
        rows = grad_out.reshape(-1, grad_out.shape[-1])
        grad_values = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            grad_values = _onednn_linear(rows, weight.t(), None).view(values.shape)
        if ctx.needs_input_grad[1]:
            grad_weight = rows.t() @ values.reshape(-1, values.shape[-1])  # MKL is as fast here
        if ctx.has_bias and ctx.needs_input_grad[2]:
            grad_bias = rows.sum(0)
        return grad_values, grad_weight, grad_bias


def _onednn_linear(values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return torch.ops.mkldnn._linear_pointwise(values, weight, bias, "none", [], "")


@cache
def has_onednn_linear() -> bool:
    """Whether this PyTorch has oneDNN's linear operation, which is private, in the form that we call."""
    if platform.machine() not in ("x86_64", "AMD64") or not torch.backends.mkldnn.is_available():
        return False
    values, weight, bias = torch.ones(2, 3), torch.arange(12.0).view(4, 3), torch.arange(4.0)
    try:
        return torch.allclose(_onednn_linear(values, weight, bias), nn.functional.linear(values, weight, bias))
    except (AttributeError, RuntimeError, TypeError):
        return False


class Dropout(nn.Dropout):
    """nn.Dropout with masks of `dropout_masks`."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if not (self.training and 0 < self.p < 1 and use_kernels(values)):
            return super().forward(values)
        (keep_mask,), scale = dropout_masks([values.numel()], self.p)
        return _Dropout.apply(values, keep_mask.view(values.shape), scale)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, keep_mask: torch.Tensor, scale: float) -> torch.Tensor:
        ctx.keep_mask, ctx.scale = keep_mask, scale
        return (values * keep_mask).mul_(scale)

    @staticmethod
    def backward(ctx: Any, grad_out: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return (grad_out * ctx.keep_mask).mul_(ctx.scale), None, None


def dropout_masks(sizes: Sequence[int], p: float) -> tuple[Iterator[torch.Tensor], float]:
    """Dropout masks of rate `p`, one of each size, and the scale of the values that stay.

    A mask is int8 (size,): 1 = stays, 0 = dropped. Not bool: PyTorch compares into int8, and multiplies by it, four
    times as fast. Large masks are drawn when the iterator comes to them, so that they are used while the cache has
    them; draw nothing else from torch's generator before the iterator has ended.
    """
    total = sum(sizes)
    dropped = min(round(p * _LEVELS), _LEVELS - 1)
    threshold = dropped - _LEVELS // 2
    if total < SFC64_FROM:
        bits = torch.empty(-(-total // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)[:total]
        masks = iter(torch.ge(bits, threshold, out=torch.empty(total, dtype=torch.int8)).split(list(sizes)))
    else:
        generator = np.random.SFC64(int(torch.randint(2**62, ())))  # half the time, but 20 microseconds to set up
        masks = (_mask(generator.random_raw(-(-size // 4)).view(np.int16)[:size], threshold) for size in sizes)
    return masks, _LEVELS / (_LEVELS - dropped)


def _mask(bits: np.ndarray, threshold: int) -> torch.Tensor:
    return torch.ge(torch.from_numpy(bits), threshold, out=torch.empty(len(bits), dtype=torch.int8))
