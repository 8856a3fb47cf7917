"""The one exception that users see: what is wrong, where, and how to mend it."""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterable
from pathlib import Path


class UserError(Exception):
    """A problem that the user can mend.

    The command line prints the message alone (no traceback) and exits with status 2. A message names the
    key or file, the value found, what is allowed and, where there is one, the mend.
    """


def suggestion(name: str, allowed: Iterable[str], *, listed: int = 12) -> str:
    """Return "did you mean 'x'? allowed: a, b, c" for an unknown `name`.

    At most `listed` allowed names are spelt out, the closest ones first.
    """
    names = sorted(set(allowed))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    shown = names if len(names) <= listed else [*difflib.get_close_matches(name, names, n=listed, cutoff=0.0)]
    more = "" if len(names) <= listed else f", ... ({len(names)} in all)"
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}allowed: {', '.join(shown) or '(none)'}{more}"


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def describe_os_error(error: BaseException, files: Iterable[str | Path] = ()) -> str | None:
    """What the machine, and not the program, has done wrong, in one sentence; None for everything else.

    files: those that a job was given or writes. A file that is missing is the user's to mend only if it is one of
    them, or lies in a folder that is, or below results/; any other one is a mistake of the program, which must show.
    Libraries that write files by themselves (safetensors, torch) give no number of the error, but its text.
    """
    number, text = getattr(error, "errno", None), str(error)
    name = getattr(error, "filename", None)
    if number in _FULL or "No space left" in text or "os error 28" in text or "PytorchStreamWriter" in text:
        where = f" ({name})" if name else ""
        return f"no space left on the disk{where}; make room and run again, trainings go on from their last states"
    if number in _REFUSED and name:
        return (
            f"{name}: cannot be opened or written ({getattr(error, 'strerror', text)}); see to its rights and run again"
        )
    if isinstance(error, FileNotFoundError):
        quoted = re.search(r"'([^']+)'", text)
        missing = name or (quoted[1] if quoted else "")
        if missing and _is_within(Path(os.fsdecode(missing)), [Path("results"), *files]):
            return f"{missing}: no such file, though it was there when the run was planned; run again"
    return None


def _is_within(path: Path, places: Iterable[str | Path]) -> bool:
    """Is `path` one of `places`, or below one?"""
    absolute = path.absolute()
    return any(absolute.is_relative_to(Path(place).absolute()) for place in places)
