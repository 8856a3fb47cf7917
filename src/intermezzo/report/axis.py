"""Scales, ticks and numbers, as all charts use them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from intermezzo.report.scene import Scene

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Axis:
    """A horizontal or vertical scale: the values low..high lie at the positions start..end."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The position of a value; one outside lies at the edge."""
        inside = min(max(value, self.low), self.high)
        return self.start + (inside - self.low) / ((self.high - self.low) or 1) * (self.end - self.start)

    def ticks(self, about: int = 4) -> list[float]:
        """Round values on the scale, some `about` of them."""
        size = self.high - self.low
        if size <= 0:
            return [self.low]
        power = 10.0 ** math.floor(math.log10(size / about))
        steps = [power * factor for factor in (0.5, 1, 2, 5, 10)]
        return min((self._every(step) for step in steps), key=lambda ticks: abs(len(ticks) - about))

    def _every(self, step: float) -> list[float]:
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def around_zero(
    values: Iterable[float], bounds: Iterable[float], inside: Iterable[float] = (), room: float = 1.5
) -> tuple[float, float]:
    """Limits of a scale of differences: they hold zero, `values`, what is `inside`, and of `bounds` what they can.

    Bounds are the ends of intervals. Those of few seeds may be twenty times as wide as the differences that matter, so
    they get at most `room` times the space of the values; what is cut off ends in an arrow.
    """
    shown = [value for value in values if not math.isnan(value)]
    ends = [bound for bound in bounds if not math.isnan(bound)]
    most = room * max([0.5, *map(abs, shown)])
    held = [0.0, *shown, *inside, *(max(-most, min(end, most)) for end in ends)]
    low, high = min(held), max(held)
    margin = 0.06 * max(high - low, 1.0)
    return low - margin, high + margin


def signed(value: float, digits: int = 1) -> str:
    """+2.1 or, with a true minus sign, -0.3; never -0.0."""
    shown = f"{value:+.{digits}f}"
    if not float(shown):
        shown = shown[1:]
    return shown.replace("-", MINUS)


def plain(value: float, digits: int = 1) -> str:
    return f"{value:.{digits}f}".replace("-", MINUS)


def interval(value: float, low: float, high: float) -> str:
    """+2.1 [-0.3, 4.5], or the value alone where there is no interval."""
    return signed(value) + ("" if math.isnan(low) else f" [{plain(low)}, {plain(high)}]")


def short_number(value: float) -> str:
    """870, 4.5k, 1.3M: three significant digits at most."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    """45 s, 3.2 min, 5.1 h."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def fitted(words: str, width: float, size: float = 11) -> str:
    """Words cut to what fits into `width`, by a typical width of letters."""
    room = max(1, int(width / (0.54 * size)))
    return words if len(words) <= room else words[: room - 1].rstrip() + "…"


def difference_grid(scene: Scene, axis: Axis, top: float, bottom: float, mixes: tuple[str, str]) -> None:
    """Vertical lines at round differences of `mixes` (subtracted, other), a stronger one at zero; numbers below."""
    for tick in axis.ticks():
        x = axis.at(tick)
        scene.line(x, top, x, bottom, "axis" if abs(tick) < 1e-9 else "grid", 1.2 if abs(tick) < 1e-9 else 1)
        digits = 0 if float(f"{tick:.0f}") == round(tick, 6) else 1
        scene.text(x, bottom + 13, signed(tick, digits) if abs(tick) > 1e-9 else "0", 10, "muted", "middle")
    words = fitted(f"points, {mixes[1]} {MINUS} {mixes[0]}", 200, 10)
    scene.text((axis.start + axis.end) / 2, bottom + 28, words, 10, "muted", "middle")
