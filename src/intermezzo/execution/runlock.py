"""The folder that a run works in: one run at a time, and what a killed one left behind.

Snakemake writes the names of a run's files into .snakemake/locks, where they stay after a kill -9; it cannot tell them
from those of a run that is still at work, and asks for `--unlock`. Here a run also holds a lock of the operating
system, which ends with its process, however that ends. Who gets it knows that names left behind belong to nobody.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from intermezzo.core.artifacts import write_text
from intermezzo.core.errors import UserError
from intermezzo.dag.fingerprint import COMPONENTS

LOCK = "intermezzo.lock"
"""In .snakemake: who is running here, or was when it was killed."""
CODE = "intermezzo.code.json"
"""In .snakemake: the modules behind each fingerprint of code."""
WRITTEN = ("results", "logs", "benchmarks/jobs")
"""Folders that a run writes to."""


def guard() -> None:
    """Let runs of Snakemake in this process hold their folder's lock, from before their first job to after their last.

    Called while the Snakefile is read, which is before Snakemake looks at locks. Dry runs and single jobs take none.
    A job on a node does not say of its files that they are complete: that is for the run, which records what they were
    made with. Files that are complete without a record would pass for results of any later configuration.
    """
    from snakemake.exceptions import WorkflowError
    from snakemake.persistence import PersistenceBase

    names, finished = PersistenceBase.lock, PersistenceBase.finished
    if hasattr(names, "alone"):
        return

    async def record(persistence: Any, job: Any) -> None:
        if not persistence.dag.workflow.remote_exec:
            await finished(persistence, job)

    @contextmanager
    def lock(persistence: Any) -> Iterator[None]:
        folder = Path(persistence.path)
        try:
            usable()
            with alone(folder, local=persistence.dag.workflow.local_exec) as killed:
                if killed is not None:
                    persistence.cleanup_locks()
                    (folder / "locks").mkdir(exist_ok=True)
                    clean(Path("results"), killed)
                note(folder)
                with names(persistence):
                    yield
        except UserError as error:
            raise WorkflowError(str(error)) from None

    lock.alone = True
    PersistenceBase.lock, PersistenceBase.finished = lock, record


@contextmanager
def alone(folder: Path, *, local: bool = True) -> Iterator[dict[str, Any] | None]:
    """Hold the lock in `folder` (a run's .snakemake); yields what a killed run said of itself, or None.

    local: whether all jobs run on this machine, which a later run will want to know.
    Raises UserError when another run holds it, or when names are locked by a run on a machine that cannot be seen.
    """
    with open(folder / LOCK, "a+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{Path.cwd()}: another run is at work in this folder ({_words(_read(handle))}). Two would write the "
                "same files: wait for its end, or stop it, and run again. Nothing was changed."
            ) from None
        except OSError:  # a file system without such locks: Snakemake's own names are all there is
            yield None
            return
        killed, here = _read(handle), _identity()
        if killed and not {killed.get("boot"), killed.get("host")} & {here["boot"], here["host"]}:
            if any((folder / "locks").glob("*.lock")):
                raise UserError(
                    f"{Path.cwd()}: the last run in this folder ({_words(killed)}) has not ended properly, and from "
                    f"{here['host']} nobody can see whether it still runs. If it does not: snakemake --unlock"
                )
            killed = {}
        _write(handle, here | {"local": local})
        try:
            yield killed or None
        finally:
            _write(handle, None)


def clean(results: Path, killed: dict[str, Any]) -> None:
    """Remove what processes of a killed run were writing (`artifacts.atomic`: .NAME.PID.part), if they are gone."""
    if not killed.get("local") or killed.get("boot") != _identity()["boot"]:
        return  # processes of other machines have numbers that say nothing here
    for part in results.rglob(".*.part"):
        writer = part.name.split(".")[-2]
        if writer.isdigit() and not Path(f"/proc/{writer}").exists():
            part.unlink(missing_ok=True)


def note(folder: Path) -> None:
    """Keep what is behind the fingerprints of this run's code, so that a later change of it has a name."""
    known = noted(folder)
    if COMPONENTS.keys() - known.keys():
        write_text(folder / CODE, json.dumps(known | COMPONENTS))


def noted(folder: Path) -> dict[str, dict[str, str]]:
    """Fingerprint -> hash of each module behind it, of all runs in this folder."""
    try:
        return dict(json.loads((folder / CODE).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def usable() -> None:
    """Raise UserError for a folder that a run could not write to."""
    for name in WRITTEN:
        path = Path(name)
        there = next(place for place in (path, *path.absolute().parents) if place.exists())
        if not there.is_dir():
            raise UserError(f"{there}: not a folder; results, logs and Snakemake's notes go there: move it away")
        if not os.access(there, os.W_OK | os.X_OK):
            raise UserError(f"{there.absolute()}: not writable; make it so, or run in another folder (--directory)")


def _identity() -> dict[str, Any]:
    """This process: its number, its machine by name, and by what the kernel drew when it was started."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    drawn = boot.read_text().strip() if boot.exists() else socket.gethostname()
    return {"boot": drawn, "host": socket.gethostname(), "process": os.getpid()}


def _words(who: dict[str, Any]) -> str:
    return f"process {who.get('process', '?')} on {who.get('host', '?')}"


def _read(handle: TextIO) -> dict[str, Any]:
    handle.seek(0)
    try:
        return dict(json.load(handle))
    except ValueError:
        return {}


def _write(handle: TextIO, who: dict[str, Any] | None) -> None:
    handle.seek(0)
    handle.truncate()
    handle.write(json.dumps(who) if who else "")
    handle.flush()
    os.fsync(handle.fileno())
