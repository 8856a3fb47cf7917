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


_LIMITS = {
    errno.ENOSPC: "no space left on the disk{where}; make room",
    errno.EDQUOT: "the quota on the disk is used up{where}; make room, or ask for more",
    errno.EFBIG: "a file reached the limit of its size{where}; raise it (`ulimit -f`, or the file system's)",
    errno.EMFILE: "too many open files{where}; raise the limit (`ulimit -n`)",
    errno.ENFILE: "too many open files on this machine{where}; end other programs",
    errno.EAGAIN: "no further process or thread can be started; raise the limit (`ulimit -u`), or use fewer cores",
    errno.ENOMEM: (
        "out of memory{where}; give the job more (`ulimit -v`, the scheduler's limit, fewer jobs at a time), or lower "
        "max_length, batch_size or the size of the encoder"
    ),
    errno.E2BIG: "a command line is longer than this machine takes; raise the limit of the stack (`ulimit -s`)",
    errno.EIO: "the disk cannot be read or written{where}; see to it",
    errno.ESTALE: "the network disk has lost a file{where}; see to it",
    errno.ENAMETOOLONG: "a path is longer than the disk takes{where}; use shorter names or a folder further up",
}
"""What a number of the operating system means, and the mend. {where}: the file, where it is known."""
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NUMBER = re.compile(r"(?:os error|errno) (\d+)", re.IGNORECASE)
_TEXTS = {
    errno.ENOSPC: re.compile(
        r"no space left on device|PytorchStreamWriter|inline_container.*unexpected pos|iostream error", re.IGNORECASE
    ),
    errno.EAGAIN: re.compile(r"can't start new thread|resource temporarily unavailable", re.IGNORECASE),
    errno.ENOMEM: re.compile(
        r"out ?of ?memory|not enough memory|(?:can't|cannot|unable to) allocate|failed to map segment|bad_alloc"
        r"|_ALLOC_FAILED|could not create a (?:primitive|memory object)$",
        re.IGNORECASE,
    ),
}
"""How libraries in C++ and Rust (torch, oneDNN, tokenizers, safetensors, CUDA) say it, who give no number."""


def machine_fault(error: BaseException, inputs: Iterable[str | Path] = ()) -> str | None:
    """What the machine, and not the program, has done wrong, and the mend, in one sentence; None for everything else.

    inputs: files and folders that a job was given. One that is gone is the user's to mend; any other missing file is a
    mistake of the program, which must show. The errors that `error` was raised from are looked at, too.
    """
    if (message := _fault(error, inputs)) is None and error.__cause__ is not None:
        return machine_fault(error.__cause__, inputs)
    return message


def _fault(error: BaseException, inputs: Iterable[str | Path]) -> str | None:
    number, name = _number(error), getattr(error, "filename", None)
    name = os.fsdecode(name) if isinstance(name, str | bytes) else ""
    if number in _LIMITS:
        where = f" ({name})" if name else ""
        return f"{_LIMITS[number].format(where=where)}, and run again; trainings go on from their last states"
    if number in _REFUSED and name:
        reason = getattr(error, "strerror", None) or error
        return f"{name}: cannot be opened or written ({reason}); see to its rights and run again"
    if isinstance(error, FileNotFoundError):
        quoted = re.search(r"'([^']+)'", str(error))
        name = name or (quoted[1] if quoted else "")
        if name and _is_within(Path(name), inputs):
            return f"{name}: no such file, though it was there when the run was planned; run again"
    return None


def _number(error: BaseException) -> int | None:
    """The number that the operating system gives an error, also where a library has put it into words."""
    if isinstance(error, MemoryError):
        return errno.ENOMEM
    if isinstance(number := getattr(error, "errno", None), int):
        return number
    text = f"{type(error).__name__}: {error}"
    if said := _NUMBER.search(text):
        return int(said[1])
    return next((number for number, words in _TEXTS.items() if words.search(text)), None)


def _is_within(path: Path, places: Iterable[str | Path]) -> bool:
    """Is `path` one of `places`, or below one?"""
    absolute = path.absolute()
    return any(absolute.is_relative_to(Path(place).absolute()) for place in places)
