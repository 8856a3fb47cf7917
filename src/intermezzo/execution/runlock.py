"""The lock of the folder that a run works in: one run at a time, and a killed one is recognised as such.

Snakemake writes the names of a run's files into .snakemake/locks, where they stay after a kill -9; it cannot tell them
from those of a run that is still at work, and asks for `--unlock`. Here a run also holds a lock of the operating
system, which ends with its process, and a record of itself, which stays when it is killed. Who gets the lock and finds
such a record knows that the names are stale.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from intermezzo.core.artifacts import abandoned, write_text
from intermezzo.core.errors import UserError
from intermezzo.core.folders import remove
from intermezzo.dag.fingerprint import COMPONENTS
from intermezzo.execution import locks

LOCK = "intermezzo.lock"
"""In .snakemake: locked by the process that runs here."""
RECORD = "intermezzo.run.json"
"""In .snakemake: the process that runs here, or that was killed."""
CODE = "intermezzo.code.json"
"""In .snakemake: the modules behind each fingerprint of code."""
WRITTEN = ("results", "logs", "benchmarks/jobs")
"""Folders that a run writes to."""


@contextmanager
def exclusive(folder: Path, *, local: bool = True) -> Iterator[dict[str, Any] | None]:
    """Hold the lock of a run in `folder` (its .snakemake); yields the record of a killed run, None if there was none.

    local: whether all jobs run on this machine, which a later run will want to know.
    Raises UserError when another run holds it, or when names are locked by a run on a machine that cannot be seen.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locks.acquire(folder / LOCK, wait=False))
        except locks.AlreadyLocked as error:
            raise UserError(
                f"{Path.cwd()}: another run is at work in this folder ({error}). Two would write the "
                "same files: wait for its end, or stop it, and run again. Nothing was changed."
            ) from None
        except OSError:  # a file system without such locks: Snakemake's own names are all there is
            yield None
            return
        record, identity = _read(folder), locks.identity()
        if record and not {record.get("boot"), record.get("host")} & {identity["boot"], identity["host"]}:
            if any((folder / "locks").glob("*.lock")):
                raise UserError(
                    f"{Path.cwd()}: the last run in this folder ({locks.describe(record)}) has not ended properly, and "
                    f"from {identity['host']} nobody can see whether it still runs. If it does not: snakemake --unlock"
                )
            record = {}
        _write(folder, identity | {"local": local})
        try:
            yield record or None
        finally:
            (folder / RECORD).unlink(missing_ok=True)


def clean(results: Path, killed: dict[str, Any]) -> None:
    """Remove the temporary files and folders that processes of a killed run were writing, if these are gone.

    killed: its record. Nothing is removed where its processes cannot be seen: they ran elsewhere.
    """
    if not killed.get("local") or killed.get("boot") != locks.identity()["boot"]:
        return
    for part in results.rglob(".*.part"):
        if abandoned(part):
            remove(part)


def record_components(folder: Path) -> None:
    """Keep the modules behind the fingerprints of this run's code, so that a later change of it has a name."""
    recorded = recorded_components(folder)
    if COMPONENTS.keys() - recorded.keys():
        write_text(folder / CODE, json.dumps(recorded | COMPONENTS))


def recorded_components(folder: Path) -> dict[str, dict[str, str]]:
    """Fingerprint -> hash of each module behind it, of all runs in this folder."""
    try:
        return dict(json.loads((folder / CODE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def check_writable() -> None:
    """Raise UserError for a folder that a run could not write to."""
    for name in WRITTEN:
        path = Path(name)
        folder = next(place for place in (path, *path.absolute().parents) if place.exists())
        if not folder.is_dir():
            raise UserError(f"{folder}: not a folder; results, logs and Snakemake's notes go there: move it away")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UserError(f"{folder.absolute()}: not writable; make it so, or run in another folder (--directory)")


def _read(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _write(folder: Path, record: dict[str, Any]) -> None:
    with open(folder / RECORD, "w", encoding="utf-8") as handle:
        handle.write(json.dumps(record))
        handle.flush()
        os.fsync(handle.fileno())  # it must outlive a crash of the machine
