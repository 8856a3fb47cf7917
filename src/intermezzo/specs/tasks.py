"""What training and evaluation are told of a task."""

from __future__ import annotations

from typing import Literal

from intermezzo.specs.base import Spec
from intermezzo.specs.encoding import EncodingSpec, HeadSpec, Pooling


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

    @property
    def known_labels(self) -> tuple[str, ...]:
        """The labels; none as long as they are those of data that nobody has read."""
        return self.labels if isinstance(self.labels, tuple) else ()

    def encoding(self, max_length: int, stride: int) -> EncodingSpec:
        """How rows of the task become features of at most `max_length` tokens."""
        alone, labels = self.partial_input is not None, self.known_labels
        return EncodingSpec(task=self.name, labels=labels, alone=alone, max_length=max_length, stride=stride)

    def head_spec(self, pooling: Pooling, dropout: float = 0.0) -> HeadSpec:
        """The task's head."""
        return HeadSpec(labels=self.known_labels, unanswerable=self.unanswerable, pooling=pooling, dropout=dropout)
