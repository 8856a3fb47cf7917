"""A file, or members of an archive, from the address where they are published.

`<downloads>/<digest of the URL>/` holds the download under its own name, and what was unpacked of it beside, in
folders whose names depend on the download's SHA-256: another archive is unpacked anew. A JSON beside each folder has
the SHA-256 of its files: what is damaged is unpacked again.
"""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from filelock import FileLock

from intermezzo.core import provenance
from intermezzo.core.artifacts import digest, sha256
from intermezzo.core.errors import UserError
from intermezzo.core.excerpt import excerpt
from intermezzo.core.secrets import masked
from intermezzo.sources.files.reading import File
from intermezzo.sources.hub import archives, github
from intermezzo.sources.hub.transfer import Checksum, download

log = logging.getLogger(__name__)

SCHEMES = ("https", "http", "file")


def check(part: dict[str, Any], where: str) -> None:
    """Raise UserError for an address, a checksum or a limit in the task file that cannot be one."""
    url = part["url"]
    try:
        scheme, _ = urlsplit(url).scheme, urlsplit(url).port
    except ValueError:
        mend = "in a name or password write / ? # @ : as %2F %3F %23 %40 %3A"
        raise UserError(f"{where}: url: not an address (is the port a number?); {mend}") from None
    if scheme not in SCHEMES:
        raise UserError(f"{where}: url is '{masked(url)}', expected one that begins with {', '.join(SCHEMES)}")
    for other in part.get("otherwise") or ():
        if not isinstance(other, str) or urlsplit(other).scheme not in SCHEMES:
            raise UserError(f"{where}: otherwise: {excerpt(other)}, expected a list of addresses")
    limit = part.get("unpacked_limit")
    if limit is not None and (type(limit) is not int or limit < 1):
        raise UserError(f"{where}: unpacked_limit is {excerpt(limit)}, expected a whole number of bytes")
    if part.get("sha256") is not None and not re.fullmatch(r"[0-9a-f]{64}", part["sha256"]):
        raise UserError(
            f"{where}: sha256 is '{part['sha256']}', expected 64 hexadecimal digits in lower case, or null when nobody"
            " has verified one"
        )


def folder_of(downloads: Path, url: str) -> Path:
    """Where a download lies, with all that was unpacked of it."""
    return downloads / digest(url)


def fetch(
    part: dict[str, Any], locked: dict[str, Any], parts: list[dict[str, Any]], downloads: Path, where: str
) -> tuple[list[File], dict[str, Any]]:
    """The files of a part {url, sha256, member}, sorted, and what the lock file has to say about the download.

    `locked` is what it says already ({}: nothing). `parts` are all of the task: an archive is unpacked once for all of
    them, and files of one commit on GitHub come together. Raises UserError for an address that cannot be reached or
    refuses, a download that is cut off, empty, a web page or not what `sha256` or the lock says, and for archives that
    are damaged or not safe.
    """
    url, member, limit = part["url"], part.get("member"), part.get("unpacked_limit")
    origin = f"{where}: {masked(url)}"
    expected = _expected(part, locked, origin)
    target = _target(downloads, url)
    try:
        downloads.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"data.downloads: no folder can be made at '{downloads}' ({error}); name another") from None
    with FileLock(downloads / f"{target.parent.name}.lock"):  # who needs the same archive waits, and finds it here
        if not target.exists() and (together := github.companions(url, _single_files(parts))):
            github.bring({other: _target(downloads, other) for other in together}, downloads, origin)
        checksum = sha256(target) if target.is_file() else None
        if checksum and expected.sha256 not in (None, checksum):
            log.warning("%s: sha256 is %s, but %s says %s", target, checksum, expected.by, expected.sha256)
            checksum = None
        checksum = checksum or download(url, target, expected, origin)
        try:
            members = {other["member"] for other in parts if other.get("url") == url and other.get("member")}
            files = (
                _unpack(target, checksum, member, members, origin, limit)
                if member
                else [_single_file(target, checksum, origin, limit)]
            )
        except archives.Damaged:
            target.unlink()
            raise
        if member and github.is_generated(url) and not expected.sha256:
            return files, {"members": {file.name: _sums(file.root / file.name) for file in files}}
        return files, {"bytes": target.stat().st_size, "sha256": checksum}


def _target(downloads: Path, url: str) -> Path:
    return folder_of(downloads, url) / _name(url)


def _single_files(parts: list[dict[str, Any]]) -> list[str]:
    """The addresses of files that are read as they are."""
    return [part["url"] for part in parts if isinstance(part.get("url"), str) and not part.get("member")]


def _sums(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}


def _expected(part: dict[str, Any], locked: dict[str, Any], origin: str) -> Checksum:
    """The checksum that the download must have, and who says so."""
    ours, entry = part.get("sha256"), f"'urls > {masked(part['url'])}'"
    theirs = locked.get("sha256")  # none of archives whose members are locked
    if theirs and ours not in (None, theirs):
        raise UserError(
            f"{origin}: sha256 is {ours} in the task file, but {theirs} in the lock file; correct the task"
            f" file, or delete {entry} from the lock file to accept the new one"
        )
    if theirs and ours is None:
        return Checksum(theirs, "the lock file", f"delete {entry} from the lock file")
    return Checksum(ours, "the task file", "change sha256 in the task file")


def _name(url: str) -> str:
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    return re.sub(r"[^\w.+-]", "_", name).lstrip(".") or "download"


def _unpack(archive: Path, checksum: str, member: str, members: set[str], origin: str, limit: int | None) -> list[File]:
    """The members that match `member`; those of the other patterns are unpacked with them."""
    folders = {pattern: archive.parent / digest([checksum, pattern]) for pattern in {member} | members}
    folder = folders[member]
    if not _is_whole(folder):
        if not archives.is_archive(archive):
            mend = "correct `url`, or take `member` out; if it was damaged on its way, run again: nothing was kept"
            raise archives.Damaged(f"{origin}: neither a zip nor a tar archive: {mend}")
        missing = {pattern: folder for pattern, folder in folders.items() if not folder.is_dir()}
        names = archives.unpack(archive, missing, origin, limit)
        for unpacked in filter(Path.is_dir, missing.values()):
            provenance.write_record(_listing(unpacked), {"files": _hashes(unpacked)})
        if not folder.is_dir():
            shown = ", ".join(f"{name:.80}" for name in sorted(names)[:12])
            shown += f", ... ({len(names)} in all)" if len(names) > 12 else ""
            raise UserError(f"{origin}: no member matches '{member}'; the archive holds {shown or 'no file'}")
    return [File(folder, name) for name in _names(folder)]


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _hashes(folder: Path) -> dict[str, str]:
    """Name of each file below a folder -> SHA-256."""
    return {name: sha256(folder / name) for name in _names(folder)}


def _listing(folder: Path) -> Path:
    """Where the names and hashes of what was unpacked to a folder are kept."""
    return folder.with_name(f"{folder.name}.json")


def _is_whole(folder: Path) -> bool:
    """Whether a folder is there and holds what was unpacked; one that does not is removed, and the log says so."""
    if not folder.is_dir():
        return False
    if provenance.read(_listing(folder)).get("files") == _hashes(folder):
        return True
    log.warning("%s: damaged, or of an older version; it is unpacked again", folder)
    shutil.rmtree(folder)
    return False


def _single_file(download: Path, checksum: str, origin: str, limit: int | None) -> File:
    """The download itself, or what is in it if it is compressed."""
    if archives.is_archive(download):
        raise UserError(f"{origin}: an archive: name the files that are meant with `member` in the task file")
    folder, name = download.parent / digest([checksum]), re.sub(r"\.(gz|bz2|xz)$", "", download.name)
    if _is_whole(folder):
        return File(folder, name)
    if archives.expand(download, folder, name, origin, limit):
        provenance.write_record(_listing(folder), {"files": _hashes(folder)})
        return File(folder, name)
    return File(download.parent, download.name)
