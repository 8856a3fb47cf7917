"""The one exception that users see: what is wrong, where, and how to mend it."""

from __future__ import annotations

import difflib
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
