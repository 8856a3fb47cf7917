"""`python -m intermezzo why TARGET`: what would run again for a target and because of which change, in words.

What runs is what `snakemake -n` says, from its own plan. Why it runs is read off what Snakemake recorded when the files
were made: the specification of each job, compared key by key with the present one; the fingerprint of its code, whose
modules a run notes in .snakemake (`runlock`); its input files. A job without a change of its own follows from another.
"""

from __future__ import annotations

import ast
import io
import json
import os
import re
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from intermezzo.cli.commands.changes import Naming, differences
from intermezzo.config import load
from intermezzo.core.errors import UserError
from intermezzo.dag.fingerprint import COMPONENTS, PACKAGE
from intermezzo.execution.runlock import noted

SHOWN = 10
"""Jobs that are listed for one cause."""
FOLLOWS = "what it is made from is made again"


def why(options: Namespace) -> None:
    """Print the causes of everything that would run for `options.targets` (files or rules; none: everything)."""
    beside = Path("src/intermezzo")
    if Path("Snakefile").is_file() and beside.is_dir() and beside.resolve() != PACKAGE:
        raise SystemExit(_by_the_code_beside(beside.resolve().parent))
    load(*options.overlays)  # what is wrong with them is better said here
    for line in report(planned(options.targets, options.overlays), options.targets):
        print(line)


def _by_the_code_beside(source: Path) -> int:
    """Ask the package beside the Snakefile, as jobs run that one, whatever is installed."""
    path = os.pathsep.join(filter(None, [str(source), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "intermezzo", *sys.argv[1:]]
    return subprocess.run(command, env=os.environ | {"PYTHONPATH": path}).returncode


def planned(targets: list[str], overlays: list[Path]) -> Any:
    """Snakemake's workflow after a dry run. Raises UserError with Snakemake's message if there is none."""
    import snakemake.cli  # before what it imports in a circle
    from snakemake.workflow import Workflow

    seen, plain = [], Workflow.execute

    def execute(workflow: Workflow, *others: Any, **named: Any) -> Any:
        seen.append(workflow)
        return plain(workflow, *others, **named)

    arguments = ["--dry-run", "--configfile", *map(str, overlays)] if overlays else ["--dry-run"]
    if not Path("Snakefile").is_file():
        arguments += ["--snakefile", str(PACKAGE.parents[1] / "Snakefile")]
    Workflow.execute = execute
    try:
        with (
            redirect_stderr(io.StringIO()),
            redirect_stdout(io.StringIO()),
        ):  # bare --quiet ends before jobs count as run
            snakemake.cli.main(["--quiet", *arguments, "--", *targets])
    except SystemExit as end:
        if end.code:
            raise UserError(_complaint([*arguments, "--", *targets])) from None
    finally:
        Workflow.execute = plain
    return seen[0]


def _complaint(arguments: list[str]) -> str:
    """What Snakemake has to say against a command, which it does not when it is quiet."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    said = subprocess.run([sys.executable, "-m", "snakemake", *arguments], **streams).stdout
    said = said.rpartition("Building DAG of jobs...")[2]
    lines = [
        line for line in said.splitlines() if line and not re.match("Using work|Config file|Assuming|SNAKEMAKE|=", line)
    ]
    return "\n".join(lines).removeprefix("error: ")


def report(workflow: Any, targets: list[str]) -> Iterator[str]:
    """The answer, line by line: causes with most to tell first, what merely follows last."""
    asked = ", ".join(targets) or "the experiment"
    found: dict[str, list[str]] = {}
    causes = Causes(workflow)
    jobs = [job for job in workflow.dag.needrun_jobs() if not job.rule.norun]
    for job in sorted(jobs, key=lambda job: (-job.priority, str(job.message))):
        for cause in causes.of(job):
            found.setdefault(cause, []).append(str(job.message))
    if not jobs:
        yield f"{asked}: nothing would run, everything is up to date"
        return
    yield f"{asked}: {_count(len(jobs))} would run"
    for cause in sorted(found, key=lambda cause: cause == FOLLOWS):
        yield ""
        yield f"{_count(len(found[cause]))}, because {cause}:"
        yield from (f"  {job}" for job in found[cause][:SHOWN])
        if (more := len(found[cause]) - SHOWN) > 0:
            yield f"  ... and {more} more"


def _count(jobs: int) -> str:
    return f"{jobs} job{'' if jobs == 1 else 's'}"


class Causes:
    """Why jobs of a planned workflow would run."""

    def __init__(self, workflow: Any) -> None:
        self.workflow, self.records = workflow, workflow.persistence
        self.naming = Naming(workflow.globals["grid"])
        self.modules = noted(Path(self.records.path)) | COMPONENTS

    def of(self, job: Any) -> list[str]:
        """The causes of one job, in words that follow "because"."""
        reason = self.workflow.dag.reason(job)
        record = next(filter(None, map(self.records.metadata, job.output)), None)
        if record is None:
            new = all(not Path(path).exists() for path in job.output)
            return ["it has not been made yet" if new else "nothing is recorded of how it was made"]
        if not self.workflow.dag.forcefiles.isdisjoint(job.output):
            return ["it was interrupted when it was last made"]
        missing = [str(path) for path in job.output if self.records.metadata(path) and not Path(path).exists()]
        causes = [f"{_some(missing)} missing"] if missing else []
        causes += self._parameters(job, record)
        if changed := sorted(map(str, reason.updated_input - reason.updated_input_run)):
            causes.append(f"{_some(changed)} newer, with other content than was used")
        if reason.code_changed:
            causes.append(f"the command of the rule {job.rule.name} has changed")
        if reason.software_stack_changed:
            causes.append("its software environment has changed")
        if not causes and (files := _files(record.input or [], map(str, job.input))):
            causes.append(files)
        return causes or [FOLLOWS]

    def _parameters(self, job: Any, record: Any) -> Iterator[str]:
        """What differs between the recorded parameters, which have no names, and the present ones."""
        now = {name: value for name, value in job.params.items() if isinstance(value, str)}
        recorded = {ast.literal_eval(text) for text in record.params or [] if text[:1] in "'\""}
        old = recorded - set(now.values())
        if now.get("spec") not in recorded and (before := _like(now.get("spec", ""), old)):
            yield from self.naming.words(job, differences(before, json.loads(now["spec"])))
        if "code" in now and now["code"] not in recorded:
            yield from self._code(now["code"], old, record.endtime or 0)

    def _code(self, now: str, old: set[str], made: float) -> Iterator[str]:
        """Names of the modules that have changed: exactly if they were noted, else those edited since."""
        hashes = json.loads(now) if now.startswith("{") else {"": now}
        before = (
            _like(now, old) if now.startswith("{") else {"": next((text for text in old if text in self.modules), "")}
        )
        changed: set[str] = set()
        for name, value in hashes.items():
            was, present = self.modules.get((before or {}).get(name, "")), self.modules.get(value, {})
            if was is None:
                changed |= {part for part in present if _edited(part) > made}
            elif (before or {}).get(name) != value:
                changed |= {part for part in was.keys() | present.keys() if was.get(part) != present.get(part)}
        named = sorted(part.removeprefix("intermezzo.").removeprefix("resource ") for part in changed)
        yield f"code has changed: {', '.join(named)}" if named else "its code has changed"


def _like(text: str, old: Iterable[str]) -> dict[str, Any] | None:
    """The recorded JSON that has most keys in common with the present one."""
    present = json.loads(text) if text.startswith("{") else {}
    found = [json.loads(one) for one in old if re.match(r'\{"', one)]
    return max(found, key=lambda one: len(one.keys() & present.keys()), default=None)


def _edited(part: str) -> float:
    """When the file of a module was last written."""
    base = PACKAGE.joinpath(*part.split(".")[1:])
    return max(
        (path.stat().st_mtime for path in (base.with_suffix(".py"), base / "__init__.py") if path.exists()), default=0.0
    )


def _files(before: list[str], now: Iterable[str]) -> str:
    """What was added to the input files of a job, and taken from them."""
    present = set(now)
    gained, lost = sorted(present - set(before)), sorted(set(before) - present)
    words = [f"{word} {_names(names)}" for word, names in (("gained", gained), ("lost", lost)) if names]
    return f"its input files have {' and '.join(words)}" if words else ""


def _names(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _some(names: list[str]) -> str:
    return f"{_names(names)} {'is' if len(names) == 1 else 'are'}"
