"""Intermediate training: tasks, language mixes, and the translation of training data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from intermezzo.config.sections.base import (
    BatchSize,
    Length,
    Name,
    Number,
    Place,
    Rows,
    Section,
    Share,
    Temperature,
    Truth,
    Whole,
)
from intermezzo.config.sections.training import Overrides

Weight = Annotated[Number, Field(le=1e6)]
"""A weight of a mix. That none is negative is said with the mix; shares below a billionth count as nothing."""


class ContinuedMlm(Section):
    """Masked language modelling that continues during an intermediate training."""

    share: Annotated[Number, Field(ge=0, le=0.99)] = Field(
        0.0,
        description="Share of masked-text batches; they are added to the tasks' batches, whose number stays. 0 = none.",
    )
    task: str = Field("text", description="Source of the text: a task of format mlm.")
    languages: Literal["all", "mix"] | list[str] = Field(
        "all", description="Languages of the text: `all`, `mix` (the languages of the mix), or a list of codes."
    )
    examples: Rows = Field(None, description="Number of texts, divided evenly among the languages; null = all texts.")


class Realignment(Section):
    """Realignment: sentences and their English translations (or their words) get states that are alike."""

    task: str = Field("parallel", description="Source of the pairs: a task of format retrieval.")
    pairs: Rows = Field(
        None,
        description="Number of pairs, divided by the mix, in which the share of English goes to the languages that are "
        "neither rare nor English; null = `examples` of intermediate training.",
    )
    level: Literal["sentence", "word", "both"] = Field(
        "sentence", description="What is compared: sentences, words that belong together, or both."
    )
    temperature: Annotated[Number, Field(ge=0.001, le=100)] = Field(
        0.1, description="Temperature of the contrast: a pair against all others of its batch."
    )
    layer: Annotated[Whole, Field(ge=0, le=1000)] | None = Field(
        None, description="Layer whose states are compared; 0 = the embeddings, null = the last one."
    )
    layers: Literal["all", "lower", "upper"] = Field(
        "all", description="Layers that are trained: `lower` = the embeddings and the first half, `upper` = the others."
    )
    regulariser: Annotated[Number, Field(ge=0, le=1e6)] = Field(
        1.0, description="Weight of the distance of English states from those before training; 0 = none."
    )
    match_layer: Annotated[Whole, Field(ge=0, le=1000)] | None = Field(
        None, description="word: layer by whose states, as they were, words are matched; null = the last one."
    )
    alignments: Place | None = Field(
        None,
        description="word: folder of alignments in place of matching, a file LANGUAGE.txt each (docs/rivals.md); "
        "null = match.",
    )


class IntermediateConfig(Section):
    """One intermediate training, on one task or on several tasks at once."""

    tasks: list[str] | None = Field(
        None,
        description="Names of the tasks; null = the task with the name of this entry, or none if there is `align`.",
    )
    mixes: list[Name] | None = Field(
        None, description="The mixes among `grid.mixes` in which to train it; null = all of them."
    )
    sampling: Literal["proportional", "uniform", "temperature"] = Field(
        "proportional", description="Shares of the tasks in the steps: by size, uniform, or by size^(1/temperature)."
    )
    cap: Rows = Field(
        None, description="Maximum size of a task in `sampling`; larger tasks count as this size. null = no cap."
    )
    temperature: Temperature = Field(1.0, description="Temperature, if `sampling` is `temperature`.")
    mlm: ContinuedMlm = Field(ContinuedMlm(), description="Masked language modelling beside the tasks.")
    align: Realignment | None = Field(
        None, description="Realignment on translations, alone or beside the tasks; null = none."
    )
    shuffle_labels: Truth = Field(False, description="Control: train with shuffled labels.")
    as_text: Truth = Field(False, description="Control: masked language modelling on the inputs, without the labels.")
    training: Overrides = Field(Overrides(), description="Settings of this intermediate; they override all others.")


class MixConfig(Section):
    """A distribution over languages, and the number of examples that it divides."""

    weights: dict[str, Weight] = Field(
        description="language or group -> weight, normalised to sum to 1. The languages of a group that have training "
        "data in the task share the group's weight. Groups: `@rare`, `@other` (neither rare nor English), `@all`, "
        "`@family:NAME`, `@script:NAME`, `rest` (every language not covered by another entry)."
    )
    budget: Literal["matched", "additive", "english_repeated"] = Field(
        "matched",
        description="`matched` = as many examples as English-only training; `additive` = all English examples, plus "
        "those of the mix's other languages; `english_repeated` = the control for an additive mix of the same weights: "
        "English only, repeated to the size of that mix.",
    )
    unit: Literal["examples", "tokens"] = Field(
        "examples",
        description="What the weights divide and the budget counts: `examples`, or `tokens` of the encoder's "
        "tokenizer, with as many tokens as English-only training has in its examples.",
    )
    repeats: Annotated[Whole, Field(ge=1, le=1000)] = Field(
        1, description="Maximum number of times that rows of a language are used if it has too few rows."
    )
    temperature: Temperature | None = Field(
        None, description="A group's weight is divided in proportion to rows^(1/temperature); null = evenly."
    )
    leave_out: list[str] = Field(
        [], description="Languages and groups excluded from the mix, so that they stay unseen."
    )
    translated: Truth = Field(
        False, description="Use translations of English rows as the rows of all other languages (see `translation`)."
    )


class TranslationConfig(Section):
    """Translation of training data, for mixes with `translated: true`."""

    backend: Literal["world", "hub", "files"] = Field(
        "world",
        description="`world` = the embedded world's translator; `hub` = a sequence-to-sequence model; `files` = "
        "published translations of the task.",
    )
    examples: Rows = Field(
        None, description="Number of English rows to translate per task and language (a sample); null = all."
    )
    noise: Share = Field(0.1, description="world: share of wrongly translated content words.")
    model: Place | None = Field(
        None, description="hub: a folder, or a repository on the Hugging Face hub (NLLB, MADLAD, ...)."
    )
    revision: str | None = Field(
        None, description="hub: commit of the model's repository; required for a repository on the hub."
    )
    languages: dict[str, str] = Field({}, description="hub: language -> the model's code for it (sw: swh_Latn).")
    english: str = Field("eng_Latn", description="hub: the model's code for English.")
    batch_size: BatchSize = Field(16, description="hub: texts per batch.")
    beams: Annotated[Whole, Field(ge=1, le=100)] = Field(1, description="hub: beam size; 1 = greedy search.")
    max_length: Length = Field(256, description="hub: maximum text length in tokens; longer texts are truncated.")
