"""The lock file: what was downloaded first, so that whatever comes later is the same, or stops.

    repositories:
      facebook/xnli:
        main:                                        # the revision, as the task file has it
          commit: 17f3...
          files:
            sw/test-00000-of-00001.parquet: {bytes: 482135, sha256: 9a0c...}
          patterns: {sw/test-*.parquet: 1}           # number of files that match
          rows:
            xnli:
              sw: {test: 5010}                       # of the data set that was made of them
    urls:
      https://...:
        bytes: 1283
        sha256: 3f11...
        rows: ...
      https://github.com/.../archive/...:            # GitHub packs it anew: what is in it stays the same
        members: {top/sw.txt: {bytes: 12, sha256: 77a0...}}

A locked branch stays at its commit, wherever upstream has gone since. To accept something new, delete its entry.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import yaml
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from intermezzo.core.artifacts import write_text
from intermezzo.core.errors import UserError
from intermezzo.core.yaml_files import LOADER

HEADER = """\
# What intermezzo downloaded: revisions, SHA-256 sums and numbers of rows (source `hub`). Keep it with the experiment:
# every later download must be the same, or stops with both values. To accept a new version of something, delete its
# entry and run again. This file is written by the program; comments of your own would be lost.
"""
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Rows = dict[str, dict[str, dict[str, int]]]  # task -> language -> split -> number


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _File(_Strict):
    bytes: int
    sha256: _Sha256


class _Revision(_Strict):
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
    files: dict[str, _File] = {}
    patterns: dict[str, int] = {}
    rows: _Rows = {}


class _Url(_Strict):
    """A download, or those of its members that were read."""

    bytes: int | None = None
    sha256: _Sha256 | None = None
    members: dict[str, _File] = {}
    rows: _Rows = {}

    @model_validator(mode="after")
    def _complete(self) -> _Url:
        if (self.bytes is None) != (self.sha256 is None) or (self.sha256 is None and not self.members):
            raise ValueError("bytes and sha256 are needed, or members")
        return self


class _Locked(_Strict):
    repositories: dict[str, dict[str, _Revision]] = {}
    urls: dict[str, _Url] = {}


class Lock:
    """The lock file at `path`, which need not be there yet. All methods raise UserError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.locked = self._read()

    def entry(self, key: tuple[str, ...]) -> dict[str, Any]:
        """What is locked under a key, {} for nothing."""
        value = self.locked
        for name in key:
            value = value.get(name, {})
        return value

    def check(self, new: dict[str, Any], entries: dict[str, Any], where: str) -> dict[str, Any]:
        """`entries` with `new` added; stops where `new` is something else than what is locked or was found before."""
        _merge(self.locked, new, self.path, where)
        return _merge(entries, new, self.path, where)

    def check_commit(
        self,
        key: tuple[str, ...],
        commit: str,
        old_keys: list[tuple[str, ...]],
        data_set: tuple[str, str, str],
        where: str,
    ) -> None:
        """Stop where a data set (task, language, split) was made of another commit before its task file was changed.

        `key` is that of the repository and revision it is made of now, `old_keys` are those that it names no more.
        """
        task, language, split = data_set
        for old_key in old_keys:
            entry = self.entry(old_key)
            if split in entry.get("rows", {}).get(task, {}).get(language, {}) and entry["commit"] != commit:
                raise UserError(
                    f"{where}: revision {key[-1]} of {key[1]} is commit {commit}, but {self.path} has commit"
                    f" {entry['commit']} (revision {old_key[-1]}) for this data; name that revision in the task file,"
                    f" or delete '{' > '.join((*old_key, 'rows', task))}' from {self.path} to accept the new one"
                )

    def record(self, entries: dict[str, Any]) -> None:
        """Add what is new to the file. Other processes do the same at the same time."""
        if _merge(self.locked, entries, self.path, "") == self.locked:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_name(f".{self.path.name}.lock")):
                self.locked = _merge(
                    self._read(), entries, self.path, "another process has locked this in the meantime"
                )
                body = yaml.safe_dump(
                    self.locked, sort_keys=True, default_flow_style=None, allow_unicode=True, width=1000
                )
                write_text(self.path, HEADER + body)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written ({error}); downloads must be recorded there") from None

    def _read(self) -> dict[str, Any]:
        try:
            text = self.path.read_text(encoding="utf-8")
            return _Locked.model_validate(yaml.load(text, LOADER) or {}).model_dump(exclude_unset=True)
        except FileNotFoundError:
            return {}
        except (yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"{self.path}: not a valid lock file ({reason}); mend it, or take the last good one"
            ) from None


def nested(key: tuple[str, ...], value: Any) -> dict[str, Any]:
    """{key[0]: {key[1]: ... value}}"""
    for name in reversed(key):
        value = {name: value}
    return value


def _merge(old: Any, new: Any, path: Path, where: str, trail: tuple[str, ...] = ()) -> Any:
    """Both together; a value that they do not agree on is a UserError."""
    if isinstance(new, dict):
        added = {
            key: _merge(old[key], value, path, where, (*trail, key)) if key in old else value
            for key, value in new.items()
        }
        return {**old, **added}
    if old != new:
        entry = trail[:-1] if trail[-1] in ("commit", "sha256", "bytes") else trail
        raise UserError(
            f"{where}: '{' > '.join(trail)}' is {old} in {path}, but {new} now; to accept that, delete"
            f" '{' > '.join(entry)}' from {path} and run again"
        )
    return new
