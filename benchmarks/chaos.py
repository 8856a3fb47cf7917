"""Kill parts of runs at random moments and run again: every result must be that of an undisturbed run.

    python benchmarks/chaos.py --runs 100 --seed 0 --json chaos.json

Each run is a fresh copy of the workflow with a small experiment. A command starts it, as a user would. At a random
moment, or just when a model is being written, a signal goes to some of its processes: Snakemake, the shell of a job,
its `tee`, the client in it, the fork that computes, the fork server, or many of them at once. Most runs are disturbed
again and again, each time started anew at once. Then the same command must end well without any manual step, every
result must have the bytes of the undisturbed run, a plan must find nothing to do, and no process or temporary file may
be left.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from checkout import TINY, Checkout

SMALL = {
    "grid": {"mixes": ["en"], "targets": ["nli"]},
    "languages": {"evaluation": ["en", "nor"], "rare": ["nor"]},
    "mixes": {"en+rare": None},
    "data": {"rows": {"test": 20, "dev": 20}},
    "encoders": {"tiny": {"languages": ["en", "nor"], "tokenizer": {"vocab_size": 400}}},
}
"""Over the tiny experiment: a model of each kind, and little data."""
COMMAND = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", TINY, "small.yaml"]
COMPARED = ("summary.tsv", "answer.md", "scores.parquet")
JOB = ("shell", "tee", "client", "fork")
VICTIMS = (
    *((role,) for role in ("snakemake", "server", *JOB)),
    ("snakemake", "fork"),
    ("snakemake", "server"),
    ("server", "shell"),
    ("shell", "client"),
    ("storm",),
    ("all",),
)
"""Roles of the processes that get a signal together. storm: each process with an even chance."""
WRITING = "while a model is written"
HANG_SECONDS = 900.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--json", type=Path, help="file to write the result to")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, results = random.Random(options.seed), []
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        undisturbed = fresh(Path(name) / "undisturbed")
        began = time.monotonic()
        if start(undisturbed).wait():
            raise SystemExit("the undisturbed run failed:\n" + output(undisturbed))
        seconds = time.monotonic() - began
        print(f"undisturbed: {seconds:.0f} s", flush=True)
        for number in range(options.runs):
            folder = fresh(Path(name) / f"run{number}")
            results.append(disturb(folder, undisturbed, seconds, rng))
            print(f"run {number + 1}: {describe(results[-1])}", flush=True)
            if options.json:
                options.json.write_text(json.dumps(summarize(results, seconds), indent=1) + "\n")
            shutil.rmtree(folder)
    print(table(results))
    if not all(map(is_good, results)):
        raise SystemExit(1)


# -- one run -------------------------------------------------------------------------------------------------------


def fresh(folder: Path) -> Path:
    """A new copy of the workflow."""
    Checkout.fresh(folder)
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL))
    (folder / "tmp").mkdir()
    return folder


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "INTERMEZZO"))}
    with open(folder / "output.txt", "w") as log:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=folder,
            env=clean | {"TMPDIR": str(folder / "tmp")},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def disturb(folder: Path, undisturbed: Path, seconds: float, rng: random.Random) -> dict[str, Any]:
    """One run, disturbed up to four times and then left alone: what was killed, and what is wrong in the end."""
    kills, problems = [], []
    for number in range(rng.choice((1, 1, 2, 2, 3, 4))):  # less is left each time
        roles, sign = rng.choice(VICTIMS), rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
        moment = WRITING if rng.random() < 0.4 else rng.uniform(0, 0.8 * seconds / (number + 1))
        run = start(folder)
        if await_moment(run, folder, moment):
            kills.append({"signal": sign.name, "moment": moment} | kill(run, folder, roles, sign, rng))
        try:
            run.wait(HANG_SECONDS)  # a killed job fails alone; only Snakemake's own end leaves others behind
        except subprocess.TimeoutExpired:
            problems.append("hangs:\n" + output(folder))
            send(processes(folder), signal.SIGKILL)
            run.wait()
    if status := start(folder).wait():
        problems.append(f"exit status {status}:\n" + output(folder))
    problems += [f"{name} differs" for name in COMPARED if not is_same(folder, undisturbed, name)]
    if start(folder, "--dry-run").wait() or "Nothing to be done" not in output(folder):
        problems.append("something is to be done:\n" + output(folder))
    return {"kills": kills, "problems": problems + leftovers(folder)}


def await_moment(run: subprocess.Popen, folder: Path, moment: str | float) -> bool:
    """Wait until a run is `moment` seconds old, or writes a model; False if it ended before."""
    end = time.monotonic() + (moment if isinstance(moment, float) else HANG_SECONDS)
    while run.poll() is None and time.monotonic() < end:
        if moment == WRITING and any(is_model(part) for part in (folder / "results").glob("[eit]*/**/.*.part")):
            break
        time.sleep(0.01)
    return run.poll() is None


def is_model(part: Path) -> bool:
    """Is a temporary folder that of a model whose weights are written?"""
    return part.is_dir() and any(part.glob("*.safetensors"))


def kill(
    run: subprocess.Popen, folder: Path, roles: Sequence[str], sign: signal.Signals, rng: random.Random
) -> dict[str, Any]:
    """Send a signal to processes of these roles, waiting a moment for some to be there; returns who got it."""
    victims: dict[psutil.Process, str] = {}
    end = time.monotonic() + 5
    while not victims and run.poll() is None and time.monotonic() < end:
        candidates = {process: role(process, run.pid) for process in processes(folder)}
        if roles in (("all",), ("storm",)):
            victims = {process: name for process, name in candidates.items() if roles == ("all",) or rng.random() < 0.5}
            continue
        for wanted in roles:
            matches = [process for process, name in candidates.items() if name == wanted]
            victims |= {process: wanted for process in rng.sample(matches, min(1, len(matches)))}
    if not victims and run.poll() is None:  # between two jobs
        victims = {psutil.Process(run.pid): "snakemake"}
    send(list(victims), sign)
    return {"roles": "+".join(roles), "killed": sorted(victims.values())}


def send(targets: Sequence[psutil.Process], sign: signal.Signals) -> None:
    for process in targets:
        try:
            process.send_signal(sign)
        except psutil.Error:  # ended in between
            continue


def processes(folder: Path) -> list[psutil.Process]:
    """The processes that work in a folder, whoever is their parent now."""
    working = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(folder):
                working.append(process)
        except psutil.Error:
            continue
    return sorted(working, key=lambda process: process.pid)


def role(process: psutil.Process, run: int) -> str:
    """What a process is in its run."""
    try:
        words, parent = process.cmdline(), process.ppid()
    except psutil.Error:
        return "gone"
    if process.pid == run:
        return "snakemake"
    if "intermezzo.execution.forkserver" in words:
        return "server" if parent == run else "fork"
    if "intermezzo" in words[:-1]:
        return "client"
    return {"bash": "shell", "tee": "tee"}.get(Path(words[0]).name if words else "", "other")


# -- what came of it -----------------------------------------------------------------------------------------------


def is_same(folder: Path, undisturbed: Path, name: str) -> bool:
    path = folder / "results" / name
    return path.is_file() and path.read_bytes() == (undisturbed / "results" / name).read_bytes()


def leftovers(folder: Path) -> list[str]:
    """Processes, temporary files and states that a run has left behind."""
    end = time.monotonic() + 20
    while (left := processes(folder)) and time.monotonic() < end:
        time.sleep(0.1)
    problems = [f"process {process.pid} is left: {' '.join(process.cmdline())[:200]}" for process in left]
    paths = [
        *(folder / "results").rglob(".*.part"),
        *(folder / "results/.state").glob("*"),
        *(folder / "tmp").glob("intermezzo-*"),
    ]
    return problems + [f"{path.relative_to(folder)} is left" for path in paths]


def output(folder: Path) -> str:
    return (folder / "output.txt").read_text()[-4000:]


def is_good(result: dict[str, Any]) -> bool:
    return not result["problems"]


def describe(result: dict[str, Any]) -> str:
    kills = [f"{kill['signal']} to {', '.join(kill['killed']) or 'nobody'} {when(kill)}" for kill in result["kills"]]
    return f"{'; '.join(kills) or 'ended before'}: {'; '.join(result['problems']) or 'identical'}"


def when(kill: dict[str, Any]) -> str:
    return kill["moment"] if kill["moment"] == WRITING else f"at {kill['moment']:.1f} s"


def table(results: Sequence[dict[str, Any]]) -> str:
    """One line per kind of kill: how many there were, and in how many of the runs with one all was well."""
    kinds = sorted({(kill["roles"], kill["signal"]) for result in results for kill in result["kills"]})
    lines = [f"{'killed':<20}{'signal':<9}{'kills':>6}{'processes':>11}{'runs':>6}{'good':>6}"]
    for kind in kinds:
        kills = [kill for result in results for kill in result["kills"] if (kill["roles"], kill["signal"]) == kind]
        runs = [result for result in results if any((k["roles"], k["signal"]) == kind for k in result["kills"])]
        numbers = len(kills), sum(len(kill["killed"]) for kill in kills), len(runs), sum(map(is_good, runs))
        lines.append(f"{kind[0]:<20}{kind[1]:<9}{numbers[0]:>6}{numbers[1]:>11}{numbers[2]:>6}{numbers[3]:>6}")
    kills = [kill for result in results for kill in result["kills"]]
    killed = sum(len(kill["killed"]) for kill in kills)
    lines.append(f"{'all':<29}{len(kills):>6}{killed:>11}{len(results):>6}{sum(map(is_good, results)):>6}")
    return "\n".join(lines)


def summarize(results: Sequence[dict[str, Any]], seconds: float) -> dict[str, Any]:
    kills = [kill for result in results for kill in result["kills"]]
    counts = Counter(f"{kill['signal']} {kill['roles']}" for kill in kills)
    numbers = {"runs": len(results), "identical": sum(map(is_good, results)), "kills": len(kills)}
    return numbers | {"killed": dict(sorted(counts.items())), "undisturbed_s": round(seconds, 1), "each": results}


if __name__ == "__main__":
    main()
