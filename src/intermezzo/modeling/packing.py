"""Packed batches: the sequences of a batch laid end to end, so that no padding is computed.

A batch of N sequences with T tokens in all is one row of T tokens. Everything in an encoder layer but attention
works token by token, so only attention needs to know where sequences begin. Sequences are laid out by length:
those of equal length are neighbours, and a *run* of them is one dense attention call without a mask. Loss and
gradient equal those of the padded batch up to float error (tests/test_modeling.py), at 30-60 % of its cost on
sentence pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

from intermezzo.modeling.attention import Attention
from intermezzo.modeling.kernels import use_kernels

Numbers: TypeAlias = Sequence[int] | np.ndarray


@dataclass(frozen=True)
class Packed:
    """A batch of N sequences, T tokens in all, S sequences of the longest length.

    tokens, types, positions: int64 (T,); positions count from 0 within each sequence.
    starts, lengths: int64 (N,), in the order in which the sequences were given (not that of the layout).
    owners: int64 (T,), the sequence that each token is of.
    begins: `starts` as Python numbers, so that reading them waits for no GPU.
    runs: (count, length) of the groups of equal length, in the order of the layout.
    """

    tokens: torch.Tensor
    types: torch.Tensor
    positions: torch.Tensor
    starts: torch.Tensor
    lengths: torch.Tensor
    owners: torch.Tensor
    begins: tuple[int, ...]
    runs: tuple[tuple[int, int], ...]

    def to(self, device: torch.device) -> Packed:
        """The batch on `device`; copies to a GPU are queued and not waited for."""
        if device.type == "cpu":
            return self
        names = ("tokens", "types", "positions", "starts", "lengths", "owners")
        # from pinned memory, so that the copies do not wait for the kernels that are queued
        tensors = {name: getattr(self, name).pin_memory().to(device, non_blocking=True) for name in names}
        return replace(self, **tensors)

    @property
    def longest(self) -> int:
        """S, the length of the longest sequence in tokens."""
        return self.runs[-1][1]

    @cached_property
    def mask(self) -> torch.Tensor:
        """bool (N, S): which cells of the padded view are tokens."""
        return torch.arange(self.longest, device=self.lengths.device) < self.lengths[:, None]

    @cached_property
    def cells(self) -> torch.Tensor:
        """int64 (N, S): for each cell of the padded view its token's place in the layout (0 where padded)."""
        span = torch.arange(self.mask.shape[1], device=self.starts.device)
        return (self.starts[:, None] + span) * self.mask

    @cached_property
    def places(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Of each token its cell in the padded view, counted row by row (T,), and `mask`."""
        return self.owners * self.longest + self.positions, self.mask

    def padded(self, values: torch.Tensor) -> torch.Tensor:
        """(T, ...) -> (N, S, ...); cells outside `mask` hold arbitrary values."""
        return values[self.cells]


def pack(sequences: Sequence[Numbers], types: Sequence[Numbers]) -> Packed:
    """Lay token id sequences (and their token types), lists or arrays, end to end, shortest first.

    Raises ValueError for an empty batch or an empty sequence: both would be silent nonsense in a loss.
    """
    if not sequences or not all(map(len, sequences)):
        raise ValueError("a batch needs at least one sequence, and every sequence at least one token")
    lengths = np.array([len(sequence) for sequence in sequences])
    order = np.argsort(lengths, kind="stable")
    sorted_lengths = lengths[order]
    begins = np.cumsum(sorted_lengths) - sorted_lengths
    starts = np.empty_like(lengths)
    starts[order] = begins
    return Packed(
        tokens=_concatenate([sequences[i] for i in order]),
        types=_concatenate([types[i] for i in order]),
        positions=torch.from_numpy(np.arange(sorted_lengths.sum()) - np.repeat(begins, sorted_lengths)),
        starts=torch.from_numpy(starts),
        lengths=torch.from_numpy(lengths),
        owners=torch.from_numpy(np.repeat(order, sorted_lengths)),
        begins=tuple(starts.tolist()),
        runs=tuple((len(list(group)), length) for length, group in groupby(sorted_lengths.tolist())),
    )


def _concatenate(parts: list[Numbers]) -> torch.Tensor:
    """One int64 tensor of its own (what is done to it does not reach the parts)."""
    return torch.from_numpy(np.concatenate(parts, dtype=np.int64))


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    runs: tuple[tuple[int, int], ...] = (),
    places: tuple[torch.Tensor, torch.Tensor] | None = None,
    window: int | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Attention within each sequence of a packed batch; plugs into transformers' attention interface.

    query, key, value: (1, heads, T, head size). Returns (1, T, heads, head size) and no weights. With `places`
    (`Packed.places`) it is one call over a padded view of the states: on a GPU the number of calls counts, not their
    size. In training on a CPU it is `intermezzo.modeling.attention`; everything else is PyTorch's own operation, called
    once per run. window: the distance up to which tokens see each other, None = any.
    """
    if places is not None:
        cells, mask = places
        states = (ScatterRows.apply(part[0].transpose(0, 1), cells, mask.numel()) for part in (query, key, value))
        q, k, v = (part.unflatten(0, mask.shape).transpose(1, 2) for part in states)
        visible = mask[:, None, None]
        if window is not None and mask.shape[1] > window + 1:
            visible = visible & near(mask.shape[1], window, mask.device)
        out = scaled_dot_product_attention(q, k, v, visible, dropout_p=dropout, scale=scaling)
        return GatherRows.apply(out.transpose(1, 2).flatten(0, 1), cells).unsqueeze(0), None
    if (dropout or torch.is_grad_enabled()) and scaling is not None and use_kernels(query):
        return Attention.apply(query[0], key[0], value[0], runs, scaling, dropout, window).unsqueeze(0), None
    sizes = [count * length for count, length in runs]
    outputs = []
    # split, not slices: its backward is one concatenation, that of a slice writes a tensor of zeros per run
    parts = zip(runs, *(states[0].split(sizes, dim=1) for states in (query, key, value)), strict=True)
    for (count, length), q, k, v in parts:
        q, k, v = (states.unflatten(1, (count, length)) for states in (q, k, v))
        visible = None if window is None or length <= window + 1 else near(length, window, query.device)
        outputs.append(scaled_dot_product_attention(q, k, v, visible, dropout_p=dropout, scale=scaling).flatten(1, 2))
    return torch.cat(outputs, dim=1).transpose(0, 1).unsqueeze(0), None


def near(length: int, window: int, device: torch.device) -> torch.Tensor:
    """bool (length, length): which tokens of a sequence are at most `window` tokens apart."""
    positions = torch.arange(length, device=device)
    return (positions[:, None] - positions).abs() <= window


class ScatterRows(torch.autograd.Function):
    """(T, ...) -> (cells, ...): row i goes to `places[i]`, zeros go elsewhere. places: int64 (T,), all different."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, places: torch.Tensor, cells: int) -> torch.Tensor:
        ctx.save_for_backward(places)
        return values.new_zeros(cells, *values.shape[1:]).index_copy_(0, places, values)

    @staticmethod
    def backward(ctx: Any, grad_out: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return grad_out.index_select(0, ctx.saved_tensors[0]), None, None


class GatherRows(torch.autograd.Function):
    """(cells, ...) -> (T, ...): the inverse of `ScatterRows`. An index's own backward pass adds up rows, slowly."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(places)
        ctx.cells = len(values)
        return values.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, grad_out: torch.Tensor) -> tuple[torch.Tensor, None]:
        zeros = grad_out.new_zeros(ctx.cells, *grad_out.shape[1:])
        return zeros.index_copy_(0, ctx.saved_tensors[0], grad_out), None
