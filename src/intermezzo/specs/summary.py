"""The specification of the summary and the report: the design of the experiment."""

from __future__ import annotations

from pydantic import Field

from intermezzo.specs.base import Names, Spec


class Intermediate(Spec):
    """Tasks of an intermediate, and per mix the languages that it was really trained on (union over its tasks).

    A control (shuffled labels) is in the tables but in no average of the answer.
    """

    tasks: tuple[str, ...]
    mixes: dict[str, tuple[str, ...]]
    control: bool = False


class Target(Spec):
    """A target: its task and format, metrics (main one first), and evaluation languages.

    A control (input taken away, shuffled labels) is in the tables but in no average of the answer.
    """

    task: str
    training: str | None = None
    """The training that makes its model; None where none is trained."""
    format: str
    metrics: tuple[str, ...]
    languages: tuple[str, ...]
    development: tuple[str, ...] = ()
    """Languages that were scored on development data too."""
    control: bool = False
    baseline_only: bool = False


class Attributes(Spec):
    """What is known of a language, for analyses by it; None where nothing is."""

    family: str | None = None
    script: str | None = None
    joshi: int | None = None
    """Resource class 0-5 of Joshi et al. (2020)."""
    incomplete: bool = False
    """Whether family or script are not known. (An artificial language without a script is in Latin.)"""
    name: str | None = None
    """Of a language that the experiment adds to the table."""


class SummarySpec(Spec):
    """What was asked for: `intermezzo.analysis.design.Design` says which results that are."""

    english: str
    english_mix: str | None
    mixes: tuple[str, ...] = ()
    """All mixes, in the order of the configuration."""
    rare: Names
    seeds: tuple[int, ...]
    encoders: tuple[str, ...]
    baseline_only: Names = frozenset()
    """Control encoders, without intermediate training."""
    intermediates: dict[str, Intermediate]
    targets: dict[str, Target]
    attributes: dict[str, Attributes] = Field({})
    pretrained: dict[str, dict[str, bool]] = Field({})
    """Encoder -> evaluated language -> whether its pretraining text has it; what is not known is not there."""
