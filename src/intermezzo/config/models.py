"""The configuration as types: every key, its meaning, its allowed values and its default.

`config/config.yaml`, `config/schema.json` and `docs/configuration.md` are generated from this module
(`python -m intermezzo config docs --write`); the default of a field here is the default experiment.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, create_model

NAME = r"[A-Za-z0-9][A-Za-z0-9_.+-]*"
"""Names of encoders, intermediates, mixes and targets; they become folder names."""

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def _yaml_number(value: Any) -> Any:
    """YAML 1.1 reads `1e-5` (no dot) as text; take it for the number that was meant."""
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value.strip()) else value


Name = Annotated[str, Field(pattern=f"^{NAME}$")]
Number = Annotated[float, BeforeValidator(_yaml_number), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
Share = Annotated[Number, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Rows = Annotated[int, Field(ge=1)] | None


class Section(BaseModel):
    """Strict: an unknown key or a value of another type is an error, never a guess."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class GridConfig(Section):
    """What is run: the product of these lists. The baseline (no intermediate training) always runs."""

    encoders: list[Name] = Field(["world"], description="Names of `encoders`.")
    intermediates: list[Name] = Field(
        ["nli", "qa", "multi"], description="Names of `intermediates`, or of tasks (then that one task)."
    )
    mixes: list[Name] = Field(
        ["en", "en+rare"],
        description="Names of `mixes`; each intermediate is trained once per mix, or in those that it names itself.",
    )
    targets: list[Name] = Field(
        ["nli", "qa", "pos", "retrieval"], description="Names of `targets`, or of tasks (then with the defaults)."
    )
    seeds: list[Seed] = Field([0, 1], description="Seeds of intermediate and target training.")


class TaskRows(Section):
    """Rows of one task; a split that is not named has the number of `data.rows`."""

    train: Rows = Field(None, description="Rows per language; null = all there is.")
    dev: Rows = Field(None, description="Rows per language; null = all there is.")
    test: Rows = Field(None, description="Rows per language; null = all there is.")


class RowsConfig(Section):
    """At most so many rows per language; null = all there is (of the world: its own default)."""

    train: Rows = Field(6000, description="Rows of each training split; intermediate and target training draw from it.")
    dev: Rows = Field(400, description="Rows of each development split.")
    test: Rows = Field(400, description="Rows of each test split.")
    tasks: dict[str, TaskRows] = Field(
        {"text": TaskRows(train=None), "parallel": TaskRows(train=None)}, description="Other numbers for single tasks."
    )

    def of(self, task: str, split: str) -> int | None:
        """The number of rows to read of a task's split."""
        own = self.tasks.get(task)
        return getattr(own if own is not None and split in own.model_fields_set else self, split)


class DataConfig(Section):
    """Where examples come from."""

    source: Literal["world", "files", "hub"] = Field(
        "world",
        description="`world` = made by the embedded world; `files` = published files below `data.root`; `hub` = "
        "downloaded from the Hugging Face hub, or from where a task is published.",
    )
    sources: dict[str, Literal["files", "hub"]] = Field(
        {}, description="Tasks that come from another source than `source` (not with the world)."
    )
    root: str | None = Field(
        None,
        description="Folder of the published files (source `files`); null = the environment variable "
        "INTERMEZZO_REAL_DATA.",
    )
    rows: RowsConfig = Field(RowsConfig(), description="How many rows to use.")
    downloads: str = Field("results/.downloads", description="Folder for what is not on the hub (source `hub`).")
    evaluation_split: Literal["test", "dev"] = Field(
        "test", description="The split that targets are evaluated on; `dev` to choose settings."
    )

    def source_of(self, task: str) -> str:
        """The source of a task's data."""
        return self.sources.get(task, self.source)


class WorldConfig(Section):
    """The embedded world (source `world`); docs/world.md describes it."""

    seed: Seed = Field(13, description="Another seed is another world: other words, facts and examples.")
    loanwords: Share = Field(0.2, description="Anchor: share of content words that are the same in all languages.")
    names_shared: bool = Field(True, description="Anchor: names of persons and places are the same in all languages.")
    code_mixed_documents: Share = Field(0.9, description="Anchor: share of documents that mix in foreign words.")
    code_mixed_words: Share = Field(0.4, description="Anchor: share of the words of such a document that are foreign.")
    documents_scale: Positive = Field(1.0, description="Multiplies the number of monolingual documents.")
    translation_noise: Share = Field(
        0.0, description="Share of wrong words in the training data of all languages but English, as if translated."
    )


class LanguagesConfig(Section):
    """Which languages are evaluated, and which count as rare."""

    evaluation: Literal["all"] | list[str] = Field(
        "all", description="Languages to evaluate: `all` with data of the target, or a list of codes."
    )
    rare: Literal["auto"] | list[str] = Field(
        "auto", description="The rare languages: `auto` = as the language table says, or a list of codes."
    )
    selection: list[str] = Field(
        ["en"],
        description="Languages whose development data is scored too, to choose the best intermediate of each target on "
        "it, and for nothing else; [] = none.",
    )


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


class TokenizerConfig(Section):
    """The tokenizer (sentencepiece, BPE), trained on the encoder's text."""

    vocab_size: Annotated[int, Field(ge=100)] = Field(2000, description="Number of pieces.")
    required_chars: str = Field("", description="Characters that must be pieces although the text may lack them.")


class ArchitectureConfig(Section):
    """The Transformer (XLM-RoBERTa's architecture)."""

    hidden_size: Count = Field(64, description="Width.")
    layers: Count = Field(2, description="Depth.")
    heads: Count = Field(4, description="Attention heads; must divide hidden_size.")
    intermediate_size: Count = Field(256, description="Width of the feed-forward layers.")
    max_length: Annotated[int, Field(ge=8)] = Field(128, description="Longest input, in tokens.")


class PretrainingConfig(Section):
    """Optimisation of masked language modelling."""

    steps: Annotated[int, Field(ge=0)] = Field(5500, description="Steps; 0 = an untrained encoder (a control).")
    batch_size: Count = Field(32, description="Documents per step.")
    learning_rate: Positive = Field(3.0e-3, description="Peak learning rate of AdamW; linear decay to 0.")
    weight_decay: Annotated[Number, Field(ge=0)] = Field(0.01, description="Decoupled weight decay.")
    warmup: Share = Field(0.06, description="Share of the steps in which the learning rate rises.")
    clip: Positive = Field(1.0, description="Largest gradient norm.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Of the computation (weights are float32): `auto` = bfloat16 on a GPU that has it."
    )
    micro_tokens: Count | None = Field(None, description="Tokens that are computed at once; null = no limit.")
    betas: Annotated[list[Share], Field(min_length=2, max_length=2)] = Field(
        [0.9, 0.98], description="Decay rates of AdamW's two moments."
    )


class ScratchEncoder(Section):
    """An encoder pretrained in the workflow by masked language modelling."""

    seed: Seed = Field(0, description="Seed of tokenizer, initial weights and the order of the text.")
    languages: Literal["all"] | list[str] = Field("all", description="Languages of the text: `all`, or a list.")
    tokenizer: TokenizerConfig = Field(TokenizerConfig(), description="The tokenizer.")
    model: ArchitectureConfig = Field(ArchitectureConfig(), description="The Transformer.")
    initialisation: Literal["random", "cooccurrence"] = Field(
        "random", description="Word embeddings at the start: random, or from co-occurrence in parallel text."
    )
    language_alpha: Share = Field(
        0.5, description="Languages are drawn in proportion to (number of documents)^alpha; 0 = all alike."
    )
    mask_rate: Annotated[Number, Field(gt=0, lt=1)] = Field(0.3, description="Share of the tokens to be predicted.")
    training: PretrainingConfig = Field(PretrainingConfig(), description="Masked language modelling.")
    finetuning: EncoderTraining = Field(EncoderTraining(), description="Other fine-tuning settings for this encoder.")
    baseline_only: bool = Field(False, description="No intermediate training: a control (an untrained encoder, say).")


class ImportedEncoder(Section):
    """A pretrained encoder from elsewhere, in Hugging Face format."""

    model_config = ConfigDict(populate_by_name=True)

    from_: str = Field(
        alias="from",
        min_length=1,
        description="A folder, `package:<python package>/<folder in it>`, or a name on the Hugging Face hub.",
    )
    revision: str | None = Field(None, description="Commit of the hub repository; needed for a name on the hub.")
    finetuning: EncoderTraining = Field(EncoderTraining(), description="Other fine-tuning settings for this encoder.")
    baseline_only: bool = Field(False, description="No intermediate training: a control (an untrained encoder, say).")


def _kind(value: Any) -> str:
    imported = "from" in value if isinstance(value, dict) else isinstance(value, ImportedEncoder)
    return "imported" if imported else "scratch"


Encoder = Annotated[
    Annotated[ScratchEncoder, Tag("scratch")] | Annotated[ImportedEncoder, Tag("imported")], Discriminator(_kind)
]


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


Kept = Literal["all", "final", "none"]


class KeepConfig(Section):
    """Whose weights stay on the disk; manifests, logs and results always do. A change of it reruns nothing."""

    intermediate: Kept = Field(
        "all",
        description="Intermediate models: `all`; `final` = those that no target is trained from; `none` = deleted when "
        "all that reads them is done, and made again if something asks for them.",
    )
    target: Kept = Field("all", description="Fine-tuned target models, likewise (`final` = all of them).")


class Config(Section):
    """The configuration of one experiment."""

    grid: GridConfig = Field(GridConfig(), description=GridConfig.__doc__)
    data: DataConfig = Field(DataConfig(), description=DataConfig.__doc__)
    world: WorldConfig = Field(WorldConfig(), description=WorldConfig.__doc__)
    languages: LanguagesConfig = Field(LanguagesConfig(), description=LanguagesConfig.__doc__)
    encoders: dict[Name, Encoder] = Field(
        {"world": ScratchEncoder()}, description="Encoders by name: pretrained here, or taken `from` elsewhere."
    )
    intermediates: dict[Name, IntermediateConfig] = Field(
        {
            "nli": IntermediateConfig(tasks=["nli"]),
            "qa": IntermediateConfig(tasks=["qa"]),
            "multi": IntermediateConfig(tasks=["nli", "qa"]),
        },
        description="Intermediate trainings by name.",
    )
    mixes: dict[Name, MixConfig] = Field(
        {"en": MixConfig(weights={"en": 1.0}), "en+rare": MixConfig(weights={"en": 0.75, "@rare": 0.25})},
        description="Language mixes by name.",
    )
    translation: TranslationConfig = Field(TranslationConfig(), description=TranslationConfig.__doc__)
    targets: dict[Name, TargetConfig] = Field(
        {name: TargetConfig(task=name) for name in ("nli", "qa", "pos", "retrieval")}, description="Targets by name."
    )
    training: TrainingConfig = Field(TrainingConfig(), description=TrainingConfig.__doc__)
    keep: KeepConfig = Field(KeepConfig(), description=KeepConfig.__doc__)
    track_versions: bool = Field(
        False,
        description="Whether jobs are out of date when a library that their code imports has another version. "
        "Manifests of models name the versions either way.",
    )
    threads: Count = Field(
        1, description="Threads per training job. It is part of the result: sums in another order round differently."
    )
    processes: Count = Field(
        1,
        description="Processes per training job, on one machine, which share each batch: one for each of its GPUs, or "
        "CPUs (each with `threads`). The results of one process up to rounding; like `threads`, part of the result.",
    )

    def intermediate(self, name: str) -> IntermediateConfig:
        """The intermediate of that name; a task's own name needs no entry. `tasks` is always filled in."""
        found = self.intermediates.get(name, IntermediateConfig())
        return found if found.tasks is not None else found.model_copy(update={"tasks": [name]})

    def mixes_of(self, intermediate: str) -> list[str]:
        """The mixes of the grid that an intermediate is trained in."""
        chosen = self.intermediate(intermediate).mixes
        return [mix for mix in self.grid.mixes if chosen is None or mix in chosen]

    def target(self, name: str) -> TargetConfig:
        """The target of that name; a task's own name needs no entry. `task` is always filled in."""
        found = self.targets.get(name, TargetConfig())
        return found if found.task is not None else found.model_copy(update={"task": name})
