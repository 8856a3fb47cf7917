"""The training loop of every phase: plan, step, log, resume.

Which examples make up step k is a pure function of the seed and k, so the whole position in the data is the step
number. A run that was killed goes on from its last state to the same final weights (same number of threads and of
processes, on CPU). Processes that train together (`intermezzo.training.distributed`) all run this loop.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

import torch
from torch import nn

from intermezzo.execution.trackers import TrackedRun
from intermezzo.modeling.finite import check_finite
from intermezzo.specs.optimisation import FixedPrecision, Optimisation
from intermezzo.training.distributed import broadcast_weights, is_main_process, weights_in_sync
from intermezzo.training.gradient import Gradient, TrainingBatches
from intermezzo.training.hardware import device as device
from intermezzo.training.hardware import record as record
from intermezzo.training.hardware import resolve as resolve
from intermezzo.training.hardware import use_threads as use_threads
from intermezzo.training.progress import NullProgress, Progress
from intermezzo.training.randomness import per_rank_rng
from intermezzo.training.states import State
from intermezzo.training.states import state_folder as state_folder

logger = logging.getLogger(__name__)


def train(
    modules: nn.Module,
    batches: TrainingBatches,
    steps: int,
    settings: Optimisation,
    *,
    state: Path,
    log: Path,
    name: str,
    precision: FixedPrecision,
    keep: bool = False,
    tracked: TrackedRun | None = None,
) -> float:
    """Run `steps` optimizer steps on the parameters of `modules` and return the mean loss of the last tenth.

    state: file for resuming, written whole or not at all, removed by the caller once the model is saved. log: JSONL
    file. name: of the run, in messages and the log. precision: what that of `settings` comes to here. keep: write the
    state at the end too, so that a run that is killed in a later stage does not train this one again. tracked: the run
    of the trackers, if any.
    Raises UserError when the loss is not a number or diverges, naming step and batch, and when weights are not finite
    in the end, or before a state of them is written; the last state is then good.
    """
    optimizer = _optimizer(modules, settings)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    gradient = Gradient(batches, precision, settings.micro_tokens, parameters)
    size = sum(p.numel() for p in parameters)
    modules.train()
    with per_rank_rng(name):
        checkpoint = State(state, modules, optimizer, precision)
        first, before = checkpoint.load()
        broadcast_weights(modules)
        gradient.budget = before.get("budget", gradient.budget)
        resumed = f", from step {first}" if first else ""
        logger.info("%s: %d steps in %s, %.2f M trained parameters%s", name, steps, precision, size / 1e6, resumed)

        def save(step: int) -> None:
            check_finite(modules.state_dict(), name, settings.learning_rate)
            checkpoint.save(step, progress.state() | {"budget": gradient.budget})

        progress: Progress | NullProgress = NullProgress()
        if is_main_process():
            progress = Progress(name, first, steps, log, batches.names, before, tracked)
        try:
            for step in range(first, steps):
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(step, steps, settings)
                loss, tokens = gradient(step, optimizer.zero_grad)
                norm = nn.utils.clip_grad_norm_(parameters, settings.clip)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                progress.add(step, loss, norm, tokens)
                if checkpoint.due():
                    progress.fetch_losses()
                    save(step + 1)
            if keep and first < steps:
                save(steps)
        finally:
            progress.close()
    check_finite(modules.state_dict(), name, settings.learning_rate)
    if not weights_in_sync(parameters):
        raise RuntimeError(f"{name}: the processes have trained to different weights; they need GPUs of one kind")
    return progress.loss()


def _optimizer(modules: nn.Module, settings: Optimisation) -> torch.optim.Optimizer:
    """Fused AdamW; weight decay on matrices alone (BERT's and XLM-R's practice)."""
    trained = [p for p in modules.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=0.0, betas=settings.betas, eps=1e-8, fused=True)


def learning_rate(step: int, steps: int, settings: Optimisation) -> float:
    """The rate of step `step` (from 0) of `steps`: linear warm-up over a share of the steps, then linear decay to 0."""
    rising = max(1, round(steps * settings.warmup))
    share = (step + 1) / rising if step < rising else (steps - step) / max(1, steps - rising)
    return settings.learning_rate * share


def decay(steps: int, settings: Optimisation, idle: Collection[int] = ()) -> float:
    """The factor by which AdamW shrinks a weight that never has a gradient: the product of 1 - rate x weight decay.

    idle: steps in which the optimizer leaves it alone.
    """
    factor = 1.0
    for step in range(steps):
        if step not in idle:
            factor *= 1 - learning_rate(step, steps, settings) * settings.weight_decay
    return factor
