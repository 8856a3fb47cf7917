"""The gradient of one batch, in as few parts as memory and processes ask for, with the mathematics of the whole batch.

A batch's loss is a mean over what it predicts: examples, words or masked tokens. A part's mean loss counts by the
part's share of these, so the sum over parts is the loss of the batch, and so is its gradient. A loss that compares
examples with each other (ranking) is not such a sum: its gradient at the outputs of all examples is computed first,
and then sent back through one part after the other (gradient caching, Gao et al. 2021, arXiv 2101.06983).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import torch

from intermezzo.core.errors import UserError
from intermezzo.specs.optimisation import Precision
from intermezzo.training.distributed import gathered, highest, leads, processes, rank, sum_gradients
from intermezzo.training.hardware import autocast, device
from intermezzo.training.randomness import alike, random_state, set_random_state

Result = TypeVar("Result")


class Batches(Protocol):
    """What a run trains on: the items of each step's batch, and their loss.

    Random numbers that belong to the batch (which tokens are masked) are drawn in `items`, once a step.
    """

    def items(self, step: int) -> list[Any]:
        """The batch of a step; a pure function of the seed and the step (and of torch's random state on the CPU)."""

    def size(self, item: Any) -> int:
        """Tokens of an item."""

    def weight(self, step: int, items: Sequence[Any]) -> int:
        """Over how many predictions the loss of these items is a mean."""

    def outputs(self, step: int, items: Sequence[Any]) -> Any:
        """What the model makes of the items."""

    def loss(self, step: int, outputs: Any, items: Sequence[Any]) -> torch.Tensor:
        """Mean loss (a scalar)."""

    def joint(self, step: int) -> bool:
        """Whether the loss compares items; outputs are then a tensor: rows in their order, equally many of each."""

    def names(self, step: int) -> str:
        """The batch in words: which examples it holds."""


def split(sizes: Sequence[int], budget: int | None) -> list[slice]:
    """Consecutive parts of at most `budget` tokens each (or of one item that alone has more); None = one part."""
    if budget is None:
        return [slice(0, len(sizes))]
    parts, start, used = [], 0, 0
    for at, size in enumerate(sizes):
        if at > start and used + size > budget:
            parts.append(slice(start, at))
            start, used = at, 0
        used += size
    return [*parts, slice(start, len(sizes))]


def balance(sizes: Sequence[int], count: int) -> list[list[int]]:
    """Places 0, 1, ... dealt to `count` processes, with about as many tokens for each: the largest first."""
    shares: list[list[int]] = [[] for _ in range(count)]
    held = [0] * count
    for at in sorted(range(len(sizes)), key=lambda at: -sizes[at]):
        least = held.index(min(held))
        shares[least].append(at)
        held[least] += sizes[at]
    return [sorted(share) for share in shares]


class Gradient:
    """Makes the gradient of a step's batch the parameters' `grad`, which holds none before.

    Of several processes each computes the items that `balance` gives it, and all have the gradient of the whole batch.
    `budget`: most tokens per part, None = all at once. When memory runs out, in any process, it is halved for the rest
    of the run in all of them, and the batch is done anew.
    """

    def __init__(
        self,
        batches: Batches,
        precision: Precision,
        micro_tokens: int | None,
        say: Callable[[str], None],
        parameters: Sequence[torch.nn.Parameter] = (),
    ) -> None:
        self.batches, self.precision, self.say, self.parameters = batches, precision, say, parameters
        self.budget = micro_tokens

    def __call__(self, step: int, clear: Callable[[], None]) -> tuple[torch.Tensor, int]:
        """The batch's mean loss (detached) and its number of tokens. `clear` drops gradients of an attempt that failed.

        Raises UserError when one example alone is too much for the memory.
        """
        with alike():
            items = self.batches.items(step)
        sizes = [self.batches.size(item) for item in items]
        shares = balance(sizes, processes())
        own = shares[rank()]
        while True:
            parts = [[items[at] for at in own[part]] for part in split([sizes[at] for at in own], self.budget)]
            try:
                loss = self._backward(step, items, [part for part in parts if part], shares)
                break
            except torch.OutOfMemoryError:
                pass  # the exception holds the tensors of the failed attempt: it must be gone before the next
            clear()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self._halve(step, sizes, parts)
        return sum_gradients(self.parameters, loss), sum(sizes)

    def _halve(self, step: int, sizes: list[int], parts: list[list[Any]]) -> None:
        tokens = max(sum(map(self.batches.size, part)) for part in parts)
        largest, most = highest([tokens, max(map(len, parts))])
        if most == 1:
            raise UserError(
                f"out of memory at step {step + 1} with a single example of {max(sizes)} tokens; "
                "lower training max_length or take a smaller encoder"
            )
        self.budget = max(1, largest // 2)
        self.say(f"out of memory at step {step + 1}: batches now go in parts of at most {self.budget} tokens")

    def _backward(self, step: int, items: list[Any], parts: list[list[Any]], shares: list[list[int]]) -> torch.Tensor:
        """What `parts`, this process's, add to the loss of `items`; their gradient is added to the parameters'."""
        if (len(parts) > 1 or processes() > 1) and self.batches.joint(step):
            return self._joint(step, items, parts, shares)
        whole = self.batches.weight(step, items)

        def each() -> torch.Tensor:
            total: torch.Tensor | None = None
            for part in parts:
                share = self.batches.weight(step, part) / whole if whole else 0.0
                if not share:
                    continue  # the mean over nothing is not a number
                with autocast(self.precision):
                    loss = self.batches.loss(step, self.batches.outputs(step, part), part)
                loss = loss if share == 1 else loss * share
                loss.backward()
                total = loss.detach() if total is None else total + loss.detach()
            return torch.zeros(()) if total is None else total

        return _attempt(each)

    def _joint(self, step: int, items: list[Any], parts: list[list[Any]], shares: list[list[int]]) -> torch.Tensor:
        drawn: list[dict[str, Any]] = []

        def first() -> list[torch.Tensor]:
            made = []
            for part in parts:
                drawn.append(random_state())
                with torch.no_grad(), autocast(self.precision):
                    made.append(self.batches.outputs(step, part))
            return made

        cached = _attempt(first)
        outputs = _in_order(torch.cat(cached) if cached else None, shares).requires_grad_()
        with autocast(self.precision):
            loss = self.batches.loss(step, outputs, items)
        if leads():
            loss.backward()
            gradient = outputs.grad
        else:  # all have this loss: parameters of its own (a scale) get their gradient from one of them
            (gradient,) = torch.autograd.grad(loss, outputs)
        rows = gradient.unflatten(0, (len(items), -1))[shares[rank()]].flatten(0, 1)
        after = random_state()

        def second() -> None:
            gradients = rows.split([len(made) for made in cached])
            for part, state, gradient in zip(parts, drawn, gradients, strict=True):
                set_random_state(state)  # the same dropout as in the first pass
                with autocast(self.precision):
                    again = self.batches.outputs(step, part)
                again.backward(gradient)

        _attempt(second)
        set_random_state(after)
        return loss.detach() if leads() else torch.zeros(())


def _in_order(rows: torch.Tensor | None, shares: list[list[int]]) -> torch.Tensor:
    """The rows of all items in the order of the batch, from those that each process has of its share."""
    order = torch.tensor([at for share in shares for at in share])
    every = [rows] if processes() == 1 else gathered(None if rows is None else rows.cpu())
    found = torch.cat([some for some in every if some is not None]).to(device()).unflatten(0, (len(order), -1))
    return found[order.argsort().to(found.device)].flatten(0, 1)


def _attempt(work: Callable[[], Result]) -> Result:
    """What `work` gives; memory that runs out in one process has run out in all of them."""
    made: Result | None = None
    try:
        made, short = work(), 0
    except torch.OutOfMemoryError:
        short = 1
    if highest([short])[0]:
        raise torch.OutOfMemoryError
    return made
