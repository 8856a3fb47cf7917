"""Files of one commit of a GitHub repository, in one request: of single files GitHub gives 60 an hour to an address.

A task that names several files of a commit (`https://raw.githubusercontent.com/OWNER/REPOSITORY/COMMIT/PATH`) gets them
from the archive that GitHub makes of that commit, each to where its own download would lie. What the archive lacks is
asked for by itself.
"""

from __future__ import annotations

import glob
import logging
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from filelock import FileLock

from intermezzo.core.artifacts import digest
from intermezzo.core.errors import UserError
from intermezzo.sources.hub import archives
from intermezzo.sources.hub.transfer import Checksum, download

log = logging.getLogger(__name__)

_RAW = re.compile(r"https://raw\.githubusercontent\.com/([^/?#]+)/([^/?#]+)/([0-9a-f]{7,40})/([^?#]+)")
"""The address of a file at a commit; one of a branch may be another file tomorrow, and with a token it is private."""


class Place(NamedTuple):
    """Where a file of GitHub lies: the archive of its commit, and its path in the repository."""

    archive: str
    path: str


def place_of(url: str) -> Place | None:
    """The place of a file that is addressed by a commit; None for any other address."""
    match = _RAW.fullmatch(url)
    if match is None:
        return None
    owner, repository, commit, path = match.groups()
    return Place(f"https://github.com/{owner}/{repository}/archive/{commit}.tar.gz", unquote(path))


def companions(url: str, urls: Iterable[str]) -> set[str]:
    """Those of `urls` that are files of the same commit as `url`, itself among them; none where it is the only one."""
    place = place_of(url)
    if place is None:
        return set()
    together = {url} | {other for other in urls if (known := place_of(other)) and known.archive == place.archive}
    return together if len(together) > 1 else set()


def is_generated(url: str) -> bool:
    """Whether GitHub makes an archive anew for each request: its members stay the same, its own bytes need not."""
    address = urlsplit(url)
    return address.hostname == "codeload.github.com" or (
        address.hostname == "github.com" and "/archive/" in address.path
    )


def bring(targets: dict[str, Path], downloads: Path, origin: str) -> None:
    """Put the files of one commit where their downloads lie, from one archive; targets: address -> that place.

    Those that are there stay as they are. An archive that cannot be had, or lacks a file, is told in the log alone: the
    file's own address remains.
    """
    places = {url: place for url in targets if (place := place_of(url))}
    url = next(iter(places.values())).archive
    folder = downloads / digest(url)
    archive = folder / url.rpartition("/")[2]
    with FileLock(downloads / f"{folder.name}.lock"):
        missing = {place: targets[url] for url, place in places.items() if not targets[url].exists()}
        if not missing:
            return
        unpacked = {glob.escape(place.path): folder / digest(place.path) for place in missing}
        try:
            if not archive.is_file():
                download(url, archive, Checksum(None, "", ""), f"{origin} (in {url})")
            archives.unpack(archive, {f"*/{path}": place for path, place in unpacked.items()}, f"{origin} (in {url})")
        except UserError as error:
            if isinstance(error, archives.Damaged):
                archive.unlink(missing_ok=True)
            log.warning("%s; the file is asked for by itself", error)
            return
        for place, target in missing.items():
            for file in (path for path in unpacked[glob.escape(place.path)].rglob("*") if path.is_file()):
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(file, target)
            shutil.rmtree(unpacked[glob.escape(place.path)], ignore_errors=True)
