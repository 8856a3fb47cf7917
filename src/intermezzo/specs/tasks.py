"""What training and evaluation are told of a task."""

from __future__ import annotations

from typing import Literal

from intermezzo.specs.base import Spec


class TaskSpec(Spec):
    """A task of the catalogue, as far as encoding, heads and predictions depend on it."""

    name: str
    format: str
    labels: tuple[str, ...] | Literal["from_data"]
    """from_data: those of its training data, which the trained model's manifest lists."""
    partial_input: str | None
    """The field that the partial-input control removes."""
    unanswerable: bool = False
    """Span: a question may have no answer in its context."""
