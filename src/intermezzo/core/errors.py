"""The one exception that users see: what is wrong, where, and how to mend it."""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable


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


def in_words(error: BaseException) -> str | None:
    """What the machine, and not the program, has done wrong, in one sentence; None for everything else.

    Libraries that write files by themselves (safetensors, torch) give no number of the error, but its text.
    """
    number, text = getattr(error, "errno", None), str(error)
    name = getattr(error, "filename", None)
    if number in _FULL or "No space left" in text or "os error 28" in text or "PytorchStreamWriter" in text:
        where = f" ({name})" if name else ""
        return f"no space left on the disk{where}; make room and run again, trainings go on from their last states"
    if number in _REFUSED and name:
        return f"{name}: cannot be opened or written ({error.strerror}); see to its rights and run again"
    if isinstance(error, FileNotFoundError):
        quoted = re.search(r"'([^']+)'", text)
        missing = name or (quoted[1] if quoted else text)
        return f"{missing}: no such file, though it was there when the run was planned; run again"
    return None
