"""Which versions of Snakemake are known, and what happens with the others: a fallback and one warning per feature."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable
from functools import wraps
from importlib import metadata
from typing import Any

log = logging.getLogger(__name__)

SUPPORTED = ((9, 20), (9, 27))
"""First and last version of Snakemake (major, minor) that the functions of this folder were tested with."""
PLAIN = "INTERMEZZO_PLAIN_SNAKEMAKE"
"""Environment variable: 1 = use nothing of this folder."""
_warned: set[str] = set()


def version() -> str:
    """The version of the Snakemake that runs, or of the one that is installed."""
    return getattr(sys.modules.get("snakemake"), "__version__", None) or metadata.version("snakemake")


def switched_off() -> bool:
    """Whether the user wants Snakemake as it is."""
    return os.environ.get(PLAIN, "0") not in ("", "0")


def unsupported() -> str:
    """Why the internals of Snakemake are not used here, in words; empty if they are."""
    if switched_off():
        return f"{PLAIN} is set"
    numbers = re.match(r"(\d+)\.(\d+)", version())
    if numbers is None or not SUPPORTED[0] <= (int(numbers[1]), int(numbers[2])) <= SUPPORTED[1]:
        first, last = (".".join(map(str, bound)) for bound in SUPPORTED)
        return f"Snakemake {version()} is not one of the versions that intermezzo knows ({first} to {last})"
    return ""


def feature(consequence: str, fallback: Any = False, *, documented: bool = False) -> Callable[..., Any]:
    """Decorate a function that uses Snakemake's internals; it returns `fallback` where they are not as expected.

    consequence: what the user sees without the feature. documented: the names belong to the documented interface of
    Snakemake's plugins, so that the version does not matter; a missing name still does.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def guarded(*arguments: Any, **keywords: Any) -> Any:
            reason = "" if documented and not switched_off() else unsupported()
            if not reason:
                try:
                    return function(*arguments, **keywords)
                except (ImportError, AttributeError) as error:
                    reason = f"Snakemake {version()} is not as expected ({error})"
            if not switched_off() and consequence not in _warned:
                _warned.add(consequence)
                log.warning("%s: %s", reason, consequence)
            return fallback

        return guarded

    return decorate
