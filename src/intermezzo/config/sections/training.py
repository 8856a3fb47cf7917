"""Settings of fine-tuning; whoever has other ones (a task, an encoder, a single run) names those that differ."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from intermezzo.config.sections.base import Count, Number, Positive, Rows, Section, Share


class Finetuning(Section):
    """Settings of one phase of fine-tuning."""

    examples: Rows = Field(
        500, description="Training examples per task, whatever the mix; null = all there are (targets only)."
    )
    epochs: Count = Field(6, description="Passes over the examples.")
    batch_size: Count = Field(32, description="Examples per step.")
    learning_rate: Positive = Field(1.0e-3, description="Peak learning rate of AdamW; linear decay to 0.")
    weight_decay: Annotated[Number, Field(ge=0)] = Field(0.01, description="Decoupled weight decay.")
    warmup: Share = Field(0.1, description="Share of the steps in which the learning rate rises.")
    clip: Positive = Field(1.0, description="Largest gradient norm.")
    max_length: Count = Field(128, description="Tokens per input; longer ones are cut (span: windowed).")
    stride: Count = Field(64, description="Tokens by which two windows of a long context overlap (span).")
    dropout: Share = Field(0.0, description="Dropout of encoder and head.")
    pooling: Literal["cls", "cls_mean_max"] = Field(
        "cls_mean_max", description="What sequence-level heads read: the first token, or it beside mean and maximum."
    )
    freeze_embeddings: bool = Field(False, description="Keep the word embeddings fixed.")
    restrict_vocabulary: bool = Field(
        True, description="Train only the word embeddings that occur: the same result, faster and in less memory."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Of the computation (weights are float32): `auto` = bfloat16 on a GPU that has it."
    )
    micro_tokens: Count | None = Field(
        None, description="Tokens that are computed at once; a larger batch is summed up in parts. null = no limit."
    )


def _overrides(model: type[Section]) -> type[Section]:
    """A section with `model`'s keys of which any may be absent; `model_fields_set` tells which are there."""
    fields: dict[str, Any] = {
        name: (field.rebuild_annotation(), Field(None, description=field.description))
        for name, field in model.model_fields.items()
    }
    return create_model("Overrides", __base__=Section, __doc__="Other values for some of the settings.", **fields)


Overrides = _overrides(Finetuning)


class TaskTraining(Section):
    """Other settings for one task, per phase."""

    intermediate: Overrides = Field(
        Overrides(), description="As an intermediate task; of several tasks at once, only `examples` applies."
    )
    target: Overrides = Field(Overrides(), description="As a target task.")


class TrainingConfig(Section):
    """Fine-tuning settings: of each phase, and other ones for single tasks."""

    intermediate: Finetuning = Field(
        Finetuning(examples=6000, epochs=4), description="Intermediate training, in the languages of the mix."
    )
    target: Finetuning = Field(Finetuning(), description="Target training, in English.")
    protocol: str | None = Field(
        None,
        description="A published protocol (`python -m intermezzo tasks show NAME` lists a task's): its settings of "
        "each target win over `target` above, and lose to all that is more special.",
    )
    tasks: dict[str, TaskTraining] = Field(
        {"nli": TaskTraining(target=Overrides(examples=2000, epochs=5))},
        description="Other settings for single tasks, by task name.",
    )


class EncoderTraining(Section):
    """Other fine-tuning settings for one encoder; they win over `training`."""

    intermediate: Overrides = Field(Overrides(), description="Intermediate training of this encoder.")
    target: Overrides = Field(Overrides(), description="Target training of this encoder.")
    tasks: dict[str, TaskTraining] = Field({}, description="The same for single tasks, by task name.")
