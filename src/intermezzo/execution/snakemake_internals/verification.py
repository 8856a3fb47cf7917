"""Let Snakemake see how results say they were made (`core.provenance`), where it has no record of its own or doubts it.

Snakemake trusts files that it has no record of: results that were copied without .snakemake would pass for those of any
configuration. And it trusts a record whatever has become of the file. Here a file without a record is compared with
what the configuration asks for, and so is one that was written at another time than was recorded. What differs counts
as made with other parameters, and is planned again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

from intermezzo.core import provenance
from intermezzo.core.artifacts import sha256
from intermezzo.core.provenance import Difference
from intermezzo.execution.snakemake_internals.support import feature

_PLAIN = "_intermezzo_plain"
"""An attribute of the patched `has_metadata`: Snakemake's own."""


@feature("results without a record of Snakemake's are refused where they were made with other settings")
def install_verification() -> bool:
    """Patch Snakemake's records in this process; returns whether files are compared with what they say."""
    from snakemake.persistence import NO_PARAMS_CHANGE, ParamsChange, PersistenceBase

    plain = (PersistenceBase.has_metadata, PersistenceBase.params_changed, PersistenceBase.input_checksums)
    _ = (NO_PARAMS_CHANGE, PersistenceBase.metadata)
    if hasattr(plain[0], _PLAIN):
        return True
    patches = (_has_metadata(plain[0]), _params_changed(plain[1], ParamsChange), _input_checksums(plain[2]))
    PersistenceBase.has_metadata, PersistenceBase.params_changed, PersistenceBase.input_checksums = patches
    return True


def job_difference(records: Any, job: Any) -> Difference | None:
    """How the files of a job differ from what is asked for. records: Snakemake's."""
    if not _says(job):
        return None
    times = _times(job)
    if not any(times.values()):
        return None  # it is to be made, or nobody needs it
    recorded = {
        path: record and record.endtime for path, record in zip(times, map(records.metadata, job.output), strict=True)
    }
    altered = [path for path, time in times.items() if time is not None and time != recorded[path]]
    missing = [path for path, time in times.items() if time is None]
    wanted = {name: str(value) for name, value in job.params.items() if name in provenance.TRACKED}
    return provenance.difference(list(times), wanted, altered, missing)


def _says(job: Any) -> bool:
    """Whether the files of a job say how they were made, and lie on this machine's disks."""
    params = job.rule.params
    return hasattr(params, "spec") and hasattr(params, "code") and not any(file.is_storage for file in job.output)


def _times(job: Any) -> dict[str, float | None]:
    """Output -> when it was written, in Snakemake's reckoning; None where it is not there."""
    cache = job.rule.workflow.iocache
    if cache.active:  # it holds all files that are there
        times = ((str(file), cache.mtime.get(file)) for file in job.output)
        return {path: time and time.local_or_storage() for path, time in times}
    return {str(file): os.lstat(file).st_mtime if os.path.exists(file) else None for file in job.output}


def _has_metadata(plain: Callable[..., Any]) -> Callable[..., Any]:
    """Whether the parameters of a job's files can be compared."""

    @wraps(plain)
    def has_metadata(records: Any, job: Any) -> bool:
        return bool(plain(records, job)) or (_says(job) and any(_times(job).values()))

    setattr(has_metadata, _PLAIN, plain)
    return has_metadata


def _params_changed(plain: Callable[..., Any], change: Any) -> Callable[..., Any]:
    """What has changed of a job's parameters, and of what its files say of them."""

    @wraps(plain)
    def params_changed(records: Any, job: Any, file: Any = None) -> Any:
        changes = plain(records, job, file)
        if file is not None or changes or (problem := job_difference(records, job)) is None:
            return changes
        if problem.before is None:
            return change(only_new={f"{problem.path} {problem.words}"}, files={problem.path})
        now = {name: str(value) for name, value in job.params.items() if name in provenance.TRACKED}
        names = [name for name, value in now.items() if problem.before[name] != value]
        old, new = ({repr(values[name]) for name in names} for values in (problem.before, now))
        return change(only_old=old, only_new=new, files={problem.path})

    return params_changed


def _input_checksums(plain: Callable[..., Any]) -> Callable[..., Any]:
    """The hashes of an input that were recorded of a job; without any, what the input's own record says.

    A copy has times of its own. Where a job's files are of this configuration, and an input is what was made, the job
    has read that very input.
    """

    @wraps(plain)
    def input_checksums(records: Any, job: Any, path: Any) -> Any:
        checksums = plain(records, job, path)
        if checksums != {None} or not _says(job) or (place := provenance.record_path(path)) is None:
            return checksums
        content = provenance.read(place)
        value = (content and sha256(path)) if str(place) == path else provenance.hash_of(path, content)
        return {f"sha256:{value}"} if value else checksums

    return input_checksums
