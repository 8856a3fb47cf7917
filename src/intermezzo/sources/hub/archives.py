"""Members of zip and tar archives: those that match a pattern, whole or not at all, and nothing that points outside."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import posixpath
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import IO

from intermezzo.core.errors import UserError
from intermezzo.sources.hub.patterns import matching

COMPRESSED: dict[bytes, Callable[[Path], IO[bytes]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
"""First bytes of a compressed file -> what opens it."""


class Damaged(UserError):
    """The archive is cut off, broken, or not to be trusted: it is of no use and can be removed."""


@dataclass(frozen=True)
class Member:
    """One entry of an archive: a `file`, `folder`, `link` (to `target`) or something `special` (a device, a pipe)."""

    name: str
    kind: str
    open: Callable[[], IO[bytes] | None]
    target: str = ""


def is_archive(path: Path) -> bool:
    """Is it a zip or tar file, compressed or not? (A cut zip file counts: its end is what makes it one.)"""
    with open(path, "rb") as handle:
        start = handle.read(4)
    return start == b"PK\x03\x04" or zipfile.is_zipfile(path) or _is_tar(path)


def unpack(archive: Path, folders_by_pattern: dict[str, Path], origin: str) -> list[str]:
    """Unpack the members that match each pattern of `folders_by_pattern` into its folder, which comes into being whole.

    Returns the names of all files of the archive; a pattern that matches none makes no folder. Raises UserError
    (Damaged) naming `origin` for an archive that is cut off or broken, one with a member that lies or points outside,
    and for a wanted member that is not a plain file; nothing is left behind then.
    """
    names = []
    with _folders(archive, list(folders_by_pattern.values())) as temporary, _user_errors(origin):
        for member in _members(archive):
            _check(member, origin)
            if member.kind == "file":
                names.append(member.name)
            for pattern, folder in folders_by_pattern.items():
                if member.kind != "folder" and matching([member.name], pattern):
                    _write(member, temporary[folder] / posixpath.normpath(member.name), origin)
    return names


def expand(path: Path, folder: Path, name: str, origin: str) -> bool:
    """Write what is in a compressed file to `folder` as `name`; False for a file that is not compressed."""
    with open(path, "rb") as handle:
        start = handle.read(8)
    opener = next((function for magic, function in COMPRESSED.items() if start.startswith(magic)), None)
    if opener:
        with _folders(path, [folder]) as temporary, _user_errors(origin):
            _write(Member(name, "file", lambda: opener(path)), temporary[folder] / name, origin)
    return opener is not None


@contextmanager
def _folders(path: Path, folders: list[Path]) -> Iterator[dict[Path, Path]]:
    """folder -> its temporary place beside `path`: what is there in the end is moved on success, removed on failure."""
    place = path.with_name(f".{path.name}.unpacking")
    shutil.rmtree(place, ignore_errors=True)  # of a run that was killed
    temporary = {folder: place / folder.name for folder in folders}
    try:
        yield temporary
        for folder in filter(lambda folder: temporary[folder].exists(), folders):
            os.replace(temporary[folder], folder)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _members(path: Path) -> Iterator[Member]:
    if not _is_tar(path):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                mode = info.external_attr >> 16
                kind = "folder" if info.is_dir() else "link" if stat.S_ISLNK(mode) else "file"
                target = archive.read(info).decode(errors="replace") if kind == "link" else ""
                yield Member(info.filename, kind, lambda info=info: archive.open(info), target)
        return
    with tarfile.open(path) as archive:
        for entry in archive:
            kind = "file" if entry.isfile() else "folder" if entry.isdir() else "special"
            target = entry.linkname
            if entry.issym() or entry.islnk():
                kind = "link"
                # a symbolic link starts from its own folder, a hard link from the top of the archive
                target = posixpath.join("" if entry.islnk() else posixpath.dirname(entry.name), target)
            name = entry.name.removeprefix("./")
            yield Member(name, kind, lambda entry=entry: archive.extractfile(entry), target)


def _check(member: Member, origin: str) -> None:
    for path, what in ((member.name, "lies"), (member.target, "points")):
        windows = PureWindowsPath(path)  # takes both kinds of slashes apart
        inside = posixpath.normpath(windows.as_posix()).split("/")[0] != ".."
        if windows.drive or windows.root or not inside:
            raise Damaged(
                f"{origin}: member '{member.name}' {what} outside of the archive ({path}); nothing was unpacked, and"
                " nothing should be trusted of it: look for another copy"
            )


def _write(member: Member, path: Path, origin: str) -> None:
    if member.kind != "file":
        raise Damaged(f"{origin}: member '{member.name}' is a {member.kind}, not a plain file; nothing was unpacked")
    path.parent.mkdir(parents=True, exist_ok=True)
    with member.open() as source, open(path, "wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except (EOFError, zlib.error):  # the very first block is broken
        return False


@contextmanager
def _user_errors(origin: str) -> Iterator[None]:
    """Turn what the libraries say of broken archives into one message; a full disk is not the archive's fault."""
    try:
        yield
    except UserError:
        raise
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if getattr(error, "errno", None):
            raise UserError(f"{origin}: cannot be unpacked ({error})") from None
        raise Damaged(f"{origin}: a damaged or truncated archive ({error}); nothing was kept, run again") from None
    except (RuntimeError, NotImplementedError) as error:  # a password, an exotic compression
        raise UserError(f"{origin}: cannot be unpacked ({error}); unpack it by hand and use source 'files'") from None
