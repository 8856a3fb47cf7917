"""The specification of translated data: of English training data, or of development and test data into English."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from intermezzo.specs.base import Count, Share, Spec
from intermezzo.specs.data import Part
from intermezzo.specs.mixes import ENGLISH
from intermezzo.specs.world import WorldSettings


class _Translation(Spec):
    """What every backend is asked for."""

    task: str
    language: str
    """Of training data the language that they are translated into, of others the one that they are written in."""
    split: Literal["train", "dev", "test"] = "train"
    examples: Count | None
    """Rows that are translated, of training data a sample; None = all."""

    @property
    def source(self) -> str:
        """The language of the rows that are translated."""
        return ENGLISH if self.split == "train" else self.language

    @property
    def into(self) -> str:
        """The language that they are translated into."""
        return self.language if self.split == "train" else ENGLISH


class WorldTranslation(_Translation):
    """By the embedded world's translator."""

    backend: Literal["world"]
    noise: Share
    """Share of the content words that are translated wrongly."""
    world: WorldSettings


class HubTranslation(_Translation):
    """By a sequence-to-sequence model."""

    backend: Literal["hub"]
    model: str
    revision: str | None
    code: str | None
    """The model's name of the language."""
    english: str
    """The model's name of English."""
    batch_size: Count
    beams: Count
    max_length: Count
    cache: str
    """The folder of finished batches."""
    threads: Count

    @property
    def online(self) -> bool:
        """Whether the model comes from the hub: a revision is of a repository."""
        return self.revision is not None


class FilesTranslation(_Translation):
    """Published translations, as the task file's section `translated` names them."""

    backend: Literal["files"]
    format: str
    parts: tuple[Part, ...]
    root: str | None
    lock: str
    downloads: str

    @property
    def online(self) -> bool:
        """Always: what the cache lacks is downloaded."""
        return True


TranslationSpec = Annotated[WorldTranslation | HubTranslation | FilesTranslation, Field(discriminator="backend")]
