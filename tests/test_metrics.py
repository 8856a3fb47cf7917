"""Metrics against values worked out by hand and, where they are installed, against the reference packages."""

from __future__ import annotations

import random

import pytest

from intermezzo.errors import UserError
from intermezzo.evaluation.metrics import METRICS, majority, score
from intermezzo.evaluation.metrics.tagging import entities, pos_f1, span_f1

NER = {"name": "ner", "labels": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"], "metrics": ["span_f1", "accuracy"]}
POS = {"name": "pos", "labels": ["NOUN", "VERB"], "metrics": ["accuracy"]}
QA = {"name": "qa", "labels": [], "metrics": ["squad_f1", "squad_em"]}
NLI = {"name": "nli", "labels": ["a", "b", "c"], "metrics": ["accuracy"]}


@pytest.mark.parametrize(
    ("fmt", "predictions", "gold"),
    [
        ("classification", ["a", "b", "b", "c"], ["a", "b", "c", "a"]),
        ("multiple_choice", [0, 1], [0, 0]),
        ("retrieval", [0, 2, 2, 1], [0, 1, 2, 3]),
    ],
)
def test_accuracy_is_the_share_of_equal_values(fmt, predictions, gold):
    assert score(fmt, predictions, gold, NLI, "en") == {"accuracy": 0.5}


def test_majority_is_the_commonest_label_and_one_in_n_for_retrieval():
    rows = [{"label": label} for label in "abcbb"]
    assert majority("classification", rows, NLI) == {"accuracy": 0.6}
    assert majority("multiple_choice", [{"label": i} for i in (0, 1, 1, 2)], NLI) == {"accuracy": 0.5}
    assert majority("retrieval", [{}] * 8, NLI) == {"accuracy": 0.125}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-PER I-PER O", {(0, 2, "PER")}),
        ("B-PER B-PER", {(0, 1, "PER"), (1, 2, "PER")}),
        ("O I-PER I-PER", {(1, 3, "PER")}),
        ("B-PER I-LOC I-LOC", {(0, 1, "PER"), (1, 3, "LOC")}),
        ("I-PER B-PER I-PER", {(0, 1, "PER"), (1, 3, "PER")}),
        ("B-A-B I-A-B", {(0, 2, "A-B")}),
        ("O O", set()),
    ],
)
def test_entities_are_read_leniently(tags, expected):
    assert entities(tags.split()) == expected


def test_span_f1_by_hand():
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-LOC"]]
    ours = [["B-PER", "O", "O", "B-LOC"], ["B-LOC", "B-LOC"]]
    # 3 gold and 4 predicted entities, 2 of them right: one PER is too short, one LOC is made up
    assert score("tagging", ours, gold, NER, "en") == {"span_f1": pytest.approx(4 / 7), "accuracy": 4 / 6}


def test_pos_f1_counts_runs_of_one_tag():
    # gold runs: NOUN NOUN | VERB | DET; predicted: NOUN | VERB VERB | DET, of which only DET agrees
    ours, gold = [["NOUN", "VERB", "VERB", "DET"]], [["NOUN", "NOUN", "VERB", "DET"]]
    assert pos_f1(ours, gold) == pytest.approx(2 * 1 / (3 + 3))
    task = {"name": "pos", "labels": ["NOUN", "VERB", "DET"], "metrics": ["accuracy", "pos_f1"]}
    assert score("tagging", gold, gold, task, "en") == {"accuracy": 1.0, "pos_f1": 1.0}


def test_span_f1_is_zero_without_entities():
    assert span_f1([["O"]], [["O"]]) == 0.0
    assert majority("tagging", [{"tags": ["O", "O", "O", "B-PER"]}], NER) == {"span_f1": 0.0, "accuracy": 0.75}


def test_tagging_accuracy_counts_tokens_not_sentences():
    assert score("tagging", [["NOUN"], ["NOUN"] * 3], [["VERB"], ["NOUN"] * 3], POS, "en") == {"accuracy": 0.75}


def test_span_f1_equals_seqeval():
    seqeval = pytest.importorskip("seqeval.metrics", reason="seqeval is not a dependency; compared where installed")
    draw = random.Random(0)
    for _ in range(300):
        lengths = [draw.randint(1, 7) for _ in range(draw.randint(1, 4))]
        gold, ours = ([draw.choices(NER["labels"], k=n) for n in lengths] for _ in range(2))
        if any(tag != "O" for tags in gold + ours for tag in tags):
            assert span_f1(ours, gold) == pytest.approx(seqeval.f1_score(gold, ours)), (gold, ours)


@pytest.mark.parametrize(
    ("prediction", "answers", "f1", "em"),
    [
        ("the U.S. Navy!", ["US navy"], 1.0, 1.0),
        ("the big red house", ["red house"], 0.8, 0.0),
        ("red", ["blue", "red car"], 2 / 3, 0.0),
        ("red red", ["red"], 2 / 3, 0.0),
        ("", ["x"], 0.0, 0.0),
        ("the", ["a"], 0.0, 1.0),  # both are empty once normalised: SQuAD v1.1 counts an exact match without F1
        ("¿qué?", ["qué"], 0.0, 0.0),  # punctuation outside ASCII stays
        ("banana", ["ban"], 0.0, 0.0),
    ],
)
def test_squad_by_hand(prediction, answers, f1, em):
    assert score("span", [prediction], [answers], QA, "en") == {"squad_f1": pytest.approx(f1), "squad_em": em}


def test_squad_averages_over_questions():
    assert score("span", ["x y", "z"], [["x y"], ["w"]], QA, "en") == {"squad_f1": 0.5, "squad_em": 0.5}


def test_span_majority_takes_the_better_fixed_guess_per_metric():
    rows = [{"context": "red cat", "answers": ["cat"]}, {"context": "big red cat sat", "answers": ["Cat"]}]
    assert majority("span", rows, QA) == {"squad_f1": 1.0, "squad_em": 1.0}
    rows = [{"context": "red cat", "answers": ["red"]}, {"context": "big dog", "answers": ["dog"]}]
    assert majority("span", rows, QA) == {"squad_f1": pytest.approx(2 / 3), "squad_em": 0.5}


def test_every_format_has_the_metrics_it_names():
    examples = {"tagging": ([["O"]], [["O"]]), "span": (["x"], [["x"]]), "classification": (["a"], ["a"])}
    for fmt, names in METRICS.items():
        predictions, gold = examples.get(fmt, ([0], [0]))
        tasks = [{"name": "t", "labels": labels} for labels in (NER["labels"], ["O", "X"])]
        given = [name for task in tasks for name in score(fmt, predictions, gold, task, "en")]
        assert tuple(dict.fromkeys(given)) == names


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: score("spam", ["a"], ["a"], NLI, "en"), "did you mean 'span'"),
        (lambda: score("classification", ["a"], ["a", "b"], NLI, "en"), "1 predictions for 2 rows"),
        (lambda: score("classification", [], [], NLI, "en"), "at least one, is needed"),
        (lambda: score("tagging", [["O"]], [["O", "O"]], NER, "en"), "row 0: 1 predicted tags for 2 tokens"),
        (lambda: score("tagging", [["NOUN"]], [["VERB"]], POS | {"metrics": ["span_f1"]}, "en"), "metric 'span_f1'"),
        (lambda: score("span", ["x"], [[]], QA, "en"), "row 0: no answer"),
        (lambda: majority("retrieval", [], NLI), "no rows"),
    ],
)
def test_bad_input_is_one_clear_message(call, message):
    with pytest.raises(UserError, match=message):
        call()
