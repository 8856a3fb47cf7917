"""What Snakemake prints of a job and of progress: short lists of files (a reason had 26,000 characters), time left."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from intermezzo.execution.snakemake_internals.support import feature

_FILES, _CHARACTERS = 3, 300
_INSTALLED = "_intermezzo_short"
"""An attribute of the patched methods."""


@feature("lists of files in `snakemake -n` are printed whole", documented=True)  # logger plugins use the formatter, too
def install_short_lines() -> bool:
    """Patch Snakemake's formatter of messages in this process: long lists of files end in "and N more"."""
    from snakemake.logging import DefaultFormatter as formatter

    plain = (formatter.format_job_info, formatter.format_job_error)
    if not hasattr(plain[0], _INSTALLED):
        formatter.format_job_info, formatter.format_job_error = map(_shortened, plain)
    return True


@feature("the progress line says nothing of time", documented=True)
def install_progress(words: Callable[[int, int], str]) -> bool:
    """Patch Snakemake's formatter of messages in this process: `words` of done and all jobs end the progress line."""
    from snakemake.logging import DefaultFormatter as formatter

    plain = getattr(formatter.format_progress, "__wrapped__", formatter.format_progress)

    @wraps(plain)
    def formatted(self: Any, message: dict[str, Any]) -> str:
        return f"{plain(self, message)}{words(message['done'], message['total'])}"

    formatter.format_progress = formatted
    return True


def _shortened(plain: Callable[..., str]) -> Callable[..., str]:
    """A method that formats a message on a job, with short lists."""

    @wraps(plain)
    def formatted(formatter: Any, message: dict[str, Any]) -> str:
        short: dict[str, Any] = {name: short_list(message[name]) for name in ("input", "output") if message.get(name)}
        if message.get("reason"):
            short["reason"] = short_reason(str(message["reason"]))
        return plain(formatter, message | short)

    setattr(formatted, _INSTALLED, True)
    return formatted


def short_list(names: list[str]) -> list[str]:
    """The first names, and how many more there are."""
    names = list(map(str, names))
    return [*names[:_FILES], f"and {len(names) - _FILES} more"] if len(names) > _FILES + 1 else names


def short_reason(reason: str) -> str:
    """A reason of Snakemake's: parts joined by "; ", each a sentence that may end in a list of files, in no order."""
    return "; ".join(map(_short_part, reason.split("; ")))


def _short_part(part: str) -> str:
    head, colon, files = part.partition(": ")
    if colon and not re.search("params|[{}]", part, flags=re.IGNORECASE):
        part = f"{head}: {', '.join(short_list(sorted(files.split(', '))))}"
    if len(part) > _CHARACTERS:
        part = f"{part[:_CHARACTERS].rstrip()} ... (`intermezzo why` names what has changed)"
    return part
