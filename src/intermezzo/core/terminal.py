"""Colour for people: on a terminal by rich, plain elsewhere; `NO_COLOR` and `TERM=dumb` are respected.

rich is imported where there is something to colour, and by no job of a run, whose stderr is a pipe.
"""

from __future__ import annotations

import sys
from typing import TextIO

ERROR, WARNING, GOOD = "bold red", "yellow", "bold green"


def say(text: str, style: str, stream: TextIO | None = None) -> None:
    """Print `text` as it is, in the colour of `style` where `stream` (stderr) is a terminal."""
    stream = stream or sys.stderr
    if not stream.isatty():
        print(text, file=stream)
        return
    from rich.console import Console
    from rich.text import Text

    Console(file=stream, soft_wrap=True).print(Text(text, style))
