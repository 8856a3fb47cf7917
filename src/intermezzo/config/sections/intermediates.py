"""Intermediate training: on which tasks, in which mix of languages, and how what a mix lacks is translated."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from intermezzo.config.sections.base import Count, Name, Number, Positive, Rows, Section, Share
from intermezzo.config.sections.training import Overrides


class ContinuedMlm(Section):
    """Masked language modelling that goes on during an intermediate training."""

    share: Annotated[Number, Field(ge=0, lt=1)] = Field(
        0.0, description="Share of the batches that are masked text; the tasks' batches stay as many. 0 = none."
    )
    task: str = Field("text", description="Where the text comes from: a task of format mlm.")
    languages: Literal["all", "mix"] | list[str] = Field(
        "all", description="Languages of the text: `all`, `mix` (those of the mix), or a list of codes."
    )
    examples: Rows = Field(None, description="Texts, shared evenly by the languages; null = all there are.")


class IntermediateConfig(Section):
    """One intermediate training: one task or several at once."""

    tasks: list[str] | None = Field(None, description="Task names; null = the one task of the same name.")
    mixes: list[Name] | None = Field(
        None, description="Train it in these of `grid.mixes` alone; null = in all of them."
    )
    sampling: Literal["proportional", "uniform", "temperature"] = Field(
        "proportional", description="How the tasks share the steps: by size, evenly, or by size^(1/temperature)."
    )
    cap: Rows = Field(None, description="Sizes above this count as this (several tasks); null = no cap.")
    temperature: Positive = Field(1.0, description="Temperature of `temperature` sampling.")
    mlm: ContinuedMlm = Field(ContinuedMlm(), description="Masked language modelling beside the tasks.")
    shuffle_labels: bool = Field(False, description="Control: train on shuffled labels.")
    as_text: bool = Field(False, description="Control: masked language modelling on the inputs, without the labels.")
    training: Overrides = Field(Overrides(), description="Other settings for this intermediate; they win over all.")


class MixConfig(Section):
    """A distribution over languages, and how many examples it divides."""

    weights: dict[str, Number] = Field(
        description="language or group -> weight, normalised to sum to 1; a group's languages with training data in "
        "the task share its weight. Groups: `@rare`, `@other` (neither rare nor English), `@all`, `@family:NAME`, "
        "`@script:NAME`, `rest` (all that no other name means)."
    )
    budget: Literal["matched", "additive", "english_repeated"] = Field(
        "matched",
        description="`matched` = as many examples as English-only; `additive` = English whole, the others on top; "
        "`english_repeated` = the control of an additive mix of the same weights: English alone, repeated to its size.",
    )
    repeats: Count = Field(1, description="How often a language's rows may be used, where they are too few.")
    temperature: Positive | None = Field(
        None, description="A group's languages share its weight by rows^(1/temperature); null = evenly."
    )
    leave_out: list[str] = Field([], description="Languages and groups that are never in the mix, to stay unseen.")
    translated: bool = Field(
        False, description="Rows in languages other than English are translations of English ones (`translation`)."
    )


class TranslationConfig(Section):
    """How training data is translated for mixes that ask for it (`translated: true`)."""

    backend: Literal["world", "hub", "files"] = Field(
        "world",
        description="`world` = the embedded world's translator; `hub` = a sequence-to-sequence model; `files` = "
        "published translations of the task.",
    )
    examples: Rows = Field(
        None, description="English rows that are translated, per task and language (a sample); null = all."
    )
    noise: Share = Field(0.1, description="world: share of the content words that are translated wrongly.")
    model: str | None = Field(None, description="hub: a folder or a name on the Hugging Face hub (NLLB, MADLAD, ...).")
    revision: str | None = Field(None, description="hub: commit of the model's repository; needed for a name.")
    languages: dict[str, str] = Field({}, description="hub: language -> the model's name of it (sw: swh_Latn).")
    english: str = Field("eng_Latn", description="hub: the model's name of English.")
    batch_size: Count = Field(16, description="hub: texts at a time.")
    beams: Count = Field(1, description="hub: beams of the search; 1 = greedy.")
    max_length: Count = Field(256, description="hub: longest text in tokens; longer ones are cut.")
