"""Settings of fine-tuning, and overrides for a task, an encoder or a single run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, create_model

from intermezzo.config.sections.base import (
    BatchSize,
    Clip,
    LearningRate,
    Length,
    Number,
    Positive,
    Rows,
    Section,
    Share,
    Tokens,
    Truth,
    WeightDecay,
    Whole,
)

Module = Annotated[str, Field(min_length=1, max_length=200)]
"""A name of a layer, or its end."""


class AdapterConfig(Section):
    """An adapter, trained in place of the encoder's weights (docs/rivals.md; `pip install intermezzo[adapters]`)."""

    kind: Literal["lora", "ia3"] = Field(
        "lora", description="`lora` = low-rank matrices beside weights; `ia3` = scales of states."
    )
    rank: Annotated[Whole, Field(ge=1, le=4096)] = Field(8, description="lora: rank of the matrices.")
    alpha: Annotated[Positive, Field(le=1e6)] = Field(16.0, description="lora: the product counts by alpha / rank.")
    dropout: Annotated[Number, Field(ge=0, lt=1)] = Field(0.0, description="lora: dropout rate of its inputs.")
    modules: Literal["all"] | Annotated[list[Module], Field(min_length=1, max_length=1000)] | None = Field(
        None,
        description="Linear layers that it adapts: their names or the ends of their names, or `all`; null = peft's "
        "choice for encoders of this type (lora in BERT and XLM-R: [query, value]; ia3: [key, value, output.dense]).",
    )
    start: Literal["merged", "stacked"] = Field(
        "merged",
        description="An adapter of the intermediate that a target starts from: `merged` into the weights, or `stacked` "
        "= frozen beside the new one. The same up to rounding.",
    )


class Finetuning(Section):
    """Settings of one phase of fine-tuning."""

    examples: Rows = Field(
        500, description="Training examples per task, the same for every mix; null = all examples (targets only)."
    )
    epochs: Annotated[Whole, Field(ge=1, le=10_000)] = Field(6, description="Number of passes over the examples.")
    batch_size: BatchSize = Field(32, description="Examples per step.")
    learning_rate: LearningRate = Field(1.0e-3, description="Peak learning rate of AdamW, with linear decay to 0.")
    weight_decay: WeightDecay = Field(0.01, description="Decoupled weight decay.")
    warmup: Share = Field(0.1, description="Share of the steps with a rising learning rate.")
    clip: Clip = Field(1.0, description="Maximum gradient norm.")
    max_length: Length = Field(
        128, description="Maximum tokens per input; longer inputs are truncated (span: split into windows)."
    )
    stride: Annotated[Whole, Field(ge=1, le=131_072)] = Field(
        64, description="Overlap of two windows of a long context, in tokens (span)."
    )
    dropout: Annotated[Number, Field(ge=0, lt=1)] = Field(0.0, description="Dropout rate of encoder and head.")
    pooling: Literal["cls", "cls_mean_max"] = Field(
        "cls_mean_max",
        description="Input of sequence-level heads: the first token, or the first token, mean and maximum.",
    )
    freeze_embeddings: Truth = Field(False, description="Keep the word embeddings fixed.")
    restrict_vocabulary: Truth = Field(
        True, description="Train only the word embeddings that occur: same result, less time and memory."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Precision of the computation (weights are float32): `auto` = bfloat16 where it is faster: on GPUs "
        "that support it, and on CPUs with AMX for encoders from 384 wide on.",
    )
    micro_tokens: Tokens | None = Field(
        None,
        description="Maximum tokens per forward pass; gradients of larger batches are accumulated. null = no limit.",
    )
    adapter: AdapterConfig | None = Field(
        None, description="Train an adapter and heads alone; null = train all weights of the encoder."
    )


def _overrides(model: type[Section]) -> type[Section]:
    """A section with the keys of `model`, all optional; `model_fields_set` holds the keys that are present."""
    fields: dict[str, Any] = {
        name: (field.rebuild_annotation(), Field(None, description=field.description))
        for name, field in model.model_fields.items()
    }
    return create_model("Overrides", __base__=Section, __doc__="Different values for some of the settings.", **fields)


if TYPE_CHECKING:

    class Overrides(Finetuning):
        """For type checkers: the keys of `Finetuning`."""

else:
    Overrides = _overrides(Finetuning)


class TaskTraining(Section):
    """Settings of one task, per phase."""

    intermediate: Overrides = Field(
        Overrides(), description="As an intermediate task. With several tasks at once, only `examples` applies."
    )
    target: Overrides = Field(Overrides(), description="As a target task.")


class TrainingConfig(Section):
    """Fine-tuning settings of each phase, and of single tasks."""

    intermediate: Finetuning = Field(
        Finetuning(examples=6000, epochs=3), description="Intermediate training, in the languages of the mix."
    )
    target: Finetuning = Field(Finetuning(), description="Target training, in English.")
    protocol: str | None = Field(
        None,
        description="Name of a published protocol (`intermezzo tasks show NAME` lists those of a task). Its "
        "settings override `target` above; more specific sections override the protocol.",
    )
    tasks: dict[str, TaskTraining] = Field(
        {"nli": TaskTraining(target=Overrides(examples=2000, epochs=5))},
        description="Settings of single tasks, by task name.",
    )


class EncoderTraining(Section):
    """Fine-tuning settings of one encoder; they override `training`."""

    intermediate: Overrides = Field(Overrides(), description="Intermediate training of this encoder.")
    target: Overrides = Field(Overrides(), description="Target training of this encoder.")
    tasks: dict[str, TaskTraining] = Field({}, description="Settings of single tasks for this encoder, by task name.")
