"""Messages of the package go through `logging`; the command line shows them as plain lines on stderr.

    log = logging.getLogger(__name__)    in every module; log.info for progress, log.warning for what users must see

A notebook or another program that imports intermezzo sets levels and handlers as it likes; nothing is configured here
at import.
"""

from __future__ import annotations

import logging
import sys


class _StderrHandler(logging.StreamHandler):
    """Writes to what `sys.stderr` is when the message comes: stages redirect it to label their lines."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self):  # type: ignore[no-untyped-def, override]
        return sys.stderr


def configure(level: int = logging.INFO) -> None:
    """Show messages of the package from `level` on as lines on stderr, once however often it is called."""
    logger = logging.getLogger("intermezzo")
    logger.setLevel(level)
    if not any(isinstance(handler, _StderrHandler) for handler in logger.handlers):
        handler = _StderrHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
