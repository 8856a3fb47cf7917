"""A fork server: one process that has imported torch and transformers, and forks for each job.

Importing them costs five CPU-seconds, more than many small trainings. So a local run of the workflow starts one server;
`python -m intermezzo stage finetune ...` hands its arguments, folder, environment and standard streams over a Unix
socket to it and waits for the exit status of the fork that runs them. A fork computes the same bytes. Without a server
(on a cluster, by hand, outside Linux) the job runs where it was started, and so does one whose interpreter is another
than the server's: the packages of its own environment are the ones that it is to use.

A job that is killed takes its fork with it, whichever of its processes was killed: the client ends with them
(`execution.orphans`), and the fork watches the connection. Server and forks end with the process that started the
server, however that ended: they see the other end of a pipe close, which it alone holds. So a killed Snakemake leaves
no training behind that a new run would have to wait for; the training resumes from its last state.

A server that is killed takes no job with it. Forks go on to their ends; a client whose job no fork has begun, and all
that come later, run their jobs themselves.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from intermezzo.core.environment import QUIET, bulk_import
from intermezzo.core.folders import temporary_folder
from intermezzo.execution.orphans import RUN

VARIABLE = "INTERMEZZO_FORK_SERVER"
"""Environment variable: the server's socket."""
PREFIX = "INTERMEZZO_FORK_SERVER_PREFIX"
"""Environment variable: `sys.prefix` of the server, which is that of the environment its packages come from."""
STAGES = frozenset({"prepare", "pretrain", "import-encoder", "finetune", "evaluate", "summarize"})
"""Stages that import enough to gain from a fork."""
_LENGTH = 8
_BEGUN = b"\x00begun"
"""What a fork sends when it has its job, before it runs it."""
_LONGEST_PARENT = 62
"""Bytes of the path of the folder in which the socket's folder is made."""
log = logging.getLogger(__name__)
_server: subprocess.Popen[bytes] | None = None
"""The server that this process has started: its standard input is the pipe that tells it that this process lives."""


def start() -> None:
    """Start a server for the jobs of this process; environment variables tell them where it is."""
    global _server
    if (folder := _folder()) is None:
        return
    command = [sys.executable, "-m", "intermezzo.execution.forkserver", str(folder)]
    # BLAS threads would not survive the forks
    single = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    _server = server = subprocess.Popen(
        command, env=os.environ | QUIET | single, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    while not (folder / "socket").exists() and server.poll() is None:
        time.sleep(0.01)
    os.environ[VARIABLE], os.environ[PREFIX] = str(folder / "socket"), sys.prefix
    os.environ[RUN] = str(os.getpid())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # if the server was killed


def _folder() -> Path | None:
    """A new folder of this user alone whose path is short enough for a socket; None (and a warning) if there is none.

    Not always in TMPDIR: on clusters its path is often longer than the 107 bytes that the path of a socket may have.
    """
    for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"):
        if len(os.fsencode(parent)) <= _LONGEST_PARENT:
            with suppress(OSError):
                return temporary_folder(parent)
    log.warning("no folder for a socket (TMPDIR, /tmp): jobs start without the fork server, five CPU seconds each")
    return None


def submit(arguments: Sequence[str]) -> int | None:
    """Let the server run a command line; returns its exit status, or None when no fork has begun it.

    None is for this process to run it: there is no server, none that fits, or it was killed before it forked.
    """
    path = os.environ.get(VARIABLE)
    if not path or os.environ.get(PREFIX) != sys.prefix or not _gains(arguments):
        return None
    job = json.dumps({"arguments": list(arguments), "folder": os.getcwd(), "environment": dict(os.environ)}).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(path)
            socket.send_fds(connection, [len(job).to_bytes(_LENGTH, "big")], [0, 1, 2])
            connection.sendall(job)
            begun = _receive(connection, len(_BEGUN)) == _BEGUN
        except OSError:
            begun = False
        if not begun:
            return None
        try:  # from here on a fork runs the job: a lost connection must not start it a second time
            status = connection.recv(1)
        except OSError:
            status = b""
    if not status:
        print("error: the process that ran this job was killed (out of memory?)", file=sys.stderr)
        return 1
    return status[0]


def _gains(arguments: Sequence[str]) -> bool:
    """Whether a command line is a stage that gains from a fork."""
    return len(arguments) > 1 and arguments[0] == "stage" and arguments[1] in STAGES


def serve(folder: Path, owner: int = 0) -> None:
    """Fork for every connection until whoever holds the other end of the pipe `owner` is gone."""
    owner = _moved(owner)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "binding"))
        listener.listen(512)
        (folder / "binding").rename(folder / "socket")
        try:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            _preload()
            while True:
                while _reap():
                    pass
                ready = select.select([listener.fileno(), owner], [], [], 1.0)[0]
                if owner in ready:
                    break
                if ready:
                    connection, _ = listener.accept()
                    if os.fork() == 0:
                        listener.close()
                        _run(connection, owner)
                    connection.close()
        except KeyboardInterrupt:
            pass
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _preload() -> None:
    """Import what the stages import, without garbage collection, so that forks share the memory."""
    with bulk_import():
        import intermezzo.analysis.run
        import intermezzo.evaluation.evaluate
        import intermezzo.evaluation.predict
        import intermezzo.sources.world
        import intermezzo.training.finetune
        import intermezzo.training.pretrain
        import intermezzo.world  # noqa: F401


def _moved(descriptor: int) -> int:
    """Another number for a descriptor, out of the way of the standard streams."""
    moved = os.dup(descriptor)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, descriptor)
    os.close(null)
    return moved


def _run(connection: socket.socket, owner: int) -> None:
    """In a fork: become the job of `connection`, run it, send its exit status and end."""
    status = 1
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        head, streams, _, _ = socket.recv_fds(connection, _LENGTH, 3)
        job = json.loads(_receive(connection, int.from_bytes(head, "big")))
        for target, stream in enumerate(streams):
            os.dup2(stream, target)
            os.close(stream)
        sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        os.chdir(job["folder"])
        os.environ.clear()
        os.environ.update(job["environment"])
        threading.Thread(target=_watch, args=(connection, owner), daemon=True).start()
        connection.sendall(_BEGUN)
        from intermezzo.cli.main import main

        status = main(job["arguments"])
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except KeyboardInterrupt:
        status = 130
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # nobody reads it
                stream.flush()
        try:
            connection.sendall(bytes([status]))
        finally:
            os._exit(status)


def _receive(connection: socket.socket, size: int) -> bytes:
    parts = []
    while size and (part := connection.recv(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _watch(connection: socket.socket, owner: int) -> None:
    """End this fork when its client or the run is gone: nobody waits for the result."""
    select.select([connection.fileno(), owner], [], [])
    os._exit(1)


def _reap() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
