"""Adopt models that another job has finished: one that outlived its killed run, or one of the same specification.

Snakemake records a job when the job ends, and has no record of a cluster job that ended after its run was killed: the
next run deletes the model's files and trains again. So a finished training leaves hard links of its files here, with
their SHA-256 and a key of all that the model was made from. A job that is to make a model of the same key adopts the
files if they are right, and trains otherwise. Jobs of equal keys run one after the other, so that what is equal is
trained once. The links are discarded when the first job reads the model, as it is recorded by then, and with the run.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from intermezzo.core.artifacts import digest, read_json, sha256, write_json
from intermezzo.core.errors import UserError
from intermezzo.core.folders import whole_folder
from intermezzo.execution import locks
from intermezzo.modeling.folder import MANIFEST

log = logging.getLogger(__name__)

STATES = Path("results/.state")
RECORD = "finished.json"


@contextmanager
def exclusive(out: Path, state: Path) -> Iterator[bool]:
    """Hold the right to make the model folder `out`; yields whether it was adopted and need not be made.

    state: where the training keeps what it resumes; its name is a digest of all that the model is made from. Another
    process that writes the same folder (a job of a killed run), or trains the same specification for another folder,
    is waited for, and the log says so.
    """
    store, key = _store(state.parent), state.name
    with (
        _lock(store / f"{_name(out)}.lock", "makes the same model"),
        _lock(store / f"{key}.lock", "trains the same specification"),
    ):
        record = _adopt(out, store, key)
        yield record is not None
        if record is None or record.name != _record_name(out, key):
            _record(out, store, key)


def discard(model: Path, states: Path) -> None:
    """Remove the record of a finished model: Snakemake has recorded it by now, as somebody reads it."""
    for record in _store(states).glob(f"{_name(model)}-*"):
        shutil.rmtree(record, ignore_errors=True)


def clean(jobs: Iterable[Any] | None = (), states: Path = STATES) -> None:
    """Discard all records but those of models that `jobs` (Snakemake's) make; None = unknown jobs, nothing goes."""
    if jobs is None:
        return
    names = {_name(Path(job.output[0]).parent) for job in jobs if job.output}
    store = _store(states)
    for record in store.glob("*-*"):
        if record.name.partition("-")[0] not in names:
            shutil.rmtree(record, ignore_errors=True)
    with suppress(OSError):  # locks of running jobs and other records stay
        store.rmdir()


def _adopt(out: Path, store: Path, key: str) -> Path | None:
    """Take the files of a finished model of this key into `out`; returns the record they came from, None without one.

    A record of `out` itself comes first; one that is damaged or of another key is removed.
    """
    own_record = store / _record_name(out, key)
    for record in store.glob(f"{_name(out)}-*"):
        if record != own_record or not _is_whole(record):
            shutil.rmtree(record, ignore_errors=True)
    for record in [own_record, *sorted(store.glob(f"*-{key}"))]:
        if not _is_whole(record):
            continue
        with suppress(OSError, UserError):  # discarded in this moment, or no hard links here: train
            content = read_json(record / RECORD)
            with whole_folder(out) as part:
                for name in content["sha256"]:
                    if record == own_record:
                        os.link(record / name, part / name)
                        os.utime(part / name)
                    else:  # files of two models are never one: each has times of its own, and may be deleted
                        shutil.copy(record / name, part / name)
            if record == own_record:
                log.info("%s: taken over from a job of a run that was killed", out)
            else:
                log.info("%s: copied from %s, which has the same specification", out, content["out"])
            return record
    return None


def _is_whole(record: Path) -> bool:
    """Whether a record is complete, is of this name, and all its files have the hashes that it names."""
    try:
        content = read_json(record / RECORD)
        return record.name == _record_name(Path(content["out"]), content["key"]) and all(
            sha256(record / name) == value for name, value in content["sha256"].items()
        )
    except (UserError, OSError, KeyError, TypeError, AttributeError):
        return False


def _record(out: Path, store: Path, key: str) -> None:
    """Link the files of a finished model; RECORD is written last. Without hard links nothing is recorded."""
    record, hashed = store / _record_name(out, key), read_json(out / MANIFEST).get("files", {})
    files = [path for path in sorted(out.iterdir()) if path.is_file() and not path.name.startswith(".")]
    hashes = {path.name: hashed.get(path.name) or sha256(path) for path in files}
    with suppress(OSError):
        record.mkdir(parents=True)
        for path in files:
            os.link(path, record / path.name)
        write_json(record / RECORD, {"out": str(out), "key": key, "sha256": hashes})


def _store(states: Path) -> Path:
    return states / "finished"


def _name(model: Path) -> str:
    return digest(str(model), 32)


def _record_name(model: Path, key: str) -> str:
    return f"{_name(model)}-{key}"


@contextmanager
def _lock(path: Path, activity: str) -> Iterator[None]:
    """Hold a lock. Where there can be none the training goes on to its own lock, whose message is the one to see."""
    with ExitStack() as stack:
        with suppress(OSError):
            stack.enter_context(locks.acquire(path, activity))
        yield
