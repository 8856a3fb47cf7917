"""TensorBoard: the loss of each phase, as event files in the folder that INTERMEZZO_TENSORBOARD names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from intermezzo.execution.trackers import TENSORBOARD


class Tracker:
    """A folder of event files for each phase of a run."""

    def __init__(self, name: str, identity: str, config: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.folder, self.writer = Path(os.environ[TENSORBOARD]), SummaryWriter
        self.boards: dict[str, Any] = {}

    def losses(self, phase: str, step: int, values: Mapping[str, float]) -> None:
        """The loss of one step of a phase."""
        if phase not in self.boards:
            self.boards[phase] = self.writer(str(self.folder / f"{phase}-{os.getpid()}"))
        self.boards[phase].add_scalar(f"{phase}/loss", values["loss"], step)

    def scores(self, values: Mapping[str, float]) -> None:
        """None: event files are of one process, and a model is evaluated in others."""

    def close(self, *, failed: bool) -> None:
        """Close the files."""
        for board in self.boards.values():
            board.close()
