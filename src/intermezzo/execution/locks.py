"""Locks between processes: a lock ends with its process, however that ends, and says who holds it.

    with acquire(folder / "name.lock", "trains the same specification"):
        ...

The operating system locks the file as a whole (filelock's `lock_descriptor`: `flock` on Unix), which also holds across
machines on file systems that support it. A forked child shares the lock of its parent. The holder writes its identity
into the file, so that a process which waits can name it. The file is removed when the lock is released.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import lock_descriptor, unlock_descriptor

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
"""Time between two attempts to get a lock that another process holds."""


class AlreadyLocked(Exception):
    """Another process holds the lock; `holder` is its identity, {} where that cannot be read."""

    def __init__(self, holder: dict[str, Any]) -> None:
        super().__init__(describe(holder))
        self.holder = holder


@contextmanager
def acquire(path: Path, activity: str = "", *, wait: bool = True) -> Iterator[None]:
    """Hold the lock file `path` within the context.

    activity: what the holder does, in words that follow "process N, which"; a process that waits logs it.
    wait: False raises AlreadyLocked instead of waiting. Raises OSError where the file system has no locks or the file
    cannot be made.
    """
    descriptor = _locked_descriptor(path, activity, wait)
    try:
        yield
    finally:
        # Removed before it is unlocked: a process that waits for this file sees that its name is gone and tries again.
        with suppress(OSError):
            path.unlink()
        with suppress(OSError):
            unlock_descriptor(descriptor)  # closing is not enough: forked children may have it open
        os.close(descriptor)


def identity() -> dict[str, Any]:
    """This process: its number, its machine by name, and the identifier that the kernel drew when it was started."""
    host, boot = socket.gethostname(), Path("/proc/sys/kernel/random/boot_id")
    return {"boot": boot.read_text().strip() if boot.exists() else host, "host": host, "process": os.getpid()}


def describe(holder: dict[str, Any]) -> str:
    """A process in words; its machine is named where it is another one."""
    host = holder.get("host", "?")
    return f"process {holder.get('process', '?')}" + ("" if host == socket.gethostname() else f" on {host}")


def _locked_descriptor(path: Path, activity: str, wait: bool) -> int:
    announced = False
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            if path.parent.is_dir():
                raise
            continue  # the folder was removed in between
        try:
            if not lock_descriptor(descriptor, blocking=False):
                holder = _holder(descriptor)
                if not wait:
                    raise AlreadyLocked(holder)
                if activity and not announced:
                    log.info("waiting for %s, which %s", describe(holder), activity)
                    announced = True
                lock_descriptor(descriptor, poll_interval=POLL_SECONDS)
            if _is_named(path, descriptor):
                _write_identity(descriptor)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_named(path: Path, descriptor: int) -> bool:
    """Whether `path` is still the file of the descriptor: the last holder has removed it."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> dict[str, Any]:
    """The identity in a lock file; a holder that has just got the lock is given a moment to write it."""
    if holder := _read(descriptor):
        return holder
    time.sleep(POLL_SECONDS)
    return _read(descriptor)


def _read(descriptor: int) -> dict[str, Any]:
    try:
        return dict(json.loads(os.pread(descriptor, 1000, 0)))
    except (OSError, ValueError):  # the holder has not written it yet
        return {}


def _write_identity(descriptor: int) -> None:
    with suppress(OSError):  # a full disk: whoever waits does without the name
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(identity()).encode(), 0)
