"""Whether an encoder from elsewhere is what it seems to be: its type, its tokenizer, its states, its input length.

Each check ends in one UserError before anything is trained. What is wrong with an encoder would otherwise be seen in no
log: a tokenizer that knows no word of the text still gives ids, and training on them still gives scores.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from tokenizers import Tokenizer
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from intermezzo.core.errors import UserError
from intermezzo.modeling import architectures
from intermezzo.modeling.packing import pack
from intermezzo.modeling.tokenizer import load_tokenizer, unknown_pieces

log = logging.getLogger(__name__)

FEWEST_PIECES = 0.8
"""A tokenizer has at least this share of as many pieces as there are embedding rows. Checkpoints whose rows were
rounded up have over 0.97."""
MOST_UNKNOWN = 0.1
"""Largest share of unknown pieces in the text that an encoder is trained on."""
SAMPLE = 200
"""Rows of each data file that are looked at."""
TOLERANCE = 1e-2
"""Largest difference of a sentence's states, alone and in a batch, in standard deviations of all states: rounding is
far below, other sentences' influence far above."""
_SENTENCES = ("a", "the dog sees the cat", "nobody knows how many words this sentence has, but it is the longest one")


class UnfitError(ValueError):
    """Why an encoder cannot be taken; whoever knows where it is from makes a UserError of it."""


def check_type(config: Any) -> None:
    """Raise UnfitError for a model that is no encoder of texts."""
    kind = config.model_type
    if reason := architectures.REFUSED.get(kind):
        raise UnfitError(f"a model of type '{kind}' {reason}; take an encoder of another type (docs/encoders.md)")
    causal = kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if config.is_encoder_decoder or causal or getattr(config, "is_decoder", False):
        raise UnfitError(f"a model of type '{kind}' is no encoder (BERT, XLM-R and their like are)")


def check_tokenizer(tokenizer: Tokenizer, rows: int) -> None:
    """Raise UnfitError for a tokenizer that is not that of a model with so many rows of word embeddings."""
    ids = tokenizer.get_vocab().values()
    sizes = f"its tokenizer has {len(ids):,} pieces, and the model {rows:,} rows of word embeddings"
    mend = "put the model's own tokenizer files (tokenizer.json and tokenizer_config.json) beside its weights"
    if len(ids) < FEWEST_PIECES * rows:
        raise UnfitError(f"{sizes}: it is empty or another model's; {mend}")
    if max(ids) >= rows:
        piece = max(tokenizer.get_vocab().items(), key=lambda item: item[1])[0]
        raise UnfitError(f"{sizes}, none for piece '{piece}' (id {max(ids)}): it is another model's; {mend}")


def check_length(model: Any, max_length: int, name: str | Path) -> None:
    """Raise UserError when the model called `name` cannot read inputs of `max_length` tokens."""
    longest = architectures.longest_input(model)
    if longest is not None and max_length > longest:
        raise UserError(
            f"max_length {max_length}: the encoder in {name} reads at most {longest} tokens; "
            f"set training's max_length (or that of the encoder's finetuning) to {longest} or less"
        )


@torch.inference_mode()
def check_states(encoder: Any, tokenizer: Tokenizer) -> None:
    """Raise UnfitError unless the states of some sentences are numbers, and the same alone and in a batch."""
    kind, was_training = encoder.config.model_type, encoder.training
    longest = architectures.longest_input(encoder.model) or 512
    tokenizer = Tokenizer.from_str(tokenizer.to_str())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    sequences = [encoding.ids[:longest] for encoding in tokenizer.encode_batch([*_SENTENCES])]
    sequences = [ids for ids in sequences if ids]
    if not sequences:
        raise UnfitError("its tokenizer leaves nothing of an English sentence")
    encoder.eval()
    try:
        together = _states(encoder, sequences)
        alone = [_states(encoder, [ids])[0] for ids in sequences]
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever a model that needs other inputs says
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UnfitError(f"a model of type '{kind}' cannot be run on plain text ({first})") from None
    finally:
        encoder.train(was_training)
    scale = torch.cat(alone).std()
    if not torch.isfinite(scale):
        raise UnfitError("its states are not finite numbers; are the weights damaged?")
    difference = max(float((a - b).abs().max()) for a, b in zip(together, alone, strict=True))
    if difference > TOLERANCE * float(scale):
        raise UnfitError(
            f"the states of a sentence depend on the other sentences of its batch (by {difference / float(scale):.2g} "
            f"standard deviations), so a model of type '{kind}' is not computed rightly here"
        )


def _states(encoder: Any, sequences: list[list[int]]) -> list[torch.Tensor]:
    batch = pack(sequences, [[0] * len(ids) for ids in sequences])
    states = encoder(batch)
    return [states[start : start + len(ids)] for start, ids in zip(batch.begins, sequences, strict=True)]


def check_text(folder: Path, data: dict[str, Path]) -> dict[str, float]:
    """The share of pieces of each data file that the tokenizer in `folder` does not know, in a sample of its rows.

    data: TASK/LANGUAGE -> Parquet. Raises UserError when a tokenizer knows too little of the English files (of all, if
    none is English). A language that it does not know is a finding, and logged: its script may be one that the
    encoder never saw.
    """
    tokenizer = load_tokenizer(folder)
    counts = {name: unknown_pieces(tokenizer, _sample(path)) for name, path in sorted(data.items())}
    shares = {name: unknown / max(1, pieces) for name, (unknown, pieces) in counts.items()}
    english = [name for name in counts if name.endswith("/en")] or [*counts]
    unknown, pieces = (sum(counts[name][i] for name in english) for i in range(2))
    if unknown > MOST_UNKNOWN * pieces:
        worst = max(english, key=lambda name: shares[name])
        raise UserError(
            f"{folder}: its tokenizer does not know {unknown / pieces:.0%} of the pieces of the training text (most in "
            f"{worst}, {shares[worst]:.0%}; at most {MOST_UNKNOWN:.0%} are allowed): is it another model's? Put the "
            "encoder's own tokenizer files beside its weights, or take an encoder that knows the script"
        )
    for name in (name for name, share in shares.items() if share > MOST_UNKNOWN):
        log.warning("%s: %.0f %% of the pieces are unknown to the encoder's tokenizer", name, 100 * shares[name])
    return {name: round(share, 4) for name, share in shares.items()}


def _sample(path: Path) -> Iterable[dict[str, Any]]:
    """The first rows of a Parquet file."""
    with pq.ParquetFile(path) as file:
        return next((batch.to_pylist() for batch in file.iter_batches(SAMPLE)), [])
