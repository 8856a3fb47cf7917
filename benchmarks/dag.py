"""What planning costs at paper scale: dry runs of 50,000 evaluations, fresh and finished, and how fast jobs start.

    python benchmarks/dag.py --json dag.json

The grid is XTREME-R's (config/experiments/xtreme_r.yaml) with more intermediates and mixes. For the dry run of the
finished grid (`noop`) every file is made empty and every job recorded as Snakemake records it. `everything` is the
default target, which asks for each result of each language besides. The naive layout of the same evaluations, one job
per language, stands beside it (`naive`). CPU seconds are user and system, of one process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from checkout import ROOT, Checkout

EXPERIMENT = "config/experiments/xtreme_r.yaml"
INTERMEDIATES = ("mnli", "squad_v1", "hellaswag", "cosmosqa", "commonsenseqa", "qqp", "anli_plus")
MIXES, SEEDS = 12, 3
TARGET = ["--", "results/summary.tsv"]
NAIVE = """
RUNS, LANGUAGES = range({runs}), {languages}

wildcard_constraints:
    run="[0-9]+",
    target="[^/]+",

rule summary:
    input: [f"results/{{run}}/{{t}}/{{language}}.json" for run in RUNS for t in LANGUAGES for language in LANGUAGES[t]]
    output: "results/summary.tsv"
    shell: "touch {{output}}"

rule intermediate:
    output: "results/{{run}}/model"
    params: seed=lambda wildcards: wildcards.run
    shell: "touch {{output}}"

rule target:
    input: "results/{{run}}/model"
    output: "results/{{run}}/{{target}}/model"
    params: seed=lambda wildcards: wildcards.run
    shell: "touch {{output}}"

rule evaluate:
    input: "results/{{run}}/{{target}}/model"
    output: "results/{{run}}/{{target}}/{{language}}.json"
    params: seed=lambda wildcards: wildcards.run
    shell: "touch {{output}}"
"""
READY = """
rule all:
    input: expand("results/{{number}}", number=range({jobs}))

rule one:
    output: "results/{{number}}"
    shell: "touch {{output}}"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="file to write the result to")
    parser.add_argument("--mixes", type=int, default=MIXES, help="mixes of the grid; 12 make 50,000 evaluations")
    parser.add_argument("--jobs", type=int, default=5000, help="ready trivial jobs of the scheduler's measurement")
    parser.add_argument(
        "--skip", nargs="*", default=[], choices=("noop", "naive", "rate"), help="measurements to leave"
    )
    parser.add_argument("--pretend", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.pretend:
        return pretend(options.pretend)
    with tempfile.TemporaryDirectory(prefix="dag-") as name:
        found = measure(Path(name), options)
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    checkout = Checkout.fresh(folder / "ours")
    mixes = {f"mix{number}": {"weights": {"en": 1.0 + number}} for number in range(options.mixes)}
    grid = {"intermediates": list(INTERMEDIATES), "mixes": list(mixes), "seeds": list(range(SEEDS))}
    training = {"intermediate": {"examples": 10_000}}  # a budget that all mixes have
    overlay = {"grid": grid, "mixes": mixes | {"en": None}, "training": training}
    (checkout.folder / "grid.yaml").write_text(yaml.safe_dump(overlay))
    configured = ["--configfile", EXPERIMENT, "grid.yaml"]
    languages, found = evaluated(checkout.folder / "grid.yaml")
    runs = len(INTERMEDIATES) * options.mixes * SEEDS
    found |= plan("fresh", checkout.folder, [*configured, *TARGET])
    found |= plan("everything", checkout.folder, configured)
    if "noop" not in options.skip:
        finish(checkout.folder, configured)
        found |= plan("noop", checkout.folder, [*configured, *TARGET])
    if "naive" not in options.skip:
        naive = folder / "naive"
        write(naive, NAIVE.format(runs=runs + SEEDS, languages=languages))
        found |= {f"naive_{key}": value for key, value in plan("fresh", naive, []).items()}
        if "noop" not in options.skip:
            finish(naive, [])
            found |= {f"naive_{key}": value for key, value in plan("noop", naive, []).items()}
    if "rate" not in options.skip:
        found |= rate(folder / "ready", options.jobs)
    found["peak_mb"] = max(value for key, value in found.items() if key in ("fresh_mb", "noop_mb"))
    return found


def evaluated(overlay: Path) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Languages of every target, and how many evaluations and jobs there are."""
    sys.path.insert(0, str(ROOT / "src"))
    from intermezzo.config import load
    from intermezzo.dag.experiment import Grid
    from intermezzo.dag.inputs import Inputs

    grid = Grid(load(ROOT / EXPERIMENT, overlay))
    inputs = Inputs(grid)
    jobs = sum(len(grid.runs_of(target)) for target in grid.targets) + len(inputs.data_paths()) + len(grid.encoders)
    jobs += len(inputs.target_paths()) + len(grid.intermediate_runs) + 1
    languages = {target: list(grid.languages(target)) for target in grid.targets}
    return languages, {"evaluations": len(inputs.evaluation_paths()), "jobs": jobs}


def write(folder: Path, snakefile: str) -> None:
    folder.mkdir()
    (folder / "Snakefile").write_text(snakefile)


DRY_RUN = (sys.executable, "-m", "snakemake", "-n", "--quiet")


def plan(name: str, folder: Path, arguments: list[str], program: Sequence[str] = DRY_RUN) -> dict[str, float]:
    """CPU seconds and peak memory of a dry run, or of another program that plans."""
    command = [*program, *arguments]
    with open(folder / "output.txt", "w") as log:
        began = time.monotonic()
        process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=log, stderr=log)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
    process.returncode = status
    if status:
        raise SystemExit(f"the dry run failed:\n{(folder / 'output.txt').read_text()[-3000:]}")
    cpu = round(used.ru_utime + used.ru_stime, 1)
    found = {f"{name}_cpu_s": cpu, f"{name}_mb": used.ru_maxrss // 1024, f"{name}_wall_s": round(wall, 1)}
    print(found, flush=True)
    return found


def finish(folder: Path, arguments: list[str]) -> None:
    """Make all files of a grid and record its jobs, as if it had run."""
    command = [sys.executable, str(Path(__file__).resolve()), "--pretend", "-n", "--quiet", *arguments]
    subprocess.run(command, cwd=folder, env=environment(), check=True, stdout=subprocess.DEVNULL)


def pretend(arguments: list[str]) -> None:
    from snakemake import cli
    from snakemake.workflow import Workflow

    plain, seen = Workflow.execute, []

    def execute(workflow: Workflow, *others: Any, **named: Any) -> Any:
        seen.append(workflow)
        return plain(workflow, *others, **named)

    Workflow.execute = execute
    with suppress(SystemExit):
        cli.main(arguments)
    asyncio.run(_record(seen[0]))


async def _record(workflow: Any) -> None:
    workflow.iocache.deactivate()
    for level in workflow.dag.toposorted():
        for job in level:
            for path in map(Path, job.output):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        for job in level:
            await workflow.persistence.finished(job)


def rate(folder: Path, jobs: int) -> dict[str, float]:
    """Trivial jobs that are started per second when all are ready, with the settings of the profile."""
    write(folder, READY.format(jobs=jobs))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all", "--workflow-profile"]
    began = time.monotonic()
    done = subprocess.run(
        [*command, str(ROOT / "profiles/default")], cwd=folder, env=environment(), capture_output=True
    )
    if done.returncode:
        raise SystemExit(done.stderr.decode()[-3000:])
    return {"ready_jobs": jobs, "jobs_per_s": round(jobs / (time.monotonic() - began), 1)}


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "INTERMEZZO"))}


if __name__ == "__main__":
    main()
