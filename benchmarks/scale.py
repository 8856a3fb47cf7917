"""What grows with an experiment: jobs, planning, and the files and bytes of its results, at 1, 10 and 100 times a grid.

    python benchmarks/scale.py --json scale.json

The grid is the default one; ten times as much has ten times the seeds, a hundred times also ten times the mixes (with
other shares of the same languages). Nothing of it runs. Planning is a dry run of Snakemake, of nothing that is there
and of all that is done, and `intermezzo plan`: CPU seconds and peak memory of one process each. Bytes and files are
those of a part of the grid that does run (an intermediate, a mix, a seed; all languages and targets, whole test data,
models of the default size that are hardly trained), counted per job of each stage and multiplied by the jobs of the
grid. Bytes are those of the files, inodes are files and folders. A cache serves all jobs: tokens grow with the data,
predictions with the evaluations.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from dag import ROOT, TARGET, Checkout, environment, finish, plan

FACTORS = {1: (1, 1), 10: (10, 1), 100: (10, 10)}
"""Times the default grid -> times its seeds, and its mixes."""
PART: dict[str, Any] = {
    "grid": {"intermediates": ["nli"], "mixes": ["en+rare"], "seeds": [0]},
    "data": {"rows": {"train": 200, "dev": 40}},
    "encoders": {"world": {"training": {"steps": 5}}},
    "training": {phase: {"examples": 64, "epochs": 1} for phase in ("intermediate", "target")},
}
"""Over the default: what runs. The sizes of models, predictions and scores are those of the whole."""
STAGES = {"intermediate": "intermediate", "target": "target", "eval": "evaluation", "data": "data",
          "encoders": "encoder"}  # fmt: skip
"""Folder below results -> the stage whose jobs write there."""
CACHES = {"predictions": "evaluation", "tokens": "data"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--factors", type=int, nargs="+", choices=FACTORS, default=list(FACTORS))
    parser.add_argument("--skip", nargs="*", default=[], choices=("files", "done"), help="measurements to leave")
    parser.add_argument("--json", type=Path, help="file to write the result to")
    options = parser.parse_args()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="scale-") as name:
        per_job = {} if "files" in options.skip else files_per_job(Path(name) / "part")
        for factor in options.factors:
            result[str(factor)] = measure(Path(name) / str(factor), factor, per_job, options)
            print(factor, json.dumps(result[str(factor)]), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"per_job": per_job, "grids": result}, indent=1) + "\n", encoding="utf-8")


def overlay(factor: int) -> dict[str, Any]:
    """The grid that is `factor` times the default."""
    times_seeds, times_mixes = FACTORS[factor]
    default = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))["grid"]
    grid = {"seeds": list(range(times_seeds * len(default["seeds"])))}
    if times_mixes == 1:
        return {"grid": grid}
    numbers = range(1, times_mixes * len(default["mixes"]))
    mixes = {f"mix{number}": {"weights": {"en": number, "@rare": 1}} for number in numbers}
    return {"grid": grid | {"mixes": ["en", *mixes]}, "mixes": mixes}


def jobs_by_stage(file: Path | None) -> Counter[str]:
    """How many jobs of each stage the default with a file over it has."""
    from intermezzo.config import load
    from intermezzo.dag.experiment import Grid
    from intermezzo.dag.jobs import jobs_of

    return Counter(job.stage for job in jobs_of(Grid(load(*filter(None, [file])))).values())


def files_per_job(folder: Path) -> dict[str, dict[str, float]]:
    """Run the part; stage -> bytes and inodes of a job's results, and of its part of the caches."""
    checkout = Checkout.fresh(folder)
    (folder / "part.yaml").write_text(yaml.safe_dump(PART))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "--configfile", "part.yaml"]
    done = subprocess.run(command, cwd=checkout.folder, env=environment(), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the part of the grid failed:\n{done.stderr[-3000:]}")
    results, sums = folder / "results", {}
    folders = [(results / name, stage, name) for name, stage in STAGES.items()]
    folders += [(results / ".cache" / name, stage, f"cache of {name}") for name, stage in CACHES.items()]
    folders += [(folder / name, "all", name) for name in ("logs", "benchmarks", ".snakemake")]
    jobs = jobs_by_stage(folder / "part.yaml")
    for place, stage, name in folders:
        paths = [*place.rglob("*")]
        count = jobs.total() if stage == "all" else jobs[stage]
        size = sum(path.stat().st_size for path in paths if path.is_file())
        sums[name] = {"stage": stage, "bytes": size / count, "inodes": len(paths) / count}
    return sums


def measure(
    folder: Path, factor: int, per_job: dict[str, dict[str, Any]], options: argparse.Namespace
) -> dict[str, Any]:
    """Jobs, planning, bytes and inodes of a grid."""
    checkout = Checkout.fresh(folder)
    (folder / "grid.yaml").write_text(yaml.safe_dump(overlay(factor)))
    configured = ["--configfile", "grid.yaml"]
    jobs = jobs_by_stage(folder / "grid.yaml")
    result: dict[str, Any] = {"jobs": jobs.total(), "by_stage": dict(jobs)}
    result |= plan("fresh", checkout.folder, [*configured, *TARGET])
    result |= plan("price", checkout.folder, configured, [sys.executable, "-m", "intermezzo", "plan"])
    if "done" not in options.skip:
        finish(checkout.folder, configured)
        result |= plan("done", checkout.folder, [*configured, *TARGET])
    for name, part in per_job.items():
        count = jobs.total() if part["stage"] == "all" else jobs[part["stage"]]
        result[name] = {"bytes": round(part["bytes"] * count), "inodes": round(part["inodes"] * count)}
    for unit in ("bytes", "inodes") if per_job else ():
        result[unit] = sum(result[name][unit] for name in per_job)
    return result


if __name__ == "__main__":
    main()
