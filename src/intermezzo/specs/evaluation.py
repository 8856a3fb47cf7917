"""The specification of an evaluation: which predictions, and what is done with them."""

from __future__ import annotations

from typing import Literal

from intermezzo.specs.base import Spec
from intermezzo.specs.prediction import PredictionSpec


class EvaluateSpec(Spec):
    """One target on one model in all its languages."""

    prediction: PredictionSpec
    metrics: tuple[str, ...]
    """The main one first."""
    languages: tuple[str, ...]
    development: tuple[str, ...] = ()
    """Languages whose development data is scored too."""
    translated: bool = False
    """Whether rows of other languages than English are translations into English, and are scored as English."""
    split: Literal["test", "dev"]
    """The split that `languages` are scored on."""

    @property
    def threads(self) -> int:
        """Threads of the job."""
        return self.prediction.threads

    @property
    def data_names(self) -> tuple[str, ...]:
        """TASK/LANGUAGE of every file to predict on, TASK/LANGUAGE.dev of development data."""
        task = self.prediction.task.name
        return tuple(f"{task}/{name}" for name in (*self.languages, *(f"{code}.dev" for code in self.development)))


class CodeStamps(Spec):
    """Fingerprints of what makes predictions and of what scores them."""

    predict: str = ""
    score: str = ""


class RunNames(Spec):
    """The keys that name an evaluation, as they are written into its results."""

    encoder: str
    intermediate: str
    mix: str
    target: str
    seed: int | None
