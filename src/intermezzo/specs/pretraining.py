"""The specification of an encoder that is pretrained in the workflow."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from intermezzo.specs.base import Count, Natural, Seed, Share, Spec
from intermezzo.specs.optimisation import Optimisation


class TokenizerSettings(Spec):
    """A BPE tokenizer, trained on the encoder's text."""

    vocab_size: Count
    required_chars: str = ""
    """Characters that must be pieces although the text may lack them."""


class Architecture(Spec):
    """The Transformer (XLM-RoBERTa's architecture)."""

    hidden_size: Count
    layers: Count
    heads: Count
    intermediate_size: Count
    """Width of the feed-forward layers."""
    max_length: Count
    """Longest input, in tokens."""


class PretrainingSettings(Optimisation):
    """Optimisation of masked language modelling."""

    steps: Natural
    """0 = an untrained encoder (a control)."""


class PretrainSpec(Spec):
    """An encoder trained by masked language modelling."""

    seed: Seed
    languages: tuple[str, ...]
    """Languages of the text."""
    tokenizer: TokenizerSettings
    model: Architecture
    initialisation: Literal["random", "cooccurrence"]
    """Word embeddings at the start: random, or from co-occurrence in parallel text."""
    language_alpha: Share
    """Languages are drawn in proportion to (number of documents)^alpha."""
    mask_rate: Annotated[float, Field(gt=0, lt=1)]
    training: PretrainingSettings
    threads: Count
    processes: Count = 1
    """Processes that train together."""
