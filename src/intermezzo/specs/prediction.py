"""The part of an evaluation's specification that predictions depend on."""

from __future__ import annotations

from intermezzo.specs.base import Count, Natural, Spec
from intermezzo.specs.encoding import EncodingSpec, Pooling
from intermezzo.specs.optimisation import Precision
from intermezzo.specs.tasks import TaskSpec


class PredictionSpec(Spec):
    """All that predictions depend on besides weights, data and code: it keys the cache of predictions."""

    task: TaskSpec
    max_length: Count
    stride: Count
    pooling: Pooling
    """What a head reads; of sentence vectors, how tokens become one."""
    head: str | None = None
    """The trained head that predicts; None = the one with the task's name."""
    precision: Precision = "auto"
    threads: Count
    layer: Natural | None = None
    """Of sentence vectors: the encoder's layer they are read off; 0 = the embeddings."""
    center: bool = False
    """Of sentence vectors: subtract each language's mean vector."""
    prefix: str = ""
    """Of sentence vectors: text before every sentence."""

    @property
    def head_name(self) -> str:
        """The trained head that predicts."""
        return self.head or self.task.name

    @property
    def encoding(self) -> EncodingSpec:
        """How rows become features."""
        return self.task.encoding(self.max_length, self.stride)
