"""Where examples come from, how many are used, and which languages they are in."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from intermezzo.config.sections.base import Positive, Rows, Section, Seed, Share


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
