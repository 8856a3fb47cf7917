"""The same operations at less cost on a CPU, measured on AMD EPYC with PyTorch 2.13 (docs/performance.md).

- Linear layers in float32 by oneDNN, where PyTorch takes MKL, which does not know all processors equally well.
- Dropout from 16 random bits per number instead of one draw of the Mersenne twister each. The rate is thereby rounded
  to a multiple of 2**-16 (0.1 is 0.100006), and numbers that stay are scaled by exactly that rate.
- Attention with dropout as one node of the graph and one draw per layer, instead of some per run of equal lengths.

transformers' modules stay what they are: `accelerate` gives their linear and dropout layers a subclass, which computes
as before wherever this is not about float32 on a CPU (another device or precision, autocast).
"""

from __future__ import annotations

import math
import platform

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
        return _Dropout.apply(values, *kept(values.shape, self.p))


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: torch.Tensor, stays: torch.Tensor, scale: float) -> torch.Tensor:
        ctx.stays, ctx.scale = stays, scale
        return (values * stays).mul_(scale)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return (gradient * ctx.stays).mul_(ctx.scale), None, None


def kept(shape: torch.Size | tuple[int, ...], rate: float) -> tuple[torch.Tensor, float]:
    """(which numbers dropout leaves, 1 or 0 of that shape; what it scales them by).

    int8, not bool: PyTorch compares into it, and multiplies by it, four times as fast.
    """
    count = math.prod(shape)
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)[:count]
    dropped = min(round(rate * _LEVELS), _LEVELS - 1)
    stays = torch.ge(bits, dropped - _LEVELS // 2, out=torch.empty(count, dtype=torch.int8))
    return stays.view(shape), _LEVELS / (_LEVELS - dropped)


class Attention(torch.autograd.Function):
    """Attention with dropout within each sequence of a packed batch.

    query, key, value: (heads, T, head size); runs: (count, length) of neighbours of equal length. Gives
    (T, heads, head size). Weights are as many as the squares of lengths, so factors go to queries, outputs, gradients.
    """

    @staticmethod
    def forward(ctx, query, key, value, runs, scale: float, dropout: float) -> torch.Tensor:
        heads, tokens, size = query.shape
        output = query.new_empty(tokens, heads, size)
        sizes = [heads * count * length * length for count, length in runs]
        stays, factor = kept((sum(sizes),), dropout)
        scaled = query * scale
        ctx.layers, at = [], 0
        for (count, length), drawn in zip(runs, stays.split(sizes), strict=True):
            span = slice(at, at + count * length)
            shape = (heads * count, length, size)
            q, k, v = (part[:, span].reshape(shape) for part in (scaled, key, value))
            weights = torch.softmax(torch.bmm(q, k.transpose(1, 2)), -1)
            left = weights * drawn.view_as(weights)
            _put(output[span], torch.bmm(left, v), count)
            ctx.layers.append((span, count, q, k, v, weights, drawn.view_as(weights), left))
            at = span.stop
        ctx.scale, ctx.factor = scale, factor
        return output.mul_(factor)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        tokens, heads, size = gradient.shape
        made = [gradient.new_empty(tokens, heads, size) for _ in range(3)]
        gradient = gradient * ctx.factor
        for span, count, q, k, v, weights, drawn, left in ctx.layers:
            rows = gradient[span].view(count, -1, heads, size).permute(2, 0, 1, 3).reshape(q.shape)
            to_weights = torch.bmm(rows, v.transpose(1, 2)).mul_(drawn)
            to_scores = torch._softmax_backward_data(to_weights, weights, -1, weights.dtype)
            _put(made[0][span], torch.bmm(to_scores, k), count)
            _put(made[1][span], torch.bmm(to_scores.transpose(1, 2), q), count)
            _put(made[2][span], torch.bmm(left.transpose(1, 2), rows), count)
        made[0].mul_(ctx.scale)
        return *(part.transpose(0, 1) for part in made), None, None, None


def _put(rows: torch.Tensor, values: torch.Tensor, count: int) -> None:
    """(heads * count, length, size) into rows (count * length, heads, size)."""
    heads, size = rows.shape[1:]
    rows.view(count, -1, heads, size).copy_(values.view(heads, count, -1, size).permute(1, 2, 0, 3))
