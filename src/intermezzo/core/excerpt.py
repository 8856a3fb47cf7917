"""Values in messages: a line at most, whatever they are."""

from __future__ import annotations

import math
import reprlib
from datetime import date
from typing import Any

LINE = 1000
"""Characters of a line of a message."""
_HEAD = LINE * 3 // 4


class _Excerpts(reprlib.Repr):
    """Python's shortened `repr`, for numbers of any length, too."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother, self.maxlong = 3, 80, 80, 30

    def repr_int(self, x: int, level: int) -> str:
        """Python refuses to write out numbers of thousands of digits."""
        digits = int(x.bit_length() * math.log10(2)) + 1
        return f"a number of about {digits} digits" if digits > self.maxlong else repr(x)

    def repr_date(self, x: date, level: int) -> str:
        """As it is written in YAML."""
        return str(x)

    repr_datetime = repr_date


_excerpts = _Excerpts()


def excerpt(value: Any) -> str:
    """`repr` of a value, shortened where it is long or deep."""
    return _excerpts.repr(value)


def one_line(text: str) -> str:
    """A line of a message, shortened in the middle where it is too long."""
    return text if len(text) <= LINE else f"{text[:_HEAD]} ... {text[_HEAD - LINE :]}"
