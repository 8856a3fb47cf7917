"""Performance patches for Snakemake's DAG construction: large grids are planned in half the time.

A grid of 50,000 results is 170,000 files for Snakemake, and it asks for each of them which of all rules makes it, by
regular expressions. `install_patches` replaces some of its functions by ones that find the same answer once per job or
pattern (tests/test_shortcuts.py compares whole plans); what is not plain (remote files, flags) goes the original way.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import cache, wraps
from hashlib import sha256
from typing import Any

from intermezzo.execution.snakemake_internals.support import feature

_LAST = "_intermezzo_last"
"""An attribute of Snakemake's records: the one that was read last."""


@feature("large grids are planned in twice the time")
def install_patches() -> bool:
    """Patch Snakemake in this process, with all patches or with none."""
    from snakemake import common, dag, io, iocontainers, jobs, persistence, rules
    from snakemake.persistence.file import FilePersistence

    file, job, plan, base = io._IOFile, jobs.Job, dag.DAG, persistence.PersistenceBase
    if "__eq__" not in vars(file):
        return True  # installed before
    shared: dict[tuple[str, str], Any] = {}
    parameters = _parameters(common.get_function_params)
    patches = [  # all names are looked up here, before the first one is replaced
        (plan, "file2jobs", _producers(plan.file2jobs)),
        (plan, "check_directory_outputs", _folders(plan.check_directory_outputs)),
        (job, "output_mintime", property(_oldest(job.output_mintime.fget))),
        (job, "check_protected_output", _protected(job.check_protected_output)),
        (file, "is_storage", property(_remote(io.AnnotatedString))),
        (file, "get_inventory_parent", _parent(file.get_inventory_parent)),
        (file, "inventory", _inventory(file.inventory)),
        (file, "apply_wildcards", _filled(file.apply_wildcards, io, shared)),
        (rules, "IOFile", _shared(rules.IOFile, shared)),
        (rules, "get_function_params", parameters),
        (common, "get_function_params", parameters),
        (iocontainers, "AttributeGuard", _guard(iocontainers.AttributeGuard)),
        (base, "_serialize_param_pandas", _written(base._serialize_param_pandas)),
        (base, "save_iocache", _saved(base.save_iocache)),
        (FilePersistence, "_io_read", _records(FilePersistence._io_read)),
    ]
    _ = (file.__hash__, file._local_inventory, io.WILDCARD_REGEX, io.IOFile)  # names that the patches themselves use
    _ = (base._serialize_param_builtin, base._clear_cache, FilePersistence._record_path)
    for owner, name, value in patches:
        setattr(owner, name, value)
    del file.__eq__, file.__hash__  # those of its text remain
    return True


# -- the plan ---------------------------------------------------------------------------------------------------------


def _producers(plain: Callable[..., Any]) -> Callable[..., Any]:
    """Which job makes a file: no question for a product of a job that is known. No two rules here share a product."""

    @wraps(plain)
    async def file2jobs(plan: Any, targetfile: Any, wildcards_dict: Mapping[str, Any] | None = None) -> list[Any]:
        cache = plan.job_cache  # of (rule, file); Snakemake empties it when the plan is made
        if (job := cache.get(targetfile)) is not None:
            return [job]
        jobs = await plain(plan, targetfile, wildcards_dict=wildcards_dict)
        if len(jobs) == 1:
            cache |= dict.fromkeys(jobs[0].products(), jobs[0])
        return jobs

    return file2jobs


def _folders(plain: Callable[..., None]) -> Callable[..., None]:
    """Is an output inside another one? Not if no folder of an output is one, which takes no sorting of all of them."""

    @wraps(plain)
    def check_directory_outputs(plan: Any) -> None:
        outputs = {str(file) for job in plan.jobs for file in job.output}
        folders: set[str] = set()
        for folder in map(os.path.dirname, outputs):
            while folder and folder not in folders:
                folders.add(folder)
                folder = os.path.dirname(folder)
        if any(map(os.path.isabs, outputs)) or not folders.isdisjoint(outputs):
            plain(plan)

    return check_directory_outputs


def _parameters(plain: Callable[..., Any]) -> Callable[..., Any]:
    """The parameters of a function or method of the workflow."""
    results: dict[Any, Any] = {}

    @wraps(plain)
    def get_function_params(function: Callable[..., Any]) -> Any:
        key = (getattr(function, "__func__", function), hasattr(function, "__self__"))
        if key not in results:
            results[key] = plain(function)
        return results[key]

    return get_function_params


def _guard(plain: type) -> type:
    """What every list of wildcards, files and parameters has twice: a name that is not to be used."""
    guards: dict[str, Any] = {}

    class AttributeGuard(plain):
        def __new__(cls, name: str) -> Any:
            if name not in guards:
                guards[name] = super().__new__(cls)
            return guards[name]

    return AttributeGuard


# -- jobs: local files are looked at one after the other, not in a task of asyncio each -------------------------------


def _oldest(plain: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(plain)
    async def output_mintime(job: Any) -> float | None:
        files = [*job.output, job.benchmark] if job.benchmark else job.output
        if any(file.is_storage for file in files):
            return await plain(job)
        return min([(await file.mtime()).local_or_storage() for file in files if await file.exists()], default=None)

    return output_mintime


def _protected(plain: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(plain)
    async def check_protected_output(job: Any) -> None:
        if any([file.is_storage or await file.protected() for file in job.output]):
            await plain(job)  # which says so

    return check_protected_output


# -- files ------------------------------------------------------------------------------------------------------------


def _remote(annotated: Any) -> Callable[[Any], bool]:
    def is_storage(file: Any) -> bool:
        text = file._file
        return isinstance(text, annotated) and bool(text._flags.get("storage_object"))

    return is_storage


def _parent(plain: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(plain)
    def get_inventory_parent(file: Any) -> str | None:
        parent = file.rpartition("/")[0]
        return plain(file) if file.is_storage or parent in ("", "..") else parent

    return get_inventory_parent


def _inventory(plain: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(plain)
    async def inventory(file: Any) -> None:
        cache = file.rule.workflow.iocache
        if file.is_storage or os.name != "posix":
            await plain(file)
        elif cache.active and file not in cache.exists_local:
            await file._local_inventory(cache)

    return inventory


def _filled(plain: Callable[..., Any], io: Any, shared: Mapping[tuple[str, str], Any]) -> Callable[..., Any]:
    """A path with its wildcards filled in: a pattern is split once, and a shared file has no wildcards."""

    @cache
    def split(pattern: str) -> tuple[list[str], list[str]]:
        matches = list(io.WILDCARD_REGEX.finditer(pattern))
        edges = [0, *(edge for match in matches for edge in match.span()), len(pattern)]
        pieces = [pattern[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)]
        return pieces, [match.group("name") for match in matches]

    @wraps(plain)
    def apply_wildcards(file: Any, wildcards: Mapping[str, Any]) -> Any:
        text = file._file
        if type(text) is str and "{" not in text and shared.get((text, file.rule.name)) is file:
            return file
        if "{" not in text or file._is_callable or getattr(text, "flags", None):
            return plain(file, wildcards)
        (first, *pieces), names = split(str(text))
        if not wildcards.keys() >= set(names):
            return plain(file, wildcards)  # which says what is missing
        filled = [str(wildcards[name]) + piece for name, piece in zip(names, pieces, strict=True)]
        return io.IOFile(first + "".join(filled), rule=file.rule)

    return apply_wildcards


def _shared(plain: Callable[..., Any], shared: dict[tuple[str, str], Any]) -> Callable[..., Any]:
    """A file that many jobs of a rule read is one object, unless the rule flags what its functions return."""

    @wraps(plain)
    def IOFile(file: Any, rule: Any = None) -> Any:
        if type(file) is not str or "{" in file or rule is None:
            return plain(file, rule)
        key = (file, rule.name)
        if key not in shared:
            if any(getattr(file, "flags", None) for file in rule.input):
                return plain(file, rule)
            shared[key] = plain(file, rule)
        return shared[key]

    return IOFile


# -- what was recorded of finished jobs -------------------------------------------------------------------------------


def _written(plain: Callable[..., Any]) -> Callable[..., Any]:
    """A parameter in words: pandas need not be imported to see that a value is none of pandas'."""

    @wraps(plain)
    def serialize(records: Any, value: Any) -> Any:
        return plain(records, value) if "pandas" in sys.modules else records._serialize_param_builtin(value)

    return serialize


def _records(plain: Callable[..., Any]) -> Callable[..., Any]:
    """The record of a file; those of a job's files differ in two numbers, so that one of them is read in full."""

    @wraps(plain)
    def _io_read(records: Any, subject: str, key: str) -> dict[str, Any]:
        if subject != records._metadata_path:
            return plain(records, subject, key)
        try:
            with open(records._record_path(subject, key)) as handle:
                text = handle.read()
        except OSError:
            return plain(records, subject, key)
        start = text.find('"starttime": ')
        end = text.find('"incomplete": ', start)  # quotes in words are written \\", so these are the names of fields
        if not 0 < start < end:
            return plain(records, subject, key)
        times = json.loads("{" + text[start:end].rstrip(", ") + "}")
        rest = sha256((text[:start] + text[end:]).encode()).digest()
        before, content = vars(records).get(_LAST, (None, {}))
        if rest != before:
            content = plain(records, subject, key)
            vars(records)[_LAST] = rest, content
        return content | times if content else {}

    return _io_read


def _saved(plain: Callable[..., None]) -> Callable[..., None]:
    """After a dry run Snakemake keeps what it saw of the disk, in a copy: records, read by now, make room for it."""

    @wraps(plain)
    def save_iocache(records: Any) -> None:
        records._clear_cache()
        vars(records).pop(_LAST, None)
        plain(records)

    return save_iocache
