"""`intermezzo why TARGET`: what would run again for a target and because of which change, in words.

What runs is what `snakemake -n` says, from its own plan. Why it runs is read from what Snakemake recorded when the
files were made: the specification of each job, compared key by key with the present one; the fingerprint of its code,
whose modules a run records in .snakemake (`runlock`); its input files. A job without a change of its own follows from
another.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from intermezzo.cli.commands.changes import Naming
from intermezzo.cli.output import show
from intermezzo.core.differences import differences
from intermezzo.core.errors import UserError
from intermezzo.dag.fingerprint import COMPONENTS, PACKAGE
from intermezzo.dag.preflight import load_experiment
from intermezzo.execution.runlock import recorded_components
from intermezzo.execution.snakemake_internals import PlannedJob, dry_run, unsupported
from intermezzo.execution.snakemake_internals.plan import Plan, Record

SHOWN = 10
"""Jobs that are listed for one cause."""
FOLLOWS = "what it is made from is made again"


def why(options: Namespace) -> None:
    """Print the causes of everything that would run for `options.targets` (files or rules; none: everything)."""
    beside = Path("src/intermezzo")
    if Path("Snakefile").is_file() and beside.is_dir() and beside.resolve() != PACKAGE:
        raise SystemExit(_by_the_code_beside(beside.resolve().parent))
    load_experiment(options.overlays)  # what is wrong with them is better said here
    plan = planned(options.targets, options.overlays)
    causes = jobs_by_cause(plan)
    jobs = [{"rule": job.rule, "message": job.message, "outputs": job.outputs} for job in plan.jobs]
    show(options, report(plan, causes, options.targets), {"jobs": jobs, "causes": causes})


def _by_the_code_beside(source: Path) -> int:
    """Ask the package beside the Snakefile, as jobs run that one, whatever is installed."""
    path = os.pathsep.join(filter(None, [str(source), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "intermezzo", *sys.argv[1:]]
    return subprocess.run(command, env=os.environ | {"PYTHONPATH": path}).returncode


def planned(targets: list[str], overlays: list[Path]) -> Plan:
    """Snakemake's plan. Raises UserError with Snakemake's message if there is none, and where it cannot be read."""
    arguments = ["--configfile", *map(str, overlays)] if overlays else []
    if not Path("Snakefile").is_file():
        arguments += ["--snakefile", str(PACKAGE.parents[1] / "Snakefile")]
    arguments += ["--", *targets]
    try:
        plan = dry_run(arguments)
    except SystemExit:
        raise UserError(_complaint(["--dry-run", *arguments])) from None
    if plan is None:
        reason = unsupported() or "its plan is not as expected"
        raise UserError(f"why: Snakemake's plan cannot be read ({reason}); snakemake -n says what would run")
    return plan


def _complaint(arguments: list[str]) -> str:
    """What Snakemake has to say against a command, which it does not when it is quiet."""
    command = [sys.executable, "-m", "snakemake", *arguments]
    output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    output = output.rpartition("Building DAG of jobs...")[2]
    noise = re.compile("Using work|Config file|Assuming|SNAKEMAKE|=|$")
    return "\n".join(line for line in output.splitlines() if not noise.match(line)).removeprefix("error: ")


def jobs_by_cause(plan: Plan) -> dict[str, list[str]]:
    """Cause, in words -> its jobs, in words: causes with most to tell first, what merely follows last."""
    jobs_of: dict[str, list[str]] = {}
    causes = Causes(plan)
    for job in sorted(plan.jobs, key=lambda job: (-job.priority, job.message)):
        for cause in causes.of(job):
            jobs_of.setdefault(cause, []).append(job.message)
    return dict(sorted(jobs_of.items(), key=lambda item: item[0] == FOLLOWS))


def report(plan: Plan, causes: dict[str, list[str]], targets: list[str]) -> Iterator[str]:
    """The answer, line by line."""
    scope = ", ".join(targets) or "the experiment"
    if not plan.jobs:
        yield f"{scope}: nothing would run, everything is up to date"
        return
    yield f"{scope}: {_count(len(plan.jobs))} would run"
    for cause, jobs in causes.items():
        yield ""
        yield f"{_count(len(jobs))}, because {cause}:"
        yield from (f"  {job}" for job in jobs[:SHOWN])
        if (more := len(jobs) - SHOWN) > 0:
            yield f"  ... and {more} more"


def _count(jobs: int) -> str:
    return f"{jobs} job{'' if jobs == 1 else 's'}"


class Causes:
    """Why jobs of a plan would run."""

    def __init__(self, plan: Plan) -> None:
        self.naming = Naming(plan.variables["grid"])
        self.components = recorded_components(plan.folder) | COMPONENTS

    def of(self, job: PlannedJob) -> list[str]:
        """The causes of one job, in words that follow "because"."""
        if job.altered:
            return [job.altered]
        if job.record is None:
            new = all(not Path(path).exists() for path in job.outputs)
            return ["it has not been made yet" if new else "nothing is recorded of how it was made"]
        if job.interrupted:
            return ["it was interrupted when it was last made"]
        causes = [f"{_some(job.missing)} missing"] if job.missing else []
        causes += self._parameters(job, job.record)
        if job.changed_inputs:
            causes.append(f"{_some(job.changed_inputs)} newer, with other content than was used")
        if job.command_changed:
            causes.append(f"the command of the rule {job.rule} has changed")
        if job.environment_changed:
            causes.append("its software environment has changed")
        if not causes and (files := _files(job.record.inputs, job.inputs)):
            causes.append(files)
        return causes or [FOLLOWS]

    def _parameters(self, job: PlannedJob, record: Record) -> Iterator[str]:
        """What differs between the recorded parameters, which have no names, and the present ones."""
        now = {name: value for name, value in job.parameters.items() if isinstance(value, str)}
        recorded = {ast.literal_eval(text) for text in record.parameters if text[:1] in "'\""}
        old = recorded - set(now.values())
        if now.get("spec") not in recorded and (before := _like(now.get("spec", ""), old)):
            yield from self.naming.words(job, differences(before, json.loads(now["spec"])))
        if "code" in now and now["code"] not in recorded:
            yield from self._code(now["code"], old, record.ended)

    def _code(self, now: str, old: set[str], ended: float) -> Iterator[str]:
        """Names of the modules that have changed: exactly if they were recorded, else those edited since."""
        hashes = json.loads(now) if now.startswith("{") else {"": now}
        if now.startswith("{"):
            before = _like(now, old) or {}
        else:
            before = {"": next((text for text in old if text in self.components), "")}
        changed: set[str] = set()
        for name, value in hashes.items():
            was, present = self.components.get(before.get(name, "")), self.components.get(value, {})
            if was is None:
                changed |= {part for part in present if _edited(part) > ended}
            elif before.get(name) != value:
                changed |= {part for part in was.keys() | present.keys() if was.get(part) != present.get(part)}
        names = sorted(part.removeprefix("intermezzo.").removeprefix("resource ") for part in changed)
        yield f"code has changed: {', '.join(names)}" if names else "its code has changed"


def _like(text: str, old: Iterable[str]) -> dict[str, Any] | None:
    """The recorded JSON that has most keys in common with the present one."""
    present = json.loads(text) if text.startswith("{") else {}
    candidates = [json.loads(value) for value in old if re.match(r'\{"', value)]
    return max(candidates, key=lambda value: len(value.keys() & present.keys()), default=None)


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
