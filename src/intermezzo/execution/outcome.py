"""What a run says at its end: the message of each job that failed, or the verdicts of the answer.

Other jobs go on after one has failed, so its message stands far above the end of the run, amid Snakemake's own words.
It is read from the job's log, where the stage has left it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

ANSWER, REPORT = "results/answer.md", "results/report.html"
_LABEL = re.compile(r"\[[^\]]*\] ")
_MOST_JOBS, _MOST_LINES, _MOST_CHARACTERS = 20, 6, 400
_END_BYTES = 65536


def verdicts(answer: Path) -> list[str]:
    """The lines of an answer that have its verdicts: the first paragraph below the title. None of a file elsewhere."""
    paragraphs = answer.read_text(encoding="utf-8").split("\n\n") if answer.is_file() else []
    return paragraphs[1].replace("**", "").splitlines() if len(paragraphs) > 1 else []


class FailedJob(NamedTuple):
    """A job in words, and its log files."""

    name: str
    logs: tuple[str, ...]


def failures(jobs: Iterable[FailedJob], since: float) -> str:
    """The messages of failed jobs, each once, with the log file; "" where no job failed.

    since: when the run began (seconds since the epoch). An older log is that of an earlier run.
    """
    by_message: dict[str, list[tuple[str, str]]] = {}
    for job in sorted(jobs):
        message, log = _message(job.logs, since)
        by_message.setdefault(message or "it has left no message", []).append((job.name, log))
    if not by_message:
        return ""
    count = sum(map(len, by_message.values()))
    lines = [f"error: {count} job{' has' if count == 1 else 's have'} failed:"]
    for message, same in [*by_message.items()][:_MOST_JOBS]:
        name, log = same[0]
        others = f", and {len(same) - 1} more with the same message" if len(same) > 1 else ""
        lines.append(f"  {name} ({log}{others}):")
        lines += [f"    {line}" for line in message.splitlines()]
    if len(by_message) > _MOST_JOBS:
        lines.append(f"  ... and {len(by_message) - _MOST_JOBS} other messages: see above")
    return "\n".join(lines)


def _message(logs: Iterable[str], since: float) -> tuple[str, str]:
    """The message in the first of the logs that has one, and that log; "" where none has."""
    log = "no log"
    for log in logs:
        path = Path(log)
        if path.is_file() and path.stat().st_mtime >= since - 1:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - _END_BYTES))
                text = file.read().decode("utf-8", errors="replace")
            if message := message_in(text):
                return message, log
    return "", log


def message_in(log: str) -> str:
    """The end of a stage's log that tells why it failed, shortened: our own message, or the error of a traceback."""
    lines = [_LABEL.sub("", line, count=1) if line.startswith("[") else line for line in log.splitlines()]
    lines = [line for line in lines if line.strip()]
    begins = [number for number, line in enumerate(lines) if line.startswith("error: ")]
    tracebacks = [number for number, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    if begins and (not tracebacks or tracebacks[-1] < begins[-1]):
        words = [lines[begins[-1]].removeprefix("error: "), *lines[begins[-1] + 1 :]]
    elif tracebacks:
        after = lines[tracebacks[-1] + 1 :]
        words = [line for line in after if not line.startswith((" ", "Traceback"))][:1]
    else:
        words = lines[-1:]
    more = ["..."] if len(words) > _MOST_LINES else []
    return "\n".join([*map(_shortened, words[:_MOST_LINES]), *more])


def _shortened(line: str) -> str:
    return line if len(line) <= _MOST_CHARACTERS else line[: _MOST_CHARACTERS - 4].rstrip() + " ..."
