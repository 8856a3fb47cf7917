"""Masked language modelling as an intermediate task: continued pretraining on text (Phang et al. 2020).

The head is the one that the encoder was pretrained with, where its folder has it. For BERT and XLM-R it is written
here, with the encoder's word embeddings as its output matrix; for other types it is transformers' own. Which tokens are
masked is drawn anew each time a text is seen, from torch's random state, which training states hold: a resumed run
masks what an undisturbed one would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from tokenizers import Tokenizer
from torch import nn
from torch.nn.functional import cross_entropy, gelu

from intermezzo.modeling.encoder import Encoder
from intermezzo.modeling.heads import NUMBER, NUMBERS, PAIRS, Feature, targets, to_device, to_float32
from intermezzo.modeling.kernels import linear
from intermezzo.modeling.masked_lm import PretrainedHead, has_head
from intermezzo.modeling.masking import mask_tokens
from intermezzo.modeling.packing import Packed
from intermezzo.modeling.tokenizer import mask_token
from intermezzo.specs.encoding import EncodingSpec, HeadSpec

COLUMNS = {"target": PAIRS, "inside": NUMBERS, "mask": NUMBER, "vocabulary": NUMBER}
MASK_RATE = 0.15
"""Share of the tokens to be predicted (BERT, XLM-R)."""
_TYPES = ("bert", "xlm-roberta")
_PRETRAINED = {
    "dense": ("lm_head.dense", "cls.predictions.transform.dense"),
    "norm": ("lm_head.layer_norm", "cls.predictions.transform.LayerNorm"),
}
"""Part of the head -> its name in checkpoints of XLM-R and of BERT."""
_BIAS = ("lm_head.bias", "cls.predictions.bias")


def encode(rows: list[dict], tokenizer: Tokenizer, spec: EncodingSpec) -> list[Feature]:
    """Features of at most `max_length` tokens; a longer text gives several. extra: which tokens may be masked."""
    tokenizer.enable_truncation(spec.max_length, stride=0)
    texts = [(row["text"], row["text_pair"]) if row["text_pair"] else row["text"] for row in rows]
    mask, size = tokenizer.token_to_id(mask_token(tokenizer)), tokenizer.get_vocab_size()
    features = []
    for i, encoding in enumerate(tokenizer.encode_batch(texts)):
        for piece in [encoding, *encoding.overflowing]:
            inside = [position for position, special in enumerate(piece.special_tokens_mask) if not special]
            if inside:
                extra = {"inside": inside, "mask": mask, "vocabulary": size}
                features.append(Feature(i, [piece.ids], [piece.type_ids], [], extra))
    return features


class Head(nn.Module):
    """dense, GELU, layer norm, then the word embeddings as output matrix; `attach` it before use.

    Of a type with another head, `pretrained` is that head; dense and norm are then not there.
    """

    whole_vocabulary = True  # its softmax runs over all word embeddings

    def __init__(self, hidden_size: int, spec: HeadSpec) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden_size, hidden_size)
        self.norm = nn.LayerNorm(hidden_size)
        self.pretrained: PretrainedHead | None = None
        self.special: list[int] = []  # ids that stand in the place of no word
        self.replacements: np.ndarray | None = None  # all other ids, from the first batch on

    def attach(self, encoder: Encoder, folder: Path) -> None:
        """Tie the output to the encoder's word embeddings, and take over the pretrained head that `folder` has."""
        config = encoder.config
        special = (getattr(config, f"{name}_token_id", None) for name in ("pad", "bos", "eos"))
        self.special = [token for token in special if token is not None]
        if config.model_type not in _TYPES and has_head(encoder):
            del self.dense, self.norm
            self.pretrained = PretrainedHead(encoder, folder)
            return
        embeddings = encoder.model.get_input_embeddings().weight
        self._embeddings = [embeddings]  # in a list: no parameter of the head
        self.bias = nn.Parameter(torch.zeros(len(embeddings)))
        if embeddings.shape[1] != encoder.hidden_size:
            self.dense = nn.Linear(encoder.hidden_size, embeddings.shape[1])
            self.norm = nn.LayerNorm(embeddings.shape[1])
        self.norm.eps = getattr(config, "layer_norm_eps", self.norm.eps)
        with safe_open(folder / "model.safetensors", "pt") as weights, torch.no_grad():
            stored = set(weights.keys())
            for part, names in _PRETRAINED.items():
                for name in (name for name in names if f"{name}.weight" in stored):
                    module = getattr(self, part)
                    module.weight.copy_(weights.get_tensor(f"{name}.weight"))
                    module.bias.copy_(weights.get_tensor(f"{name}.bias"))
            for name in (name for name in _BIAS if name in stored):
                self.bias.copy_(weights.get_tensor(name))

    def corrupt(self, features: list[Feature]) -> list[Feature]:
        """The same features with tokens masked; target: (place, right token) of what is to be predicted."""
        if self.replacements is None:
            extra = features[0].extra
            self.replacements = np.setdiff1d(np.arange(extra["vocabulary"]), [*self.special, extra["mask"]])
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        return [_masked(feature, self.replacements, rng) for feature in features]

    def positions_needed(self, features: list[Feature], batch: Packed) -> torch.Tensor:
        """The masked tokens."""
        return targets(features, batch)

    def forward(self, states: torch.Tensor, batch: Packed) -> tuple[torch.Tensor, Sequence[int]]:
        """The states (T, H), and where each sequence starts (N,): logits are computed where a token was masked."""
        return states, batch.begins

    def count(self, features: list[Feature]) -> int:
        """Masked tokens."""
        return sum(len(feature.target) for feature in features)

    def loss(self, outputs: tuple[torch.Tensor, Sequence[int]], features: list[Feature]) -> torch.Tensor:
        """Mean over the masked tokens of the batch."""
        states, starts = outputs
        targets_ = [
            (start + position, token)
            for start, feature in zip(starts, features, strict=True)
            for position, token in feature.target
        ]
        positions, gold = to_device(states.device, targets_).T
        masked = states[positions]
        if self.pretrained is None:
            logits = linear(self.norm(gelu(self.dense(masked))), self._embeddings[0], self.bias)
        else:
            logits = self.pretrained(masked)
        return cross_entropy(to_float32(logits), gold)


def _masked(feature: Feature, replacements: np.ndarray, rng: np.random.Generator) -> Feature:
    ids, extra = np.asarray(feature.sequences[0], np.int64), feature.extra
    tokens, maskable = ids.copy(), np.zeros(len(ids), bool)
    maskable[extra["inside"]] = True
    how = {"rate": MASK_RATE, "mask": extra["mask"], "replacements": replacements}
    positions = mask_tokens(tokens, maskable, **how, rng=rng)
    target = list(zip(positions.tolist(), ids[positions].tolist(), strict=True))
    return replace(feature, sequences=[tokens.tolist()], target=target)
