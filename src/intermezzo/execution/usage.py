"""What a job has used: CPU seconds, memory and time, a line of `logs/usage.jsonl` for each.

Snakemake's `benchmark:` measures the process that it starts; where that is the client of a fork server, the job is
elsewhere, and only the wall time is its own. So a job reports itself, wherever it runs. Nothing depends on this file.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOG = Path("logs/usage.jsonl")
_KIB = 2**10 if sys.platform != "darwin" else 1
"""Bytes that `ru_maxrss` counts in."""


@contextmanager
def recorded(options: Namespace) -> Iterator[None]:
    """Append what the block has used to the log, if it was a stage and came to its end; one write, so lines stay whole.

    Peak memory of a fork contains what it shares with its parent (torch and transformers, 400 MB).
    """
    began = time.monotonic()
    yield
    output = getattr(options, "out", None) or getattr(options, "summary", None)
    if output is None or not LOG.parent.is_dir():
        return
    process, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = sum(used.ru_utime + used.ru_stime for used in (process, children))
    line = {"made": str(output), "seconds": round(time.monotonic() - began, 3), "cpu_seconds": round(cpu, 3)}
    line["peak_mb"] = round(max(process.ru_maxrss, children.ru_maxrss) * _KIB / 1e6)
    try:
        log = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(log, (json.dumps(line) + "\n").encode())
        finally:
            os.close(log)
    except OSError:  # a log that cannot be written stops no job
        pass


def reports(path: Path = LOG) -> dict[str, list[dict[str, float]]]:
    """Place of what a job made, below `results` and without an ending -> its reports, the last one at the end.

    Lines that a kill has cut off are left out.
    """
    by_place: dict[str, list[dict[str, float]]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return by_place
    for line in lines:
        try:
            content = json.loads(line)
            made = Path(content["made"])
            content = {"seconds": float(content["seconds"]), "cpu_seconds": float(content["cpu_seconds"])} | content
        except (ValueError, KeyError, TypeError):
            continue
        parts = made.with_suffix("").parts if made.suffix in (".parquet", ".tsv") else made.parts
        below = parts[parts.index("results") + 1 :] if "results" in parts else parts
        by_place.setdefault("/".join(below), []).append(content)
    return by_place
