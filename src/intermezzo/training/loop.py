"""The training loop of every phase: plan, step, log, resume.

Which examples make up step k is a pure function of the seed and k, so the whole position in the data is the step
number. A run that was killed goes on from its last state to the same final weights (same thread count, on CPU).
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from intermezzo.artifacts import atomic
from intermezzo.errors import UserError

SAVE_SECONDS = 60.0
"""Seconds between two states of a run: a state of a small model takes milliseconds, so this costs far below 2 %."""
REPORT_SECONDS = 10.0


def use_threads(count: int) -> None:
    """Pin torch to `count` threads: results depend on it, and more threads than cores are many times slower."""
    torch.set_num_threads(count)
    torch.use_deterministic_algorithms(True, warn_only=True)


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def train(
    modules: nn.Module,
    loss_of: Callable[[int], tuple[torch.Tensor, int]],
    steps: int,
    settings: dict[str, Any],
    *,
    state: Path,
    log: Path,
    name: str,
    keep: bool = False,
) -> float:
    """Run `steps` optimizer steps on the parameters of `modules` and return the mean loss of the last tenth.

    loss_of(step) -> (mean loss of that step's batch, its number of tokens). settings: learning_rate, weight_decay
    (not on biases and layer norms), warmup (share of steps, then linear decay to zero), clip (gradient norm), betas.
    state: file for resuming, written whole or not at all, removed by the caller once the model is saved. `keep`: write
    it at the end too, so that a run that is killed in a later stage does not train this one again.
    Raises UserError when the loss is not a number, naming the step.
    """
    optimizer = _optimizer(modules, settings)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    first, tokens, recent = _resume(state, modules, optimizer)
    size = sum(p.numel() for p in parameters)
    _say(f"{name}: {steps} steps, {size / 1e6:.2f} M trained parameters" + (f", from step {first}" if first else ""))
    began = saved = reported = time.monotonic()
    tail = max(1, steps // 10)
    modules.train()
    with open(log, "a", encoding="utf-8") as log_file:
        for step in range(first, steps):
            for group in optimizer.param_groups:
                group["lr"] = settings["learning_rate"] * _schedule(step, steps, settings["warmup"])
            loss, batch_tokens = loss_of(step)
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, settings["clip"])
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            tokens += batch_tokens
            recent = [*recent[-tail + 1 :], loss.detach()] if tail > 1 else [loss.detach()]
            now = time.monotonic()
            if now - reported > REPORT_SECONDS or step + 1 == steps:
                reported, done = now, step + 1
                value = float(torch.stack(recent[-20:]).mean())
                if value != value:
                    raise UserError(
                        f"{name}: the loss is not a number at step {done} of {steps}; lower training learning_rate"
                    )
                rate = (done - first) / max(now - began, 1e-9)
                left = time.strftime("%H:%M:%S", time.gmtime((steps - done) / rate))
                _say(
                    f"{name}: step {done}/{steps} ({done / steps:.0%}) loss {value:.3f}, {rate:.1f} steps/s, ETA {left}"
                )
                record = {"step": done, "loss": value, "tokens": tokens, "seconds": now - began}
                log_file.write(json.dumps(record) + "\n")
                log_file.flush()
            if now - saved > SAVE_SECONDS:
                _save(state, step + 1, tokens, recent, modules, optimizer)
                saved = time.monotonic()
    if keep and first < steps:
        _save(state, steps, tokens, recent, modules, optimizer)
    return float(torch.stack(recent).mean())


def _optimizer(modules: nn.Module, settings: dict[str, Any]) -> torch.optim.Optimizer:
    """Fused AdamW; weight decay on matrices alone (BERT's and XLM-R's practice)."""
    trained = [p for p in modules.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings["weight_decay"]},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    betas = tuple(settings.get("betas", (0.9, 0.999)))
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=0.0, betas=betas, eps=1e-8, fused=True)


def _schedule(step: int, steps: int, warmup: float) -> float:
    """Linear warm-up over a share of the steps, then linear decay."""
    rising = max(1, round(steps * warmup))
    return (step + 1) / rising if step < rising else (steps - step) / max(1, steps - rising)


def _save(
    state: Path, step: int, tokens: int, recent: list, modules: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    rng = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}
    content = {"step": step, "tokens": tokens, "recent": recent, "rng": rng}
    content |= {"modules": modules.state_dict(), "optimizer": optimizer.state_dict()}
    with atomic(state) as part:
        torch.save(content, part)


def _resume(state: Path, modules: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, int, list]:
    if not state.is_file():
        return 0, 0, []
    try:
        content = torch.load(state, weights_only=True)
    except Exception as error:  # a broken state costs the steps since the start, never the run
        _say(f"{state}: not readable ({type(error).__name__}), starting from step 0")
        return 0, 0, []
    modules.load_state_dict(content["modules"])
    optimizer.load_state_dict(content["optimizer"])
    torch.set_rng_state(content["rng"]["cpu"])
    if content["rng"]["cuda"]:
        torch.cuda.set_rng_state_all(content["rng"]["cuda"])
    return content["step"], content["tokens"], content["recent"]


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


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
