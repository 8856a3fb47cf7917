"""BERT's masking: which tokens a masked language model predicts, and what it sees in their place (Devlin et al. 2019).

Pretraining (`intermezzo.training.pretrain`) and masked text beside a task (`intermezzo.modeling.heads.mlm`) share it.
"""

from __future__ import annotations

import numpy as np

MASKED, REPLACED = 0.8, 0.1
"""Shares of the predicted tokens that become the mask token, or a random one; the rest stays as it is."""


def mask_tokens(
    tokens: np.ndarray,
    maskable: np.ndarray,
    *,
    rate: float,
    mask: int,
    replacements: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Choose the tokens to predict, change `tokens` in place, and return their positions: ascending, int64 (M,).

    tokens: int64 (T,), writable. maskable: bool (T,), the tokens that may be chosen. rate: the share of these that is
    chosen; where chance chooses none, a random one is. mask: id of the mask token. replacements: int64 (R,), the ids
    that random tokens are drawn from; no special ones (XLM-R counts positions by the padding token). M is 0 only where
    nothing is maskable.
    """
    positions = np.flatnonzero(maskable & (rng.random(len(tokens)) < rate))
    if not len(positions) and maskable.any():
        positions = rng.choice(np.flatnonzero(maskable), 1)
    draws = rng.random(len(positions))
    tokens[positions[draws < MASKED]] = mask
    replaced = positions[draws >= 1 - REPLACED]
    tokens[replaced] = replacements[rng.integers(len(replacements), size=len(replaced))]
    return positions
