"""Targets: the tasks on which models are fine-tuned and evaluated."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from intermezzo.config.sections.base import Name, Section, Truth, Whole
from intermezzo.config.sections.training import Overrides

Shots = Annotated[
    Annotated[Whole, Field(ge=1, le=100_000)] | None,
    BeforeValidator(lambda value: None if value == "all" else value),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 100_000}, {"enum": ["all", None]}]}),
]
"""Labelled examples of one language; None, or the word `all`: as many as `data.rows` takes."""


class RetrievalConfig(Section):
    """Extraction of sentence vectors from an encoder (retrieval tasks)."""

    layer: Annotated[Whole, Field(ge=0, le=1000)] = Field(0, description="Layer; 0 = the embeddings.")
    pooling: Literal["mean", "cls"] = Field("mean", description="`mean` over the tokens, or the first token (`cls`).")
    center: Truth = Field(True, description="Subtract each language's mean vector.")


class TargetConfig(Section):
    """One target: a task, fine-tuned and evaluated in every language (retrieval: evaluated directly).

    It is fine-tuned in English, unless `mix` or `shots` say otherwise.
    """

    task: str | None = Field(None, description="Name of the task; null = the task with the name of this entry.")
    train: list[str] | None = Field(
        None,
        description="Tasks whose data train the target, one after another with one head; null = the task "
        "file's `protocol.train`, or the task itself if the file has none.",
    )
    mix: Name | None = Field(
        None,
        description="Name of `mixes`: the languages of the training data, as in intermediate training; null = English.",
    )
    shots: dict[str, Shots] = Field(
        {},
        description="Few-shot: language or group -> labelled examples of each of its languages (`all`: those of "
        "`data.rows`), on top of the others. They are drawn by seed from the training data of the last task of "
        "`train`.",
    )
    translate_test: Truth = Field(
        False,
        description="Evaluate on test data that `translation` translates into English. The target shares its training "
        "with the same target without this key.",
    )
    protocol: str | None = Field(None, description="Name of a published protocol; null = `training.protocol`.")
    partial_input: Truth = Field(
        False, description="Control: train and evaluate without one input field (hypothesis only, context only)."
    )
    shuffle_labels: Truth = Field(False, description="Control: train with shuffled labels.")
    baseline_only: Truth = Field(
        False,
        description="Train from the baseline only, not after intermediate training: sufficient for some controls.",
    )
    retrieval: RetrievalConfig = Field(
        RetrievalConfig(), description="For retrieval and mining tasks only; overrides the protocol's settings."
    )
    training: Overrides = Field(Overrides(), description="Settings of this target; they override all others.")
