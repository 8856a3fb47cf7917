"""A Slurm of one node on loopback: munged, slurmctld and slurmd of this machine's packages, without systemd.

Nothing is accounted for and nothing is enforced (no slurmdbd, no cgroups): it schedules, starts, kills and reports. Its
node claims a GPU that is not there, so that requests for one are scheduled too.

    python tests/slurm/cluster.py sinfo         start it, run a command, stop it
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "sinfo", "scontrol")
FOLDER = Path("/etc/slurm")
"""The executor's job step drops SLURM_CONF from the environment, so the configuration must lie where Slurm looks."""
MARK = "# Written by intermezzo's tests; they remove it.\n"
CPUS = 16

CONFIGURATION = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
KillWait=2
MinJobAge=600
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=64000 Gres=gpu:4 State=UNKNOWN
PartitionName=cpu Nodes=ALL Default=YES MaxTime=2-00:00:00 State=UP
PartitionName=gpu Nodes=ALL MaxTime=1-00:00:00 State=UP
"""


def obstacle() -> str | None:
    """Why no cluster can be started here, in words; None if one can."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    if missing := [name for name in PROGRAMS if not shutil.which(name, path=path)]:
        return f"no {', '.join(missing)} (Debian: slurmctld, slurmd, slurm-client, munge)"
    if os.geteuid() != 0:
        return "Slurm's daemons need root"
    configuration = FOLDER / "slurm.conf"
    if configuration.exists() and not configuration.read_text().startswith(MARK):
        return f"{configuration} belongs to another Slurm"
    return None


class Cluster:
    """A running one; `command` asks it things, `stop` ends it and all that it runs."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="intermezzo-slurm-"))
        self.daemons: list[subprocess.Popen] = []
        self.written = [FOLDER / "slurm.conf", FOLDER / "gres.conf"]
        self.lock = os.open(Path(tempfile.gettempdir()) / "intermezzo-slurm.lock", os.O_CREAT | os.O_RDWR)

    def start(self) -> Cluster:
        fcntl.flock(self.lock, fcntl.LOCK_EX)  # two runs of the tests take turns
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        (self.folder / "munge.key").write_bytes(os.urandom(128))
        (self.folder / "munge.key").chmod(0o400)
        self.folder.chmod(0o711)  # munged wants every user to reach its socket, and nobody else to write beside it
        values = {"folder": self.folder, "host": socket.gethostname().split(".")[0], "ports": _free(2), "cpus": CPUS}
        self.written[0].write_text(MARK + CONFIGURATION.format(**values))
        self.written[1].write_text(MARK + "".join(f"Name=gpu File=/dev/tty{n}\n" for n in range(4)))
        munge = [f"--{name}={self.folder}/munge.{name.split('-')[0]}" for name in ("key-file", "socket")]
        munge += [f"--{name}-file={self.folder}/munge.{name}" for name in ("log", "pid", "seed")]
        self._daemon("munged", "--foreground", *munge)
        self._until(lambda: (self.folder / "munge.socket").exists(), "munged does not answer")
        self._daemon("slurmctld", "-D")
        self._until(lambda: "UP" in self.command("scontrol", "ping", check=False), "slurmctld does not answer")
        self._daemon("slurmd", "-D")
        self._until(lambda: "idle" in self.command("sinfo", "--noheader", "--format=%t"), "slurmd does not register")
        return self

    def command(self, *words: str, check: bool = True) -> str:
        """The output of a Slurm command."""
        return subprocess.run(words, capture_output=True, text=True, check=check).stdout

    def jobs(self, fmt: str = "%i", states: str = "pending,running,completing,configuring") -> list[str]:
        """One line per job, in squeue's format."""
        return self.command("squeue", "--noheader", f"--format={fmt}", f"--states={states}").split("\n")[:-1]

    def cancel_all(self) -> None:
        self.command("scancel", "--user=root")

    def stop(self) -> None:
        """End jobs, then daemons, and remove every trace."""
        try:
            if len(self.daemons) == 3:
                self.cancel_all()
                self._until(lambda: not self.jobs(), "jobs do not end")
        finally:
            for daemon in reversed(self.daemons):
                daemon.send_signal(signal.SIGTERM)
                try:
                    daemon.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    daemon.wait()
            for path in self.written:
                path.unlink(missing_ok=True)
            shutil.rmtree(self.folder, ignore_errors=True)
            os.close(self.lock)

    def _daemon(self, name: str, *arguments: str) -> None:
        path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
        program = shutil.which(name, path=path)
        with open(self.folder / f"{name}.output", "w") as output:
            daemon = subprocess.Popen(
                [str(program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self.daemons.append(daemon)

    def _until(self, condition, complaint: str, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or any(daemon.poll() is not None for daemon in self.daemons):
                logs = [path for pattern in ("*.output", "*.log") for path in sorted(self.folder.glob(pattern))]
                tails = "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-2000:]}" for path in logs)
                raise RuntimeError(f"{complaint}\n{tails}")
            time.sleep(0.1)


@contextmanager
def running():
    """A cluster for a `with` block."""
    cluster = Cluster()
    try:
        yield cluster.start()
    finally:
        cluster.stop()


def die_with_parent(how: int = signal.SIGTERM) -> None:
    """For a child before its program starts: even a killed test run leaves nothing behind (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, how)


def _free(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


if __name__ == "__main__":
    if reason := obstacle():
        sys.exit(f"error: {reason}")
    with running():
        sys.exit(subprocess.run(sys.argv[1:]).returncode)
