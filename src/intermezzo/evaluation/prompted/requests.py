"""From rows to requests to a language model, and from its answers to predictions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from intermezzo.core.artifacts import digest
from intermezzo.core.errors import UserError
from intermezzo.specs.prompting import Prompt, PromptSpec
from intermezzo.tasks.formats import load_format
from intermezzo.tasks.prompts import FIELD

Row = dict[str, Any]
_DELIMITER = " "
"""Between a prompt and its answer."""
_GAP = "\n\n"
"""Between a shot and what follows."""


class Request(NamedTuple):
    """What a model is asked: the log-likelihood of each choice after a prompt, or (no choices) an answer in writing."""

    prompt: str
    choices: tuple[str, ...]

    @property
    def key(self) -> str:
        """A name that equal requests alone have."""
        return digest([self.prompt, self.choices], 32)


class Answer(NamedTuple):
    """A model's answer, and what it cost. likelihoods: natural logarithms, one per choice."""

    likelihoods: tuple[float, ...]
    text: str
    input_tokens: int
    output_tokens: int
    seconds: float


class Asker:
    """The requests of one target and seed. shots: rows of English training data that may be shown as solved."""

    def __init__(self, spec: PromptSpec, shots: Sequence[Row] = ()) -> None:
        self.spec = spec
        self.form = load_format(spec.task.format)
        self.shots = self._drawn(shots) if spec.shots else []

    def requests(self, row: Row, language: str) -> tuple[Request, ...]:
        """The request of a row, and that of its choices after the null prompt where they are normalised by it."""
        prompt = self.spec.prompt(language)
        shots = "".join(
            f"{_text(prompt, shot)}{_DELIMITER}{self.form.solution(shot, self._answers(prompt))}{_GAP}"
            for shot in self.shots
        )
        choices = tuple(_DELIMITER + choice for choice in self._choices(prompt, row))
        request = Request(shots + _text(prompt, row), choices)
        null = self.spec.normalise == "null_prompt" and choices
        return (request, Request(prompt.null, choices)) if null else (request,)

    def prediction(self, row: Row, answers: Sequence[Answer]) -> Any:
        """What the answers to a row's requests predict, as `evaluation.metrics.score` takes it."""
        scores = list(answers[0].likelihoods)
        if not scores:
            return answers[0].text.strip()
        if self.spec.normalise == "null_prompt":
            scores = [score - null for score, null in zip(scores, answers[1].likelihoods, strict=True)]
        elif self.spec.normalise == "length":
            prompt = next(iter(self.spec.prompts.values()))
            lengths = [len(choice) for choice in self._choices(prompt, row)]
            scores = [score / max(1, length) for score, length in zip(scores, lengths, strict=True)]
        best = max(range(len(scores)), key=scores.__getitem__)
        return self.form.chosen(best, self.spec.task.known_labels)

    def _choices(self, prompt: Prompt, row: Row) -> list[str]:
        return self.form.choices(row, self._answers(prompt))

    def _answers(self, prompt: Prompt) -> dict[str, str]:
        """Label -> how it is said, in the order of the task's labels."""
        return {label: prompt.answers[label] for label in self.spec.task.known_labels}

    def _drawn(self, rows: Sequence[Row]) -> list[Row]:
        """The shots of a seed, drawn from rows that have an answer."""
        spec = self.spec
        answers = self._answers(next(iter(spec.prompts.values())))
        usable = [row for row in rows if self.form.solution(row, answers) is not None]
        if len(usable) < spec.shots:
            raise UserError(
                f"{spec.shots} shots are asked for, but the English training data of '{spec.shots_task}' has "
                f"{len(usable)} usable rows; lower `shots`"
            )
        return random.Random(digest(["shots", spec.seed])).sample(usable, spec.shots)


def _text(prompt: Prompt, row: Row) -> str:
    """The prompt with a row's columns; a line whose columns are all empty is left out."""
    lines = []
    for line in prompt.text.split("\n"):
        names = FIELD.findall(line)
        if not names or any(row[name] for name in names):
            lines.append(FIELD.sub(lambda field: _value(row[field[1]]), line))
    return "\n".join(lines)


def _value(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value or "")
