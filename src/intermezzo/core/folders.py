"""Folders that are whole or absent: written beside their place, then put there by one renaming.

with whole_folder(path) as part:
    (part / "file").write_text("...")
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from intermezzo.core.artifacts import abandoned, atomic, flush

TEMPORARY = "intermezzo-"
"""How the names of temporary folders begin."""


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path`, which takes the place of `path` at the end, and is removed on failure.

    A kill leaves the folder that was there before, or the new one, or (between two renamings) none; never a mixture.
    What is in the new folder is flushed to the disk first. What killed processes of this machine left beside it is
    removed. Where `path` is a link to a folder, that folder is replaced.
    """
    path = Path(os.path.realpath(path))
    _remove_abandoned(path)
    previous: Path | None = None
    with atomic(path) as part:
        part.mkdir()
        yield part
        flush(part)
        if path.is_dir():  # only an empty folder can be renamed onto
            previous = part.with_name(f".{path.name}.previous{part.name.removeprefix(f'.{path.name}')}")
            path.rename(previous)
    if previous is not None:
        shutil.rmtree(previous, ignore_errors=True)


def temporary_folder(parent: str | Path) -> Path:
    """Make a folder in `parent` for the life of this process, which its user alone can open; it is theirs to remove.

    Those that killed processes of this user and machine have left there are removed. Its name has at most 36 bytes.
    """
    machine = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]
    with suppress(OSError):
        for folder in Path(parent).glob(f"{TEMPORARY}{machine}-*"):
            process = folder.name.split("-")[2]
            gone = Path("/proc/self").exists() and not Path("/proc", process).exists()
            if gone and folder.stat().st_uid == os.getuid():
                remove(folder)
    return Path(tempfile.mkdtemp(prefix=f"{TEMPORARY}{machine}-{os.getpid()}-", dir=parent))


def _remove_abandoned(path: Path) -> None:
    """Remove temporary siblings of `path` whose processes are gone."""
    if path.parent.is_dir():
        for sibling in path.parent.iterdir():
            if sibling.name.startswith(f".{path.name}.") and abandoned(sibling):
                remove(sibling)


def remove(path: Path) -> None:
    """Remove a file or a folder; what cannot be removed stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
