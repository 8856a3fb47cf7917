"""After a killed run or on a failing machine, the next run goes on without a manual step, and takes nothing half."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from checkout import TINY, Checkout
from intermezzo.core.artifacts import sha256, write_json
from intermezzo.core.errors import UserError
from intermezzo.execution import adoption, locks, runlock, snakemake_internals
from intermezzo.training.states import state_folder

MODEL = "results/target/tiny/none/none/seed0/pos"
ENCODER = "results/encoders/tiny/manifest.json"


def until(condition, seconds: float = 300.0) -> bool:
    end = time.monotonic() + seconds
    while not (done := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return bool(done)


def started(checkout: Checkout, *targets: str) -> subprocess.Popen:
    """A run in the background, in a session of its own; its output goes to output.txt."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "INTERMEZZO"))}
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *targets, "--configfile", TINY]
    with open(checkout.folder / "output.txt", "w") as log:
        return subprocess.Popen(command, cwd=checkout.folder, env=clean, stdout=log, stderr=log, start_new_session=True)


WAIT = (
    '[__import__("pathlib").Path("waiting").touch(), *iter(lambda: (__import__("time").sleep(0.05), '
    '__import__("pathlib").Path("wait").exists())[1], False)]; '
)
"""A statement that says in the file `waiting` that it was reached, and waits for as long as there is a file `wait`."""


def slow(checkout: Checkout, name: str, statement: str) -> None:
    """Make a stage wait before a statement of its code."""
    checkout.edit(name, statement, WAIT + statement)
    (checkout.folder / "wait").touch()


@pytest.fixture(scope="module")
def encoded(tmp_path_factory) -> Checkout:
    """The tiny experiment up to its encoder."""
    checkout = Checkout.fresh(tmp_path_factory.mktemp("encoded") / "checkout")
    checkout.run(ENCODER)
    return checkout


@pytest.fixture
def checkout(encoded, tmp_path) -> Checkout:
    return encoded.copy(tmp_path / "checkout")


def program(script: str, folder: Path, *arguments: str) -> subprocess.Popen:
    """A Python program that can import intermezzo, in a folder; its streams are pipes of text."""
    environment = os.environ | {"PYTHONPATH": str(Path(adoption.__file__).parents[2])}
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, **pipes)


def begun(programs: list[subprocess.Popen]) -> list[subprocess.Popen]:
    """Programs that wait for a line, which each gets now."""
    for process in programs:
        process.stdin.write("\n")
        process.stdin.flush()
    return programs


# -- killed runs ---------------------------------------------------------------------------------------------------


@pytest.mark.workflow
def test_after_kill_9_the_same_command_goes_on(checkout):
    slow(checkout, "training/finetune.py", "write_manifest(part")
    run = started(checkout, f"{MODEL}/manifest.json")
    assert until((checkout.folder / "waiting").exists), (checkout.folder / "output.txt").read_text()
    orphans = psutil.Process(run.pid).children(recursive=True)
    part = checkout.folder / MODEL / f".model.safetensors.{socket.gethostname()}-{orphans[-1].pid}-0123abcd.part"
    part.write_text("half")
    run.kill()
    run.wait()
    _, alive = psutil.wait_procs(orphans, timeout=120)
    assert not alive, "jobs of the killed run go on"
    assert list((checkout.folder / ".snakemake/locks").iterdir()), "nothing to mend"
    (checkout.folder / "wait").unlink()
    done = checkout.snakemake(f"{MODEL}/manifest.json")
    assert done.returncode == 0, done.stderr
    assert not list((checkout.folder / ".snakemake/incomplete").iterdir()) and not part.exists()
    assert json.loads((checkout.folder / MODEL / "manifest.json").read_text())["kind"] == "target"


def process_of(run: subprocess.Popen, name: str) -> psutil.Process:
    """A process of the only job that a run has at work, by its part in it."""
    processes = psutil.Process(run.pid).children(recursive=True)
    server = next(p for p in processes if "intermezzo.execution.forkserver" in p.cmdline() and p.ppid() == run.pid)
    if name in ("server", "fork"):
        return server if name == "server" else server.children()[0]
    others = [p for p in processes if p.pid != server.pid and p.ppid() != server.pid]
    return next(p for p in others if Path(p.cmdline()[0]).name.startswith(name))


@pytest.mark.workflow
@pytest.mark.parametrize("name", ["bash", "tee", "python", "fork", "server"])
def test_a_kill_of_any_part_of_a_job_while_it_saves_leaves_no_half_model(checkout, name):
    """The weights are written, the manifest is not: Snakemake deletes what the job wrote and tells nobody."""
    slow(checkout, "training/finetune.py", "write_manifest(part")
    run = started(checkout, f"{MODEL}/manifest.json")
    assert until((checkout.folder / "waiting").exists), (checkout.folder / "output.txt").read_text()
    fork = process_of(run, "fork")
    process_of(run, name).kill()
    if name != "server":
        assert run.wait(300) == 1
        assert until(lambda: not fork.is_running() or fork.status() == psutil.STATUS_ZOMBIE), "the fork goes on"
    (checkout.folder / "wait").unlink()
    if name == "server":
        assert run.wait(300) == 0, "the job is lost with the server"
    output = (checkout.folder / "output.txt").read_text()
    assert "Traceback" not in output, output
    assert output.count("was killed") == 2 * (name == "fork"), output  # by the job, and again at the end of the run
    checkout.run(f"{MODEL}/manifest.json")
    manifest = json.loads((checkout.folder / MODEL / "manifest.json").read_text())
    assert {file: sha256(checkout.folder / MODEL / file) for file in manifest["files"]} == manifest["files"]
    assert checkout.planned(f"{MODEL}/manifest.json") == set()
    assert not list((checkout.folder / "results").rglob(".*.part"))


@pytest.mark.workflow
def test_a_partial_file_is_never_taken_for_whole(checkout):
    """A file at its final place, from a job that did not end: made again, also when it looks whole."""
    slow(checkout, "cli/stages.py", "table = formats.table(sources.read")
    path = "results/data/world/pos/en/train.parquet"
    run = started(checkout, path)
    assert until((checkout.folder / "waiting").exists), (checkout.folder / "output.txt").read_text()
    shutil.copy(checkout.folder / "results/data/world/text/en/train.parquet", checkout.folder / path)
    run.kill()
    run.wait()
    (checkout.folder / "wait").unlink()
    assert checkout.planned(path) == {"Prepare pos, en, train (world)"}
    checkout.run(path)
    table = (checkout.folder / path).read_bytes()
    assert table != (checkout.folder / "results/data/world/text/en/train.parquet").read_bytes()


@pytest.mark.workflow
def test_two_runs_in_one_folder_end_in_one_message(checkout):
    slow(checkout, "cli/stages.py", "table = formats.table(sources.read")
    run = started(checkout, "results/data/world/pos/en/train.parquet")
    assert until((checkout.folder / "waiting").exists), (checkout.folder / "output.txt").read_text()
    second = checkout.snakemake("results/data/world/nli/en/train.parquet")
    assert second.returncode != 0
    assert second.stderr.count("another run is at work in this folder") == 1 and "Traceback" not in second.stderr
    assert f"process {run.pid}" in second.stderr and "--unlock" not in second.stderr
    assert checkout.snakemake("-n", "results/data/world/nli/en/train.parquet").returncode == 0
    (checkout.folder / "wait").unlink()
    assert run.wait(300) == 0, "the first run was disturbed"
    assert checkout.snakemake("results/data/world/nli/en/train.parquet").returncode == 0


# -- jobs that outlive their run -----------------------------------------------------------------------------------

ON_A_NODE = ("--mode", "remote", "--no-hooks", "--force", "--nolock", "--ignore-incomplete", "--target-jobs")
JOB = "train_target:encoder=tiny,intermediate=none,mix=none,seed=0,training=pos"


@pytest.mark.workflow
def test_what_a_job_finished_after_its_run_was_killed_is_taken_over_unless_something_changed(checkout):
    slow(checkout, "training/finetune.py", "write_manifest(part")
    run = started(checkout, f"{MODEL}/manifest.json")
    assert until((checkout.folder / "waiting").exists), (checkout.folder / "output.txt").read_text()
    run.kill()
    run.wait()
    (checkout.folder / "wait").unlink()
    checkout.run(*ON_A_NODE, JOB)  # as Slurm goes on with it
    model, log = checkout.folder / MODEL, checkout.folder / MODEL.replace("results", "logs")
    before = {path.name: sha256(path) for path in model.iterdir()}
    overlay = {"targets__pos__training__learning_rate": 0.003}
    planned = {"Train target pos from tiny/none/none, seed 0"}
    assert checkout.planned(f"{MODEL}/manifest.json") == planned, "Snakemake has no record of it"

    changed = checkout.copy(checkout.folder.parent / "changed")
    changed.run(f"{MODEL}/manifest.json", **overlay)
    assert sha256(changed.folder / MODEL / "model.safetensors") != before["model.safetensors"]

    checkout.run(f"{MODEL}/manifest.json")
    assert {path.name: sha256(path) for path in model.iterdir()} == before
    text = log.with_suffix(".log").read_text()
    assert "taken over" in text and "steps" not in text, text
    assert checkout.planned(f"{MODEL}/manifest.json") == set()
    assert not list((checkout.folder / adoption.STATES).glob("*")), "nothing is kept once it is recorded"


@pytest.fixture
def make(tmp_path, monkeypatch):
    """A training of a small model folder; tells how often it has really trained."""
    monkeypatch.chdir(tmp_path)
    trained = []

    def train(out: Path, key: str, fail: bool = False) -> int:
        with adoption.exclusive(out, adoption.STATES / key) as adopted:
            if not adopted:
                trained.append(key)
                out.mkdir(parents=True, exist_ok=True)
                (out / "model.safetensors").write_text(key)
                if fail:
                    raise RuntimeError
                write_json(out / "manifest.json", {"weights_sha256": sha256(out / "model.safetensors")})
        return len(trained)

    return train


OUT, RECORDS = Path("results/target/model"), adoption.STATES / "finished"


def test_a_finished_training_is_taken_over_whole_and_again_until_it_is_read(make):
    assert make(OUT, "a") == 1
    for _ in range(2):
        shutil.rmtree(OUT)
        assert make(OUT, "a") == 1
        assert (OUT / "model.safetensors").read_text() == "a" and (OUT / "manifest.json").is_file()
    adoption.discard(OUT, adoption.STATES)
    shutil.rmtree(OUT)
    assert make(OUT, "a") == 2


@pytest.mark.parametrize("damage", ["other key", "changed", "cut off", "gone", "no record", "half a record"])
def test_nothing_is_taken_over_that_is_not_exactly_right(make, damage):
    make(OUT, "a")
    shutil.rmtree(OUT)
    (folder,) = RECORDS.iterdir()
    weights, record = folder / "model.safetensors", folder / adoption.RECORD
    {
        "other key": lambda: None,
        "changed": lambda: weights.write_text("b"),
        "cut off": lambda: weights.write_text(""),
        "gone": weights.unlink,
        "no record": record.unlink,
        "half a record": lambda: record.write_text(record.read_text()[:-9]),
    }[damage]()
    key = "b" if damage == "other key" else "a"
    assert make(OUT, key) == 2
    assert (OUT / "model.safetensors").read_text() == key


def test_a_failed_training_leaves_nothing_to_take_over(make):
    with pytest.raises(RuntimeError):
        make(OUT, "a", fail=True)
    assert not list(RECORDS.iterdir())
    assert make(OUT, "a") == 2


def test_only_what_this_run_makes_again_is_kept_at_its_start(make):
    second = Path("results/target/second")
    make(OUT, "a"), make(second, "b")
    adoption.clean([SimpleNamespace(output=[str(OUT / "manifest.json")])])
    shutil.rmtree(OUT), shutil.rmtree(second)
    assert make(OUT, "a") == 2
    assert make(second, "b") == 3


def test_without_hard_links_a_training_is_made_again(make, monkeypatch):
    def refuse(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert make(OUT, "a") == 1
    assert make(OUT, "a") == 2


@pytest.mark.workflow
def test_a_second_process_waits_and_takes_over(tmp_path, monkeypatch):
    """An orphan and the job that comes again: one trains, the other takes its result."""
    monkeypatch.chdir(tmp_path)
    script = """
import pathlib, time
from intermezzo.execution import adoption
from intermezzo.core.artifacts import write_json
out = pathlib.Path("results/target/model")
with adoption.exclusive(out, adoption.STATES / "a") as adopted:
    print("took" if adopted else "trained", flush=True)
    if not adopted:
        time.sleep(1)
        out.mkdir(parents=True)
        write_json(out / "manifest.json", {})
"""
    path = {"PYTHONPATH": str(Path(adoption.__file__).parents[2])}
    command = {"args": [sys.executable, "-c", script], "env": os.environ | path, "text": True}
    both = [subprocess.Popen(**command, stdout=subprocess.PIPE) for _ in range(2)]
    assert sorted(process.communicate()[0].strip() for process in both) == ["took", "trained"]
    assert not list(RECORDS.glob("*.lock"))


def test_a_model_of_the_same_specification_is_copied(make):
    """Two folders, one key: the second is no link to the first, whose times and weights are its own."""
    second = Path("results/target/second")
    assert make(OUT, "a") == 1
    before = (OUT / "manifest.json").stat().st_mtime_ns
    assert make(second, "a") == 1
    assert (second / "model.safetensors").read_text() == "a"
    assert not os.path.samefile(OUT / "model.safetensors", second / "model.safetensors")
    assert (OUT / "manifest.json").stat().st_mtime_ns == before
    adoption.discard(OUT, adoption.STATES)
    shutil.rmtree(second)
    assert make(second, "a") == 1, "what was copied counts as finished, too"


@pytest.mark.slow
def test_jobs_of_one_specification_train_once_and_the_others_say_that_they_wait(tmp_path):
    script = """
import logging, pathlib, sys, time
from intermezzo.execution import adoption
from intermezzo.core.artifacts import write_json
logging.basicConfig(level=logging.INFO, format="%(message)s")
out = pathlib.Path("results/target") / sys.argv[1]
print(flush=True)
sys.stdin.readline()
with adoption.exclusive(out, adoption.STATES / "a") as adopted:
    print("adopted" if adopted else "trained", flush=True)
    if not adopted:
        time.sleep(1)
        out.mkdir(parents=True)
        write_json(out / "manifest.json", {})
"""
    jobs = [program(script, tmp_path, name) for name in ("nli", "nli2", "nli3")]
    for job in jobs:
        job.stdout.readline()  # all are ready before one begins
    results = {job.pid: job.communicate() for job in begun(jobs)}
    assert sorted(output.strip() for output, _ in results.values()) == ["adopted", "adopted", "trained"]
    (trainer,) = (pid for pid, (output, _) in results.items() if output.strip() == "trained")
    said = [log for pid, (_, log) in results.items() if pid != trainer]
    waits = r"waiting for process \d+, which trains the same specification\n.*copied from results/target/nli\d?, which"
    assert all(re.search(waits, log) for log in said), said
    assert any(f"process {trainer}," in log for log in said)


@pytest.mark.workflow
def test_two_intermediates_of_one_specification_in_one_run_both_end_well(checkout):
    settings = {"grid__targets": ["retrieval"], "grid__intermediates": ["nli", "nli2"], "grid__mixes": ["en"]}
    settings |= {"intermediates__nli2": {"tasks": ["nli"]}, "languages__evaluation": ["nor"]}
    checkout.run("results/summary.tsv", **settings)
    models = checkout.folder / "results/intermediate/tiny"
    assert len({sha256(path) for path in models.glob("nli*/en/seed0/model.safetensors")}) == 1
    assert checkout.planned("results/summary.tsv", **settings) == set()
    assert not list((checkout.folder / adoption.STATES).glob("*"))


# -- the lock ------------------------------------------------------------------------------------------------------


def record_of(folder: Path) -> dict:
    return json.loads((folder / runlock.RECORD).read_text())


def test_the_lock_says_who_was_killed_and_ends_with_its_process(tmp_path):
    held = f"with runlock.exclusive(pathlib.Path({str(tmp_path)!r})): os.kill(os.getpid(), 9)"
    script = f"import os, pathlib\nfrom intermezzo.execution import runlock\n{held}"
    assert subprocess.run([sys.executable, "-c", script]).returncode == -signal.SIGKILL
    killed = record_of(tmp_path)
    with runlock.exclusive(tmp_path) as record:
        assert record == killed and record["process"] != os.getpid() == record_of(tmp_path)["process"]
    with runlock.exclusive(tmp_path) as killed:
        assert killed is None, "a run that ended properly left nothing behind"


def test_a_lock_is_not_taken_from_a_machine_that_cannot_be_seen(tmp_path):
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "0.output.lock").write_text("results/summary.tsv\n")
    elsewhere = {"boot": "other", "host": "login7.example", "process": 11, "local": True}
    (tmp_path / runlock.RECORD).write_text(json.dumps(elsewhere))
    with (
        pytest.raises(UserError, match=r"process 11 on login7\.example.*snakemake --unlock"),
        runlock.exclusive(tmp_path),
    ):
        pass
    assert record_of(tmp_path) == elsewhere
    (tmp_path / "locks" / "0.output.lock").unlink()
    with runlock.exclusive(tmp_path) as killed:
        assert killed is None


def test_names_locked_by_nobody_known_are_left_alone(tmp_path):
    with runlock.exclusive(tmp_path) as killed:
        assert killed is None


def test_a_file_system_without_locks_leaves_it_to_snakemake(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with runlock.exclusive(tmp_path) as killed:
        assert killed is None


def test_parts_are_cleaned_only_of_processes_that_are_gone(tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    stale, live = (tmp_path / f".a.{socket.gethostname()}-{pid}-0123abcd.part" for pid in (gone.pid, os.getpid()))
    elsewhere = tmp_path / f".a.pod7-{gone.pid}-0123abcd.part"
    elsewhere.touch()
    with runlock.exclusive(tmp_path):
        killed = record_of(tmp_path)
    for record in (killed | {"local": False}, killed | {"boot": "other"}):
        stale.touch(), live.touch()
        runlock.clean(tmp_path, record)
        assert stale.exists() and live.exists()
    runlock.clean(tmp_path, killed)
    assert not stale.exists() and live.exists() and elsewhere.exists()


IN_TURN = """
import pathlib, sys, time
from intermezzo.execution import locks
print(flush=True)
sys.stdin.readline()
for _ in range(20):
    with locks.acquire(pathlib.Path("folder/a.lock")):
        pathlib.Path("inside").touch(exist_ok=False)
        time.sleep(0.01)
        pathlib.Path("inside").unlink()
"""


@pytest.mark.slow
def test_no_third_process_gets_in_beside_a_second(tmp_path):
    """The file of a lock goes with it: who waited for the old file must not be in together with who made a new one."""
    programs = [program(IN_TURN, tmp_path) for _ in range(4)]
    for process in programs:
        process.stdout.readline()
    ends = [process.communicate()[1] for process in begun(programs)]
    assert not any(process.returncode for process in programs), ends
    assert not list((tmp_path / "folder").iterdir())


def test_a_lock_ends_with_its_process(tmp_path):
    script = "import os, pathlib\nfrom intermezzo.execution import locks\n"
    script += "with locks.acquire(pathlib.Path('a.lock')): print(flush=True); input()"
    holder = program(script, tmp_path)
    holder.stdout.readline()
    with pytest.raises(locks.AlreadyLocked) as refused, locks.acquire(tmp_path / "a.lock", wait=False):
        pass
    assert refused.value.holder["process"] == holder.pid
    holder.kill()
    holder.communicate()
    with locks.acquire(tmp_path / "a.lock", wait=False):
        assert (tmp_path / "a.lock").is_file()


# -- a machine that fails ------------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runlock.check_writable()
    (tmp_path / "results").write_text("")
    with pytest.raises(UserError, match="results: not a folder"):
        runlock.check_writable()
    (tmp_path / "results").unlink()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UserError, match="not writable"):
        runlock.check_writable()


def mounting() -> bool:
    return (
        shutil.which("unshare") is not None
        and not subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode
    )


def inside(checkout: Checkout, mount: str, *targets: str) -> subprocess.CompletedProcess:
    """A run in a view of the file system of its own."""
    run = f"{sys.executable} -m snakemake --cores 2 {' '.join(targets)} --configfile {TINY}"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "INTERMEZZO"))}
    command = ["unshare", "-rm", "sh", "-c", f"{mount} && exec {run}"]
    return subprocess.run(command, cwd=checkout.folder, env=clean, capture_output=True, text=True)


needs_mounts = pytest.mark.skipif(
    not mounting(), reason="no file systems can be mounted in a namespace of one's own here"
)


@pytest.mark.workflow
@needs_mounts
def test_a_full_disk_ends_in_one_message_per_job_and_leaves_nothing_half(checkout):
    mount = f"mount -t tmpfs -o size=48k tmpfs results/target && mkdir -p {MODEL}"
    (checkout.folder / "results/target").mkdir(exist_ok=True)
    done = inside(checkout, mount, f"{MODEL}/manifest.json")
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert output.count("error: no space left on the disk") == 1 and "Traceback" not in output, output
    checkout.run(f"{MODEL}/manifest.json")


@pytest.mark.workflow
@needs_mounts
def test_a_read_only_folder_ends_in_one_message(checkout):
    done = inside(
        checkout, "mount --bind -o ro results results && mount -o remount,ro,bind results", ENCODER, "--force"
    )
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert output.count("not writable") == 1 and "Traceback" not in output, output


@pytest.mark.workflow
def test_an_input_that_vanishes_is_named(checkout):
    """Between the plan and the job: the data file of a training is deleted while the job before it runs."""
    slow(checkout, "training/finetune.py", "use_threads(spec")
    run = started(checkout, f"{MODEL}/manifest.json")
    assert until((checkout.folder / "waiting").exists), (checkout.folder / "output.txt").read_text()
    (checkout.folder / "results/data/world/pos/en/train.parquet").unlink()
    (checkout.folder / "wait").unlink()
    assert run.wait(300) != 0
    output = (checkout.folder / "output.txt").read_text()
    assert output.count("error: results/data/world/pos/en/train.parquet: no such file") == 1, output
    assert "Traceback" not in output, output
    checkout.run(f"{MODEL}/manifest.json")


def test_without_locks_the_training_itself_says_so(tmp_path, monkeypatch):
    """Adoption comes before the training's own lock, whose message is the one to see."""

    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    key = tmp_path / "states" / "key"
    training = adoption.exclusive(tmp_path / "out", key)
    with pytest.raises(UserError, match="its file system has no locks"), training, state_folder(key):
        raise AssertionError("trained without a lock")


class Scheduler:
    """Snakemake's, as far as SIGTERM goes."""

    def __init__(self) -> None:
        self.lock, self.asked = threading.Lock(), threading.Event()

    def exit_gracefully(self, *_) -> None:
        if self.lock.acquire(timeout=10):  # Snakemake's waits without an end
            self.asked.set()
            self.lock.release()


def test_a_run_that_is_asked_to_end_while_it_records_a_job_ends_after_it():
    scheduler = Scheduler()
    before = signal.signal(signal.SIGTERM, scheduler.exit_gracefully)
    try:
        assert snakemake_internals.install_sigterm_handler(SimpleNamespace(scheduler=scheduler))
        with scheduler.lock:
            os.kill(os.getpid(), signal.SIGTERM)
            assert not scheduler.asked.wait(0.2)
        assert scheduler.asked.wait(60)
    finally:
        signal.signal(signal.SIGTERM, before)
