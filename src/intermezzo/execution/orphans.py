"""No process of a job outlives the job: it ends with the shell and the run that started it, and with who reads it.

Snakemake starts `bash -c "python -m intermezzo ... | tee log"`. When the shell is killed, Snakemake takes the job for
failed, deletes what it wrote and may start it again; when `tee` is killed, the job is lost at its end. In both cases
what the job still does is in vain, and in the way of the one that comes after it.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import threading
from pathlib import Path

RUN = "INTERMEZZO_RUN"
"""Environment variable: process number of the run (Snakemake) that started this job on this machine (Linux)."""
_PR_SET_PDEATHSIG = 1
"""linux/prctl.h"""


def end_with_job() -> None:
    """End this process at once when its parent or its run ends, or when nobody reads its output any more.

    For jobs of a local run; without such a run nothing is watched.
    """
    run = os.environ.get(RUN, "")
    if not run.isdigit():
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if _is_orphan(int(run)):  # the parent had ended before we asked to be told
        os._exit(1)
    threading.Thread(target=_watch, args=(int(run),), daemon=True).start()


def _watch(run: int) -> None:
    """Wait for the end of the process `run`, or of who reads our output; then end."""
    poll = select.poll()
    try:
        poll.register(descriptor := os.pidfd_open(run), select.POLLIN)
    except ProcessLookupError:
        os._exit(1)
    except OSError:  # a kernel without it
        descriptor = -1
    for stream in (1, 2):
        poll.register(stream, 0)  # errors alone: the other end of the pipe is closed
    while True:
        for number, event in poll.poll():
            if number == descriptor or event & select.POLLERR:
                os._exit(1)
            poll.unregister(number)  # a stream that is closed


def _is_orphan(run: int) -> bool:
    """Whether the process `run` is none of those that this one descends from; False where that cannot be seen."""
    number = os.getppid()
    while number > 1:
        if number == run:
            return False
        try:
            number = int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return True
