"""The specification of an encoder that is taken from elsewhere."""

from __future__ import annotations

from pydantic import Field

from intermezzo.specs.base import Spec


class ImportSpec(Spec):
    """A pretrained encoder in Hugging Face format, or one of `resources/packages.yaml`."""

    source: str = Field(alias="from", min_length=1)
    """A folder, `package:NAME`, `package:MODULE/PATH`, or a name on the Hugging Face hub."""
    revision: str | None
    """Commit of the hub's repository."""
    files: dict[str, str] = Field({})
    """Of an encoder that is unpacked: SHA-256 of each of its files."""

    @property
    def online(self) -> bool:
        """Whether the encoder comes from the hub: a revision is of a repository."""
        return self.revision is not None
