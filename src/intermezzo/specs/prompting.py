"""The specification of an evaluation by a prompted language model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from intermezzo.specs.base import Count, Natural, NonNegative, Seed, Spec
from intermezzo.specs.tasks import TaskSpec

Normalisation = Literal["none", "length", "null_prompt"]


class Prompt(Spec):
    """How a row becomes a prompt, in one language."""

    text: str
    """With {column} for each column of the task's format that it shows."""
    answers: dict[str, str] = Field({})
    """Label -> how it is said."""

    @property
    def null(self) -> str:
        """The null prompt: the last line, which asks for an answer to nothing."""
        return self.text.rstrip("\n").rpartition("\n")[2]


class LocalModel(Spec):
    """A causal language model that is loaded by transformers."""

    kind: Literal["local"]
    source: str = Field(alias="from", min_length=1)
    """A folder, a .gguf file, `package:MODULE/PATH`, or a name on the Hugging Face hub."""
    revision: str | None = None
    """Commit of the hub's repository."""
    max_length: Count
    """Most tokens of prompt and answer."""
    batch_size: Count


class ServerModel(Spec):
    """A model behind a server that speaks OpenAI's completions protocol."""

    kind: Literal["server"]
    server: str
    model: str
    key: str | None = None
    """The environment variable that has the key."""
    requests: Count


class PriceSpec(Spec):
    """Prices of a million tokens of prompts and of answers, and of an hour."""

    input: NonNegative = 0.0
    output: NonNegative = 0.0
    hour: NonNegative = 0.0


class PromptSpec(Spec):
    """One target answered by a prompted model in some languages."""

    model: Annotated[LocalModel | ServerModel, Field(discriminator="kind")]
    task: TaskSpec
    metrics: tuple[str, ...]
    """The main one first."""
    languages: tuple[str, ...]
    split: Literal["test", "dev"]
    translated: bool = False
    """Whether the rows were translated into English."""
    instruction: str
    """The language of the instruction; `own`: that of each test set."""
    prompts: dict[str, Prompt]
    """Language of the instruction -> prompt."""
    shots: Natural = 0
    shots_task: str | None = None
    """The task whose English training data the shots are from."""
    seed: Seed | None = None
    """Of the choice of shots; None where there are none."""
    normalise: Normalisation = "none"
    answer_tokens: Count
    price: PriceSpec = PriceSpec()
    threads: Count

    @property
    def online(self) -> bool:
        """Whether the job needs the network: for a server, and a model from the hub."""
        return isinstance(self.model, ServerModel) or self.model.revision is not None

    @property
    def data_names(self) -> tuple[str, ...]:
        """TASK/LANGUAGE of every file to answer."""
        return tuple(f"{self.task.name}/{code}" for code in self.languages)

    def prompt(self, language: str) -> Prompt:
        """The prompt for rows in a language."""
        return self.prompts[language if self.instruction == "own" else self.instruction]
