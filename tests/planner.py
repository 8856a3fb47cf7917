"""Dry runs of checkouts, each in a fork of one process that has imported Snakemake."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import yaml

from checkout import TINY, Checkout

PLANNER = """
import asyncio, json, os, sys
from pathlib import Path
import pandas, pydantic, yaml
from snakemake import cli, workflow

async def record(planned):
    planned.iocache.deactivate()
    for level in planned.dag.toposorted():
        for job in level:
            for path in map(Path, job.output):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch(exist_ok=True)
            await planned.persistence.finished(job)

def execute(planned, *arguments, plain=workflow.Workflow.execute, **named):
    plain(planned, *arguments, **named)
    if job["record"]:
        asyncio.run(record(planned))

workflow.Workflow.execute = execute
for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if not child:
        os.chdir(job["folder"])
        log = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.path[:0] = job["path"]
        status = 1
        try:
            cli.main(job["arguments"])
        except SystemExit as end:
            status = end.code
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Plans one grid after the other, each in a fork, as importing Snakemake costs as much as planning the tiny grid. On
request it records all jobs as Snakemake does when they are done, with empty files for what is not there."""


class Planner:
    """Dry runs of checkouts."""

    def __init__(self) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "INTERMEZZO"))}
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, "-c", PLANNER], env=clean, **streams)

    def __call__(
        self,
        checkout: Checkout,
        settings: dict[str, Any],
        *arguments: str,
        path: Sequence[str] = (),
        record: bool = False,
    ) -> set[str]:
        """The jobs of a dry run, in the words of the rules' messages (without the target `summary` itself)."""
        (checkout.folder / "changes.yaml").write_text(yaml.safe_dump(settings))
        command = ["--cores", "2", "--dry-run", *arguments, "--configfile", TINY, "changes.yaml"]
        job = {"folder": str(checkout.folder), "arguments": command, "path": list(path), "record": record}
        print(json.dumps(job), file=self.process.stdin, flush=True)
        status, output = int(self.process.stdout.readline()), (checkout.folder / "output.txt").read_text()
        assert status == 0, output
        planned = set(re.findall(r"^ *Job \d+: (?!Everything)(.*)$", output, flags=re.MULTILINE))
        assert bool(planned) != ("Nothing to be done" in output), output
        return planned
