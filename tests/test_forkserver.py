"""The fork server runs jobs as if they ran where they were started, and dies with those who use it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from checkout import ROOT, Checkout
from intermezzo.execution import forkserver, orphans, startup

SERVER = """
import sys, time, os
from pathlib import Path
import intermezzo.cli.main
from intermezzo.execution import forkserver

def job(arguments):
    print("out", arguments[2], os.getcwd(), os.environ.get("COLOUR"))
    print("err", file=sys.stderr)
    if arguments[2] == "sleep":
        Path(arguments[3]).write_text(str(os.getpid()))
        time.sleep(60)
    if arguments[2] == "crash":
        raise RuntimeError("boom")
    if arguments[2] == "die":
        os._exit(9)
    if arguments[2] == "wait":
        Path(arguments[3]).write_text(str(os.getpid()))
        while Path(arguments[3]).exists():
            time.sleep(0.02)
    return 7

forkserver._preload = lambda: None
intermezzo.cli.main.main = job
forkserver.serve(Path(sys.argv[1]))
"""


def until(condition, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not (done := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return done


@pytest.fixture
def server(tmp_path, monkeypatch):
    folder = tmp_path / "server"
    folder.mkdir()
    command = f"[{sys.executable!r}, '-c', {SERVER!r}, {str(folder)!r}]"
    start = f"import time; from subprocess import PIPE, Popen; server = Popen({command}, stdin=PIPE); time.sleep(600)"
    owner = subprocess.Popen([sys.executable, "-c", start])
    assert until((folder / "socket").exists)
    monkeypatch.setenv(forkserver.VARIABLE, str(folder / "socket"))
    monkeypatch.setenv(forkserver.PREFIX, sys.prefix)
    yield owner
    owner.kill()
    owner.wait()
    assert until(lambda: not folder.exists()), "the server outlives its owner"


def run(*arguments: str, **keywords) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "intermezzo", "stage", "finetune", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **keywords)


def sleeping(note: Path) -> tuple[subprocess.Popen, Path]:
    """A client whose job sleeps, and the folder in /proc of the process that runs it."""
    client = subprocess.Popen([sys.executable, "-m", "intermezzo", "stage", "finetune", "sleep", str(note)])
    assert until(lambda: note.exists() and note.read_text())
    fork = Path(f"/proc/{note.read_text()}")
    assert fork.exists()
    return client, fork


def ended(process: Path) -> bool:
    try:
        return "Z" in process.joinpath("stat").read_text().split()[2]
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_job_has_its_own_folder_environment_streams_and_status(server, tmp_path):
    done = run("plain", cwd=tmp_path, env=os.environ | {"COLOUR": "blue"})
    assert (done.returncode, done.stdout, done.stderr) == (7, f"out plain {tmp_path} blue\n", "err\n")


def test_a_crash_shows_its_traceback_and_a_killed_job_says_so(server):
    crashed = run("crash")
    assert crashed.returncode == 1 and "RuntimeError: boom" in crashed.stderr
    killed = run("die")
    assert killed.returncode == 1 and "was killed" in killed.stderr


def test_a_killed_client_takes_its_job_with_it(server, tmp_path):
    client, fork = sleeping(tmp_path / "pid")
    client.send_signal(signal.SIGTERM)
    client.wait()
    assert until(lambda: ended(fork))


def test_a_killed_run_takes_its_server_and_its_jobs_with_it(server, tmp_path):
    client, fork = sleeping(tmp_path / "pid")
    server.kill()
    assert client.wait(20) == 1
    assert until(lambda: ended(fork))
    assert until(lambda: not (tmp_path / "server").exists())


# -- parts of a job, or the server, are killed ----------------------------------------------------------------------


def shell(command: str, note: Path, **environment: str) -> psutil.Process:
    """A job as Snakemake starts it, once it has written its process number to `note`."""
    command = f"set -euo pipefail; {command} 2>&1 | tee {note}.log"
    process = subprocess.Popen(["bash", "-c", command], env=os.environ | {orphans.RUN: str(os.getpid())} | environment)
    assert until(lambda: note.exists() and note.read_text())
    return psutil.Process(process.pid)


def part(job: psutil.Process, name: str) -> psutil.Process:
    """The shell itself, or one of the processes that it started, once it has its name."""
    if name == "bash":
        return job
    assert until(lambda: any(child.name().startswith(name) for child in job.children()))
    return next(child for child in job.children() if child.name().startswith(name))


@pytest.mark.parametrize("name", ["bash", "tee", "python"])
def test_a_fork_ends_with_its_job_whichever_part_is_killed(server, tmp_path, name):
    note = tmp_path / "pid"
    job = shell(f"{sys.executable} -m intermezzo stage finetune sleep {note}", note)
    fork = Path(f"/proc/{note.read_text()}")
    part(job, name).kill()
    assert job.wait(20) != 0
    assert until(lambda: ended(fork)), f"the fork outlives {name}"


ALONE = """
import os, sys, time
from pathlib import Path
from intermezzo.execution import orphans
orphans.end_with_job()
Path(sys.argv[1]).write_text(str(os.getpid()))
time.sleep(60)
"""


@pytest.mark.parametrize("name", ["bash", "tee"])
def test_a_job_without_a_server_ends_with_its_shell_too(tmp_path, name):
    note, script = tmp_path / "pid", tmp_path / "alone.py"
    script.write_text(ALONE)
    job = shell(f"{sys.executable} {script} {note}", note)
    process = Path(f"/proc/{note.read_text()}")
    part(job, name).kill()
    assert until(lambda: ended(process)), f"the job outlives {name}"


def test_a_job_without_a_server_ends_with_its_run(tmp_path):
    note, script = tmp_path / "pid", tmp_path / "alone.py"
    script.write_text(ALONE)
    program = f"import os, subprocess; os.environ[{orphans.RUN!r}] = str(os.getpid()); "
    program += f"subprocess.run(['bash', '-c', '{sys.executable} {script} {note}; true'])"
    run = subprocess.Popen([sys.executable, "-c", program])
    assert until(lambda: note.exists() and note.read_text())
    process = Path(f"/proc/{note.read_text()}")
    run.kill()
    run.wait()
    assert until(lambda: ended(process)), "the job outlives the run"


def test_a_job_whose_shell_ended_before_it_looked_ends(tmp_path):
    (tmp_path / "alone.py").write_text(ALONE)
    ended_before = subprocess.Popen(["true"])
    ended_before.wait()
    environment = os.environ | {orphans.RUN: str(ended_before.pid)}
    command = [sys.executable, str(tmp_path / "alone.py"), str(tmp_path / "pid")]
    assert subprocess.run(command, env=environment, timeout=60).returncode == 1
    assert not (tmp_path / "pid").exists()


def test_a_job_by_hand_may_outlive_its_shell(tmp_path):
    note, script = tmp_path / "pid", tmp_path / "alone.py"
    script.write_text(ALONE)
    subprocess.run(["bash", "-c", f"{sys.executable} {script} {note} & disown"], check=True)
    assert until(lambda: note.exists() and note.read_text())
    process = psutil.Process(int(note.read_text()))
    assert process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    process.kill()


def test_a_killed_server_takes_no_job_with_it(server, tmp_path):
    note = tmp_path / "pid"
    client = subprocess.Popen([sys.executable, "-m", "intermezzo", "stage", "finetune", "wait", str(note)])
    assert until(lambda: note.exists() and note.read_text())
    (process,) = psutil.Process(server.pid).children()
    process.kill()
    assert until(lambda: process.status() == psutil.STATUS_ZOMBIE if process.is_running() else True)
    later = run("plain")
    assert later.returncode == 2 and "usage" in later.stderr, "the next job does not run by itself"
    note.unlink()
    assert client.wait(20) == 7
    shutil.rmtree(tmp_path / "server")  # as the process that started the server does at its end


def test_a_job_that_no_fork_has_begun_runs_by_itself(tmp_path, monkeypatch):
    """The server is killed while it still imports: its clients wait in the queue of the socket."""
    (tmp_path / "server").mkdir()
    script = SERVER.replace("lambda: None", "lambda: time.sleep(60)")
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "server")], stdin=subprocess.PIPE)
    assert until((tmp_path / "server" / "socket").exists)
    environment = os.environ | {forkserver.VARIABLE: f"{tmp_path}/server/socket", forkserver.PREFIX: sys.prefix}
    command = [sys.executable, "-m", "intermezzo", "stage", "finetune", "plain"]
    client = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert until(lambda: psutil.Process(client.pid).net_connections("unix")), "it has not connected"
    process.kill()
    process.wait()
    errors = client.communicate(timeout=60)[1]
    assert client.returncode == 2 and "usage" in errors and "was killed" not in errors


def test_a_server_that_is_asked_to_end_removes_its_folder(server, tmp_path):
    (process,) = psutil.Process(server.pid).children()
    process.terminate()
    assert until(lambda: not (tmp_path / "server").exists())


@pytest.mark.parametrize("length", [30, 62, 63, 200])
def test_a_socket_fits_into_its_folder_whatever_the_length_of_tmpdir(length, monkeypatch):
    with tempfile.TemporaryDirectory(dir="/tmp") as base:
        parent = Path(base, "x" * (length - len(base) - 1))
        parent.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(parent))
        folder = forkserver._folder()
        try:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(folder / "binding"))
            assert folder.stat().st_mode & 0o777 == 0o700, "no other user reaches it"
            assert folder.is_relative_to(parent) == (length <= 62)
        finally:
            shutil.rmtree(folder)


def test_without_any_folder_for_a_socket_there_is_no_server(monkeypatch, caplog):
    monkeypatch.delenv(forkserver.VARIABLE, raising=False)
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **_: os.mkdir("/nowhere/x"))
    forkserver.start()
    assert forkserver.VARIABLE not in os.environ and "no folder for a socket" in caplog.text


def test_without_a_server_jobs_run_where_they_are(monkeypatch, tmp_path):
    monkeypatch.delenv(forkserver.VARIABLE, raising=False)
    assert forkserver.submit(["stage", "finetune"]) is None
    monkeypatch.setenv(forkserver.VARIABLE, str(tmp_path / "gone"))
    monkeypatch.setenv(forkserver.PREFIX, sys.prefix)
    assert forkserver.submit(["stage", "finetune"]) is None
    done = run("--spec", "{}")
    assert done.returncode == 2 and "--model" in done.stderr


# -- software environments of their own -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def without_pyarrow(tmp_path_factory) -> str:
    """PATH of an environment whose `python` has all packages of this one but pyarrow, as a rule's conda environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    (packages / "others.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    (packages / "without.pth").write_text("import sys; sys.modules['pyarrow'] = None\n")
    return f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"


def test_a_job_with_another_interpreter_does_not_borrow_the_servers(server, without_pyarrow, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", without_pyarrow)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    options = {"cwd": tmp_path, "capture_output": True, "text": True}
    done = subprocess.run(["python", "-m", "intermezzo", "stage", "finetune", "plain"], **options)
    assert done.returncode == 2 and "usage" in done.stderr, "it did not run in its own interpreter"
    assert run("plain").returncode == 7, "the server's own interpreter is served"


@pytest.mark.workflow
@pytest.mark.parametrize("method", [(), ("--software-deployment-method", "env-modules")], ids=["unsaid", "deployed"])
def test_a_rule_in_an_environment_of_its_own_fails_there(without_pyarrow, tmp_path, method):
    """Its jobs lack pyarrow, which the process of Snakemake has."""
    checkout, path = Checkout.fresh(tmp_path / "checkout"), "results/data/world/pos/en/train.parquet"
    rules = (checkout.folder / "Snakefile").read_text()
    activate = f"export PATH={without_pyarrow!r}; "  # as `conda activate` does at the start of a job
    (checkout.folder / "Snakefile").write_text(f"{rules}\nshell.prefix({activate!r})\n")
    done = checkout.snakemake(path, *method)
    output = done.stdout + done.stderr
    assert done.returncode != 0 and "pyarrow" in output and "ModuleNotFoundError" in output, output
    (checkout.folder / "Snakefile").write_text(rules)
    checkout.run(path, *method)


def run_of(methods=(), local=True) -> SimpleNamespace:
    """Snakemake's workflow, as far as the fork server goes."""
    settings = SimpleNamespace(deployment_method=set(methods))
    plugin = SimpleNamespace(common_settings=SimpleNamespace(local_exec=local))
    return SimpleNamespace(deployment_settings=settings, executor_plugin=plugin)


@pytest.mark.parametrize(
    ("run", "platform", "forks"),
    [
        (run_of(), "linux", True),
        (run_of(["conda"]), "linux", False),
        (run_of(["apptainer"]), "linux", False),
        (run_of(local=False), "linux", False),
        (run_of(), "darwin", False),
    ],
    ids=["plain", "conda", "container", "cluster", "macOS"],
)
def test_when_jobs_are_forked(run, platform, forks, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    assert startup.use_forkserver(run) is forks
