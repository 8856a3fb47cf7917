"""Numbers as readers see them: differences with a sign, intervals in brackets, short counts, durations."""

from __future__ import annotations

import math

MINUS = "\N{MINUS SIGN}"


def plain(value: float, digits: int = 1, minus: str = MINUS) -> str:
    """2.1 or, with `minus`, -0.3; never -0.0."""
    return _signed(f"{value:.{digits}f}", minus)


def signed(value: float, digits: int = 1, minus: str = MINUS) -> str:
    """+2.1 or, with `minus`, -0.3; a negative value that rounds to zero has no sign."""
    return _signed(f"{value:+.{digits}f}", minus)


def interval(mean: float, low: float, high: float, minus: str = MINUS) -> str:
    """+2.1 [-0.3, 4.5]; the mean alone where the interval is NaN."""
    brackets = "" if math.isnan(low) else f" [{plain(low, minus=minus)}, {plain(high, minus=minus)}]"
    return signed(mean, minus=minus) + brackets


def count(number: int, noun: str) -> str:
    """1 seed, 2 seeds."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def short_number(value: float) -> str:
    """870, 4.5k, 1.3M: three significant digits at most."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * size:  # what rounds up to 1,000 of a unit is 1 of the next
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    """45 s, 3.2 min, 5.1 h."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _signed(number: str, minus: str) -> str:
    """A number as Python writes it, with another minus sign, and with none where it is zero."""
    return number.replace("-", minus if float(number) else "")
