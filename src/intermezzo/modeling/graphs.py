"""Training by CUDA graphs: all kernels of an encoder's forward or backward pass started by one call.

A step on short inputs is bound by the host, which starts thousands of kernels one by one. A graph starts them all, but
holds for fixed shapes only. So a batch is filled up to its *class* (tokens, sequences and the longest of them rounded
up), and classes that come often get a graph. Those that have none are computed as they are filled up, so that whether
there is a graph changes neither results nor the random numbers of dropout. The last layer is computed for all tokens.

Capture is PyTorch's own (`torch.cuda.make_graphed_callables`), of the encoder alone: heads, losses, clipping and the
optimizer stay as they are. Nobody has run this on a GPU yet: it is off unless `cuda_graphs` asks for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch.func import functional_call

from intermezzo.modeling.encoder import FIRST_POSITION, Encoder
from intermezzo.modeling.packing import Packed

TOKENS, SEQUENCES, LONGEST = 128, 8, 32
"""What a batch's tokens, its sequences and the longest of them are rounded up to multiples of."""
OFTEN = 3
"""A class gets a graph when it comes for this time: capture costs several steps, and a run's last batch comes once."""
MOST = 16
"""Graphs at most: each has memory of its own for its inputs, its states, and the gradient of all trained weights."""

Inputs: TypeAlias = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""Tokens, types, positions and cells, int64 (T,); mask, bool (N, S): `Packed`'s, with its `places`."""


def filled(batch: Packed) -> Inputs:
    """The batch filled up to its class: its own tokens first.

    The other tokens lie in sequences of their own, which may be longer than they have tokens: no row of the mask is
    empty, as attention over nothing is not a number. They repeat the batch's first token, as an embedding may have been
    restricted to those that occur. Nothing that is read depends on them, so they have no gradient.
    """
    total, count, longest = len(batch.tokens), len(batch.lengths), _up(batch.longest, LONGEST)
    fill = _up(total, TOKENS) - total
    more = _up(count + max(1, -(-fill // longest)), SEQUENCES) - count
    zeros = batch.tokens.new_zeros(fill)
    cells = torch.arange(count * longest, count * longest + fill, device=zeros.device)
    lengths = torch.cat([batch.lengths, batch.lengths.new_full((more,), longest)])
    return (
        torch.cat([batch.tokens, batch.tokens[:1].expand(fill)]),
        torch.cat([batch.types, zeros]),
        torch.cat([batch.positions, zeros]),
        torch.cat([batch.owners * longest + batch.positions, cells]),
        torch.arange(longest, device=zeros.device) < lengths[:, None],
    )


def _up(number: int, step: int) -> int:
    return -(-number // step) * step


def use_graphs(encoder: Encoder, settings: dict[str, Any], say: Callable[[str], None], processes: int = 1) -> None:
    """Let `encoder`, which lies where it is trained, compute by graphs, if settings' `cuda_graphs` asks for them.

    Otherwise it stays as it is, and so it does where there can be none; `say` is then told why.
    """
    if not settings.get("cuda_graphs"):
        return
    if not next(encoder.parameters()).is_cuda:
        say("cuda_graphs: there is no GPU here; training goes the ordinary way")
    elif processes > 1:
        say(f"cuda_graphs: {processes} processes train together; training goes the ordinary way")
    elif not encoder.packs:
        say(f"cuda_graphs: not for models of type '{encoder.config.model_type}'; training goes the ordinary way")
    else:
        encoder.graphs = Graphs(encoder, say)


class Graphs:
    """Hidden states (T, hidden size) of packed batches in training, those of the last layer.

    `say` is told when a capture fails; there are then no graphs for the rest of the run.
    """

    def __init__(self, encoder: Encoder, say: Callable[[str], None]) -> None:
        self.model, self.typed, self.say = encoder.model, encoder.typed, say
        self.first = FIRST_POSITION[encoder.config.model_type](encoder.config)
        self.weights = {name: p for name, p in encoder.model.named_parameters() if p.requires_grad}
        self.seen: Counter[tuple[int, ...]] = Counter()
        self.made: dict[tuple[int, ...], Callable[..., torch.Tensor]] = {}
        self.pool: Any = None
        self.most = MOST

    def __call__(self, batch: Packed) -> torch.Tensor:
        inputs = filled(batch)
        graph = self._graph(inputs)
        if graph is None:
            states = self.model(**self._named(inputs)).last_hidden_state[0]
        else:
            self._own_gradients()
            states = graph(*inputs, *self.weights.values())
        return states[: len(batch.tokens)]

    def _named(self, inputs: Inputs) -> dict[str, Any]:
        """The model's arguments."""
        tokens, types, positions, *places = inputs
        typed = {"token_type_ids": types[None]} if self.typed else {}
        return {"input_ids": tokens[None], "position_ids": positions[None] + self.first, "places": places} | typed

    def _own_gradients(self) -> None:
        """Make gradients that are there already, of a batch's parts before, memory of their own.

        Backward hands out the graph's own buffers, autograd takes the first for a parameter's `grad`, and the next
        replay overwrites it (pytorch/pytorch issue 181723). A step in one part has no gradients here.
        """
        for weight in self.weights.values() if torch.is_grad_enabled() else ():
            if weight.grad is not None:
                weight.grad = weight.grad.clone()

    def _graph(self, inputs: Inputs) -> Callable[..., torch.Tensor] | None:
        """The graph of a class, captured when it is due."""
        shape = (len(inputs[0]), *inputs[-1].shape)
        self.seen[shape] += 1
        if shape in self.made or self.seen[shape] < OFTEN or len(self.made) >= self.most:
            return self.made.get(shape)
        failed = ""
        try:
            with _undone(inputs[0].device):
                self.made[shape] = self._capture(inputs)
        except RuntimeError as error:  # memory that ran out as well: graphs take some
            failed = str(error).strip().partition("\n")[0] or type(error).__name__
        if failed:  # the exception, which holds tensors, is gone
            self.made.clear()
            self.most = 0
            self.say(f"cuda_graphs: capture failed ({failed}); training goes on without")
        return self.made.get(shape)

    def _capture(self, inputs: Inputs) -> Callable[..., torch.Tensor]:
        """A graph of the model's function of `inputs` (whose memory it keeps) and of its weights.

        Weights are captured as leaves of their own with the same memory: a graph must not meet nodes of autograd that
        a part before has left behind, as these belong to another stream.
        """
        leaves = [weight.detach().requires_grad_() for weight in self.weights.values()]

        def states(*given: torch.Tensor) -> torch.Tensor:
            weights = dict(zip(self.weights, given[len(inputs) :], strict=True))
            return functional_call(self.model, weights, (), self._named(given[: len(inputs)])).last_hidden_state[0]

        if self.pool is None:
            self.pool = torch.cuda.graph_pool_handle()
        return torch.cuda.make_graphed_callables(states, (*inputs, *leaves), allow_unused_input=True, pool=self.pool)


@contextmanager
def _undone(device: torch.device) -> Iterator[None]:
    """Within it a capture may be tried: random numbers and current stream are afterwards what they were.

    Autocast keeps no casts, which capture does not allow, as they would be made once and not in every replay.
    """
    kind, cuda = device.type, device.type == "cuda"
    generator = torch.cuda.default_generators[torch.cuda.current_device()] if cuda else None
    fresh = generator.clone_state() if generator else None
    how = {"dtype": torch.get_autocast_dtype(kind), "enabled": torch.is_autocast_enabled(kind), "cache_enabled": False}
    try:
        with (
            torch.random.fork_rng([device] if cuda else []),
            torch.cuda.stream(torch.cuda.current_stream() if cuda else None),  # a failed capture leaves its own
            torch.autocast(kind, **how),
            torch.enable_grad(),
        ):
            yield
    except BaseException:
        if generator:
            generator.graphsafe_set_state(fresh)  # the other one believes that it is still being captured
        raise
