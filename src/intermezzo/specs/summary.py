"""The specification of the summary and the report: the design of the experiment, and the question that it asks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field

from intermezzo.core.artifacts import digest
from intermezzo.specs.base import Names, NonNegative, Spec

Kind = Literal["transfer", "untrained", "same skill", "same data", "few-shot", "translate-test"]
"""What an intermediate in a mix is to a target in one language: see `analysis.design.Design.kind`."""
QuestionGroup = Literal["rare", "rare_seen", "rare_unseen", "other", "english"]


class Intermediate(Spec):
    """Tasks of an intermediate, and per mix the languages that it was really trained on (union over its tasks).

    A control (shuffled labels) is in the tables but in no average of the answer.
    """

    tasks: tuple[str, ...]
    mixes: dict[str, tuple[str, ...]]
    rows: dict[str, dict[str, tuple[str, ...]]] = Field({})
    """mix -> task -> languages with rows; of a mix that is missing here, every task has all languages of `mixes`."""
    control: bool = False
    method: str = ""
    """What it is called in the comparison of methods, where it is more than a training on tasks."""


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
    trained_on: tuple[str, ...] = ()
    """Tasks whose English data train it, where that is not its own task; none where nothing is trained."""
    trained_in: tuple[str, ...] = ()
    """Languages other than English in which it is trained itself, so that its results are few-shot."""
    shots: dict[str, int | None] = Field({})
    """Of those the languages that it takes a number of examples of, and the number; None: all."""
    translated: bool = False
    """Whether its data in other languages than English are translated into English before they are read."""
    development: tuple[str, ...] = ()
    """Languages that were scored on development data too."""
    control: bool = False
    baseline_only: bool = False
    method: str = ""
    """What it is called in the comparison of methods, where neither its languages nor its translation say it."""


class Attributes(Spec):
    """What is known of a language, for analyses by it; None where nothing is."""

    family: str | None = None
    branch: str | None = None
    """A part of the family whose languages count as related, where the table has one."""
    script: str | None = None
    joshi: int | None = None
    """Resource class 0-5 of Joshi et al. (2020)."""
    incomplete: bool = False
    """Whether family or script are not known. (An artificial language without a script is in Latin.)"""
    name: str | None = None
    """Of a language that the experiment adds to the table."""


class Question(Spec):
    """The primary question: its comparisons alone get a verdict, and are corrected for each other alone."""

    mixes: tuple[str, ...] | None = None
    """Mixes that are compared; None: each one with a rare language."""
    against: str | None = None
    """The mix that they are compared with; None: the English-only one."""
    groups: tuple[QuestionGroup, ...] = ("rare", "rare_seen", "rare_unseen")
    pairs: tuple[Kind, ...] = ("transfer",)
    smallest: NonNegative = 1.0
    """The smallest difference that matters, in points."""


class Published(Spec):
    """A published score on a target's test data, in points: a mean over languages."""

    system: str
    source: str
    metric: str
    languages: tuple[str, ...]
    value: float


class Prices(Spec):
    """What an hour costs; None: not known, so that costs are hours."""

    gpu_hour: NonNegative | None = None
    cpu_hour: NonNegative | None = None
    """Of one core."""
    currency: str = "EUR"


class Prompted(Spec):
    """A prompted language model: target -> languages that it answers it in; whether its shots are drawn by the seed."""

    targets: dict[str, tuple[str, ...]]
    seeded: bool = False


class SummarySpec(Spec):
    """What was asked for: `intermezzo.analysis.design.Design` says which results that are."""

    english: str
    english_mix: str | None
    mixes: tuple[str, ...] = ()
    """All mixes, in the order of the configuration."""
    translated: Names = frozenset()
    """Mixes whose rows in other languages than English are translations of English rows."""
    rare: Names
    seeds: tuple[int, ...]
    encoders: tuple[str, ...]
    baseline_only: Names = frozenset()
    """Control encoders, without intermediate training."""
    intermediates: dict[str, Intermediate]
    targets: dict[str, Target]
    skills: dict[str, str] = Field({})
    """Task -> what it asks for (`tasks.SKILLS`); of a task that is missing here, its own name."""
    attributes: dict[str, Attributes] = Field({})
    question: Question = Question()
    prices: Prices = Prices()
    published: dict[str, tuple[Published, ...]] = Field({})
    """Target -> published scores over languages that it is all evaluated in, on the same data."""
    pretrained: dict[str, dict[str, bool]] = Field({})
    """Encoder -> evaluated language -> whether its pretraining text has it; what is not known is not there."""
    leakage: dict[str, str] = Field({})
    """Encoder -> what is known of tasks or test data in its pretraining, in words."""
    distances: dict[str, dict[str, float]] = Field({})
    """Evaluated language -> language of any mix, not English -> their distance, as far as it is known."""

    prompted: dict[str, Prompted] = Field({})
    """Language models that answer targets beside the encoders, without any training."""

    def in_order(self, mixes: Iterable[str]) -> list[str]:
        """Each mix once, as a reader gets them: English-only first, then in the configuration's order."""
        rank = {mix: number for number, mix in enumerate(self.mixes)}
        return sorted(set(mixes), key=lambda mix: (mix != self.english_mix, rank.get(mix, len(rank)), mix))

    @property
    def against(self) -> str | None:
        """The mix that others are compared with: the question's, else the English-only one, if there is one."""
        return self.question.against or self.english_mix

    @property
    def asked(self) -> tuple[str, ...]:
        """The mixes that the question is about: those that it names, else each one with a rare language.

        So a mix without rare languages (English repeated, other languages) is a control.
        """
        if self.question.mixes is not None:
            return self.question.mixes
        trained = [entry for entry in self.intermediates.values() if not entry.control]
        mixes = self.in_order(mix for entry in trained for mix, seen in entry.mixes.items() if self.rare & set(seen))
        return tuple(mix for mix in mixes if mix != self.against)

    def asked_question(self) -> dict[str, Any]:
        """The question with everything that it leaves open filled in."""
        return self.question.model_dump(mode="json") | {"mixes": list(self.asked), "against": self.against}

    @property
    def question_id(self) -> str:
        """A short name of the question: another one has another name."""
        return question_id(self.asked_question())


def question_id(question: dict[str, Any]) -> str:
    """A short name of a question with nothing left open."""
    return digest(question, 12)
