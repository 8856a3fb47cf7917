"""The specification of an adapter, which a training and what reads its model share."""

from __future__ import annotations

from typing import Literal

from intermezzo.specs.base import Count, Positive, Share, Spec

ALL_MODULES = "all"
"""Every linear layer of the encoder."""


class AdapterSpec(Spec):
    """An adapter that is trained in place of the encoder's weights."""

    kind: Literal["lora", "ia3"]
    rank: Count = 8
    """Of LoRA's two matrices."""
    alpha: Positive = 16.0
    """LoRA's product counts by alpha / rank."""
    dropout: Share = 0.0
    """Of LoRA's inputs."""
    modules: Literal["all"] | tuple[str, ...] | None = None
    """Names, or ends of names, of linear layers; None = those that peft adapts in encoders of this type."""
    start: Literal["merged", "stacked"] = "merged"
    """What becomes of the adapter of the model to start from: part of the weights, or a frozen one beside the new."""


def is_named(module: str, end: str) -> bool:
    """Whether a module of this full name is meant by `end`: its name or the last parts of it, as peft reads it."""
    return module == end or module.endswith(f".{end}")
