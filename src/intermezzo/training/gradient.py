"""The gradient of one batch, in as few parts as memory allows, with the mathematics of the whole batch.

A batch's loss is a mean over what it predicts: examples, words or masked tokens. A part's mean loss counts by the
part's share of these, so the sum over parts is the loss of the batch, and so is its gradient. A loss that compares
examples with each other (ranking) is not such a sum: its gradient at the outputs of all examples is computed first,
and then sent back through one part after the other (gradient caching, Gao et al. 2021, arXiv 2101.06983).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

from intermezzo.errors import UserError
from intermezzo.training.hardware import autocast


class Batches(Protocol):
    """What a run trains on: the items of each step's batch, and their loss.

    Random numbers that belong to the batch (which tokens are masked) are drawn in `items`, once a step.
    """

    def items(self, step: int) -> list[Any]:
        """The batch of a step; a pure function of the seed and the step (and of torch's random state)."""

    def size(self, item: Any) -> int:
        """Tokens of an item."""

    def weight(self, step: int, items: Sequence[Any]) -> int:
        """Over how many predictions the loss of these items is a mean."""

    def outputs(self, step: int, items: Sequence[Any]) -> Any:
        """What the model makes of the items."""

    def loss(self, step: int, outputs: Any, items: Sequence[Any]) -> torch.Tensor:
        """Mean loss (a scalar)."""

    def joint(self, step: int) -> bool:
        """Whether the loss compares items; outputs are then a tensor whose rows are in the order of the items."""

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


class Gradient:
    """Adds the gradient of a step's batch to the parameters' `grad`.

    `budget`: most tokens per part, None = whole batches. When memory runs out it is halved for the rest of the run,
    and the batch is done anew.
    """

    def __init__(self, batches: Batches, settings: dict[str, Any], say: Callable[[str], None]) -> None:
        self.batches, self.settings, self.say = batches, settings, say
        self.budget: int | None = settings.get("micro_tokens")

    def __call__(self, step: int, clear: Callable[[], None]) -> tuple[torch.Tensor, int]:
        """The batch's mean loss (detached) and its number of tokens. `clear` drops gradients of an attempt that failed.

        Raises UserError when one example alone is too much for the memory.
        """
        items = self.batches.items(step)
        sizes = [self.batches.size(item) for item in items]
        while True:
            parts = [items[part] for part in split(sizes, self.budget)]
            try:
                return self._backward(step, items, parts), sum(sizes)
            except torch.OutOfMemoryError:
                pass  # the exception holds the tensors of the failed attempt: it must be gone before the next
            clear()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self._halve(step, sizes, parts)

    def _halve(self, step: int, sizes: list[int], parts: list[list[Any]]) -> None:
        if max(map(len, parts)) == 1:
            raise UserError(
                f"out of memory at step {step + 1} with a single example of {max(sizes)} tokens; "
                "lower training max_length or take a smaller encoder"
            )
        largest = max(sum(map(self.batches.size, part)) for part in parts)
        self.budget = max(1, largest // 2)
        self.say(f"out of memory at step {step + 1}: batches now go in parts of at most {self.budget} tokens")

    def _backward(self, step: int, items: list[Any], parts: list[list[Any]]) -> torch.Tensor:
        if len(parts) > 1 and self.batches.joint(step):
            return self._joint(step, items, parts)
        whole = self.batches.weight(step, items)
        total: torch.Tensor | None = None
        for part in parts:
            share = self.batches.weight(step, part) / whole if whole else 0.0
            if not share:
                continue  # the mean over nothing is not a number
            with autocast(self.settings):
                loss = self.batches.loss(step, self.batches.outputs(step, part), part)
            loss = loss if share == 1 else loss * share
            loss.backward()
            total = loss.detach() if total is None else total + loss.detach()
        return torch.zeros(()) if total is None else total

    def _joint(self, step: int, items: list[Any], parts: list[list[Any]]) -> torch.Tensor:
        cached, drawn = [], []
        for part in parts:
            drawn.append(random_state())
            with torch.no_grad(), autocast(self.settings):
                cached.append(self.batches.outputs(step, part))
        outputs = torch.cat(cached).requires_grad_()
        with autocast(self.settings):
            loss = self.batches.loss(step, outputs, items)
        loss.backward()
        after = random_state()
        gradients = outputs.grad.split([len(c) for c in cached])
        for part, state, gradient in zip(parts, drawn, gradients, strict=True):
            set_random_state(state)  # the same dropout as in the first pass
            with autocast(self.settings):
                again = self.batches.outputs(step, part)
            again.backward(gradient)
        set_random_state(after)
        return loss.detach()


def random_state() -> dict[str, Any]:
    """The state of torch's generators."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}


def set_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["cpu"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
