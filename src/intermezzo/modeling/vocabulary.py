"""Word embeddings without the rows that an experiment never reads: exact, and much of a step with XLM-R's 250,002.

A row that no batch holds has no gradient: AdamW leaves its moments at zero and only decays it. So training need not
carry such rows; they are put back at the end, times what the decay would have left of them. Ids, and the model's
classes, stay as they are: the embedding itself looks up which of its rows an id is. Not for masked language
modelling, whose softmax gives every row a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.nn.functional import embedding

from intermezzo.modeling.encoder import Encoder


class Restricted(nn.Module):
    """The rows `used` (ascending ids) of an embedding; other ids are an IndexError."""

    def __init__(self, full: nn.Embedding, used: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(full.weight.detach()[used].clone())
        places = torch.full((full.num_embeddings,), len(used), device=used.device)
        places[used] = torch.arange(len(used), device=used.device)
        self.register_buffer("places", places, persistent=False)
        padding = full.padding_idx
        self.padding_idx = int(places[padding]) if padding is not None and places[padding] < len(used) else None

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return embedding(self.places[ids], self.weight, self.padding_idx)


def restrict(encoder: Encoder, used: Iterable[int]) -> Callable[[float], None]:
    """Keep only the embedding rows `used`; returns what puts the others back, times the decay that it is given.

    The full matrix waits in memory as it was, without gradient and moments. An encoder whose embedding is no plain
    one is left alone.
    """
    full = encoder.model.get_input_embeddings()
    if type(full) is not nn.Embedding or not full.weight.requires_grad:
        return lambda decay: None
    rows = torch.tensor(sorted(set(used)), dtype=torch.long)
    small = Restricted(full, rows)
    full.weight.requires_grad_(False)
    encoder.model.set_input_embeddings(small)

    def restore(decay: float) -> None:
        with torch.no_grad():
            if decay != 1:
                full.weight.mul_(decay)
            full.weight[rows] = small.weight.to(full.weight.device)
        full.weight.requires_grad_(True)
        encoder.model.set_input_embeddings(full)

    return restore
