"""Messages of the package go through `logging`; the command line prints them as plain lines on stderr.

    log = logging.getLogger(__name__)    in every module; log.info for progress, log.warning for what users must see

Importing this module configures nothing, so a notebook or any program that imports intermezzo sets its own levels and
handlers.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to the current `sys.stderr`, because stages redirect it to label their lines."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def configure(level: int = logging.INFO) -> None:
    """Print the package's messages of `level` and above as lines on stderr. Repeated calls add no second handler."""
    logger = logging.getLogger("intermezzo")
    logger.setLevel(level)
    if not any(isinstance(handler, _StderrHandler) for handler in logger.handlers):
        handler = _StderrHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
