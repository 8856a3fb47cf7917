"""The division of a budget over languages: exact, by weights, within supply."""

from __future__ import annotations

import random

import pytest

from intermezzo.errors import UserError
from intermezzo.mixing import allocate


def test_divides_exactly_by_weights():
    assert allocate(6000, {"en": 0.75, "fri": 0.0625, "mor": 0.0625, "qul": 0.0625, "tiw": 0.0625}) == {
        "en": 4500,
        "fri": 375,
        "mor": 375,
        "qul": 375,
        "tiw": 375,
    }


def test_largest_remainder_by_hand():
    # quotas 3.5, 3.5 (tie: by name), 3.0; then 3.4, 4.3, 2.3 of 10
    assert allocate(10, {"b": 35, "a": 35, "c": 30}) == {"a": 4, "b": 3, "c": 3}
    assert allocate(10, {"a": 0.34, "b": 0.43, "c": 0.23}) == {"a": 4, "b": 4, "c": 2}


def test_weights_need_not_sum_to_one_and_zero_gives_nothing():
    assert allocate(9, {"en": 2, "fri": 1, "mor": 0}) == {"en": 6, "fri": 3, "mor": 0}


def test_what_a_short_language_lacks_goes_to_the_others_by_weight():
    assert allocate(100, {"en": 0.5, "a": 0.25, "b": 0.25}, {"en": 1000, "a": 5, "b": 1000}) == {
        "en": 63,
        "a": 5,
        "b": 32,
    }


def test_a_second_language_can_run_short_because_of_the_first():
    assert allocate(100, {"en": 0.5, "a": 0.25, "b": 0.25}, {"en": 1000, "a": 5, "b": 28}) == {
        "en": 67,
        "a": 5,
        "b": 28,
    }


@pytest.mark.parametrize("seed", range(200))
def test_always_the_whole_budget_within_supply(seed):
    draw = random.Random(seed)
    languages = [f"l{i}" for i in range(draw.randint(1, 12))]
    weights = {language: draw.choice([0, 0.1, 1 / 3, 1, 7]) for language in languages} | {"en": 0.5}
    supply = {language: draw.randint(0, 50) for language in weights}
    possible = sum(supply[language] for language in weights if weights[language])
    examples = draw.randint(0, possible)
    counts = allocate(examples, weights, supply)
    assert sum(counts.values()) == examples
    assert all(counts[language] <= supply[language] for language in weights)
    assert all(counts[language] == 0 for language in weights if not weights[language])


def test_does_not_depend_on_the_order_of_the_languages():
    weights = {f"l{i}": 1 / 7 for i in range(7)}
    assert allocate(100, weights) == allocate(100, dict(reversed(weights.items())))


def test_too_few_rows_name_what_there_is():
    with pytest.raises(UserError, match=r"100 examples asked for, 30 there \(en 20, fri 10\).*lower `examples`"):
        allocate(100, {"en": 1, "fri": 1}, {"en": 20, "fri": 10})


@pytest.mark.parametrize(
    ("weights", "message"),
    [({"en": 1, "fri": -0.1}, "negative weight for fri"), ({"en": 0}, "sum to nothing"), ({}, "sum to nothing")],
)
def test_impossible_weights(weights, message):
    with pytest.raises(UserError, match=message):
        allocate(10, weights)
