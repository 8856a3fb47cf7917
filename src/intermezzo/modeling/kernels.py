"""The same operations at less cost on a CPU, measured on AMD EPYC with PyTorch 2.13 (docs/performance.md).

- Linear layers in float32 by oneDNN, where PyTorch takes MKL, which does not know all processors equally well.
- Dropout from 16 random bits per number instead of one draw of the Mersenne twister each. The rate is thereby rounded
  to a multiple of 2**-16 (0.1 is 0.100006), and numbers that stay are scaled by exactly that rate.
- Attention of training: `intermezzo.modeling.attention`.

transformers' modules stay what they are: `accelerate` gives their linear and dropout layers a subclass, which computes
as before wherever this is not about float32 on a CPU (another device or precision, autocast).
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

SMALLEST = 128 * 128
"""Fewest weights of a linear layer that oneDNN is worth its set-up for."""
_ONEDNN = (
    platform.machine() in ("x86_64", "AMD64")
    and torch.backends.mkldnn.is_available()
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
)
_LEVELS = 2**16
MANY = 2**17
"""So many random numbers are drawn by numpy's SFC64, seeded by PyTorch's generator, fewer by the latter itself."""


def accelerate(model: nn.Module) -> None:
    """Let the linear and dropout layers of `model` compute by this module; weights and their names stay."""
    for module in model.modules():
        if type(module) is nn.Linear and module.weight.numel() >= SMALLEST and _ONEDNN:
            module.__class__ = Linear
        elif type(module) is nn.Dropout:
            module.__class__ = Dropout


def applies(values: torch.Tensor) -> bool:
    return values.device.type == "cpu" and values.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")


class Linear(nn.Linear):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if not applies(values):
            return super().forward(values)
        return _Linear.apply(values, self.weight, self.bias)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(values, weight)
        ctx.biased = bias is not None
        return _product(values, weight, bias)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        values, weight = ctx.saved_tensors
        rows = gradient.reshape(-1, gradient.shape[-1])
        to_values = to_weight = to_bias = None
        if ctx.needs_input_grad[0]:
            to_values = _product(rows, weight.t(), None).view(values.shape)
        if ctx.needs_input_grad[1]:
            to_weight = rows.t() @ values.reshape(-1, values.shape[-1])  # MKL is as fast here
        if ctx.biased and ctx.needs_input_grad[2]:
            to_bias = rows.sum(0)
        return to_values, to_weight, to_bias


def _product(values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return torch.ops.mkldnn._linear_pointwise(values, weight, bias, "none", [], "")


class Dropout(nn.Dropout):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if not (self.training and 0 < self.p < 1 and applies(values)):
            return super().forward(values)
        (stays,), scale = kept([values.numel()], self.p)
        return _Dropout.apply(values, stays.view(values.shape), scale)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: torch.Tensor, stays: torch.Tensor, scale: float) -> torch.Tensor:
        ctx.stays, ctx.scale = stays, scale
        return (values * stays).mul_(scale)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return (gradient * ctx.stays).mul_(ctx.scale), None, None


def kept(counts: Sequence[int], rate: float) -> tuple[Iterator[torch.Tensor], float]:
    """(which numbers dropout leaves, 1 or 0, as many as each count says; what it scales them by).

    int8, not bool: PyTorch compares into it, and multiplies by it, four times as fast. Many are drawn count by count,
    when they are asked for, so that they are used while the cache has them.
    """
    total = sum(counts)
    dropped = min(round(rate * _LEVELS), _LEVELS - 1)
    least = dropped - _LEVELS // 2
    if total < MANY:
        bits = torch.empty(-(-total // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)[:total]
        drawn = iter(torch.ge(bits, least, out=torch.empty(total, dtype=torch.int8)).split(list(counts)))
    else:
        source = np.random.SFC64(int(torch.randint(2**62, ())))  # half the time, but 20 microseconds to set up
        drawn = (_compared(source.random_raw(-(-count // 4)).view(np.int16)[:count], least) for count in counts)
    return drawn, _LEVELS / (_LEVELS - dropped)


def _compared(bits: np.ndarray, least: int) -> torch.Tensor:
    return torch.ge(torch.from_numpy(bits), least, out=torch.empty(len(bits), dtype=torch.int8))
