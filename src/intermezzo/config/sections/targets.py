"""Targets: what models are fine-tuned for and evaluated on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from intermezzo.config.sections.base import Section
from intermezzo.config.sections.training import Overrides


class RetrievalConfig(Section):
    """How sentence vectors are read off an encoder (retrieval tasks)."""

    layer: Annotated[int, Field(ge=0)] = Field(0, description="Layer; 0 = the embeddings.")
    pooling: Literal["mean", "cls"] = Field("mean", description="Mean over tokens, or the first token.")
    center: bool = Field(True, description="Subtract each language's mean vector.")


class TargetConfig(Section):
    """One target: a task, fine-tuned in English and evaluated in every language (retrieval: evaluated directly)."""

    task: str | None = Field(None, description="Task name; null = the task of the same name.")
    train: list[str] | None = Field(
        None,
        description="Tasks whose English data train it, one after the other with one head; null = as the field does "
        "it (the task file's `protocol.train`), else the task's own.",
    )
    protocol: str | None = Field(None, description="A published protocol; null = `training.protocol`.")
    partial_input: bool = Field(
        False, description="Control: train and evaluate without one field (the hypothesis alone, the context alone)."
    )
    shuffle_labels: bool = Field(False, description="Control: train on shuffled labels.")
    baseline_only: bool = Field(False, description="Not after intermediate training: enough for some controls.")
    retrieval: RetrievalConfig = Field(
        RetrievalConfig(), description="Used by retrieval and mining tasks alone; wins over the protocol's."
    )
    training: Overrides = Field(Overrides(), description="Other settings for this target; they win over all.")
