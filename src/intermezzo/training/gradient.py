"""The gradient of one batch, in as few parts as memory and processes ask for, with the mathematics of the whole batch.

A batch's loss is a mean over what it predicts: examples, words or masked tokens. A part's mean loss counts by the
part's share of these, so the sum over parts is the loss of the batch, and so is its gradient. A loss that compares
examples with each other (ranking) is not such a sum: its gradient at the outputs of all examples is computed first,
and then sent back through one part after the other (gradient caching, Gao et al. 2021, arXiv 2101.06983).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import torch

from intermezzo.core.errors import UserError
from intermezzo.modeling.kernels import fixed_weights
from intermezzo.specs.optimisation import FixedPrecision
from intermezzo.training.distributed import (
    all_gather,
    all_reduce_gradients,
    all_reduce_max,
    is_main_process,
    rank,
    world_size,
)
from intermezzo.training.hardware import computing, device
from intermezzo.training.randomness import random_state, set_random_state, shared_rng

Result = TypeVar("Result")
log = logging.getLogger(__name__)


class TrainingBatches(Protocol):
    """What a run trains on: the items of each step's batch, and their loss.

    Random numbers that belong to the batch (which tokens are masked) are drawn in `items`, once a step.
    """

    def items(self, step: int) -> list[Any]:
        """The batch of a step; a pure function of the seed and the step (and of torch's random state on the CPU)."""

    def size(self, item: Any) -> int:
        """Tokens of an item."""

    def weight(self, step: int, items: Sequence[Any]) -> int:
        """Over how many predictions the loss of these items is a mean."""

    def outputs(self, step: int, items: list[Any]) -> Any:
        """The model's outputs for the items."""

    def loss(self, step: int, outputs: Any, items: Sequence[Any]) -> torch.Tensor:
        """Mean loss (a scalar)."""

    def joint(self, step: int) -> bool:
        """Whether the loss compares items; outputs are then a tensor, rows in the order of the items."""

    def rows(self, step: int, item: Any) -> int:
        """Rows of the outputs that an item has, where the loss compares items."""

    def names(self, step: int) -> str:
        """The batch in words: which examples it holds."""


def split(sizes: Sequence[int], budget: int | None) -> list[slice]:
    """Consecutive parts of at most `budget` tokens each (or of one item that alone has more); None = one part."""
    if budget is None:
        return [slice(0, len(sizes))]
    parts, start, total = [], 0, 0
    for i, size in enumerate(sizes):
        if i > start and total + size > budget:
            parts.append(slice(start, i))
            start, total = i, 0
        total += size
    return [*parts, slice(start, len(sizes))]


def balance(sizes: Sequence[int], count: int) -> list[list[int]]:
    """Indices 0, 1, ... of items, dealt to `count` processes with about as many tokens for each: the largest first."""
    shares: list[list[int]] = [[] for _ in range(count)]
    totals = [0] * count
    for i in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        lightest = totals.index(min(totals))
        shares[lightest].append(i)
        totals[lightest] += sizes[i]
    return [sorted(share) for share in shares]


class Gradient:
    """Makes the gradient of a step's batch the parameters' `grad`, which holds none before.

    Of several processes each computes the items that `balance` gives it, and all have the gradient of the whole batch.
    `budget`: most tokens per part, None = all at once. When memory runs out, in any process, it is halved for the rest
    of the run in all of them, and the batch is computed again, with the same random numbers.
    """

    def __init__(
        self,
        batches: TrainingBatches,
        precision: FixedPrecision,
        micro_tokens: int | None = None,
        parameters: Sequence[torch.nn.Parameter] = (),
    ) -> None:
        self.batches, self.precision, self.parameters = batches, precision, parameters
        self.budget = micro_tokens

    def __call__(self, step: int, clear: Callable[[], None]) -> tuple[torch.Tensor, int]:
        """The batch's mean loss (detached) and its number of tokens. `clear` drops gradients of an attempt that failed.

        Raises UserError when one example alone is too much for the memory.
        """
        with fixed_weights():
            return self._of_step(step, clear)

    def _of_step(self, step: int, clear: Callable[[], None]) -> tuple[torch.Tensor, int]:
        with shared_rng():
            items = self.batches.items(step)
        sizes = [self.batches.size(item) for item in items]
        shares = balance(sizes, world_size())
        share = shares[rank()]
        before = random_state()
        while True:
            parts = [[items[i] for i in share[part]] for part in split([sizes[i] for i in share], self.budget)]
            try:
                loss = self._backward(step, items, [part for part in parts if part], shares)
                break
            except torch.OutOfMemoryError:
                pass  # the exception holds the tensors of the failed attempt: it must be gone before the next
            clear()
            set_random_state(before)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self._halve(step, sizes, parts)
        return all_reduce_gradients(self.parameters, loss), sum(sizes)

    def _halve(self, step: int, sizes: list[int], parts: list[list[Any]]) -> None:
        tokens = max(sum(map(self.batches.size, part)) for part in parts)
        largest, most = all_reduce_max([tokens, max(map(len, parts))])
        if most == 1:
            raise UserError(
                f"out of memory at step {step + 1} with a single example of {max(sizes)} tokens; "
                "lower training max_length or take a smaller encoder"
            )
        self.budget = max(1, largest // 2)
        log.warning("out of memory at step %d: batches now go in parts of at most %d tokens", step + 1, self.budget)

    def _backward(self, step: int, items: list[Any], parts: list[list[Any]], shares: list[list[int]]) -> torch.Tensor:
        """What `parts`, this process's, add to the loss of `items`; their gradient is added to the parameters'."""
        if (len(parts) > 1 or world_size() > 1) and self.batches.joint(step):
            return self._joint(step, items, parts, shares)
        whole = self.batches.weight(step, items)

        def backward() -> torch.Tensor:
            total: torch.Tensor | None = None
            for part in parts:
                share = self.batches.weight(step, part) / whole if whole else 0.0
                if not share:
                    continue  # the mean over nothing is not a number
                with computing(self.precision):
                    loss = self.batches.loss(step, self.batches.outputs(step, part), part)
                loss = loss if share == 1 else loss * share
                loss.backward()
                total = loss.detach() if total is None else total + loss.detach()
            return torch.zeros(()) if total is None else total

        return _attempt(backward)

    def _joint(self, step: int, items: list[Any], parts: list[list[Any]], shares: list[list[int]]) -> torch.Tensor:
        """The same for a loss that compares all items, by gradient caching: two forward passes per part."""
        states: list[dict[str, Any]] = []

        def encode() -> list[torch.Tensor]:
            vectors = []
            for part in parts:
                states.append(random_state())
                with torch.no_grad(), computing(self.precision):
                    vectors.append(self.batches.outputs(step, part))
            return vectors

        cached = _attempt(encode)
        counts = [self.batches.rows(step, item) for item in items]
        outputs = _in_order(torch.cat(cached) if cached else None, shares, counts).requires_grad_()
        with computing(self.precision):
            loss = self.batches.loss(step, outputs, items)
        if is_main_process():
            loss.backward()
            grad_outputs = outputs.grad
            assert grad_outputs is not None
        else:  # all have this loss: parameters of its own (a scale) get their gradient in one process
            (grad_outputs,) = torch.autograd.grad(loss, outputs)
        by_item = grad_outputs.split(counts)
        rows = torch.cat([by_item[i] for i in shares[rank()]] or [grad_outputs[:0]])
        end = random_state()

        def backward() -> None:
            grads = rows.split([len(vectors) for vectors in cached])
            for part, state, grad in zip(parts, states, grads, strict=True):
                set_random_state(state)  # the same dropout as in the first pass
                with computing(self.precision):
                    vectors = self.batches.outputs(step, part)
                vectors.backward(grad)

        _attempt(backward)
        set_random_state(end)
        return loss.detach() if is_main_process() else torch.zeros(())


def _in_order(rows: torch.Tensor | None, shares: list[list[int]], counts: list[int]) -> torch.Tensor:
    """The rows of all items in the order of the batch, from those that each process has of its share.

    counts: rows of each item.
    """
    order = [i for share in shares for i in share]
    by_rank = [rows] if world_size() == 1 else all_gather(None if rows is None else rows.cpu())
    joined = torch.cat([part for part in by_rank if part is not None]).to(device())
    by_item = dict(zip(order, joined.split([counts[i] for i in order]), strict=True))
    return torch.cat([by_item[i] for i in range(len(order))])


def _attempt(work: Callable[[], Result]) -> Result:
    """The result of `work`; memory that runs out in one process has run out in all of them."""
    results: list[Result] = []
    try:
        results.append(work())
        failed = 0
    except torch.OutOfMemoryError:
        failed = 1
    if all_reduce_max([failed])[0]:
        raise torch.OutOfMemoryError
    return results[0]
