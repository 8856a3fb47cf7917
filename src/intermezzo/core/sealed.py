"""Files that may be made again at any time: sealed when they are written, and not used where the seal is broken.

    with sealed.write(path) as part:        as artifacts.atomic
        ...
    content = sealed.read(path)             None: to be made again

The last 64 bytes of a file are the SHA-256 of its name (with its folder's, as names are keys) and of what is before
them. So a file that is cut, changed, of an older version or under another key's name is noticed before it is used.
"""

from __future__ import annotations

import hashlib
import logging
import mmap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from intermezzo.core.artifacts import atomic

log = logging.getLogger(__name__)

SEAL = 64
"""Bytes of a seal: hexadecimal digits."""


@contextmanager
def write(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`, which is sealed and renamed onto `path` on success."""
    with atomic(path) as part:
        yield part
        with part.open("rb+") as file:
            seal = hashlib.file_digest(file, lambda: _started(path))
            file.seek(0, 2)
            file.write(seal.hexdigest().encode())


def read(path: Path) -> memoryview | None:
    """What was written to a file, as a view of memory-mapped bytes.

    None where there is no file, or one whose seal is broken, which is removed; the log says so.
    """
    try:
        with path.open("rb") as file:
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):  # unreadable, or empty
        content = memoryview(b"")
    seal = _started(path)
    seal.update(content[:-SEAL])
    if seal.hexdigest().encode() == content[-SEAL:]:
        return content[:-SEAL]
    log.warning("%s: damaged, or not written for this key by this version; it is made again", path)
    with suppress(OSError):
        path.unlink()
    return None


def _started(path: Path) -> hashlib._Hash:
    return hashlib.sha256(f"{path.parent.name}/{path.name}\n".encode())
