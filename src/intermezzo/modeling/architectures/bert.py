"""BERT and its kin: transformers' own model, with an attention function that knows where sequences begin.

Everything but attention works token by token. The last layer is computed to its end for the tokens that are read, and
layers above the one that is read are not computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from intermezzo.modeling.packing import GatherRows, Packed, packed_attention

ALL_ATTENTION_FUNCTIONS.register("packed", packed_attention)


def _zero(config: Any) -> int:
    return 0


def _after_padding(config: Any) -> int:
    return config.pad_token_id + 1


FIRST_POSITION = {
    "bert": _zero,
    "camembert": _after_padding,
    "data2vec-text": _after_padding,
    "electra": _zero,
    "ernie": _zero,
    "roberta": _after_padding,
    "xlm-roberta": _after_padding,
}
"""Model type -> the position id of a sequence's first token."""


def packs(model: Any) -> bool:
    """Whether the model takes our attention function (older releases of transformers have types that do not)."""
    return bool(getattr(model, "_supports_attention_backend", False)) and not model.config.is_decoder


def prepare(model: Any) -> None:
    """Give the model our attention function."""
    model.set_attn_implementation("packed")


def states(model: Any, batch: Packed, layer: int | None, rows: torch.Tensor | None) -> torch.Tensor:
    """States of a packed batch: see `intermezzo.modeling.architectures`."""
    config = model.config
    inputs = {
        "input_ids": batch.tokens[None],
        "position_ids": batch.positions[None] + FIRST_POSITION[config.model_type](config),
        "runs": batch.runs,
    }
    if batch.tokens.is_cuda:
        inputs["places"] = batch.places
    if config.type_vocab_size > 1:
        inputs["token_type_ids"] = batch.types[None]
    with _truncated(model.encoder, layer, rows):
        return model(**inputs).last_hidden_state[0]


@contextmanager
def _truncated(stack: Any, layer: int | None, rows: torch.Tensor | None) -> Iterator[None]:
    """Truncate BERT's `stack` of layers to the first `layer` ones, the last of which computes just `rows` (R,).

    Keys and values are needed of every token; all that follows attention is computed token by token. The stack is
    whole again afterwards. Not re-entrant: one forward pass at a time.
    """
    layers, hooks = stack.layer, []
    try:
        if layer is not None:
            stack.layer = layers[:layer]
        if rows is not None:
            output = stack.layer[-1].attention.output  # its inputs: what attention gives, and the states before
            hooks.append(output.register_forward_pre_hook(lambda _, inputs: tuple(_rows(x, rows) for x in inputs)))
        yield
    finally:
        stack.layer = layers
        for hook in hooks:
            hook.remove()


def _rows(states: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """(1, T, H) -> (1, R, H)"""
    return GatherRows.apply(states[0], rows)[None]
