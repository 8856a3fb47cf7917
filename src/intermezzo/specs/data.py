"""The specification of a data file: a task in one language and split, of one source."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer

from intermezzo.specs.base import Count, Spec
from intermezzo.specs.world import WorldSettings

Split = Literal["train", "dev", "test", "candidates"]
Part = Annotated[dict[str, Any], PlainSerializer(lambda part: json.loads(json.dumps(part)))]
"""A published file or several, and how they are read: an entry of a task file's `data`.

Its keys may be numbers. They are text in JSON, and so they are here, as equal specifications are to give equal text.
"""


class _Data(Spec):
    """What every source is asked for."""

    task: str
    format: str
    language: str
    split: Split
    rows: Count | None
    """Rows at most; None = all there are."""

    @property
    def limit(self) -> int | None:
        """Published rows at most; None = all. Of candidates `rows` counts the queries, and a pool is never cut."""
        return None if self.split == "candidates" else self.rows

    @property
    def origin(self) -> str:
        """What the data is called in messages."""
        return f"{self.source}/{self.task}/{self.language}/{self.split}"  # type: ignore[attr-defined]


class WorldData(_Data):
    """Examples that the embedded world makes."""

    source: Literal["world"]
    world: WorldSettings
    generator: str | None
    """Of the world; None = the task has none, which the source reports."""
    labels: dict[str, str]
    """World's label -> the task's label."""


class FilesData(_Data):
    """Published files on the disk."""

    source: Literal["files"]
    root: str | None
    """The folder of the published files."""
    parts: tuple[Part, ...]
    """What the file is made of. Sources read the task's file; this is so that a change of it is seen."""
    section: Literal["files", "translated"] = "files"
    """Of the task file's `sources`."""


class HubData(_Data):
    """Published files that are downloaded."""

    source: Literal["hub"]
    lock: str
    """The lock file: what was downloaded first."""
    downloads: str
    """The folder for what is not on the hub."""
    parts: tuple[Part, ...]
    section: Literal["hub", "translated"] = "hub"

    @property
    def online(self) -> bool:
        """Always: what the cache lacks is downloaded."""
        return True


DataSpec = Annotated[WorldData | FilesData | HubData, Field(discriminator="source")]
