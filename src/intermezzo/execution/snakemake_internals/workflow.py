"""What a run of intermezzo asks Snakemake's workflow object, and its handler of SIGTERM."""

from __future__ import annotations

import _thread
import signal
from typing import Any

from intermezzo.execution.snakemake_internals.support import feature


@feature("a SIGTERM while it records a job can hang the run (kill -9 ends it)")
def install_sigterm_handler(workflow: Any) -> bool:
    """Avoid a deadlock: Snakemake's SIGTERM handler takes a lock that the interrupted thread may hold.

    It waits for the scheduler's lock, which the main thread holds when it records a finished job. So another thread
    calls it. Returns whether that is installed.
    """
    handler = workflow.scheduler.exit_gracefully
    if signal.getsignal(signal.SIGTERM) != handler:
        return False
    # not threading's Thread, whose start takes locks of its own
    signal.signal(signal.SIGTERM, lambda *_: _thread.start_new_thread(handler, ()))
    return True


@feature("weights that `keep` gives up are kept", fallback=None)
def planned_jobs(workflow: Any) -> list[Any] | None:
    """The jobs that will run, with their `input` and `output`; None = unknown."""
    return list(workflow.dag.needrun_jobs())


@feature("the messages of failed jobs stand amid the run's output, and not again at its end", fallback=())
def failed_jobs(workflow: Any) -> list[tuple[str, tuple[str, ...]]]:
    """The jobs that failed for good, in words, with their log files; of a group its jobs."""
    single = [job for failed in workflow.scheduler.failed for job in getattr(failed, "jobs", [failed])]
    return [(str(job.message or job.name), tuple(map(str, job.log))) for job in single]


@feature("jobs start without the fork server, which costs each five CPU seconds", documented=True)
def runs_in_own_environment(workflow: Any) -> bool:
    """Whether all jobs run on this machine and in the software environment of this process.

    Not on a cluster, and not with `--software-deployment-method` (`--sdm conda`, apptainer, env-modules).
    """
    local = workflow.executor_plugin is None or workflow.executor_plugin.common_settings.local_exec
    return bool(local and not workflow.deployment_settings.deployment_method)


@feature(
    "images and folders that containers need are not checked before the run", fallback=(set(), ""), documented=True
)
def deployment(workflow: Any) -> tuple[set[str], str]:
    """How software is deployed (`--sdm`: conda, apptainer), and the arguments for Apptainer."""
    settings = workflow.deployment_settings
    return {str(method).lower() for method in settings.deployment_method}, str(settings.apptainer_args)


@feature("the partitions of the profile are not checked before the run", fallback=None, documented=True)
def partition_file(workflow: Any) -> str | None:
    """The file of partitions that a Slurm profile names; None for other executors."""
    return getattr(workflow.executor_settings, "partition_config", None)


def is_module(workflow: Any) -> bool:
    """Whether another workflow is importing this one (`module`)."""
    return "modifier" in dir(workflow) and not workflow.modifier.is_main_snakefile()


def moves_paths(workflow: Any) -> bool:
    """Whether the workflow that imports this one gives its files another place (`prefix`, `replace_prefix`)."""
    paths = workflow.modifier.path_modifier if is_module(workflow) else None
    while paths is not None:
        if paths.prefix or getattr(paths, "_prefix_replacements", None) is not None:
            return True
        paths = getattr(paths, "inner_modifier", None)
    return False


def overlays(workflow: Any) -> list[str]:
    """The configuration files of the command line; none of a workflow that imports this one, which are its own."""
    if is_module(workflow):
        return []
    return [str(path) for path in getattr(getattr(workflow, "config_settings", None), "configfiles", ())]


def plans(workflow: Any) -> bool:
    """Whether this process plans a run, and is none of its jobs."""
    return bool(getattr(workflow, "is_main_process", True))


def is_staged(workflow: Any) -> bool:
    """Whether results are in a storage and copied to where a job runs. Always read: paths of inputs depend on it."""
    return getattr(getattr(workflow, "storage_settings", None), "default_storage_provider", None) is not None
