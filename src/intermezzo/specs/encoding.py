"""What heads are told: how rows become features, and which head is trained on them."""

from __future__ import annotations

from typing import Literal

from intermezzo.specs.base import Count, Share, Spec

Pooling = Literal["cls", "cls_mean_max", "mean"]
"""What becomes of a sequence's tokens: the first one, it beside mean and maximum, or the mean."""


class EncodingSpec(Spec):
    """All that features depend on besides rows, tokenizer and code: it keys the cache of tokenised rows."""

    task: str
    """Its name, for messages."""
    labels: tuple[str, ...] = ()
    alone: bool = False
    """Whether every word of a tagging is read by itself: the control without context."""
    max_length: Count
    """Tokens per input; longer ones are cut, or read in windows."""
    stride: Count
    """Tokens by which two windows overlap."""


class HeadSpec(Spec):
    """A head of a task."""

    labels: tuple[str, ...] = ()
    unanswerable: bool = False
    """Whether a question may have no answer in its context."""
    pooling: Pooling
    dropout: Share = 0.0
