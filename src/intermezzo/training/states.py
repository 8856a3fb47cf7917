"""States of a run that a kill leaves behind: written whole or not at all, seldom enough to cost next to nothing.

Of processes that train together, the first decides when and writes; a state holds the random numbers of all.
"""

from __future__ import annotations

import errno
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from intermezzo.core import sealed
from intermezzo.core.errors import UserError, machine_fault
from intermezzo.execution import locks
from intermezzo.modeling.finite import not_finite
from intermezzo.specs.optimisation import FixedPrecision
from intermezzo.training.distributed import all_gather, all_reduce_max, barrier, is_main_process, rank, world_size
from intermezzo.training.randomness import random_state, set_random_state

SAVE_SECONDS = 60.0
"""Least time between two states."""
SAVE_SHARE = 0.01
"""Largest share of a run's time that writing states may take."""
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL})
BYTES_PER_SECOND = 5e8
"""The speed of the disk that is assumed before the first state has been written."""
logger = logging.getLogger(__name__)


class State:
    """The state file of one run over `modules` and `optimizer`."""

    def __init__(
        self, path: Path, modules: nn.Module, optimizer: torch.optim.Optimizer, precision: FixedPrecision = "float32"
    ) -> None:
        self.path, self.modules, self.optimizer, self.precision = path, modules, optimizer, precision
        trained = sum(p.numel() for group in optimizer.param_groups for p in group["params"])
        self.cost = trained * 12 / BYTES_PER_SECOND  # weights and two moments, four bytes each
        self.saved = time.monotonic()

    def due(self) -> bool:
        """Whether it is time for a state: the longer one takes to write, the rarer they are."""
        due = time.monotonic() - self.saved > max(SAVE_SECONDS, self.cost / SAVE_SHARE)
        return bool(all_reduce_max([is_main_process() and due])[0])

    def save(self, step: int, progress: dict[str, Any]) -> None:
        """Write the state after `step` steps."""
        began = time.monotonic()
        content: dict[str, Any] = {"step": step, "progress": progress, "precision": self.precision}
        content["rng"] = all_gather(random_state())
        if is_main_process():
            content |= {"modules": _unfrozen(self.modules), "optimizer": self.optimizer.state_dict()}
            with sealed.write(self.path) as part:
                torch.save(content, part)
        self.saved = time.monotonic()
        self.cost = self.saved - began

    def load(self) -> tuple[int, dict[str, Any]]:
        """Restore the state, return (steps done, progress); (0, {}) and a warning when there is no state that fits."""
        content = self._read()
        steps = all_gather(content["step"] if content else None)
        if content is None or steps != [content["step"]] * world_size():  # all processes, or none
            return 0, {}
        self.modules.load_state_dict(content["modules"], strict=False)  # frozen weights are in no state
        self.optimizer.load_state_dict(content["optimizer"])
        set_random_state(content["rng"][rank()])
        return content["step"], content["progress"]

    def _read(self) -> dict[str, Any] | None:
        if sealed.read(self.path) is None:
            return None
        try:
            content = torch.load(self.path, weights_only=True)
            if _shapes(content["modules"]) != _shapes(_unfrozen(self.modules)):
                raise ValueError("it is of another model")
            if culprit := not_finite(content["modules"]):
                raise ValueError(f"its weights are not finite numbers: {culprit}")
            if (processes := len(content["rng"])) != world_size():
                raise ValueError(f"it is of a training by {processes} process(es), this one has {world_size()}")
            if (precision := content["precision"]) != self.precision:  # `auto` on a processor of another kind
                raise ValueError(f"it is of a training in {precision}, this one computes in {self.precision}")
            return {key: content[key] for key in ("step", "progress", "rng", "modules", "optimizer")}
        except Exception as error:  # a broken state costs the steps since the start, never the run
            reason = str(error) if type(error) is ValueError else type(error).__name__
            logger.warning("%s: not a usable state (%s), starting from step 0", self.path, reason)
            return None


def _unfrozen(modules: nn.Module) -> dict[str, torch.Tensor]:
    """All that training changes: weights that are not frozen, and buffers."""
    frozen = {name for name, parameter in modules.named_parameters() if not parameter.requires_grad}
    return {name: values for name, values in modules.state_dict().items() if name not in frozen}


def _shapes(weights: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in weights.items()}


@contextmanager
def state_folder(folder: Path) -> Iterator[Path]:
    """Lock `folder` for this run's state; on success the folder is removed, on failure it stays for the next run.

    A second process on the same state (an orphan of a killed workflow) is waited for, not raced. Raises UserError when
    the folder cannot be made, or its file system has no locks.
    """
    with _locked(folder) if is_main_process() else nullcontext():
        barrier()
        yield folder
        barrier()
        if is_main_process():
            shutil.rmtree(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(locks.acquire(folder.with_suffix(".lock"), "trains the same specification"))
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(_lock_problem(folder, error)) from None
        yield


def _lock_problem(folder: Path, error: OSError) -> str:
    """Why a state cannot be kept in `folder`, and the mend where it has one."""
    if error.errno in _NO_LOCKS:
        return (
            f"{folder}: its file system has no locks ({error.strerror}), which keep two trainings off one state; "
            f"make {folder.parent} a link to a folder on a disk that has them"
        )
    return f"{folder}: the training's state cannot be kept there: {machine_fault(error) or error}"
