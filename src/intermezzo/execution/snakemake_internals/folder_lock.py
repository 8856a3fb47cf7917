"""Let Snakemake hold the run's lock (`execution.runlock`) around its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from intermezzo.core.errors import UserError
from intermezzo.execution import runlock
from intermezzo.execution.snakemake_internals.support import feature

_INSTALLED = "intermezzo"
"""An attribute of the patched method."""


@feature("after a kill -9 Snakemake asks for `snakemake --unlock`")
def install_lock() -> bool:
    """Let runs of Snakemake in this process hold their folder's lock, from before their first job to after their last.

    Called while the Snakefile is read, which is before Snakemake looks at locks. Dry runs and single jobs take none.
    A job on a node does not say of its files that they are complete: that is for the run, which records what they were
    made with. Files that are complete without a record would pass for results of any later configuration.
    """
    from snakemake.exceptions import WorkflowError
    from snakemake.persistence import PersistenceBase

    plain_lock, plain_finished, _ = PersistenceBase.lock, PersistenceBase.finished, PersistenceBase.cleanup_locks
    if hasattr(plain_lock, _INSTALLED):
        return True

    async def finished(persistence: Any, job: Any) -> None:
        if not persistence.dag.workflow.remote_exec:
            await plain_finished(persistence, job)

    @contextmanager
    def lock(persistence: Any) -> Iterator[None]:
        folder = Path(persistence.path)
        try:
            runlock.check_writable()
            with runlock.exclusive(folder, local=persistence.dag.workflow.local_exec) as killed:
                if killed is not None:
                    persistence.cleanup_locks()
                    (folder / "locks").mkdir(exist_ok=True)
                    runlock.clean(Path("results"), killed)
                runlock.record_components(folder)
                with plain_lock(persistence):
                    yield
        except UserError as error:
            raise WorkflowError(str(error)) from None

    setattr(lock, _INSTALLED, True)
    PersistenceBase.lock, PersistenceBase.finished = lock, finished
    return True
