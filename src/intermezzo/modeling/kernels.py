"""Linear layers and dropout at less cost on a CPU, measured on AMD EPYC with PyTorch 2.13 (docs/performance.md).

- Linear layers in float32 by oneDNN. PyTorch takes MKL, which is slower on some processors.
- Dropout from 16 random bits per value instead of one draw of the Mersenne twister. The rate is rounded to a multiple
  of 2**-16 (0.1 becomes 0.100006), and the values that stay are scaled by exactly that rate.
- Attention of training is in `intermezzo.modeling.attention`.
- Within `bfloat16_products`, products with weights in bfloat16. Processors with units for them compute these several
  times as fast. Inputs and weights are rounded, and so are the products; all else is what float32 has: weights,
  gradients, norms, softmax, dropout, losses. A weight is rounded once per step.

`accelerate` gives the linear and dropout layers of a model a subclass. The subclass computes as PyTorch does on another
device, in another data type and under autocast. The environment variable INTERMEZZO_PLAIN_KERNELS=1 turns off all of
this, and our attention too: PyTorch's and transformers' own operations run instead. Private operations of PyTorch are
tried once before they are used; where one is missing or has changed, PyTorch's public ones run.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from intermezzo.core import processor

PLAIN = "INTERMEZZO_PLAIN_KERNELS"
"""Environment variable: 1 = PyTorch's own operations everywhere."""
MIN_WEIGHTS = 128 * 128
"""Fewest weights of a linear layer for which oneDNN is worth its set-up."""
SFC64_FROM = 2**17
"""From this many values on, draw with numpy's SFC64 seeded from torch's generator; below, with torch's own."""
_LEVELS = 2**16
_bfloat16 = False
"""Whether products with weights are computed in bfloat16: see `bfloat16_products`."""
_depth = 0
_copies: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
"""Within `fixed_weights`: of a weight, by its identity, itself (so that it lives) and what it was rounded to."""


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


@contextmanager
def bfloat16_products() -> Iterator[None]:
    """Compute products with weights in bfloat16 within it, and in the backward pass of what was computed within it."""
    global _bfloat16
    before, _bfloat16 = _bfloat16, True
    try:
        with fixed_weights():
            yield
    finally:
        _bfloat16 = before


@contextmanager
def fixed_weights() -> Iterator[None]:
    """No weight changes within it: what is rounded of one is kept until its end (of the outermost one).

    It is for the caller to say: fused optimizers change a weight without a trace in PyTorch's count of its versions.
    """
    global _depth
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        if not _depth:
            _copies.clear()


def accelerate(model: nn.Module) -> None:
    """Let the linear and dropout layers of `model` compute by this module; weights and their names stay."""
    if plain_kernels():
        return
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = Linear if module.weight.numel() >= MIN_WEIGHTS else PlainLinear
        elif type(module) is nn.Dropout:
            module.__class__ = Dropout


def use_bfloat16(model: nn.Module) -> None:
    """Let `bfloat16_products` reach the linear layers of `model`; in float32 they compute as before."""
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = PlainLinear


def linear(values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """PyTorch's `linear`, in bfloat16 within `bfloat16_products`: (..., in) -> (..., out)."""
    if _bfloat16 and use_kernels(values):
        return _BFloat16Linear.apply(values, weight, bias)
    return nn.functional.linear(values, weight, bias)


class PlainLinear(nn.Linear):
    """nn.Linear, in bfloat16 where that is asked for: (..., in) -> (..., out)."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return linear(values, self.weight, self.bias)


class Linear(nn.Linear):
    """nn.Linear by oneDNN or in bfloat16: (..., in) -> (..., out)."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if _bfloat16 or not has_onednn_linear() or not use_kernels(values):
            return linear(values, self.weight, self.bias)
        return _Linear.apply(values, self.weight, self.bias)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(values, weight)
        ctx.has_bias = bias is not None
        out = _onednn_linear(values, weight, bias)
        # not as a view, to which models that go on in place (RoCBert) may not write
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


class _BFloat16Linear(torch.autograd.Function):
    """float32 in, float32 out. For the backward pass the inputs are kept in bfloat16, half of what float32 takes."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        rows, low_weight = values.reshape(-1, values.shape[-1]).bfloat16(), rounded(weight)
        ctx.save_for_backward(rows, low_weight)
        ctx.shape, ctx.has_bias = values.shape, bias is not None
        out = bfloat16_product(rows, low_weight.t())
        if bias is not None:
            out += bias
        return torch.ops.aten._unsafe_view(out, [*values.shape[:-1], out.shape[-1]])  # no view: see `_Linear`

    @staticmethod
    def backward(ctx: Any, grad_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, low_weight = ctx.saved_tensors
        grad_rows = grad_out.reshape(-1, grad_out.shape[-1])
        low_grad = grad_rows.bfloat16()
        grad_values = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            grad_values = bfloat16_product(low_grad, low_weight).view(ctx.shape)
        if ctx.needs_input_grad[1]:
            grad_weight = bfloat16_product(low_grad.t(), rows)
        if ctx.has_bias and ctx.needs_input_grad[2]:
            grad_bias = grad_rows.sum(0)
        return grad_values, grad_weight, grad_bias


def bfloat16_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The product of two bfloat16 matrices, summed up in float32 and rounded to bfloat16, as float32.

    A processor without units for bfloat16 takes 3 to 50 times as long for it as for a product in float32. So there the
    rounded numbers are multiplied in float32.
    """
    if processor.this().bfloat16:
        return (a @ b).float()
    return (a.float() @ b.float()).bfloat16().float()


def rounded(weight: torch.Tensor) -> torch.Tensor:
    """A weight in bfloat16, rounded once within `fixed_weights`."""
    if id(weight) not in _copies:
        _copies[id(weight)] = weight, weight.detach().bfloat16()
    return _copies[id(weight)][1]


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
