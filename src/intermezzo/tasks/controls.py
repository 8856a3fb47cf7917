"""Controls: the same data with something taken away, to see whether a score can be had without it.

What each control does to rows of a format, the format itself says (`intermezzo.tasks.formats.base`).
"""

from __future__ import annotations

import random
from typing import Any

from intermezzo.tasks.formats import load_format

Rows = list[dict[str, Any]]


def remove_input(rows: Rows, fmt: str, field: str) -> Rows:
    """The partial-input control: `field` is removed from every row (hypothesis-only inference, the context alone)."""
    form = load_format(fmt)
    return [form.without(row, field) for row in rows]


def as_text(rows: Rows, fmt: str) -> Rows:
    """The text-only control: the inputs of labelled rows as text for masked language modelling, labels dropped.

    Pairs stay pairs; a question goes with its context; of multiple choices all are read, as in training.
    """
    form = load_format(fmt)
    pairs = [pair for row in rows for pair in form.as_text(row)]
    return [{"id": str(number), "text": text, "text_pair": pair} for number, (text, pair) in enumerate(pairs)]


def shuffle_labels(rows: Rows, fmt: str, seed: int) -> Rows:
    """The shuffled-label control: inputs and the distribution of gold stay, their connection goes.

    Classes (and what a ranking query should find) move between rows, tags between all tokens of the data, and an answer
    becomes a random run of as many words of its context.
    """
    return load_format(fmt).shuffled(rows, random.Random(seed))
