"""Encoders: pretrained in the workflow, or imported."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from intermezzo.config.sections.base import (
    BatchSize,
    Clip,
    LearningRate,
    Length,
    Number,
    Place,
    Section,
    Seed,
    Share,
    Tokens,
    Truth,
    WeightDecay,
    Whole,
)
from intermezzo.config.sections.training import EncoderTraining


class TokenizerConfig(Section):
    """The tokenizer (sentencepiece, BPE), trained on the encoder's text."""

    vocab_size: Annotated[Whole, Field(ge=100, le=10_000_000)] = Field(2000, description="Vocabulary size, in pieces.")
    required_chars: str = Field(
        "", description="Characters that must be in the vocabulary even if the text lacks them."
    )


class ArchitectureConfig(Section):
    """The Transformer (XLM-RoBERTa's architecture)."""

    hidden_size: Annotated[Whole, Field(ge=1, le=65_536)] = Field(64, description="Hidden size.")
    layers: Annotated[Whole, Field(ge=1, le=1000)] = Field(2, description="Number of layers.")
    heads: Annotated[Whole, Field(ge=1, le=1024)] = Field(
        4, description="Number of attention heads; must divide hidden_size."
    )
    intermediate_size: Annotated[Whole, Field(ge=1, le=1_000_000)] = Field(
        256, description="Inner size of the feed-forward layers."
    )
    max_length: Length = Field(128, description="Maximum input length, in tokens.")


class PretrainingConfig(Section):
    """Optimisation of masked language modelling."""

    steps: Annotated[Whole, Field(ge=0, le=100_000_000)] = Field(
        2400, description="Number of steps; 0 = an untrained encoder (a control)."
    )
    batch_size: BatchSize = Field(64, description="Documents per step.")
    learning_rate: LearningRate = Field(4.5e-3, description="Peak learning rate of AdamW, with linear decay to 0.")
    weight_decay: WeightDecay = Field(0.01, description="Decoupled weight decay.")
    warmup: Share = Field(0.06, description="Share of the steps with a rising learning rate.")
    clip: Clip = Field(1.0, description="Maximum gradient norm.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Precision of the computation (weights are float32): `auto` = bfloat16 where it is faster: on GPUs "
        "that support it, and on CPUs with AMX for encoders from 384 wide on.",
    )
    micro_tokens: Tokens | None = Field(None, description="Tokens that are computed at once; null = no limit.")
    betas: Annotated[list[Annotated[Number, Field(ge=0, lt=1)]], Field(min_length=2, max_length=2)] = Field(
        [0.9, 0.98], description="Decay rates of AdamW's two moments."
    )


class ScratchEncoder(Section):
    """An encoder pretrained in the workflow by masked language modelling."""

    seed: Seed = Field(0, description="Seed of tokenizer, initial weights and the order of the text.")
    languages: Literal["all"] | list[str] = Field(
        "all", description="Languages of the text: `all`, or a list of codes."
    )
    tokenizer: TokenizerConfig = Field(TokenizerConfig(), description="The tokenizer.")
    model: ArchitectureConfig = Field(ArchitectureConfig(), description="The Transformer.")
    initialisation: Literal["random", "cooccurrence"] = Field(
        "random", description="Initial word embeddings: random, or from co-occurrence in parallel text."
    )
    language_alpha: Share = Field(
        0.5, description="Languages are sampled in proportion to (number of documents)^alpha; 0 = uniformly."
    )
    mask_rate: Annotated[Number, Field(ge=0.01, le=0.99)] = Field(0.3, description="Share of the tokens to predict.")
    training: PretrainingConfig = Field(PretrainingConfig(), description="Masked language modelling.")
    finetuning: EncoderTraining = Field(
        EncoderTraining(), description="Fine-tuning settings of this encoder, in place of `training`."
    )
    baseline_only: Truth = Field(
        False,
        description="Run the baseline only, without intermediate training: for controls such as an untrained encoder.",
    )


class ImportedEncoder(Section):
    """An imported pretrained encoder in Hugging Face format."""

    model_config = ConfigDict(populate_by_name=True)

    from_: Place = Field(
        alias="from",
        min_length=1,
        description="A folder, `package:<python package>/<folder in it>`, `package:<name in resources/packages.yaml>`, "
        "or a repository on the Hugging Face hub.",
    )
    revision: str | None = Field(
        None, description="Commit of the hub repository; required for a repository on the hub."
    )
    pretrained_on: str | list[str] | None = Field(
        None,
        description="Languages of its pretraining text: codes, or the name of a known encoder with the same "
        "(`xlm-r`); null = as `resources/encoders.yaml` says of `from`, else not known.",
    )
    leakage: Annotated[str, Field(max_length=1000)] = Field(
        "",
        description="What is known of tasks or test data in its pretraining, in words: the answer repeats it among "
        "the limitations.",
    )
    prefix: Annotated[str, Field(max_length=1000)] = Field(
        "",
        description="Text before every sentence whose vector is read (retrieval, mining), as in the encoder's own "
        "pretraining: `'query: '` of E5. Fine-tuning and its targets do without.",
    )
    finetuning: EncoderTraining = Field(
        EncoderTraining(), description="Fine-tuning settings of this encoder, in place of `training`."
    )
    baseline_only: Truth = Field(
        False,
        description="Run the baseline only, without intermediate training: for controls such as an untrained encoder.",
    )


def _kind(value: Any) -> str:
    imported = "from" in value if isinstance(value, dict) else isinstance(value, ImportedEncoder)
    return "imported" if imported else "scratch"


Encoder = Annotated[
    Annotated[ScratchEncoder, Tag("scratch")] | Annotated[ImportedEncoder, Tag("imported")], Discriminator(_kind)
]
