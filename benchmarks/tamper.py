"""Tamper with finished and interrupted runs, and run again: the right results, or one clear message.

    python benchmarks/tamper.py --cases 100 --json tamper.json

Each case takes a copy of a small run, changes something in it (a file of any kind below results/, Snakemake's records,
a cache, the state of a training), and starts one or two runs in it: of the same configuration, of another one, or with
one more language, so that the file is read. A case is clean if the run ends with the bytes of an undisturbed run of
that configuration, or with a message and no traceback. `accepted_wrong` are those that end well with other bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from intermezzo.execution import forkserver, startup  # noqa: E402 - the package beside this file

TIMEOUT = 300.0
"""Seconds after which a run counts as hanging."""
TINY = ROOT / "config/experiments/tiny.yaml"
SAME: dict[str, Any] = {
    "grid": {"mixes": ["en"], "targets": ["pos"], "seeds": [0, 1]},
    "languages": {"evaluation": ["en", "fri"]},
    "world": {"documents_scale": 0.03},
    "encoders": {"tiny": {"training": {"steps": 6}}},
}
CONFIGURATIONS = {
    "same": SAME,
    "language": SAME | {"languages": {"evaluation": ["en", "fri", "mor"]}},
    "settings": SAME | {"training": {"target": {"epochs": 2, "examples": 64}}},
    "pretraining": SAME | {"encoders": {"tiny": {"training": {"steps": 7}}}},
}
"""Name of a configuration -> what lies over tiny.yaml."""
SUMMARY = "results/summary.tsv"
RUNS = {
    ("same", ""): 2,
    ("same", SUMMARY): 2,
    ("language", ""): 5,
    ("language", SUMMARY): 1,
    ("settings", ""): 2,
    ("pretraining", ""): 1,
}
"""(configuration, target; empty = everything) -> how often it is drawn."""
TOP = ("summary.tsv", "answer.md", "scores.parquet")
DIES = "INTERMEZZO_TAMPER_DIES"
"""Environment variable: the kind of training that is to die when it has saved its second state."""


# -- runs -------------------------------------------------------------------------------------------------------------


def serve(folder: Path) -> tuple[int, int]:
    """Start a fork server for all runs; returns its process and the pipe that it lives by.

    Its jobs tokenise into the cache whatever the size, save a state at every step, and die where DIES says so.
    """
    ours, alive = os.pipe()
    process = os.fork()
    if process:
        os.close(ours)
        while not (folder / "socket").exists():
            time.sleep(0.05)
        os.environ |= {forkserver.VARIABLE: str(folder / "socket"), forkserver.PREFIX: sys.prefix}
        return process, alive
    os.close(alive)
    os.setsid()
    from intermezzo.modeling import tokens
    from intermezzo.training import states

    tokens.LEAST = 0
    states.SAVE_SECONDS, states.SAVE_SHARE = 0.0, float("inf")
    plain = states.State.save

    def save(state: Any, step: int, progress: dict[str, Any]) -> None:
        plain(state, step, progress)
        if step >= 2 and os.environ.get(DIES) == "1":
            os._exit(9)

    states.State.save = save
    forkserver.serve(folder, ours)
    os._exit(0)


@dataclass
class End:
    """How a run ended. status: None = it did not end in time."""

    status: int | None
    output: str

    @property
    def fault(self) -> str:
        if self.status is None:
            return "hang"
        return "traceback" if "Traceback (most recent" in self.output else ""


def run(folder: Path, configuration: str, *arguments: str, **variables: str) -> End:
    """Run Snakemake in a fork of this process, which has imported it."""
    overlay = folder / f"{configuration}.yaml"
    overlay.write_text(yaml.safe_dump(CONFIGURATIONS[configuration]))
    command = ["--snakefile", str(ROOT / "Snakefile"), "--cores", "1", *arguments]
    command += ["--configfile", str(TINY), str(overlay)]
    process = os.fork()
    if not process:
        os.setsid()
        os.chdir(folder)
        os.environ |= variables
        log = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(log, 1)
        os.dup2(log, 2)
        status = 1
        try:
            from snakemake import cli

            cli.main(command)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    began = time.monotonic()
    while time.monotonic() - began < TIMEOUT:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return End(os.waitstatus_to_exitcode(status), (folder / "output.txt").read_text(errors="replace"))
        time.sleep(0.02)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return End(None, (folder / "output.txt").read_text(errors="replace"))


# -- what is tampered with --------------------------------------------------------------------------------------------


KINDS: dict[str, str] = {
    "data": "results/data/**/*.parquet",
    "data record": "results/data/**/*.json",
    "encoder": "results/encoders/*/*",
    "intermediate": "results/intermediate/*/*/*/*/*",
    "target": "results/target/*/*/*/*/*/*",
    "scores of a language": "results/eval/**/*[a-z][a-z].json",
    "manifest of an evaluation": "results/eval/**/manifest.json",
    "predictions": "results/eval/**/predictions.parquet",
    "summary": "results/s[cu]*.*",
    "answer": "results/answer.md",
    "cache of predictions": "results/.cache/*.parquet",
    "cache of tokens": "results/.cache/tokens/*/*",
    "state of a training": "results/.state/*/*",
}
"""Kind of a file -> where such files lie. The last one is there in interrupted runs alone."""
READ = ("data", "encoder", "intermediate", "target", "cache of predictions", "cache of tokens", "state of a training")
"""Kinds that jobs read whatever Snakemake thinks of them: they may be changed without a trace in their times."""


class Tamper:
    """Changes of files of one folder; each returns what it did, in words. older: the same run with other settings."""

    def __init__(self, folder: Path, older: Path, drawn: random.Random) -> None:
        self.folder, self.older, self.drawn = folder, older, drawn

    def files(self, kind: str) -> list[Path]:
        return sorted(path for path in self.folder.glob(KINDS[kind]) if path.is_file())

    def delete(self, path: Path) -> None:
        path.unlink()

    def truncate(self, path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: self.drawn.randrange(len(content))] if content else b"")

    def empty(self, path: Path) -> None:
        path.write_bytes(b"")

    def flip(self, path: Path) -> None:
        content = bytearray(path.read_bytes())
        if content:
            content[self.drawn.randrange(len(content))] ^= 1 << self.drawn.randrange(8)
        path.write_bytes(content)

    def swap(self, path: Path) -> None:
        others = sorted(other for other in (self.folder / "results").rglob(f"*{path.suffix}") if _like(path, other))
        if others:
            other = self.drawn.choice(others)
            first, second = path.read_bytes(), other.read_bytes()
            path.write_bytes(second)
            other.write_bytes(first)

    def replace(self, path: Path) -> None:
        """By the file of the same name of an older run, with its time."""
        other = self.older / path.relative_to(self.folder)
        if other.is_file():
            shutil.copy2(other, path)

    def edit(self, path: Path) -> None:
        """Another number in a text; of other files another byte."""
        text = path.read_bytes()
        places = [number for number, byte in enumerate(text) if 48 <= byte <= 57]
        if not places or path.suffix not in (".json", ".tsv", ".md", ".jsonl"):
            return self.flip(path)
        place = self.drawn.choice(places)
        path.write_bytes(text[:place] + str((text[place] - 47) % 10).encode() + text[place + 1 :])

    def nonsense(self, path: Path) -> None:
        path.write_bytes(self.drawn.choice([b"{}", b"[]", b"null", b"\x00" * 100, b"<html>", b"5"]))

    def touch(self, path: Path) -> None:
        moment = time.time() + self.drawn.choice([-1e8, -3600, 3600])
        os.utime(path, (moment, moment))


def _like(path: Path, other: Path) -> bool:
    """Whether two files can be taken for each other."""
    caches = path.parent.name in (".cache", other.parent.name) and path.suffix == other.suffix
    return path != other and (path.name == other.name or caches)


ACTIONS = ("delete", "truncate", "empty", "flip", "swap", "replace", "edit", "nonsense", "touch")


def records(folder: Path, drawn: random.Random) -> str:
    """Do something with Snakemake's records; returns it in words."""
    way = drawn.choice(["keep", "keep", "remove all", "remove all", "remove some", "damage some", "copy without times"])
    entries = sorted(path for path in (folder / ".snakemake/metadata").rglob("*") if path.is_file())
    if way == "remove all":
        shutil.rmtree(folder / ".snakemake")
    elif way == "remove some":
        for path in drawn.sample(entries, len(entries) // drawn.choice([2, 5, 20])):
            path.unlink()
    elif way == "damage some":
        for path in drawn.sample(entries, len(entries) // 5):
            path.write_bytes(path.read_bytes()[: drawn.randrange(200)])
    elif way == "copy without times":
        copy = folder.with_name(f"{folder.name}-copy")
        shutil.copytree(folder, copy, copy_function=shutil.copyfile)
        shutil.rmtree(folder)
        copy.rename(folder)
        if drawn.random() < 0.5:
            shutil.rmtree(folder / ".snakemake")
            way += " and records"
    return way


def tampered(folder: Path, older: Path, drawn: random.Random, *, interrupted: bool) -> str:
    """Tamper with a run in `folder`; returns what was done, in words."""
    tamper, words = Tamper(folder, older, drawn), []
    if drawn.random() < 0.85:
        kind = "state of a training" if interrupted else drawn.choice([*KINDS][:-1])
        action = drawn.choice(ACTIONS)
        if files := tamper.files(kind):
            path = drawn.choice(files)
            before = path.stat()
            getattr(tamper, action)(path)
            words.append(f"{action} {path.relative_to(folder)} ({kind})")
            if kind in READ and path.exists() and drawn.random() < 0.3:
                os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
                words.append("with its time as before")
    return ", ".join([*words, f"records: {records(folder, drawn)}"])


# -- cases ------------------------------------------------------------------------------------------------------------


class Cases:
    """Undisturbed runs of every configuration, and cases made of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in CONFIGURATIONS:
            place = folder / name
            if name == "same":
                place.mkdir()
            else:
                shutil.copytree(folder / "same", place)
            self._must(run(place, name), 0)
            print(f"undisturbed: {name}", flush=True)
        self.interrupted = folder / "interrupted"
        shutil.copytree(folder / "same", self.interrupted)
        for model in list(self.interrupted.glob("results/target/tiny/none/none/*/pos")):
            shutil.rmtree(model)
        self._must(run(self.interrupted, "same", **{DIES: "1"}), 1)
        if not list(self.interrupted.glob("results/.state/*/state*")):
            raise SystemExit("no training was interrupted")

    def _must(self, end: End, status: int) -> None:
        if end.status != status:
            raise SystemExit(f"a run without any tampering ended with {end.status}:\n{end.output[-3000:]}")

    def case(self, number: int, seed: int) -> dict[str, Any]:
        """One case; `fault` is empty if it is clean."""
        drawn = random.Random(f"{seed} {number}")
        interrupted = drawn.random() < 0.12
        folder = self.folder / f"case{number}"
        shutil.copytree(self.interrupted if interrupted else self.folder / "same", folder)
        done = tampered(folder, self.folder / drawn.choice(["settings", "pretraining"]), drawn, interrupted=interrupted)
        runs = drawn.choices(list(RUNS), list(RUNS.values()), k=drawn.choice([1, 1, 2]))
        variables = {"INTERMEZZO_PLAIN_SNAKEMAKE": "1"} if drawn.random() < 0.15 else {}
        result: dict[str, Any] = {"case": number, "done": done, "runs": [], "fault": ""} | variables
        for configuration, target in runs:
            arguments = [target] if target else []
            end = run(folder, configuration, *arguments, **variables)
            result["runs"].append({"configuration": configuration, "arguments": arguments, "status": end.status})
            result["fault"] = end.fault or (self.wrong(folder, configuration) if end.status == 0 else self.silent(end))
            if result["fault"]:
                result["output"] = end.output[-6000:]
            if result["fault"] or end.status:
                result["message"] = "\n".join(line for line in end.output.splitlines() if "error: " in line)[:600]
                break
        if not result["fault"]:
            shutil.rmtree(folder)
        return result

    def wrong(self, folder: Path, configuration: str) -> str:
        """The results of a run that differ from those of an undisturbed one."""
        right = self.folder / configuration / "results"
        names = [*TOP, *(str(path.relative_to(right)) for path in right.glob("eval/**/*.*"))]
        differing = [name for name in names if not _same(folder / "results" / name, right / name)]
        return f"accepted_wrong: {', '.join(differing[:5])}" if differing else ""

    def silent(self, end: End) -> str:
        return "" if "error: " in end.output or "Error" in end.output else "no message"


def _same(path: Path, right: Path) -> bool:
    return path.is_file() and path.read_bytes() == right.read_bytes()


def measure(cases: int, seed: int, tell: Callable[[str], None] = print) -> dict[str, Any]:
    """Run so many cases; the counts, and the cases that are not clean."""
    forkserver_start, environment = startup.forkserver.start, dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="tamper-") as name:
        (Path(name) / "server").mkdir()
        process, alive = serve(Path(name) / "server")
        startup.forkserver.start = lambda: None  # all runs have the one server
        try:
            import snakemake.cli  # noqa: F401 - for all forks

            made = Cases(Path(name))
            results = []
            for number in range(cases):
                results.append(made.case(number, seed))
                tell(f"{number}: {results[-1]['done']}: {words(results[-1])}")
        finally:
            startup.forkserver.start = forkserver_start
            os.environ.clear()
            os.environ |= environment
            os.close(alive)
            os.waitpid(process, 0)
    faults = Counter(result["fault"].partition(":")[0] for result in results)
    counts = {name: faults[name] for name in ("traceback", "accepted_wrong", "hang")}
    counts["traceback"] += faults["no message"]
    refused = sum(bool(result["runs"][-1]["status"]) for result in results if not result["fault"])
    summary = {"tried": cases, "clean": faults[""], "refused": refused} | counts
    return summary | {"cases": [result for result in results if result["fault"]]}


def words(result: dict[str, Any]) -> str:
    """How a case ended."""
    runs = ", ".join(f"{' '.join([run['configuration'], *run['arguments']])} {run['status']}" for run in result["runs"])
    return f"{runs}: {result['fault'] or result.get('message') or 'identical'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file to write the result to")
    options = parser.parse_args()
    result = measure(options.cases, options.seed, lambda line: print(line, flush=True))
    print(json.dumps({name: value for name, value in result.items() if name != "cases"}))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    if result["traceback"] or result["accepted_wrong"] or result["hang"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
