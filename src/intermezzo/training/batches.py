"""The batches of a fine-tuning run: a step's task, its features, and their loss by the task's head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from intermezzo.modeling.heads import Feature, positions_needed
from intermezzo.modeling.packing import pack

Batch = tuple[str, np.ndarray]
"""A task and the indices of its features."""


class TaskBatches:
    """`batches` over the features of tasks; `intermezzo.training.gradient.TrainingBatches` says what each method is.

    system: {"encoder", "heads"}. heads: task -> name of its head. features: task -> features. ids: task -> the ids of
    its rows, which a message names.
    """

    def __init__(
        self,
        system: nn.ModuleDict,
        heads: dict[str, str],
        features: dict[str, Sequence[Feature]],
        batches: Sequence[Batch],
        ids: dict[str, list[str]],
    ) -> None:
        self.system, self.heads, self.features, self.batches, self.ids = system, heads, features, batches, ids
        self.device = next(system.parameters()).device

    def items(self, step: int) -> list[Feature]:
        """The features of a step's batch; where the head masks some of their tokens, anew for each step."""
        name, indices = self.batches[step]
        items, head = [self.features[name][i] for i in indices], self._head(step)
        return head.corrupt(items) if hasattr(head, "corrupt") else items

    def size(self, item: Feature) -> int:
        """Tokens of a feature, those of all its sequences."""
        return item.tokens

    def weight(self, step: int, items: Sequence[Feature]) -> int:
        """Masked tokens or words where the head counts them, else features."""
        count: int = getattr(self._head(step), "count", len)(items)
        return count

    def outputs(self, step: int, items: list[Feature]) -> Any:
        """What the task's head makes of the encoder's states, of which it may read a part."""
        head = self._head(step)
        if hasattr(head, "read"):
            return head.read(self.system["encoder"], items, self.device)
        packed = pack([s for f in items for s in f.sequences], [t for f in items for t in f.types]).to(self.device)
        return head(self.system["encoder"](packed, rows=positions_needed(head, items, packed)), packed)

    def loss(self, step: int, outputs: Any, items: Sequence[Feature]) -> torch.Tensor:
        """The mean loss of the task's head."""
        loss: torch.Tensor = self._head(step).loss(outputs, items)
        return loss

    def joint(self, step: int) -> bool:
        """Whether the task's head compares the features of a batch, as ranking does."""
        return bool(getattr(self._head(step), "joint", False))

    def rows(self, step: int, item: Feature) -> int:
        """A row for each of its sequences, unless the head says otherwise."""
        head = self._head(step)
        return int(head.rows(item)) if hasattr(head, "rows") else len(item.sequences)

    def names(self, step: int) -> str:
        """The task and the ids of the rows that the features come from."""
        name, indices = self.batches[step]
        return f"of {name}: {', '.join(self.ids[name][self.features[name][i].row] for i in indices)}"

    def _head(self, step: int) -> Any:
        heads: Any = self.system["heads"]
        return heads[self.heads[self.batches[step][0]]]
