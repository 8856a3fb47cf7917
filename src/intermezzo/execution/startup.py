"""What a run does once, before its first job: a server for local jobs, a check of the partitions for Slurm's."""

from __future__ import annotations

import _thread
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from intermezzo.core.errors import UserError
from intermezzo.execution import forkserver


def begin(workflow: Any) -> None:
    """Called by the Snakefile's `onstart` with Snakemake's workflow; a bad profile ends the run with its message alone.

    Jobs of a cluster get no fork server: they run, and are limited and killed, where the scheduler has put them.
    """
    end_when_asked(workflow.scheduler)
    if workflow.local_exec:
        forkserver.start()
        return
    try:
        if chosen := getattr(workflow.executor_settings, "partition_config", None):
            check_partitions(Path(chosen))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def end_when_asked(scheduler: Any) -> None:
    """Let SIGTERM end the run in every moment.

    Snakemake's handler waits for the scheduler's lock. The thread that it interrupts may be the one that holds it, as
    when it records a finished job, and the run would hang for ever. So another thread waits for it.
    """
    if signal.getsignal(signal.SIGTERM) == scheduler.exit_gracefully:
        # not threading's Thread, whose start takes locks of its own
        signal.signal(signal.SIGTERM, lambda *_: _thread.start_new_thread(scheduler.exit_gracefully, ()))


def check_partitions(file: Path) -> None:
    """Raise UserError for a partition of the profile that the cluster does not have.

    Snakemake would submit, fail and retry every job, and for groups of jobs it does not pass on sbatch's reason.
    """
    named = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("partitions", {})
    words = ["sinfo", "--noheader", "--format=%R"]
    try:
        there = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    except (OSError, subprocess.SubprocessError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1]
        raise UserError(f"sinfo does not answer ({reason}); run snakemake where Slurm's commands work") from None
    if unknown := [name for name in named if name not in there]:
        raise UserError(
            f"{file}: the cluster has no partition {', '.join(map(repr, unknown))}; "
            f"it has {', '.join(sorted(set(there)))} (sinfo shows them)"
        )
