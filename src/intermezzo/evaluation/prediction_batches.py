"""Batches of prediction: of similar length, of a fixed number of tokens, and nothing waits in between."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from intermezzo.core.errors import UserError
from intermezzo.modeling.heads import Feature
from intermezzo.modeling.packing import Packed, pack
from intermezzo.modeling.stored import sizes
from intermezzo.training.hardware import device

log = logging.getLogger(__name__)
TOKENS = {"cpu": 2048, "cuda": 32768}
"""Tokens per batch: small ones of similar length beat big ones on a CPU (its cache); a GPU needs work for its cores."""
log = logging.getLogger(__name__)
Outputs = Iterator[tuple[list[Feature], Any]]
"""The features of a batch, and what was made of them."""


class PredictionBatches:
    """Batches of features by length, cut wherever the next one would pass `tokens`.

    When a GPU's memory runs out, `tokens` is halved for all that follows, as in training.
    """

    def __init__(self, tokens: int | None = None) -> None:
        """tokens: None = as many as suit the device."""
        self.tokens = tokens or TOKENS[device().type]

    def outputs(self, features: Sequence[Feature], compute: Callable[[Packed, list[Feature]], Any]) -> Outputs:
        """What `compute` makes of each batch, given packed and as features.

        Raises UserError when one feature alone is too much for the memory.
        """
        lengths = sizes(features)
        order = np.argsort(lengths, kind="stable").tolist()
        begin, lengths = 0, lengths[order].tolist()
        while begin < len(order):
            end, used = begin + 1, lengths[begin]
            while end < len(order) and used + lengths[end] <= self.tokens:
                used += lengths[end]
                end += 1
            batch = [features[i] for i in order[begin:end]]
            try:
                output = compute(packed(batch), batch)
            except torch.OutOfMemoryError:
                output = None  # the exception holds the tensors of the failed attempt: it must be gone before the next
            if output is None:
                self._halve(used, end - begin)
                continue
            yield batch, output
            begin = end

    def _halve(self, used: int, count: int) -> None:
        if count == 1:
            raise UserError(
                f"out of memory in predicting one example of {used} tokens; lower max_length or take a smaller encoder"
            )
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.tokens = used // 2
        log.warning("out of memory: predictions now in batches of at most %d tokens", self.tokens)


def packed(batch: list[Feature]) -> Packed:
    """The features as one packed batch on the device."""
    return pack([s for f in batch for s in f.sequences], [t for f in batch for t in f.types]).to(device())


def on_host(outputs: Outputs) -> Outputs:
    """The same on the CPU: while a batch is waited for and decoded, the next one is already on its way."""
    previous: tuple[list[Feature], Any, torch.cuda.Event | None] | None = None
    for batch, output in outputs:
        current = (batch, *_send(output))
        if previous is not None:
            yield _receive(*previous)
        previous = current
    if previous is not None:
        yield _receive(*previous)


def _send(output: Any) -> tuple[Any, torch.cuda.Event | None]:
    """A tensor, or a tuple of one and Python values, on its way to the CPU, and the event of its arrival."""
    tensor, others = (output[0], output[1:]) if isinstance(output, tuple) else (output, None)
    if not tensor.is_cuda:
        return output, None
    copy = torch.empty_like(tensor, device="cpu", pin_memory=True).copy_(tensor, non_blocking=True)
    event = torch.cuda.Event()
    event.record()
    return copy if others is None else (copy, *others), event


def _receive(batch: list[Feature], output: Any, event: torch.cuda.Event | None) -> tuple[list[Feature], Any]:
    if event is not None:
        event.synchronize()
    return batch, output
