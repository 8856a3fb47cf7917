"""Progress of a run: a line on the terminal, a JSONL log, trackers where they are asked for; and checks of the loss.

Losses stay on the device and are fetched every hundredth of a run, so that no step waits for one.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from intermezzo.core.artifacts import write_text
from intermezzo.core.errors import UserError
from intermezzo.execution.trackers import TrackedRun

REPORT_SECONDS = 10.0
"""Seconds between two lines in a log; on a terminal the line is renewed whenever losses are fetched."""
WINDOW = 50
"""Steps over which a loss is averaged to be called diverging."""
logger = logging.getLogger(__name__)


class Progress:
    """Losses of a run of `steps` steps, of which `first` were done before.

    names: step -> the batch in words. log: JSONL file; lines of this run after step `first` are dropped, as they will
    come again. before: what `state` gave. tracked: the run of the trackers, if any.
    """

    def __init__(
        self,
        name: str,
        first: int,
        steps: int,
        log: Path,
        names: Callable[[int], str],
        before: dict[str, Any],
        tracked: TrackedRun | None = None,
    ) -> None:
        self.name, self.first, self.steps, self.names = name, first, steps, names
        self.tokens: int = before.get("tokens", 0)
        self.opening: list[float] = before.get("opening", [])  # losses of the first steps
        self.tail: deque[float] = deque(before.get("tail", []), maxlen=max(1, steps // 10))
        self.last: deque[float] = deque(before.get("last", []), maxlen=WINDOW)
        self.waiting: list[tuple[int, torch.Tensor, torch.Tensor]] = []
        self.every = max(1, steps // 100)
        self.began = self.reported = time.monotonic()
        write_text(log, "".join(_lines(log, name, first)))  # now: the next report may come after the next kill
        self.log = open(log, "a", encoding="utf-8")  # noqa: SIM115 - closed by close()
        self.tracked = tracked

    def add(self, step: int, loss: torch.Tensor, norm: torch.Tensor, tokens: int) -> None:
        """Count a step; every `self.every` steps, fetch the losses and report them."""
        self.tokens += tokens
        self.waiting.append((step, loss, norm))
        if (step + 1) % self.every == 0 or step + 1 == self.steps:
            mean = self.fetch_losses()
            self._report(step + 1, mean)

    def fetch_losses(self) -> float:
        """Fetch the losses that wait on the device and return their mean.

        Raises UserError at a loss or gradient that is no number, and when the loss diverges: naming step and batch.
        """
        if not self.waiting:
            return math.nan
        losses: list[float] = torch.stack([loss.float() for _, loss, _ in self.waiting]).tolist()
        norms: list[float] = torch.stack([norm.float() for _, _, norm in self.waiting]).tolist()
        for (step, _, _), loss, norm in zip(self.waiting, losses, norms, strict=True):
            if not math.isfinite(loss):
                raise self._bad(step, "the loss is not a number")
            if not math.isfinite(norm):
                raise self._bad(step, "the gradient is not a number")
            if len(self.opening) < WINDOW:
                self.opening.append(loss)
            self.last.append(loss)
            self.tail.append(loss)
            start = sum(self.opening) / len(self.opening)
            if step >= 2 * WINDOW and (mean := sum(self.last) / len(self.last)) > 3 * start + 3:
                raise self._bad(step, f"the loss diverges ({mean:.3g}, it began with {start:.3g})")
        self.waiting.clear()
        return sum(losses) / len(losses)

    def _bad(self, step: int, what: str) -> UserError:
        return UserError(
            f"{self.name}: {what} at step {step + 1} of {self.steps}, batch {self.names(step)}; "
            "lower training learning_rate or look at these examples (the last good state is kept)"
        )

    def state(self) -> dict[str, Any]:
        """What a resumed run needs as `before`."""
        return {"tokens": self.tokens, "opening": self.opening, "tail": list(self.tail), "last": list(self.last)}

    def loss(self) -> float:
        """Mean loss of the last tenth of the run."""
        return sum(self.tail) / len(self.tail) if self.tail else math.nan

    def _report(self, done: int, loss: float) -> None:
        now = time.monotonic()
        record = {"run": self.name, "step": done, "loss": loss, "tokens": self.tokens}
        self.log.write(json.dumps(record | {"seconds": round(now - self.began, 3)}) + "\n")
        self.log.flush()
        if self.tracked:
            self.tracked.losses(self.name, done, loss=loss, tokens=self.tokens)
        terminal, end = sys.stderr.isatty(), done == self.steps
        if not (end or terminal or now - self.reported > REPORT_SECONDS):
            return
        self.reported = now
        rate = (done - self.first) / max(now - self.began, 1e-9)
        remaining = time.strftime("%H:%M:%S", time.gmtime((self.steps - done) / rate))
        line = f"{self.name}: step {done}/{self.steps} ({done / self.steps:.0%}) loss {loss:.3f}, "
        line += f"{rate:.1f} steps/s, ETA {remaining}"
        if terminal and logger.isEnabledFor(logging.INFO):
            print(f"\r{line}\x1b[K", end="\n" if end else "", file=sys.stderr, flush=True)
        else:
            logger.info(line)

    def close(self) -> None:
        """Close the log."""
        self.log.close()


class NullProgress:
    """In the place of `Progress` in all processes of a training but the main one, whose losses are the same."""

    def add(self, step: int, loss: torch.Tensor, norm: torch.Tensor, tokens: int) -> None: ...

    def fetch_losses(self) -> float:
        return math.nan

    def state(self) -> dict[str, Any]:
        return {}

    def loss(self) -> float:
        return math.nan

    def close(self) -> None: ...


def _lines(log: Path, name: str, first: int) -> list[str]:
    """The lines of an earlier attempt that still hold: those of other runs, and of this one up to step `first`."""
    lines = []
    for line in log.read_text(encoding="utf-8").splitlines(keepends=True) if log.is_file() else []:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:  # cut off by a kill
            continue
        if record.get("run") != name or record["step"] <= first:
            lines.append(line)
    return lines
