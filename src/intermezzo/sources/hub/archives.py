"""Members of zip and tar archives: those that match a pattern, whole or not at all, and nothing that points outside.

Compressed files are read to the end of their last stream, where their checksums are: `tarfile` stops at the end mark
of the archive, before it, and Python's readers of bzip2 and xz take a damaged further stream for the end of the file.
"""

from __future__ import annotations

import bz2
import errno
import lzma
import os
import posixpath
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import IO, Any

from intermezzo.core.errors import UserError
from intermezzo.core.excerpt import excerpt
from intermezzo.sources.hub.patterns import matching

COMPRESSED: dict[bytes, Callable[[], Any]] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(wbits=31),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ": lambda: lzma.LZMADecompressor(memlimit=1 << 30),
}
"""First bytes of a compressed file -> what makes a decompressor of one of its streams, which checks its checksum."""
RATIO, ALWAYS = 100, 100_000_000
"""What a download may unpack to, where nothing else is said: so many times its size, and so many bytes in any case.

Text shrinks to a third or a tenth, repetitive tables to a fortieth.
"""
_BLOCK = 1 << 20
_BAD_NAME = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EILSEQ, errno.EINVAL)
_NAME = 1 << 16
"""Bytes of a name or of what a link points at; more are not read."""


class Damaged(UserError):
    """The archive is cut off, broken, or not to be trusted: it is of no use and can be removed."""


@dataclass(frozen=True)
class Member:
    """One entry of an archive: a `file`, `folder`, `link` (to `target`) or something `special` (a device, a pipe)."""

    name: str
    kind: str
    open: Callable[[], IO[bytes] | None]
    target: str = ""


class Budget:
    """The bytes that a download may unpack to; taking more is a UserError. limit: of the task file."""

    def __init__(self, archive: Path, limit: int | None, origin: str) -> None:
        self.limit = limit or max(RATIO * archive.stat().st_size, ALWAYS)
        self.origin, self.taken = origin, 0

    def take(self, size: int) -> None:
        """Count bytes that were unpacked."""
        self.taken += size
        if self.taken > self.limit:
            raise Damaged(
                f"{self.origin}: unpacks to more than {self.limit:,} bytes, the limit; nothing was kept; if it is right"
                " that it does, say how many bytes it may be with `unpacked_limit` beside `url` in the task file"
            )


def is_archive(path: Path) -> bool:
    """Is it a zip or tar file, compressed or not? (A cut zip file counts: its end is what makes it one.)"""
    with open(path, "rb") as handle:
        start = handle.read(4)
    return start == b"PK\x03\x04" or zipfile.is_zipfile(path) or _is_tar(path)


def unpack(archive: Path, folders_by_pattern: dict[str, Path], origin: str, limit: int | None = None) -> list[str]:
    """Unpack the members that match each pattern of `folders_by_pattern` into its folder, which comes into being whole.

    limit: bytes that they may be (see `RATIO`). Returns the names of all files of the archive; a pattern that matches
    none makes no folder. Raises UserError (Damaged) naming `origin` for an archive that is cut off, broken or too
    large, one with a member that lies or points outside, and for a wanted member that is not a plain file, or there
    twice; nothing is left behind then.
    """
    names = []
    read, written = (Budget(archive, limit, origin) for _ in range(2))  # sparse files write more than is read
    with _folders(archive, list(folders_by_pattern.values())) as temporary, _user_errors(origin):
        for member in _members(archive, read):
            _check(member, origin)
            if member.kind == "file":
                names.append(member.name)
            for pattern, folder in folders_by_pattern.items():
                if member.kind != "folder" and matching([member.name], pattern):
                    _write(member, temporary[folder] / posixpath.normpath(member.name), written)
    return names


def expand(path: Path, folder: Path, name: str, origin: str, limit: int | None = None) -> bool:
    """Write what is in a compressed file to `folder` as `name`; False for a file that is not compressed."""
    if _decompressor(path) is None:
        return False
    budget = Budget(path, limit, origin)
    with _folders(path, [folder]) as temporary, _user_errors(origin), open(path, "rb") as handle:
        _write(Member(name, "file", lambda: _Stream(handle, path)), temporary[folder] / name, budget)
    return True


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


def _members(path: Path, budget: Budget) -> Iterator[Member]:
    return _members_of_tar(path, budget) if _is_tar(path) else _members_of_zip(path)


def _members_of_zip(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            kind = "folder" if info.filename.endswith("/") else "file"
            target = ""
            if stat.S_ISLNK(info.external_attr >> 16):
                kind = "link"
                with archive.open(info) as handle:
                    target = handle.read(_NAME).decode(errors="replace")
            yield Member(info.filename, kind, lambda info=info: archive.open(info), target)


def _members_of_tar(path: Path, budget: Budget) -> Iterator[Member]:
    with open(path, "rb") as handle:
        stream = _Stream(handle, path, budget)
        with tarfile.open(fileobj=stream, mode="r:", tarinfo=_Header) as archive:
            for entry in archive:
                kind = "file" if entry.isfile() else "folder" if entry.isdir() else "special"
                target = entry.linkname
                if entry.issym() or entry.islnk():
                    kind = "link"
                    # a symbolic link starts from its own folder, a hard link from the top of the archive
                    target = posixpath.join("" if entry.islnk() else posixpath.dirname(entry.name), target)
                name = entry.name.removeprefix("./")
                yield Member(name, kind, lambda entry=entry: archive.extractfile(entry), target)
        stream.finish()


class _Header(tarfile.TarInfo):
    """The header of a tar member. Only the end mark ends an archive: tarfile takes a broken header for it, too."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> tarfile.TarInfo:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from None


class _Stream:
    """The content of a file, decompressed; it can be read from its begin to its end, and skipped forwards.

    Its first `read` past a checksum that is wrong raises what the decompressor raises, one past an end that is not
    there EOFError.
    """

    def __init__(self, handle: IO[bytes], path: Path, budget: Budget | None = None) -> None:
        self._budget, self._position, self._rest = budget, 0, b""
        decompressor = _decompressor(path)
        self._blocks = _decompressed(handle, decompressor) if decompressor else iter(lambda: handle.read(_BLOCK), b"")

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end of the file."""
        if size > 16 * _BLOCK:  # contents are read in blocks, so this would be a header, for which there is no reason
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        pieces, missing = [], size
        while missing and (block := self._rest or next(self._blocks, b"")):
            if not self._rest and self._budget:
                self._budget.take(len(block))
            pieces.append(block[:missing])
            self._rest = block[missing:]
            missing -= len(pieces[-1])
        self._position += size - missing
        return b"".join(pieces)

    def tell(self) -> int:
        """The number of bytes that were read."""
        return self._position

    def seek(self, position: int) -> None:
        """Skip to a later position, or to the end of a shorter file."""
        if position < self._position:
            raise tarfile.ReadError("members overlap")
        while position > self._position and self.read(min(position - self._position, _BLOCK)):
            pass

    def finish(self) -> None:
        """Read the rest, so that every checksum is seen."""
        while self.read(_BLOCK):
            pass

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _decompressor(path: Path) -> Callable[[], Any] | None:
    with open(path, "rb") as handle:
        start = handle.read(8)
    return next((make for magic, make in COMPRESSED.items() if start.startswith(magic)), None)


def _decompressed(handle: IO[bytes], make: Callable[[], Any]) -> Iterator[bytes]:
    """Blocks of the content of a compressed file: one stream or several, with zeros between them at most."""
    stream = make()
    while data := handle.read(_BLOCK):
        while data:
            if stream.eof:
                data = data.lstrip(b"\0")
                if not data:
                    break
                stream = make()
            block = stream.decompress(data, _BLOCK)
            # zlib's objects give back what they have not read yet, the others keep it
            data = stream.unused_data if stream.eof else getattr(stream, "unconsumed_tail", b"")
            if block:
                yield block
            while not stream.eof and not getattr(stream, "needs_input", True):
                if block := stream.decompress(b"", _BLOCK):
                    yield block
                data = stream.unused_data if stream.eof else b""
    if not stream.eof:
        raise EOFError("compressed file ended before the end of its stream")


def _check(member: Member, origin: str) -> None:
    if len(member.name) >= _NAME or len(member.target) >= _NAME:
        raise Damaged(f"{origin}: member {excerpt(member.name)} has a name or a target of megabytes; nothing was kept")
    if member.kind != "folder" and posixpath.normpath(member.name or ".") == ".":
        raise Damaged(f"{origin}: a member without a name; nothing was unpacked")
    for path, what in ((member.name, "lies"), (member.target, "points")):
        windows = PureWindowsPath(path)  # takes both kinds of slashes apart
        inside = posixpath.normpath(windows.as_posix()).split("/")[0] != ".."
        if windows.drive or windows.root or not inside:
            raise Damaged(
                f"{origin}: member '{member.name:.200}' {what} outside of the archive ({path:.200}); nothing was"
                " unpacked, and nothing should be trusted of it: look for another copy"
            )


def _write(member: Member, path: Path, budget: Budget) -> None:
    origin = budget.origin
    if member.kind != "file":
        raise Damaged(f"{origin}: member '{member.name}' is a {member.kind}, not a plain file; nothing was unpacked")
    if path.exists():
        raise Damaged(f"{origin}: member '{member.name}' is there twice; nothing was unpacked")
    path.parent.mkdir(parents=True, exist_ok=True)
    with member.open() as source, open(path, "wb") as out:
        while block := source.read(_BLOCK):
            budget.take(len(block))
            out.write(block)


def _is_tar(path: Path) -> bool:
    """Whether the first block of the file, decompressed, is a header of a tar archive, or its end mark."""
    try:
        with open(path, "rb") as handle:
            tarfile.TarInfo.frombuf(_Stream(handle, path).read(tarfile.BLOCKSIZE), tarfile.ENCODING, "surrogateescape")
    except tarfile.EOFHeaderError:
        return True
    except (tarfile.HeaderError, EOFError, zlib.error, lzma.LZMAError, OSError):  # the very first block is broken
        return False
    return True


@contextmanager
def _user_errors(origin: str) -> Iterator[None]:
    """Turn what the libraries say of broken archives into one message; a full disk is not the archive's fault."""
    broken = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, struct.error)
    try:
        yield
    except UserError:
        raise
    except (*broken, OSError, ValueError, IndexError, KeyError, OverflowError) as error:
        if getattr(error, "errno", None) in _BAD_NAME:
            raise Damaged(f"{origin}: a member has a name that no file can have ({error}); nothing was kept") from None
        if getattr(error, "errno", None):
            raise UserError(f"{origin}: cannot be unpacked ({error})") from None
        raise Damaged(f"{origin}: a damaged or truncated archive ({error}); nothing was kept, run again") from None
    except (RuntimeError, NotImplementedError) as error:  # a password, an exotic compression
        raise UserError(f"{origin}: cannot be unpacked ({error}); unpack it by hand and use source 'files'") from None
