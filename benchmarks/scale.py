"""What grows with an experiment: jobs, planning, and the files and bytes of its results, at 1, 10 and 100 times a grid.

    python benchmarks/scale.py --json scale.json --run .       with files, where the default experiment has run

The grid is the default one; ten times as much has ten times the seeds, a hundred times also ten times the mixes (with
other shares of the same languages). Nothing of it runs. Planning is a dry run of Snakemake, of nothing that is there
and of all that is done, and `intermezzo plan`: CPU seconds and peak memory of one process each. Bytes and inodes (files
and folders) are those of a run of the default, per job of each stage, multiplied by the jobs of the grid.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from dag import ROOT, TARGET, Checkout, finish, plan

FACTORS = {1: (1, 1), 10: (10, 1), 100: (10, 10)}
"""Times the default grid -> times its seeds, and its mixes."""
PLACES = {
    "results/data": ("data", "*.parquet"),
    "results/encoders": ("encoder", "manifest.json"),
    "results/intermediate": ("intermediate", "manifest.json"),
    "results/target": ("target", "manifest.json"),
    "results/eval": ("evaluation", "manifest.json"),
    "results/.cache": ("evaluation", ""),
    "results/.cache/tokens": ("data", ""),
    "logs": ("", ""),
    "benchmarks/jobs": ("", ""),
    ".snakemake": ("", ""),
}
"""Folder of a run -> the stage whose jobs write there ("" = all), and the file that each job leaves once.

The folders in the cache of predictions are other caches, whose size is that of the data.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--factors", type=int, nargs="+", choices=FACTORS, default=list(FACTORS))
    parser.add_argument("--run", type=Path, help="folder in which the default experiment has run")
    parser.add_argument("--skip", nargs="*", default=[], choices=("plans", "done"), help="measurements to leave")
    parser.add_argument("--json", type=Path, help="file to write the result to")
    options = parser.parse_args()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="scale-") as name:
        per_job = files_per_job(options.run) if options.run else {}
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


def files_per_job(run: Path) -> dict[str, dict[str, Any]]:
    """Folder -> its stage, and bytes and inodes per job of it, of a finished run."""
    jobs = Counter({stage: len([*(run / name).rglob(file)]) for name, (stage, file) in PLACES.items() if file})
    result: dict[str, dict[str, Any]] = {}
    for name, (stage, _) in PLACES.items():
        place = run / name
        paths = [*(place.glob("*.*") if place.name == ".cache" else place.rglob("*"))]
        count = jobs[stage] if stage else jobs.total()
        size = sum(path.stat().st_size for path in paths if path.is_file())
        if paths:
            result[name] = {"stage": stage, "bytes": size / count, "inodes": len(paths) / count}
    return result


def measure(
    folder: Path, factor: int, per_job: dict[str, dict[str, Any]], options: argparse.Namespace
) -> dict[str, Any]:
    """Jobs, planning, bytes and inodes of a grid."""
    checkout = Checkout.fresh(folder)
    (folder / "grid.yaml").write_text(yaml.safe_dump(overlay(factor)))
    configured = ["--configfile", "grid.yaml"]
    jobs = jobs_by_stage(folder / "grid.yaml")
    result: dict[str, Any] = {"jobs": jobs.total(), "by_stage": dict(jobs)}
    if "plans" not in options.skip:
        result |= plan("fresh", checkout.folder, [*configured, *TARGET])
        result |= plan("price", checkout.folder, configured, [sys.executable, "-m", "intermezzo", "plan"])
    if not {"done", "plans"}.intersection(options.skip):
        finish(checkout.folder, configured)
        result |= plan("done", checkout.folder, [*configured, *TARGET])
    for name, part in per_job.items():
        count = jobs[part["stage"]] if part["stage"] else jobs.total()
        result[name] = {"bytes": round(part["bytes"] * count), "inodes": round(part["inodes"] * count)}
    for unit in ("bytes", "inodes") if per_job else ():
        result[unit] = sum(result[name][unit] for name in per_job)
    return result


if __name__ == "__main__":
    main()
