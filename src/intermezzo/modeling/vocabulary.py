"""Word embeddings without the rows that an experiment never reads: exact, and much of a step with XLM-R's 250,002.

A row that no batch holds has no gradient. AdamW leaves its moments at zero and only decays it. So training carries
the rows that occur; the others are put back at the end, multiplied by the decay of all steps. Ids and the model's
classes stay as they are: the embedding itself maps an id to its row. Masked language modelling trains all rows, as its
softmax gives every row a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.nn.functional import embedding

from intermezzo.modeling.encoder import Encoder


class RestrictedEmbedding(nn.Module):
    """The rows `rows` (ascending ids, int64 (U,)) of an embedding: ids (...) -> (..., H); other ids: IndexError."""

    places: torch.Tensor

    def __init__(self, full: nn.Embedding, rows: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(full.weight.detach()[rows].clone())
        places = torch.full((full.num_embeddings,), len(rows), device=rows.device)
        places[rows] = torch.arange(len(rows), device=rows.device)
        self.register_buffer("places", places, persistent=False)
        padding = full.padding_idx
        self.padding_idx = int(places[padding]) if padding is not None and places[padding] < len(rows) else None

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return embedding(self.places[ids], self.weight, self.padding_idx)


def restrict(encoder: Encoder, ids: Iterable[int]) -> Callable[[float], None]:
    """Train only the embedding rows `ids`; return `restore(decay)`, which puts the others back, times `decay`.

    The full matrix waits in memory as it was, without gradient and moments. An encoder whose embedding is not a plain
    nn.Embedding, or is frozen, is not changed.
    """
    full = encoder.model.get_input_embeddings()
    if type(full) is not nn.Embedding or not full.weight.requires_grad:
        return lambda decay: None
    rows = torch.tensor(sorted(set(ids)), dtype=torch.long)
    small = RestrictedEmbedding(full, rows)
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
