"""Files that jobs leave behind: canonical JSON, hashes, and writes that are whole or absent."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from intermezzo.core.errors import UserError

_TEMPORARY = re.compile(r".*\.(?P<host>[\w-]+)-(?P<process>\d+)-[0-9a-f]{8}\.part")


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text, whatever their order was."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any, length: int = 16) -> str:
    """The first `length` hexadecimal digits of the SHA-256 of `canonical(value)`."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:length]


def sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, read in blocks."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path` (a file or a folder), renamed onto `path` on success, removed on failure.

    What was written is flushed to the disk before it gets its name, and then the name: a lost power supply leaves no
    empty file behind. Its name holds machine, process and a random number: pods on one volume may have equal process
    numbers. One that a kill leaves behind is in nobody's way.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{_host()}-{os.getpid()}-{os.urandom(4).hex()}.part")
    try:
        yield temporary
        flush(temporary)
        os.replace(temporary, path)
        _flush(path.parent)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Wait until a file, or a folder with all that is in it, is on the disk."""
    for written in [*(path.rglob("*") if path.is_dir() else ()), path]:
        _flush(written)


def _flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk. Some file systems cannot do that with folders."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not path.is_dir() or error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


def abandoned(temporary: Path) -> bool:
    """Whether a temporary file of `atomic` was left by a process of this machine that is gone (Linux)."""
    writer = _TEMPORARY.fullmatch(temporary.name)
    if writer is None or writer["host"] != _host():
        return False
    return not Path(f"/proc/{writer['process']}").exists()


def _host() -> str:
    """The machine's name, as it stands in names of files."""
    return re.sub(r"[^A-Za-z0-9-]", "_", socket.gethostname())[:48]


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Indented JSON with sorted keys, written atomically."""
    write_text(path, json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Parse a JSON file that this program wrote; a broken one is a UserError that names the file."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid JSON ({error}); delete the file and run again") from None
