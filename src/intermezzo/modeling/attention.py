"""Attention of training over a packed batch on a CPU, in blocks that fit its cache.

Long inputs write and read a number per pair of tokens and head many times: scores, shares, draws of dropout, and the
gradient of each. A block is a few heads of a few sequences: what is made of its scores is used while it is in the
cache, and kept for the backward pass are the shares (float32) and the draws (int8) alone. With one thread the matrix
products are numpy's (OpenBLAS), which reads and writes the rows where they lie; PyTorch copies them into batches first,
and its MKL takes a fifth longer for matrices as narrow as a head (docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from intermezzo.modeling.kernels import kept

BLOCK = 2**17
"""Most numbers of scores in a block, unless one head of one sequence has more: half a megabyte."""


class Attention(torch.autograd.Function):
    """Attention (with dropout, or 0) within each sequence of a packed batch, as one node of the graph.

    query, key, value: (heads, T, head size); runs: (count, length) of neighbours of equal length. Gives
    (T, heads, head size). There are as many scores as squares of lengths, so factors go to queries, outputs, gradients.
    """

    @staticmethod
    def forward(ctx, query, key, value, runs, scale: float, dropout: float) -> torch.Tensor:
        heads, tokens, size = query.shape
        output = query.new_empty(tokens, heads, size)
        blocks = list(_blocks(heads, runs))
        draws, factor = kept([block.numbers for block in blocks], dropout) if dropout else ([None] * len(blocks), 1.0)
        scratch = query.new_empty(max(block.numbers for block in blocks))
        ctx.states = [states.numpy() for states in (query * scale, key, value)]
        mixed = output.transpose(0, 1).numpy()
        ctx.blocks = []
        for block, drawn in zip(blocks, draws, strict=True):
            q, k, v = map(block.rows, ctx.states)
            scores, stays = block.scores(scratch), None if drawn is None else block.scores(drawn)
            _multiply(q, k.swapaxes(-1, -2), scores.numpy())
            shares = torch.softmax(scores, -1)
            left = shares if stays is None else torch.mul(shares, stays, out=scores)
            _multiply(left.numpy(), v, block.rows(mixed))
            ctx.blocks.append((block, shares, stays))
        ctx.scale, ctx.factor = scale, factor
        return output.mul_(factor)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gradient = (gradient * ctx.factor).transpose(0, 1)
        to_query, to_key, to_value = made = [torch.empty_like(gradient) for _ in range(3)]
        arrays = [states.numpy() for states in (gradient, *made)]
        one, other = (gradient.new_empty(max(block.numbers for block, *_ in ctx.blocks)) for _ in range(2))
        for block, shares, stays in ctx.blocks:
            q, k, v = map(block.rows, ctx.states)
            given, to_q, to_k, to_v = map(block.rows, arrays)
            to_left, to_scores = block.scores(one), block.scores(other)
            left = shares if stays is None else torch.mul(shares, stays, out=to_left)
            _multiply(left.numpy().swapaxes(-1, -2), given, to_v)
            _multiply(given, v.swapaxes(-1, -2), to_left.numpy())
            if stays is not None:
                to_left.mul_(stays)
            torch._softmax_backward_data(to_left, shares, -1, shares.dtype, grad_input=to_scores)
            array = to_scores.numpy()
            _multiply(array, k, to_q)
            _multiply(array.swapaxes(-1, -2), q, to_k)
        return to_query.mul_(ctx.scale), to_key, to_value, None, None, None


class _Block:
    """Some heads of some sequences of equal length."""

    __slots__ = ("heads", "numbers", "shape", "tokens")

    def __init__(self, heads: slice, start: int, count: int, length: int) -> None:
        self.heads, self.tokens = heads, slice(start, start + count * length)
        self.shape = (heads.stop - heads.start, count, length)
        self.numbers = self.shape[0] * count * length**2

    def rows(self, states: np.ndarray) -> np.ndarray:
        """Its part of `states` (heads, T, size): a view (heads, count, length, size)."""
        return states[self.heads, self.tokens].reshape(*self.shape, -1)

    def scores(self, numbers: torch.Tensor) -> torch.Tensor:
        """The first numbers of a flat tensor as (heads, count, length, length)."""
        return numbers[: self.numbers].view(*self.shape, self.shape[-1])


def _blocks(heads: int, runs: tuple[tuple[int, int], ...]) -> Iterator[_Block]:
    start = 0
    for count, length in runs:
        together = min(count, max(1, BLOCK // length**2))
        group = min(heads, max(1, BLOCK // (together * length**2)))
        for first in range(0, count, together):
            some = min(together, count - first)
            for head in range(0, heads, group):
                yield _Block(slice(head, min(heads, head + group)), start, some, length)
            start += some * length


def _multiply(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
    if torch.get_num_threads() == 1:
        np.matmul(left, right, out=out)
    else:
        torch.from_numpy(out).copy_(torch.from_numpy(left) @ torch.from_numpy(right))
