"""The shipped profile on a real Slurm: the same bytes as here, whatever the scheduler does to its jobs."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import pytest
import yaml
from cluster import die_with_parent

from checkout import TINY, Checkout

pytestmark = pytest.mark.workflow

PROFILE = "workflow/profiles/slurm"
POLLS = ("--slurm-init-seconds-before-status-checks", "3", "--seconds-between-status-checks", "3")
LONG = {"grid": {"targets": ["nli"]}, "training": {"tasks": {"nli": {"target": {"epochs": 200}}}}}
RUNS = ("none/none", "nli/en", "nli/en+rare")


class Run:
    """`snakemake --profile workflow/profiles/slurm` in the background; only the polling is faster, the queue short."""

    started: ClassVar[list[subprocess.Popen]] = []

    def __init__(self, checkout: Checkout, *arguments: str) -> None:
        files = [TINY, *(["changes.yaml"] if (checkout.folder / "changes.yaml").exists() else [])]
        command = [sys.executable, "-m", "snakemake", "--profile", PROFILE, "--jobs", "3", *POLLS, *arguments]
        self.output = checkout.folder / "cluster.log"
        self.checkout = checkout
        with open(self.output, "w") as output:
            self.process = subprocess.Popen(
                [*command, "--configfile", *files],
                cwd=checkout.folder,
                env={
                    key: value for key, value in os.environ.items() if not key.startswith(("PYTHONPATH", "INTERMEZZO"))
                },
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=lambda: die_with_parent(signal.SIGKILL),
            )
        self.started.append(self.process)

    def wait(self) -> str:
        self.process.wait(timeout=900)
        return self.output.read_text()

    def hold(self) -> dict[str, int]:
        """Stop every training once it has saved a state; the numbers of their processes by run."""
        held: dict[str, int] = {}

        def all_held() -> bool:
            for run in RUNS:
                for pid in processes("finetune", "--out", folder(run)):
                    if run not in held and has_state(self.checkout, pid):
                        os.kill(pid, signal.SIGSTOP)
                        held[run] = pid
            return len(held) == len(RUNS)

        until(all_held, self)
        return held


def until(condition, run: Run, seconds: float = 300.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert run.process.poll() is None, run.output.read_text()[-6000:]
        assert time.monotonic() < end, run.output.read_text()[-6000:]
        time.sleep(0.05)
    return found


def wait(condition, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def folder(run: str) -> str:
    """Where the target is trained from this run."""
    return f"results/target/tiny/{run}/seed0/nli"


def processes(*words: str) -> list[int]:
    """Processes with all these words on their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if set(words) <= set(line):
            found.append(int(folder.name))
    return found


def has_state(checkout: Checkout, pid: int) -> bool:
    """Has this training saved a state? It holds the lock beside the state's folder."""
    try:
        files = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return False
    states = f"{checkout.folder.resolve()}/results/.state/"
    return any(list(Path(file.removesuffix(".lock")).glob("*.pt")) for file in files if file.startswith(states))


def slurm_job(cluster, run: str) -> str:
    """The number of the running Slurm job that trains the target from this run."""
    comment = f"rule_train_target_wildcards_tiny_{run.replace('/', '_')}_0_nli"
    (number,) = [number for number, text in map(str.split, cluster.jobs("%i %k", "running")) if text == comment]
    return number


@pytest.fixture(autouse=True)
def nothing_runs_on(request):
    """A failed test leaves neither Snakemake nor jobs behind for the next."""
    yield
    for process in Run.started:
        if process.poll() is None:
            process.kill()
            process.wait()
    if "cluster" in request.fixturenames and Run.started:
        request.getfixturevalue("cluster").cancel_all()
    Run.started.clear()


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A checkout with the tiny experiment done here, without Slurm; trainings save a state five times a second."""
    checkout = Checkout.fresh(tmp_path_factory.mktemp("start") / "checkout")
    checkout.edit("training/states.py", "SAVE_SECONDS = 60.0", "SAVE_SECONDS = 0.2")
    checkout.run("results/summary.tsv")
    return checkout


@pytest.fixture(scope="module")
def trained_longer(start, tmp_path_factory):
    """What the experiment with longer trainings of one target gives, undisturbed."""
    checkout = start.copy(tmp_path_factory.mktemp("longer") / "checkout")
    checkout.run("results/summary.tsv", **{"grid": LONG["grid"], "training__tasks": LONG["training"]["tasks"]})
    return summary(checkout)


@pytest.fixture
def longer(start, tmp_path):
    """Work for the cluster: three trainings that last some seconds, their evaluations and the summary."""
    checkout = start.copy(tmp_path / "checkout")
    (checkout.folder / "changes.yaml").write_text(yaml.safe_dump(LONG))
    return checkout


def summary(checkout: Checkout) -> bytes:
    return (checkout.folder / "results/summary.tsv").read_bytes()


def resumed(checkout: Checkout, run: str) -> bool:
    log = (checkout.folder / f"logs/target/tiny/{run}/seed0/nli.log").read_text()
    return re.search(r"target: 400 steps, .*, from step [1-9]", log) is not None


def test_the_grid_gives_the_bytes_of_a_local_run(cluster, start, tmp_path):
    checkout = Checkout.fresh(tmp_path / "checkout")
    checkout.edit("training/states.py", "SAVE_SECONDS = 60.0", "SAVE_SECONDS = 0.2")
    run, servers = Run(checkout), []
    while run.process.poll() is None:
        servers += processes("intermezzo.execution.forkserver", str(run.process.pid))
        time.sleep(0.5)
    output = run.wait()
    assert run.process.returncode == 0, output[-6000:]
    assert summary(checkout) == summary(start)
    assert not servers, "jobs of a cluster must not run on the submit host's fork server"
    submitted = re.findall(r"submitted with SLURM jobid (\d+)", output)
    # 19 data files in one job, 1 + 2 + 6 trainings in one each, the summary, 9 evaluations in at least three
    assert 14 <= len(submitted) <= 20, output
    places = re.findall(r"Auto-selected partition '(\w+)' for job ([a-z]+)", output)
    on_gpus = {("gpu", stage) for stage in ("pretrain", "train", "evaluation")}
    assert set(places) == {("cpu", "data"), ("cpu", "summarize")} | on_gpus
    again = Run(checkout, "--dry-run")
    assert "Nothing to be done" in again.wait()


def test_a_job_killed_by_the_scheduler_is_retried_with_more_memory_and_resumes(cluster, longer, trained_longer):
    run = Run(longer)
    held = run.hold()
    os.kill(held["none/none"], signal.SIGKILL)  # as the kernel kills what exceeds its memory
    cluster.command("scancel", slurm_job(cluster, "nli/en"))
    cluster.command("scontrol", "update", f"JobId={slurm_job(cluster, 'nli/en+rare')}", "TimeLimit=1")
    output = run.wait()
    assert run.process.returncode == 0, output[-6000:]
    assert summary(longer) == trained_longer
    assert all(resumed(longer, name) for name in RUNS), output
    states = [line.split("|") for line in cluster.jobs("%k|%T|%m", "all")]
    for name, state in zip(RUNS, ("FAILED", "CANCELLED", "TIMEOUT"), strict=True):
        comment = f"rule_train_target_wildcards_tiny_{name.replace('/', '_')}_0_nli"
        mine = {(state, memory) for text, state, memory in states if text == comment}
        assert mine >= {(state, "4000M"), ("COMPLETED", "8000M")}, mine


def test_scancel_of_everything_while_snakemake_runs_loses_nothing(cluster, longer, trained_longer):
    run = Run(longer)
    run.hold()
    cluster.cancel_all()
    output = run.wait()
    assert run.process.returncode == 0, output[-6000:]
    assert summary(longer) == trained_longer
    assert all(resumed(longer, name) for name in RUNS), output


@pytest.mark.parametrize("by", ["SIGINT", "SIGKILL"])
def test_a_run_that_is_ended_with_all_its_jobs_is_completed_by_the_next(cluster, longer, trained_longer, by):
    run = Run(longer)
    run.hold()
    run.process.send_signal(getattr(signal, by))
    run.process.wait(timeout=120)
    assert run.process.returncode != 0
    if by == "SIGKILL":  # its jobs run on, and its lock is there (at SIGINT, Snakemake sees to both)
        (name,) = re.findall(r"SLURM run ID: (\S+)", run.output.read_text())
        cluster.command("scancel", f"--name={name}")
        Run(longer, "--unlock").wait()
    wait(lambda: not cluster.jobs())
    again = Run(longer)
    output = again.wait()
    assert again.process.returncode == 0, output[-6000:]
    assert summary(longer) == trained_longer
    assert all(resumed(longer, name) for name in RUNS), output


def test_jobs_that_outlive_snakemake_are_not_made_again(cluster, longer, trained_longer):
    """One has finished when the next run begins; the others go on beside the jobs that come again, which wait."""
    run = Run(longer)
    held = run.hold()
    run.process.kill()
    run.process.wait()
    first = slurm_job(cluster, RUNS[0])
    os.kill(held[RUNS[0]], signal.SIGCONT)
    wait(lambda: first not in cluster.jobs())
    again = Run(longer)
    until(lambda: all(len(processes("finetune", "--out", folder(name))) == 2 for name in RUNS[1:]), again)
    for name in RUNS[1:]:
        os.kill(held[name], signal.SIGCONT)
    output = again.wait()
    assert again.process.returncode == 0, output[-6000:]
    assert summary(longer) == trained_longer
    for name in RUNS:
        log = (longer.folder / f"logs/target/tiny/{name}/seed0/nli.log").read_text()
        assert "taken over" in log and "steps" not in log, log
    assert not list((longer.folder / "results/.state").glob("*"))
