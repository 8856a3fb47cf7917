"""Attention of training over a packed batch on a CPU, in blocks that fit its cache.

With long inputs, attention writes and reads a value per pair of tokens and head many times: scores, probabilities,
dropout masks, and the gradient of each. A block is a few heads of a few sequences, so that all of these stay in the
cache while they are used. The backward pass needs the probabilities (float32) and the dropout masks (int8) alone. With
one thread the matrix products are numpy's (OpenBLAS), which reads and writes rows where they lie. PyTorch first copies
them into batches, and its MKL takes a fifth longer for matrices as narrow as a head (docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from intermezzo.modeling.kernels import dropout_masks

BLOCK = 2**17
"""Most scores in a block, unless one head of one sequence has more: half a megabyte."""


class Attention(torch.autograd.Function):
    """Attention (with dropout, or 0) within each sequence of a packed batch, as one node of the graph.

    query, key, value: (heads, T, head size). runs: (count, length) of neighbours of equal length. Gives (T, heads, head
    size). There are as many scores as squares of lengths, so scale factors are applied to queries, outputs and
    gradients instead.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        runs: tuple[tuple[int, int], ...],
        scale: float,
        dropout: float,
    ) -> torch.Tensor:
        heads, tokens, size = query.shape
        out = query.new_empty(tokens, heads, size)
        blocks = list(_blocks(heads, runs))
        masks: Iterator[torch.Tensor | None] = iter([None] * len(blocks))
        dropout_scale = 1.0
        if dropout:
            masks, dropout_scale = dropout_masks([block.numel for block in blocks], dropout)
        scratch = query.new_empty(max(block.numel for block in blocks))
        scaled_query = query * scale
        ctx.save_for_backward(scaled_query, key, value)
        arrays = [states.detach().numpy() for states in (scaled_query, key, value, out.transpose(0, 1))]
        ctx.blocks = []
        for block, mask in zip(blocks, masks, strict=True):
            q, k, v, block_out = map(block.rows, arrays)
            scores, keep_mask = block.scores(scratch), None if mask is None else block.scores(mask)
            _matmul(q, k.swapaxes(-1, -2), scores.numpy())
            probs = torch.softmax(scores, -1)
            dropped_probs = probs if keep_mask is None else torch.mul(probs, keep_mask, out=scores)
            _matmul(dropped_probs.numpy(), v, block_out)
            ctx.blocks.append((block, probs, keep_mask))
        ctx.scale, ctx.dropout_scale = scale, dropout_scale
        return out.mul_(dropout_scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        grad_out = (grad_out * ctx.dropout_scale).transpose(0, 1)
        grad_query, grad_key, grad_value = grads = [torch.empty_like(grad_out) for _ in range(3)]
        arrays = [states.detach().numpy() for states in (*ctx.saved_tensors, grad_out, *grads)]
        scratch, scores_scratch = (grad_out.new_empty(max(block.numel for block, *_ in ctx.blocks)) for _ in range(2))
        for block, probs, keep_mask in ctx.blocks:
            q, k, v, g, grad_q, grad_k, grad_v = map(block.rows, arrays)
            grad_probs, grad_scores = block.scores(scratch), block.scores(scores_scratch)
            dropped_probs = probs if keep_mask is None else torch.mul(probs, keep_mask, out=grad_probs)
            _matmul(dropped_probs.numpy().swapaxes(-1, -2), g, grad_v)
            _matmul(g, v.swapaxes(-1, -2), grad_probs.numpy())
            if keep_mask is not None:
                grad_probs.mul_(keep_mask)
            _softmax_backward(grad_probs, probs, grad_scores)
            _matmul(grad_scores.numpy(), k, grad_q)
            _matmul(grad_scores.numpy().swapaxes(-1, -2), q, grad_k)
        return grad_query.mul_(ctx.scale), grad_key, grad_value, None, None, None


class _Block:
    """Some heads of some sequences of equal length."""

    __slots__ = ("heads", "numel", "shape", "tokens")

    def __init__(self, heads: slice, start: int, count: int, length: int) -> None:
        self.heads, self.tokens = heads, slice(start, start + count * length)
        self.shape = (heads.stop - heads.start, count, length)
        self.numel = self.shape[0] * count * length**2

    def rows(self, states: np.ndarray) -> np.ndarray:
        """Its part of `states` (heads, T, size): a view (heads, count, length, size)."""
        return states[self.heads, self.tokens].reshape(*self.shape, -1)

    def scores(self, values: torch.Tensor) -> torch.Tensor:
        """The first values of a flat tensor as (heads, count, length, length)."""
        return values[: self.numel].view(*self.shape, self.shape[-1])


def _blocks(heads: int, runs: tuple[tuple[int, int], ...]) -> Iterator[_Block]:
    """Cut each run into blocks of at most BLOCK scores: first into sequences, then into heads."""
    start = 0
    for count, length in runs:
        most = min(count, max(1, BLOCK // length**2))
        group = min(heads, max(1, BLOCK // (most * length**2)))
        for first in range(0, count, most):
            sequences = min(most, count - first)
            for head in range(0, heads, group):
                yield _Block(slice(head, min(heads, head + group)), start, sequences, length)
            start += sequences * length


def _matmul(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    if torch.get_num_threads() == 1:
        np.matmul(a, b, out=out)
    else:
        torch.from_numpy(out).copy_(torch.from_numpy(a) @ torch.from_numpy(b))


def _softmax_backward(grad_probs: torch.Tensor, probs: torch.Tensor, out: torch.Tensor) -> None:
    """Write the gradient at the scores of a softmax over the last dimension to `out`."""
    if _has_softmax_backward():
        torch._softmax_backward_data(grad_probs, probs, -1, probs.dtype, grad_input=out)
    else:
        torch.mul(grad_probs, probs, out=out)
        out.sub_(probs * out.sum(-1, keepdim=True))


@cache
def _has_softmax_backward() -> bool:
    """Whether this PyTorch has the private operation, in the form that we call: into memory that is there already."""
    grad_probs, out = torch.tensor([1.0, 0.0]), torch.empty(2)
    try:
        torch._softmax_backward_data(grad_probs, torch.tensor([0.5, 0.5]), -1, torch.float32, grad_input=out)
    except (AttributeError, RuntimeError, TypeError):
        return False
    return out.tolist() == [0.25, -0.25]
