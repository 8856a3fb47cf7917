"""Settings of the training loop, which pretraining and fine-tuning share."""

from __future__ import annotations

from typing import Literal

from intermezzo.specs.base import Count, NonNegative, Positive, Share, Spec

Precision = Literal["auto", "float32", "bfloat16"]
"""Of the computation (weights are float32); `auto` = bfloat16 where it is faster."""
FixedPrecision = Literal["float32", "bfloat16"]
"""What `auto` comes to on a machine."""


class Optimisation(Spec):
    """AdamW with linear warm-up and decay, in parts of a batch if memory asks for it."""

    batch_size: Count
    learning_rate: Positive
    """Peak."""
    weight_decay: NonNegative
    """Decoupled; not on biases and layer norms."""
    warmup: Share
    """Share of the steps in which the learning rate rises."""
    clip: Positive
    """Largest gradient norm, of the whole batch."""
    precision: Precision = "auto"
    micro_tokens: Count | None = None
    """Most tokens that are computed at a time; None = no limit."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay rates of AdamW's two moments."""
