"""States of a run that a kill leaves behind: written whole or not at all, seldom enough to cost next to nothing."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from intermezzo.artifacts import atomic
from intermezzo.training.gradient import random_state, set_random_state

SAVE_SECONDS = 60.0
"""Least time between two states."""
SAVE_SHARE = 0.01
"""Largest share of a run's time that writing states may take."""
BYTES_PER_SECOND = 5e8
"""The speed of the disk that is assumed before the first state has been written."""


class State:
    """The state file of one run over `modules` and `optimizer`."""

    def __init__(self, path: Path, modules: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.path, self.modules, self.optimizer = path, modules, optimizer
        trained = sum(p.numel() for group in optimizer.param_groups for p in group["params"])
        self.cost = trained * 12 / BYTES_PER_SECOND  # weights and two moments, four bytes each
        self.saved = time.monotonic()

    def due(self) -> bool:
        """Whether it is time for a state: the longer one takes to write, the rarer they are."""
        return time.monotonic() - self.saved > max(SAVE_SECONDS, self.cost / SAVE_SHARE)

    def save(self, step: int, progress: dict[str, Any]) -> None:
        """Write the state after `step` steps."""
        began = time.monotonic()
        content = {"step": step, "progress": progress, "rng": random_state()}
        content |= {"modules": self.modules.state_dict(), "optimizer": self.optimizer.state_dict()}
        with atomic(self.path) as part:
            torch.save(content, part)
        self.saved = time.monotonic()
        self.cost = self.saved - began

    def load(self, say: Callable[[str], None]) -> tuple[int, dict[str, Any]]:
        """(steps done, progress); (0, {}) when there is no state that fits, saying why: that never stops a run."""
        if not self.path.is_file():
            return 0, {}
        try:
            content = torch.load(self.path, weights_only=True)
            step, progress = content["step"], content["progress"]
            if _shapes(content["modules"]) != _shapes(self.modules.state_dict()):
                raise ValueError("it is of another model")
            optimizer, rng = content["optimizer"], content["rng"]
        except Exception as error:  # a broken state costs the steps since the start, never the run
            reason = str(error) if type(error) is ValueError else type(error).__name__
            say(f"{self.path}: not a usable state ({reason}), starting from step 0")
            return 0, {}
        self.modules.load_state_dict(content["modules"])
        self.optimizer.load_state_dict(optimizer)
        set_random_state(rng)
        return step, progress


def _shapes(weights: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in weights.items()}


@contextmanager
def state_folder(folder: Path) -> Iterator[Path]:
    """Lock `folder` for this run's state; on success the folder is removed, on failure it stays for the next run.

    A second process on the same state (an orphan of a killed workflow) is waited for, not raced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder.mkdir(exist_ok=True)
        yield folder
        shutil.rmtree(folder)
        os.unlink(lock.name)
