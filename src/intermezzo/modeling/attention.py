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
LEAST_QUERIES = 32
"""Fewest queries of a block with a window: smaller matrices are not worth their calls."""
_ALL = slice(None)


class Attention(torch.autograd.Function):
    """Attention (with dropout, or 0) within each sequence of a packed batch, as one node of the graph.

    query, key, value: (heads, T, head size). runs: (count, length) of neighbours of equal length. Gives (T, heads, head
    size). There are as many scores as squares of lengths, so scale factors are applied to queries, outputs and
    gradients instead. window: the distance up to which tokens see each other, None = any.
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
        window: int | None = None,
    ) -> torch.Tensor:
        heads, tokens, size = query.shape
        out = query.new_empty(tokens, heads, size)
        blocks = list(_blocks(heads, runs, window))
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
            q, k, v, block_out = block.parts(*arrays)
            scores, keep_mask = block.scores(scratch), None if mask is None else block.scores(mask)
            _matmul(q, k.swapaxes(-1, -2), scores.numpy())
            if block.hidden is not None:
                scores.masked_fill_(block.hidden, -torch.inf)
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
        if any(block.hidden is not None for block, *_ in ctx.blocks):  # several blocks add to the same keys
            grad_key.zero_()
            grad_value.zero_()
        arrays = [states.detach().numpy() for states in (*ctx.saved_tensors, grad_out, *grads)]
        scratch, scores_scratch = (grad_out.new_empty(max(block.numel for block, *_ in ctx.blocks)) for _ in range(2))
        for block, probs, keep_mask in ctx.blocks:
            q, k, v, g, grad_q = block.parts(*arrays[:5])
            grad_k, grad_v = map(block.key_rows, arrays[5:])
            if block.hidden is not None:
                sums, grad_k, grad_v = (
                    (grad_k, grad_v),
                    np.empty(grad_k.shape, g.dtype),
                    np.empty(grad_v.shape, g.dtype),
                )
            grad_probs, grad_scores = block.scores(scratch), block.scores(scores_scratch)
            dropped_probs = probs if keep_mask is None else torch.mul(probs, keep_mask, out=grad_probs)
            _matmul(dropped_probs.numpy().swapaxes(-1, -2), g, grad_v)
            _matmul(g, v.swapaxes(-1, -2), grad_probs.numpy())
            if keep_mask is not None:
                grad_probs.mul_(keep_mask)
            _softmax_backward(grad_probs, probs, grad_scores)
            _matmul(grad_scores.numpy(), k, grad_q)
            _matmul(grad_scores.numpy().swapaxes(-1, -2), q, grad_k)
            if block.hidden is not None:
                for total, part in zip(sums, (grad_k, grad_v), strict=True):
                    total += part
        return grad_query.mul_(ctx.scale), grad_key, grad_value, None, None, None, None


class _Block:
    """Some heads of some sequences of equal length; with a window, some of their queries and the keys that these see.

    hidden: bool (queries, keys), the pairs that are too far apart; None = all see each other.
    """

    __slots__ = ("heads", "hidden", "keys", "numel", "queries", "scores_shape", "shape", "tokens")

    def __init__(
        self, heads: slice, start: int, count: int, length: int, queries: slice = _ALL, window: int | None = None
    ) -> None:
        self.heads, self.tokens = heads, slice(start, start + count * length)
        self.shape = (heads.stop - heads.start, count, length)
        self.queries, self.keys, self.hidden = queries, _ALL, None
        rows = columns = length
        if window is not None:
            self.keys = slice(max(0, queries.start - window), min(length, queries.stop + window))
            distances = torch.arange(queries.start, queries.stop)[:, None] - torch.arange(
                self.keys.start, self.keys.stop
            )
            self.hidden = distances.abs() > window
            rows, columns = self.hidden.shape
        self.scores_shape = (*self.shape[:2], rows, columns)
        self.numel = self.shape[0] * count * rows * columns

    def parts(self, query: np.ndarray, key: np.ndarray, value: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
        """Its queries, keys, values, and of `others` the rows of its queries."""
        return [
            self.query_rows(query), self.key_rows(key), self.key_rows(value), *map(self.query_rows, others)
        ]  # fmt: skip

    def query_rows(self, states: np.ndarray) -> np.ndarray:
        """Its queries' part of `states` (heads, T, size): a view (heads, count, queries, size)."""
        return states[self.heads, self.tokens].reshape(*self.shape, -1)[:, :, self.queries]

    def key_rows(self, states: np.ndarray) -> np.ndarray:
        """Its keys' part of `states` (heads, T, size): a view (heads, count, keys, size)."""
        return states[self.heads, self.tokens].reshape(*self.shape, -1)[:, :, self.keys]

    def scores(self, values: torch.Tensor) -> torch.Tensor:
        """The first values of a flat tensor as (heads, count, queries, keys)."""
        return values[: self.numel].view(self.scores_shape)


def _blocks(heads: int, runs: tuple[tuple[int, int], ...], window: int | None = None) -> Iterator[_Block]:
    """Cut each run into blocks of at most BLOCK scores: first into sequences, then into heads.

    Where a sequence is longer than a window reaches, into groups of queries before that.
    """
    start = 0
    for count, length in runs:
        parts, scores, reach = [_ALL], length**2, None
        if window is not None and length > window + 1:
            step, reach = max(window, LEAST_QUERIES), window
            parts = [slice(first, min(length, first + step)) for first in range(0, length, step)]
            scores = min(length, step) * min(length, step + 2 * window)
        most = min(count, max(1, BLOCK // scores))
        group = min(heads, max(1, BLOCK // (most * scores)))
        for first in range(0, count, most):
            sequences = min(most, count - first)
            for head in range(0, heads, group):
                for queries in parts:
                    yield _Block(slice(head, min(heads, head + group)), start, sequences, length, queries, reach)
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
