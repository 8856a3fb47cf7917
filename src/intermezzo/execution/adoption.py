"""Trainings that have finished and that nobody has recorded: jobs of a cluster outlive a run that was killed.

Snakemake records a job when the job ends, and has nothing of one that ended later: the next run deletes its files and
makes them again. So a finished training leaves hard links of its files here, with their SHA-256 and a key of all that
they were made from. The job that comes again takes them over if all of that is right, and trains if anything is not.
They go when the first job reads the model, as it is recorded by then, and with the run.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from intermezzo.core.artifacts import atomic, digest, read_json, sha256, write_json
from intermezzo.core.errors import UserError

STATES = Path("results/.state")
RECORD = "finished.json"
MANIFEST = "manifest.json"
HASHED = {"model.safetensors": "weights_sha256", "heads.safetensors": "heads_sha256"}
"""Files whose hashes the manifest has."""


@contextmanager
def once(out: Path, state: Path) -> Iterator[bool]:
    """Hold the right to make the model folder `out`; yields whether it is there now, taken over.

    state: where the training keeps what it resumes; its name is a digest of all that the model is made from. Another
    process that makes the model (an orphan of a killed run) is waited for.
    """
    folder = _folder(out, state.parent)
    with _alone(folder):
        there = _take(out, folder, state.name)
        if there:
            print(f"{out}: taken over from a job of a run that was killed", file=sys.stderr)
        yield there
        if not there:
            _keep(out, folder, state.name)


def forget(model: Path, states: Path) -> None:
    """The model is recorded: whoever reads it knows."""
    shutil.rmtree(_folder(model, states), ignore_errors=True)


def clean(jobs: Iterable[Any] = (), states: Path = STATES) -> None:
    """Forget all but what these jobs (Snakemake's) write."""
    kept = {_folder(Path(job.output[0]).parent, states) for job in jobs if job.output}
    home = _folder(Path(), states).parent
    for folder in home.glob("*"):
        if folder.is_dir() and folder not in kept:
            shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # locks of jobs that run on, what is kept
        home.rmdir()


def _take(out: Path, folder: Path, key: str) -> bool:
    try:
        record = read_json(folder / RECORD)
        whole = record["key"] == key and all(sha256(folder / name) == is_ for name, is_ in record["sha256"].items())
    except (UserError, OSError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        shutil.rmtree(folder, ignore_errors=True)
        return False
    for name in sorted(record["sha256"], key=lambda name: name == MANIFEST):  # the manifest last
        with atomic(out / name) as part:
            os.link(folder / name, part)
            os.utime(part)
    return True


def _keep(out: Path, folder: Path, key: str) -> None:
    """Nothing is kept on a file system without hard links. The record is written last: without it nothing counts."""
    known = read_json(out / MANIFEST)
    files = [path for path in sorted(out.iterdir()) if path.is_file() and not path.name.startswith(".")]
    hashes = {path.name: known.get(HASHED.get(path.name, "")) or sha256(path) for path in files}
    with suppress(OSError):
        folder.mkdir()
        for path in files:
            os.link(path, folder / path.name)
        write_json(folder / RECORD, {"out": str(out), "key": key, "sha256": hashes})


def _folder(out: Path, states: Path) -> Path:
    return states / "finished" / digest(str(out), 32)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder. Where there can be none the training goes on to its own, which says what is wrong."""
    path = folder.with_suffix(".lock")
    lock = _locked(path)
    try:
        yield
    finally:
        if lock is not None:
            path.unlink(missing_ok=True)
            lock.close()


def _locked(path: Path) -> TextIO | None:
    """The file goes with its lock, so whoever waited looks whether it still counts."""
    while True:
        with suppress(OSError), ExitStack() as stack:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(open(path, "w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is(path, lock.fileno()):
                continue
            stack.pop_all()
            return lock
        return None


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
