"""Prompted language models: rivals without any training, on the same test sets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from intermezzo.config.sections.base import BatchSize, Length, Number, Place, Section, Whole

Cost = Annotated[Number, Field(ge=0, le=1e9)]


class PriceConfig(Section):
    """What a prompted model costs, in any currency."""

    input: Cost = Field(0.0, description="Price of a million tokens of prompts.")
    output: Cost = Field(0.0, description="Price of a million tokens of answers.")
    hour: Cost = Field(0.0, description="Price of an hour in which the model answers, as of a rented GPU.")


class PromptedConfig(Section):
    """A language model that is prompted: a model of its own process (`from`), or one behind a server (`server`)."""

    model_config = ConfigDict(populate_by_name=True)

    from_: Place | None = Field(
        None,
        alias="from",
        description="A folder in Hugging Face format, a file that ends in .gguf, `package:<python package>/<folder or "
        ".gguf file in it>`, or a repository on the Hugging Face hub.",
    )
    revision: str | None = Field(
        None, description="Commit of the hub repository; required for a repository on the hub."
    )
    server: Annotated[str, Field(max_length=1000)] | None = Field(
        None, description="In place of `from`: the address of an OpenAI-compatible server (`http://localhost:8000/v1`)."
    )
    model: Annotated[str, Field(max_length=1000)] | None = Field(
        None, description="Name of the model on the server; required with `server`."
    )
    key: str | None = Field(
        None,
        description="Name of the environment variable that has the server's key, in capital letters; null = it needs "
        "none.",
    )
    requests: Annotated[Whole, Field(ge=1, le=256)] = Field(
        4, description="Requests that a server is sent at the same time."
    )
    targets: list[str] | None = Field(
        None, description="Targets of the grid that it answers; null = all whose format it can answer."
    )
    languages: list[str] | None = Field(
        None, description="Languages of evaluation in which it answers; null = all of each target."
    )
    instruction: str = Field(
        "en",
        description="Language of the instruction: a language with a file in resources/prompts/ or config/prompts/, or "
        "`own` = the language of each test set.",
    )
    shots: Annotated[Whole, Field(ge=0, le=1000)] = Field(
        0, description="Solved examples before each question, drawn per seed from the target's English training data."
    )
    normalise: Literal["none", "length", "null_prompt"] = Field(
        "none",
        description="Log-likelihoods of choices are taken as they are, per character, or minus that of the same choice "
        "after the null prompt (the prompt's last line alone).",
    )
    answer_tokens: Annotated[Whole, Field(ge=1, le=10_000)] = Field(
        32, description="Most tokens of an answer that is written (span), which ends at a line break."
    )
    max_length: Length = Field(
        2048, description="Most tokens of prompt and answer (`from`); longer prompts lose their beginning."
    )
    batch_size: BatchSize = Field(8, description="Rows whose choices are computed together (`from`).")
    price: PriceConfig = Field(PriceConfig(), description=PriceConfig.__doc__)
