"""How fast an encoder trains and predicts on a device: from `resources/rates.tsv`, between and beyond its lines.

A step costs a fixed time (the host's work, the optimizer) and a time per token. Lines of the table are points on two
curves over the arithmetic per token; between two measured sizes both are interpolated (on logarithmic scales), beyond
the largest the time per token grows with the arithmetic and the fixed time with the depth. Nothing here is exact, and
past jobs correct it (`intermezzo.planning.durations`).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from intermezzo.core.errors import UserError, suggestion
from intermezzo.dag.encoder_size import Shape
from intermezzo.tasks import RESOURCES

TABLE = RESOURCES / "rates.tsv"
MEASURED = Path("results/rates.tsv")
"""What `plan --measure` has found here; its lines stand for the table's of the same device."""
CPU = "cpu"
BATCH = 2048
"""Tokens that are predicted at a time on a CPU (intermezzo.evaluation.prediction_batches.TOKENS)."""
FIELDS = ("model", *Shape._fields, "device", "work", "step_ms", "tokens_per_second", "kind", "source")


class RateLine(NamedTuple):
    """A line of a table of rates: how fast an encoder of this shape does one kind of work on a device."""

    model: str
    shape: Shape
    device: str
    work: str
    """train or predict."""
    step_ms: float
    tokens_per_second: float
    kind: str
    """measured or assumed."""
    source: str


class Rate(NamedTuple):
    """Time per step and per token, and what it rests on."""

    step_seconds: float
    token_seconds: float
    basis: str

    def seconds(self, steps: float, tokens: float) -> float:
        """Seconds of so many steps with so many tokens in all."""
        return steps * self.step_seconds + tokens * self.token_seconds


class Rates:
    """Rates of several encoders and devices."""

    def __init__(self, lines: Iterable[RateLine]) -> None:
        self.lines = list(lines)

    @classmethod
    def read(cls) -> Rates:
        """The shipped table, with the lines that were measured here instead of its own of the same device."""
        measured = _read(MEASURED) if MEASURED.is_file() else []
        devices = {line.device for line in measured}
        return cls([*measured, *(line for line in _read(TABLE) if line.device not in devices)])

    @classmethod
    def of(cls, path: Path) -> Rates:
        """Those of one table."""
        return cls(_read(path))

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Name of an encoder -> its shape."""
        return {line.model: line.shape for line in self.lines}

    @cached_property
    def devices(self) -> list[str]:
        """The devices that have lines."""
        return list(dict.fromkeys(line.device for line in self.lines))

    def rate(self, shape: Shape, device: str, work: str, threads: int = 1) -> Rate:
        """Time per step and per token. Raises UserError for a device without a line."""
        lines = [line for line in self.lines if line.device == device and line.work == work]
        if not lines:
            raise UserError(f"--device: no rates of '{device}'; {suggestion(device, self.devices)}")
        lines.sort(key=lambda line: line.shape.flops())
        flops = shape.flops()
        below = max((line for line in lines if line.shape.flops() <= flops), key=_arithmetic, default=lines[0])
        above = min((line for line in lines if line.shape.flops() >= flops), key=_arithmetic, default=lines[-1])
        low, high = below.shape.flops(), above.shape.flops()
        if low <= flops <= high:
            position = math.log(flops / low) / math.log(high / low) if high > low else 0.0
            step = _between(below.step_ms, above.step_ms, position)
            speed = _between(below.tokens_per_second, above.tokens_per_second, position)
            basis = _kind(below) if high == low else f"between {_kind(below)} and {_kind(above)}"
        else:
            edge = below if flops > high else above
            step = edge.step_ms * (shape.layers / edge.shape.layers if flops > high else 1.0)
            speed = edge.tokens_per_second * (min(1.0, edge.shape.flops() / flops))
            basis = f"{'scaled from' if flops > high else 'as'} {_kind(edge)}"
        many = threads**0.75 if device == CPU else 1.0
        basis += f", {threads} threads assumed {many:.1f} times as fast" if many > 1 else ""
        return Rate(step / 1000 / many, 1 / speed / many, f"{device}, {work}: {basis}")


def _read(path: Path) -> list[RateLine]:
    lines = []
    with open(path, encoding="utf-8", newline="") as handle:
        rows = csv.DictReader((row for row in handle if not row.startswith("#")), delimiter="\t")
        for number, row in enumerate(rows, 1):
            try:
                shape = Shape(*(int(row[key]) for key in Shape._fields))
                step, speed = float(row["step_ms"]), float(row["tokens_per_second"])
                if row["work"] not in ("train", "predict") or not (step >= 0 and speed > 0):
                    raise ValueError("work is train or predict, step_ms at least 0, tokens_per_second above 0")
            except (KeyError, TypeError, ValueError) as error:
                raise UserError(f"{path}: line {number} after the header is not usable ({error})") from None
            names = (row["model"], shape, row["device"], row["work"])
            lines.append(RateLine(*names, step, speed, row["kind"], row["source"]))
    return lines


def _arithmetic(line: RateLine) -> float:
    return line.shape.flops()


def _between(low: float, high: float, position: float) -> float:
    """On a logarithmic scale, where both are above 0."""
    return low ** (1 - position) * high**position if low > 0 and high > 0 else low + (high - low) * position


def _kind(line: RateLine) -> str:
    return f"{line.model} ({line.kind})"
