"""Masking of tokens for masked language modelling: rates, what tokens become, and the numbers that it draws."""

import numpy as np
import torch

from intermezzo.modeling.heads import format_module
from intermezzo.modeling.masking import mask_tokens
from intermezzo.modeling.tokenizer import load_tokenizer
from specifications import SETTINGS, encoding, head_spec
from toy_training import TASKS, rows

MASK = 1
WORDS = np.arange(100, 200)


def masked(tokens: np.ndarray, maskable: np.ndarray, seed: int = 0, rate: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """(tokens afterwards, positions to predict)"""
    changed = tokens.copy()
    rng = np.random.default_rng(seed)
    return changed, mask_tokens(changed, maskable, rate=rate, mask=MASK, replacements=WORDS, rng=rng)


def test_shares_are_those_of_bert_and_only_maskable_tokens_change():
    tokens, maskable = np.arange(1000, 101_000), np.arange(100_000) % 4 > 0
    changed, positions = masked(tokens, maskable)
    assert abs(len(positions) / maskable.sum() - 0.3) < 0.01
    assert maskable[positions].all() and (np.diff(positions) > 0).all()
    untouched = np.ones(len(tokens), bool)
    untouched[positions] = False
    assert (changed[untouched] == tokens[untouched]).all()
    predicted = changed[positions]
    shares = [(predicted == MASK).mean(), np.isin(predicted, WORDS).mean(), (predicted == tokens[positions]).mean()]
    assert np.allclose(shares, [0.8, 0.1, 0.1], atol=0.01)
    assert set(predicted[np.isin(predicted, WORDS)]) == set(WORDS)


def test_at_least_one_token_is_predicted_and_none_where_none_may_be():
    tokens, maskable = np.arange(10, 18), np.array([0, 1, 0, 1, 1, 0, 0, 0], bool)
    positions = [masked(tokens, maskable, seed, rate=0.0)[1].tolist() for seed in range(50)]
    assert {place for (place,) in positions} == {1, 3, 4}
    assert not len(masked(tokens, np.zeros(8, bool))[1])


def test_the_numbers_of_pretraining_are_those_of_published_results():
    """(seed, 2, step) gives a batch's masks: a share per token, a share per chosen token, then the random tokens."""
    tokens = np.array([0, *range(10, 40), 2])
    draws, rng = np.random.default_rng([0, 2, 7]), np.random.default_rng([0, 2, 7])
    expected = tokens.copy()
    chosen = np.flatnonzero((tokens >= 4) & (draws.random(32) < 0.3))
    shares = draws.random(len(chosen))
    expected[chosen[shares < 0.8]] = 79
    expected[chosen[shares >= 0.9]] = draws.integers(4, 79, (shares >= 0.9).sum())
    positions = mask_tokens(tokens, tokens >= 4, rate=0.3, mask=79, replacements=np.arange(4, 79), rng=rng)
    assert positions.tolist() == chosen.tolist() and 3 < len(chosen) < 20
    assert tokens.tolist() == expected.tolist()
    assert draws.random() == rng.random()


def test_masked_text_predicts_words_draws_anew_and_repeats_with_torchs_seed(encoder):
    module, task = format_module(TASKS["text"]["format"]), TASKS["text"] | {"name": "text"}
    features = module.encode(rows("text", 200, 1), load_tokenizer(encoder), encoding(task, SETTINGS))
    before = [list(feature.sequences[0]) for feature in features]
    head = module.Head(16, head_spec(task, SETTINGS))
    head.special = [0, 1, 2]
    torch.manual_seed(0)
    first, second = head.corrupt(features), head.corrupt(features)
    torch.manual_seed(0)
    again = head.corrupt(features)
    assert [f.target for f in first] == [f.target for f in again] != [f.target for f in second]
    assert [f.sequences for f in first] == [f.sequences for f in again]
    assert [list(feature.sequences[0]) for feature in features] == before
    mask = features[0].extra["mask"]
    for feature, ids in zip(first, before, strict=True):
        assert feature.target and {place for place, _ in feature.target} <= set(feature.extra["inside"])
        assert all(ids[place] == token for place, token in feature.target)
        differ = [token for token, old in zip(feature.sequences[0], ids, strict=True) if token != old]
        assert not set(differ) & {0, 1, 2} and len(differ) <= len(feature.target)
        assert all(token == mask or 3 <= token < mask for token in differ)
