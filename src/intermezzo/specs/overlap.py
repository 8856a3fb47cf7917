"""The specifications of the search for rows in training data: of the table, and of files without what it names."""

from __future__ import annotations

from typing import Literal

from intermezzo.specs.base import Count, Spec

Kind = Literal["exact", "normalised", "ngram"]
"""How rows overlap: see `sources.overlap`."""


class TrainingFile(Spec):
    """A file that something is trained on."""

    source: str
    task: str
    language: str
    format: str

    @property
    def name(self) -> str:
        """source/task."""
        return f"{self.source}/{self.task}"

    @property
    def data_name(self) -> str:
        """What the file is called on the command line."""
        return f"{self.source}/{self.task}/{self.language}"


class EvaluationFile(Spec):
    """A file that targets of a task are evaluated on."""

    task: str
    language: str
    format: str

    @property
    def data_name(self) -> str:
        """What the file is called on the command line."""
        return f"{self.task}/{self.language}"


class OverlapSpec(Spec):
    """The table of all overlaps of an experiment."""

    ngram: Count
    """Words in a row that two rows have in common."""
    drop: Kind | None = None
    """Training rows of this kind are left out of the trainings."""
    intermediates: tuple[TrainingFile, ...]
    """What intermediates are trained on."""
    targets: tuple[TrainingFile, ...]
    """What targets are trained on; a file may be in both."""
    tests: tuple[EvaluationFile, ...]

    @property
    def training(self) -> tuple[TrainingFile, ...]:
        """All training files, each once."""
        return tuple(dict.fromkeys((*self.intermediates, *self.targets)))


class DisjointSpec(Spec):
    """A training file without the rows that overlap with test data of its language."""

    ngram: Count
    drop: Kind
    training: TrainingFile
    tests: tuple[EvaluationFile, ...]
