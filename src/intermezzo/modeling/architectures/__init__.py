"""What is particular to a type of encoder: whether it packs, how long its inputs may be, what it cannot do.

A type that packs has a module here, which has three functions:

| a module has | which is |
|---|---|
| `packs(model)` | whether this very model computes packed batches (some configurations of a type do not) |
| `prepare(model)` | what is changed of the model once, before its first batch |
| `states(model, batch, layer, rows)` | states (T, H) after `layer` (None = the last), of `rows` alone (R, H) if given |

All other types compute a padded batch by transformers' own code, with equal states, as long as those of a sentence do
not depend on the padding. Types where they do are in `UNPADDED`: they compute sentences of equal length together.
"""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

from intermezzo.modeling.architectures import bert, deberta_v2, eurobert, modernbert, nomic_bert

PACKED: dict[str, ModuleType] = {
    **dict.fromkeys(bert.FIRST_POSITION, bert),
    "deberta-v2": deberta_v2,
    "eurobert": eurobert,
    "gte": nomic_bert,
    "modernbert": modernbert,
    "nomic_bert": nomic_bert,
}
"""Model type (as in config.json) -> the module that computes its packed batches."""
UNPADDED = frozenset({"convbert", "mra", "nystromformer", "yoso"})
"""Types whose states depend on padding, and so on the other sentences of a batch."""
FULL_PRECISION = frozenset({"deberta", "xmod"})
"""Types that transformers cannot compute under autocast."""
REFUSED = {
    "canine": "reads characters and has no tokenizer of pieces",
    "fnet": "mixes every token with the padding, so that a sentence's states depend on the rest of its batch",
    "funnel": "pools neighbouring tokens, and cannot read inputs of a few tokens",
    "perceiver": "reads bytes and has no tokenizer of pieces",
    "reformer": "reads inputs of one fixed length",
    "tapas": "reads tables",
}
"""Types that are no encoders of text as this program needs them, and why."""
DROPOUTS = (
    "hidden_dropout_prob", "attention_probs_dropout_prob",  # BERT and most others
    "dropout", "attention_dropout",  # DistilBERT, XLM, FlauBERT, EuroBERT
    "embedding_dropout", "mlp_dropout",  # ModernBERT
)  # fmt: skip
"""Names of dropout rates inside an encoder; classifier heads have others."""
_POSITIONS = ("position_embeddings", "embed_positions")


def settings(config: Any, model_class: type, dropout: float | None) -> dict[str, Any]:
    """Changes of `from_pretrained` for an encoder: dropout rates (None = as they are), no pooler, full attention."""
    changes: dict[str, Any] = {name: dropout for name in DROPOUTS if dropout is not None and hasattr(config, name)}
    if "add_pooling_layer" in inspect.signature(model_class.__init__).parameters:
        changes["add_pooling_layer"] = False
    return changes | full_attention(config)


def full_attention(config: Any) -> dict[str, Any]:
    """Changes of `from_pretrained` for a type with sparse attention (BigBird).

    It switches to full attention by itself at its first short input, and stays there. Here it is full from the start,
    so that results do not depend on the order of batches.
    """
    return {"attention_type": "original_full"} if getattr(config, "attention_type", None) == "block_sparse" else {}


def longest_input(model: Any) -> int | None:
    """The most tokens that `model` reads, special ones included; None = no limit.

    It follows from the table of positions, of which some types leave out the first rows (RoBERTa counts from the
    padding token's id). Rotary positions have no table: their limit is what the configuration says. Relative
    distances beyond the last bucket share it (DeBERTa), so they have no limit.
    """
    for name, module in model.named_modules():
        weight = getattr(module, "weight", getattr(module, "weight_integer", None))
        if name.rpartition(".")[2] in _POSITIONS and name.count(".") <= 1 and weight is not None and weight.ndim == 2:
            ids = getattr(model.get_submodule(name.rpartition(".")[0]), "position_ids", None)
            padding = getattr(module, "padding_idx", None)
            if padding is not None:
                return len(weight) - padding - 1
            return len(weight) if ids is None else min(len(weight) - int(ids.min()), ids.shape[-1])
    config = model.config
    rotary = getattr(config, "rope_parameters", None) or getattr(config, "position_embedding_type", None) == "rotary"
    return getattr(config, "max_position_embeddings", None) if rotary else None
