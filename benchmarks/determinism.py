"""Run one small experiment under different circumstances: the same configuration must give the same bytes.

    python benchmarks/determinism.py --json determinism.json
    python benchmarks/determinism.py --only cores umask          some of the circumstances

Each run is a fresh copy of the workflow in a folder of its own. Compared is every file of results but training logs,
which hold times. Exit status 1 where a run fails or a file differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from checkout import TINY, Checkout
from intermezzo.core.artifacts import sha256

SMALLER = {
    "grid": {"targets": ["nli", "retrieval"]},
    "languages": {"evaluation": ["en", "fri"], "rare": ["fri"]},
    "data": {"rows": {"train": 80, "test": 20}},
    "encoders": {"tiny": {"languages": ["en", "fri"], "training": {"steps": 5}}},
    "training": {
        "intermediate": {"examples": 32},
        "target": {"examples": 32},
        "tasks": {"nli": {"target": {"examples": 32}}},
    },
}
MUST_BE_THERE = {"summary.tsv", "answer.md", "scores.parquet", "target/tiny/nli/en/seed0/nli/model.safetensors"}
TIMES = {"log.jsonl", "report.html"}
"""Files that hold times: training logs, and costs in the report."""


@dataclass(frozen=True)
class Circumstances:
    """What a run differs in. variables: environment variables, None = unset."""

    folder: str = "run"
    cores: int = 1
    umask: int = 0o022
    variables: dict[str, str | None] = field(default_factory=dict)


def circumstances(locales: set[str]) -> dict[str, Circumstances]:
    """Name -> what differs from the first; of the locales those that this machine has."""
    others = {
        "undisturbed": Circumstances(variables={"PYTHONHASHSEED": "0"}),
        "longer path": Circumstances(folder="/".join(["a folder, with é and spaces"] * 4)),
        "hash seed": Circumstances(variables={"PYTHONHASHSEED": "4242"}),
        "cores": Circumstances(cores=2),
        "umask": Circumstances(umask=0o077),
        "no home": Circumstances(variables=dict.fromkeys(("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME"))),
        "time zone": Circumstances(variables={"TZ": "Pacific/Kiritimati"}),
        "no fork server": Circumstances(variables={"INTERMEZZO_PLAIN_SNAKEMAKE": "1"}),
    }
    for name in ("C", "C.UTF-8", "tr_TR.UTF-8"):
        if name.lower().replace("-", "") in locales:
            others[f"locale {name}"] = Circumstances(variables={"LC_ALL": name, "LANG": name, "PYTHONUTF8": None})
    return others


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="circumstances to try, by the beginnings of their names"
    )
    parser.add_argument("--json", type=Path, help="file to write the result to")
    options = parser.parse_args()
    listed = subprocess.run(["locale", "-a"], capture_output=True, text=True).stdout.split()
    tried = circumstances({"c", *(name.lower().replace("-", "") for name in listed)})
    if options.only:
        tried = {name: value for name, value in tried.items() if name.startswith(("undisturbed", *options.only))}
    with tempfile.TemporaryDirectory() as name:
        runs = {word: run(Path(name) / f"{number}", value) for number, (word, value) in enumerate(tried.items())}
    result = {"tried": len(runs), **compare(runs)}
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    sys.exit(0 if result["identical"] == result["tried"] else 1)


def run(folder: Path, how: Circumstances) -> dict[str, str] | str:
    """Path below results -> SHA-256 of a run's files; the end of its output where it failed."""
    checkout = Checkout.fresh(folder / how.folder)
    (checkout.folder / "smaller.yaml").write_text(yaml.safe_dump(SMALLER))
    command = [sys.executable, "-m", "snakemake", "--cores", str(how.cores), "--configfile", TINY, "smaller.yaml"]
    environment = {key: value for key, value in (os.environ | how.variables).items() if value is not None}
    done = subprocess.run(
        command, cwd=checkout.folder, env=environment, umask=how.umask, capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        return (done.stdout + done.stderr)[-4000:]
    return dict(files(checkout.folder / "results"))


def files(results: Path) -> Iterator[tuple[str, str]]:
    """Results without the hidden folders (caches, states), whose files are nobody's results."""
    for path in sorted(results.rglob("*")):
        name = path.relative_to(results)
        if path.is_file() and path.name not in TIMES and not any(part.startswith(".") for part in name.parts):
            yield str(name), sha256(path)


def compare(runs: dict[str, dict[str, str] | str]) -> dict[str, object]:
    """How many runs have the bytes of the first one, and the files in which the others differ."""
    first, different, failed = next(iter(runs.values())), {}, {}
    for name, hashes in runs.items():
        if isinstance(hashes, str) or isinstance(first, str) or not hashes.keys() >= MUST_BE_THERE:
            failed[name] = hashes if isinstance(hashes, str) else "files are missing"
            print(f"{name}: failed\n{failed[name]}", flush=True)
            continue
        changed = sorted(path for path in first.keys() | hashes.keys() if first.get(path) != hashes.get(path))
        print(f"{name}: {len(hashes)} files, {len(changed)} differ {' '.join(changed[:5])}", flush=True)
        different |= {name: changed} if changed else {}
    return {"identical": len(runs) - len(different) - len(failed), "different": different, "failed": failed}


if __name__ == "__main__":
    main()
