"""The training loop of every phase: plan, step, log, resume.

Which examples make up step k is a pure function of the seed and k, so the whole position in the data is the step
number. A run that was killed goes on from its last state to the same final weights (same number of threads and of
processes, on CPU). Processes that train together (`intermezzo.training.distributed`) all run this loop.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from intermezzo.specs.optimisation import Optimisation
from intermezzo.training.distributed import copy_weights, leads, same
from intermezzo.training.gradient import Batches, Gradient
from intermezzo.training.hardware import device as device
from intermezzo.training.hardware import use_threads as use_threads
from intermezzo.training.progress import Progress, Unwatched, say
from intermezzo.training.randomness import own_stream
from intermezzo.training.states import State
from intermezzo.training.states import state_folder as state_folder


def train(
    modules: nn.Module,
    batches: Batches,
    steps: int,
    settings: Optimisation,
    *,
    state: Path,
    log: Path,
    name: str,
    keep: bool = False,
) -> float:
    """Run `steps` optimizer steps on the parameters of `modules` and return the mean loss of the last tenth.

    state: file for resuming, written whole or not at all, removed by the caller once the model is saved. `keep`: write
    it at the end too, so that a run that is killed in a later stage does not train this one again.
    Raises UserError when the loss is not a number or diverges, naming step and batch; the last state is then good.
    """
    optimizer = _optimizer(modules, settings)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    gradient = Gradient(batches, settings.precision, settings.micro_tokens, say, parameters)
    size = sum(p.numel() for p in parameters)
    modules.train()
    with own_stream(name):
        kept = State(state, modules, optimizer)
        first, before = kept.load(say)
        copy_weights(modules)
        gradient.budget = before.get("budget", gradient.budget)
        say(f"{name}: {steps} steps, {size / 1e6:.2f} M trained parameters" + (f", from step {first}" if first else ""))
        progress = Progress(name, first, steps, log, batches.names, before) if leads() else Unwatched()
        try:
            for step in range(first, steps):
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(step, steps, settings)
                loss, tokens = gradient(step, optimizer.zero_grad)
                norm = nn.utils.clip_grad_norm_(parameters, settings.clip)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                progress.add(step, loss, norm, tokens)
                if kept.due():
                    progress.look()
                    kept.save(step + 1, progress.state() | {"budget": gradient.budget})
            if keep and first < steps:
                kept.save(steps, progress.state() | {"budget": gradient.budget})
        finally:
            progress.close()
    if not same(parameters):
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
    """Linear warm-up over a share of the steps, then linear decay."""
    rising = max(1, round(steps * settings.warmup))
    share = (step + 1) / rising if step < rising else (steps - step) / max(1, steps - rising)
    return settings.learning_rate * share


def decay(steps: int, settings: Optimisation) -> float:
    """What AdamW leaves of a matrix's weight that never has a gradient: the product of 1 - rate x weight decay."""
    left = 1.0
    for step in range(steps):
        left *= 1 - learning_rate(step, steps, settings) * settings.weight_decay
    return left
