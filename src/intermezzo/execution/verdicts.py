"""The last lines of a run: the verdicts of its answer, if it has made one."""

from __future__ import annotations

import sys
from pathlib import Path

ANSWER = Path("results/answer.md")
_before: int | None = None


def remember() -> None:
    """Called when a run starts: which answer there is already."""
    global _before
    _before = _stamp()


def show() -> None:
    """Called when a run has ended well: print the verdicts of a new answer, which are the lines below its title."""
    if (stamp := _stamp()) is not None and stamp != _before:
        paragraphs = ANSWER.read_text(encoding="utf-8").split("\n\n")
        lines = paragraphs[1].splitlines() if len(paragraphs) > 1 else []
        print("", *(line.replace("**", "") for line in lines), f"More: {ANSWER}", sep="\n", file=sys.stderr)


def _stamp() -> int | None:
    return ANSWER.stat().st_mtime_ns if ANSWER.is_file() else None
