"""Kill runs of the tiny grid at random moments and run again: the summary must be that of an undisturbed run.

    python benchmarks/chaos.py --runs 100 --json chaos.json

Each run is a fresh copy of the workflow. A command starts it, as a user would; at a random moment SIGKILL or SIGTERM
goes to Snakemake, to one of its processes (a job, the fork that computes it, the server that forks), or to both. Some
runs are killed twice or three times, each time by starting again at once. Then the same command must end well, without
any manual step, and every result must have the bytes of the undisturbed run.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from checkout import TINY, Checkout

COMMAND = [sys.executable, "-m", "snakemake", "--cores", "2", "results/summary.tsv", "--configfile", TINY]
COMPARED = ("summary.tsv", "answer.md", "scores.parquet")
VICTIMS, SIGNALS = ("snakemake", "child", "both"), (signal.SIGKILL, signal.SIGTERM)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--json", type=Path, help="file to write the result to")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    drawn, done = random.Random(options.seed), []
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        undisturbed = Checkout.fresh(Path(name) / "undisturbed")
        began = time.monotonic()
        if end(start(undisturbed.folder)):
            raise SystemExit("the undisturbed run failed:\n" + output(undisturbed.folder))
        took = time.monotonic() - began
        print(f"undisturbed: {took:.0f} s", flush=True)
        for number in range(options.runs):
            checkout = Checkout.fresh(Path(name) / f"run{number}")
            done.append(disturbed(checkout, undisturbed, took, drawn))
            print(f"run {number + 1}: {words(done[-1])}", flush=True)
            if options.json:
                options.json.write_text(json.dumps(summary(done, took), indent=1) + "\n")
            shutil.rmtree(checkout.folder)
    result = summary(done, took)
    print(f"{result['identical']} of {result['runs']} identical after {result['kills']} kills: {result['killed']}")
    if result["identical"] != result["runs"]:
        raise SystemExit(1)


def disturbed(checkout: Checkout, undisturbed: Checkout, took: float, drawn: random.Random) -> dict[str, Any]:
    """One run, killed one to three times and then left alone: what was killed, and how it ended."""
    kills = []
    for _ in range(drawn.choice((1, 1, 1, 2, 2, 3))):
        victim, sign, moment = drawn.choice(VICTIMS), drawn.choice(SIGNALS), drawn.uniform(0, took)
        run = start(checkout.folder)
        try:
            run.wait(moment)
        except subprocess.TimeoutExpired:
            kills.append({"signal": sign.name, "second": round(moment, 1)} | kill(run, victim, sign, drawn))
        end(run)  # a killed job fails alone, and SIGTERM lets running jobs end: only kill -9 leaves others behind
    status = end(start(checkout.folder))
    different = [name for name in COMPARED if not same(checkout.folder / "results" / name, undisturbed)]
    result = {"kills": kills, "status": status, "different": different}
    return result | ({"output": output(checkout.folder)} if status or different else {})


def start(folder: Path) -> subprocess.Popen:
    with open(folder / "output.txt", "w") as log:
        return subprocess.Popen(COMMAND, cwd=folder, stdout=log, stderr=log, start_new_session=True)


def end(run: subprocess.Popen) -> int:
    return run.wait()


def kill(run: subprocess.Popen, victim: str, sign: signal.Signals, drawn: random.Random) -> dict[str, Any]:
    """Send a signal; returns who got it."""
    children = [process for process in psutil.Process(run.pid).children(recursive=True) if stage(process)]
    killed = []
    if victim != "snakemake" and children:
        child = drawn.choice(children)
        killed.append(stage(child))
        child.send_signal(sign)
    if victim != "child" or not children:
        killed.append("snakemake")
        run.send_signal(sign)
    return {"killed": killed}


def stage(process: psutil.Process) -> str:
    """What a process does: `finetune` and its like, `server` or `fork`; empty for shells and their helpers."""
    try:
        words, parent = process.cmdline(), process.parent().cmdline()
    except psutil.Error:
        return ""
    if "intermezzo.execution.forkserver" in words:
        return "fork" if words == parent else "server"
    return words[words.index("intermezzo") + 1] if "intermezzo" in words[:-1] else ""


def same(path: Path, undisturbed: Checkout) -> bool:
    return path.is_file() and path.read_bytes() == (undisturbed.folder / "results" / path.name).read_bytes()


def output(folder: Path) -> str:
    return (folder / "output.txt").read_text()[-4000:]


def words(result: dict[str, Any]) -> str:
    kills = [f"{kill['signal']} to {' and '.join(kill['killed'])} at {kill['second']} s" for kill in result["kills"]]
    bad = f"exit status {result['status']}, different: {result['different']}\n{result.get('output', '')}"
    return f"{', '.join(kills) or 'ended before'}: {'identical' if good(result) else bad}"


def good(result: dict[str, Any]) -> bool:
    return not result["status"] and not result["different"]


def summary(done: list[dict[str, Any]], took: float) -> dict[str, Any]:
    kills = [kill for result in done for kill in result["kills"]]
    counted = Counter(f"{kill['signal']} {'+'.join(kill['killed'])}" for kill in kills)
    numbers = {"runs": len(done), "identical": sum(map(good, done)), "kills": len(kills)}
    return numbers | {"killed": dict(sorted(counted.items())), "undisturbed_s": round(took, 1), "each": done}


if __name__ == "__main__":
    main()
