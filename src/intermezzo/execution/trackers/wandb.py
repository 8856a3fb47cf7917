"""Weights & Biases: a run with its configuration, losses and a summary of scores.

Its own settings hold (WANDB_PROJECT, WANDB_DIR, WANDB_ENTITY and so on). It stays offline, and writes into logs/wandb,
unless WANDB_MODE says otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from intermezzo.execution.trackers import FOLDER


class Tracker:
    """A run of Weights & Biases. Neither the code, the command line, the console nor the machine is logged."""

    def __init__(self, name: str, identity: str, config: Mapping[str, Any]) -> None:
        import wandb

        folder = os.environ.get("WANDB_DIR") or FOLDER
        Path(folder).mkdir(parents=True, exist_ok=True)
        mode = os.environ.get("WANDB_MODE") or "offline"
        self.phases: set[str] = set()
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or "intermezzo",
            name=name,
            id=identity,
            resume=None if mode == "offline" else "allow",
            config=dict(config),
            mode=mode,
            dir=folder,
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,
                save_code=False,
                x_disable_meta=True,
                x_disable_stats=True,
                x_disable_machine_info=True,
            ),
        )

    def losses(self, phase: str, step: int, values: Mapping[str, float]) -> None:
        """Values of one step of a phase; phases have steps of their own."""
        if phase not in self.phases:
            self.phases.add(phase)
            self.run.define_metric(f"{phase}/*", step_metric=f"{phase}/step")
        self.run.log({f"{phase}/step": step} | {f"{phase}/{key}": value for key, value in values.items()})

    def scores(self, values: Mapping[str, float]) -> None:
        """Final values, in the summary of the run."""
        self.run.summary.update(dict(values))

    def close(self, *, failed: bool) -> None:
        """End the run."""
        self.run.finish(exit_code=int(failed))
