"""Metrics against values worked out by hand and against the reference packages."""

from __future__ import annotations

import random
import warnings
from importlib.metadata import version

import pytest
from seqeval import metrics as seqeval

from intermezzo.core.errors import UserError
from intermezzo.evaluation import metrics
from intermezzo.evaluation.metrics.tagging import SEQEVAL, pos_f1, seqeval_scores, span_f1, spans
from specifications import task_spec

NER = {"name": "ner", "labels": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"], "metrics": ["span_f1", "accuracy"]}
POS = {"name": "pos", "labels": ["NOUN", "VERB"], "metrics": ["accuracy"]}
QA = {"name": "qa", "labels": [], "metrics": ["squad_f1", "squad_em"]}
NLI = {"name": "nli", "labels": ["a", "b", "c"], "metrics": ["accuracy"]}


def score(fmt: str, predictions: list, gold: list, values: dict, language: str) -> dict[str, float]:
    return metrics.score(task_spec(values | {"format": fmt}), predictions, gold, language, values.get("metrics", ()))


def majority(fmt: str, rows: list[dict], values: dict, language: str = "") -> dict[str, float]:
    return metrics.majority(task_spec(values | {"format": fmt}), rows, language, values.get("metrics", ()))


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
        ("O O", set()),
    ],
)
@pytest.mark.parametrize("version", SEQEVAL)
def test_entities_are_read_leniently(tags, expected, version):
    assert spans([tags.split()], version) == expected


@pytest.mark.parametrize(
    ("version", "tags", "expected"),
    [
        ("0.0.12", ["B-A-B I-A-B"], {(0, 2, "B")}),
        ("1.2.2", ["B-A-B I-A-B"], {(0, 2, "A-B")}),
        (
            "0.0.12",
            ["INTJ INTJ SYM SYM SCONJ X X"],
            {(0, 2, "INTJ"), (2, 3, "SYM"), (3, 4, "SYM"), (4, 5, "SCONJ"), (5, 7, "X")},
        ),
        ("0.0.12", ["NOUN", "NOUN"], {(0, 1, "NOUN"), (2, 3, "NOUN")}),
        # one type, and S begins a span without ending the one before, which is lost
        ("1.2.2", ["NOUN CCONJ SCONJ"], {(0, 1, "OUN"), (2, 3, "CONJ")}),
        # X has the type of O: after O it begins nothing, so that the span ending with it reaches back to the last begin
        ("1.2.2", ["NOUN", "X VERB"], {(0, 1, "OUN"), (0, 3, "_"), (3, 4, "ERB")}),
        ("1.2.2", ["VERB X"], {(0, 1, "ERB")}),
    ],
)
def test_the_two_versions_of_seqeval_read_bare_tags_differently(version, tags, expected):
    assert spans([line.split() for line in tags], version) == expected


def test_confusing_conjunctions_costs_nothing_with_the_later_seqeval():
    ours, gold = [["NOUN", "SCONJ", "VERB"]], [["NOUN", "CCONJ", "VERB"]]
    assert seqeval_scores(ours, gold, "0.0.12") == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert seqeval_scores(ours, gold, "1.2.2") == (1.0, 1.0, 1.0)


def test_precision_and_recall_by_hand():
    # 4 spans found, 2 of the 3 wanted ones among them
    ours, gold = [["B-PER", "O", "I-LOC", "B-LOC", "B-PER"]], [["B-PER", "O", "B-LOC", "I-LOC", "B-PER"]]
    assert seqeval_scores(ours, gold, "0.0.12") == pytest.approx((2 / 4, 2 / 3, 4 / 7))


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


def test_scores_equal_those_of_seqeval():
    if version("seqeval") not in SEQEVAL:
        pytest.skip(f"seqeval {version('seqeval')}: only {', '.join(SEQEVAL)} are reproduced")
    bare = ["ADJ", "CCONJ", "INTJ", "NOUN", "SCONJ", "SYM", "X"]
    tags = [NER["labels"], ["O", "B-A-B", "I-A-B", "B-B"], bare, ["X", "O", "SYM"]]
    draw = random.Random(0)
    for round in range(400):
        lengths = [draw.randint(1, 7) for _ in range(draw.randint(1, 4))]
        gold, ours = ([draw.choices(tags[round % 4], k=n) for n in lengths] for _ in range(2))
        with warnings.catch_warnings(action="ignore"):
            measures = seqeval.precision_score, seqeval.recall_score, seqeval.f1_score
            expected = [measure(gold, ours) for measure in measures]
        assert seqeval_scores(ours, gold, version("seqeval")) == pytest.approx(expected), (gold, ours)


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


@pytest.mark.parametrize(
    ("language", "prediction", "answer", "mlqa", "squad"),
    [
        ("en", "The «U.S.» Navy", "us navy", (1, 1), (0.5, 0)),
        ("en", "theatre", "atre", (0, 0), (0, 0)),
        ("es", "¿La casa?", "casa", (1, 1), (2 / 3, 0)),
        ("es", "unas lasañas", "lasañas", (1, 1), (2 / 3, 0)),
        ("de", "Der Dom des Königs", "dom königs", (1, 1), (2 / 3, 0)),
        ("de", "Ein Derwisch", "derwisch", (1, 1), (2 / 3, 0)),
        ("vi", "những con mèo", "con mèo", (1, 1), (0.8, 0)),
        ("ar", "الكتاب", "كتاب", (1, 1), (0, 0)),
        ("ar", "مالك", "م", (2 / 3, 0), (0, 0)),  # the article goes inside a word as well, and cuts it
        ("ar", "كتاب؟", "كتاب", (1, 1), (0, 0)),
        ("hi", "उत्तर पूर्व।", "उत्तर पूर्व", (1, 1), (0.5, 0)),
        ("zh", "第3章", "3章", (0.8, 0), (0, 0)),
        ("zh", "《红楼梦》", "红楼梦", (1, 1), (0, 0)),
        ("zh", "the sun", "sun", (2 / 3, 0), (1, 1)),  # English articles stay in Chinese
        ("fr", "la maison", "maison", (2 / 3, 0), (2 / 3, 0)),  # no rules of MLQA's
    ],
)
def test_mlqa_and_squad_normalise_differently(language, prediction, answer, mlqa, squad):
    values = score("span", [prediction], [[answer]], {"name": "qa"}, language)
    assert (values["mlqa_f1"], values["mlqa_em"]) == pytest.approx(mlqa)
    assert (values["squad_f1"], values["squad_em"]) == pytest.approx(squad)


@pytest.mark.parametrize(
    ("prediction", "answers", "jsquad", "cmrc"),
    [
        # JSQuAD: characters as a bag, 2 * shared / (ours + theirs); CMRC: the longest run of segments
        ("東京タワー", ["東京タワー。"], (1, 1), (1, 1)),  # JGLUE takes full stops off the end, CMRC everywhere
        ("東京。タワー", ["東京タワー"], (10 / 11, 0), (1, 1)),
        ("タワー東京", ["東京タワー"], (1, 0), (4 / 6, 0)),  # kana is one word of CMRC's: 2 of 3 segments in a run
        ("三年级", ["小学三年级"], (6 / 8, 0), (6 / 8, 0)),
        ("年三级", ["三年级"], (1, 0), (2 / 6, 0)),  # the same characters, of which no two stand together
        ("《红楼梦》", ["红楼梦", "石头记"], (6 / 8, 0), (1, 1)),
        ("COVID-19 病毒", ["covid19病毒"], (18 / 20, 0), (1, 0)),  # EM of CMRC compares the text with its space
        ("1,200人", ["1,200 人"], (12 / 13, 0), (1, 0)),
        ("the  Sun", ["the sun"], (1, 1), (1, 0)),  # no article goes
        ("x", ["年"], (0, 0), (0, 0)),
        ("。", ["。"], (1, 1), (0, 1)),  # nothing left: JGLUE calls two empty answers equal, CMRC has no run
        (None, ["年"], (0, 0), (0, 0)),
    ],
)
def test_characters_are_compared_as_by_jglue_and_cmrc(prediction, answers, jsquad, cmrc):
    names = ["jsquad_f1", "jsquad_em", "cmrc_f1", "cmrc_em"]
    values = score("span", [prediction], [answers], QA | {"metrics": names}, "zh")
    assert list(values.values()) == pytest.approx([*jsquad, *cmrc])


def test_the_metrics_of_one_benchmark_are_those_of_all():
    ours, gold = ["《红楼梦》", "x"], [["红楼梦"], ["y", "x"]]
    every = score("span", ours, gold, QA | {"metrics": []}, "zh")
    assert len(every) == 8
    for name, value in every.items():
        assert score("span", ours, gold, QA | {"metrics": [name]}, "zh") == {name: value}
    with pytest.raises(UserError, match=r"metric 'f1'; .*allowed: "):
        score("span", ours, gold, QA | {"metrics": ["f1"]}, "zh")


@pytest.mark.parametrize(
    ("prediction", "answers", "f1"),
    [
        ("", [], 1),
        ("the", [], 1),  # normalisation leaves nothing of it
        ("x", [], 0),
        ("", ["x"], 0),
        ("red", ["red car", "the"], 2 / 3),  # an answer of which nothing is left is none
        ("", ["red", "the"], 0),
        ("", ["the"], 1),
    ],
)
def test_unanswerable_questions_are_scored_as_by_squad_2(prediction, answers, f1):
    values = score("span", [prediction], [answers], QA | {"unanswerable": True}, "en")
    assert values == {"squad_f1": pytest.approx(f1), "squad_em": float(f1 == 1)}


def test_a_question_left_out_scores_nothing_even_where_an_empty_answer_would():
    assert score("span", [None, ""], [["the"], ["the"]], QA, "en") == {"squad_f1": 0.0, "squad_em": 0.5}
    assert score("span", [None], [[]], QA | {"unanswerable": True}, "en") == {"squad_f1": 0.0, "squad_em": 0.0}


def test_squad_averages_over_questions():
    assert score("span", ["x y", "z"], [["x y"], ["w"]], QA, "en") == {"squad_f1": 0.5, "squad_em": 0.5}


def test_span_majority_takes_the_better_fixed_guess_per_metric():
    rows = [{"context": "red cat", "answers": ["cat"]}, {"context": "big red cat sat", "answers": ["Cat"]}]
    assert majority("span", rows, QA) == {"squad_f1": 1.0, "squad_em": 1.0}
    rows = [{"context": "red cat", "answers": ["red"]}, {"context": "big dog", "answers": ["dog"]}]
    assert majority("span", rows, QA) == {"squad_f1": pytest.approx(2 / 3), "squad_em": 0.5}


def test_span_majority_uses_the_rules_of_the_language_and_of_no_answer():
    rows = [{"context": "红猫", "answers": ["红"]}, {"context": "大狗", "answers": ["狗"]}]
    task = QA | {"metrics": ["mlqa_f1", "mlqa_em"]}
    assert majority("span", rows, task, "zh") == {"mlqa_f1": pytest.approx(2 / 3), "mlqa_em": 0.5}
    assert majority("span", rows, task, "fr") == {"mlqa_f1": 0.5, "mlqa_em": 0.5}
    rows = [{"context": "a cat", "answers": []}] * 3 + [{"context": "a dog", "answers": ["dog"]}]
    assert majority("span", rows, QA | {"unanswerable": True}) == {"squad_f1": 0.75, "squad_em": 0.75}
    assert majority("span", rows[:2], QA | {"unanswerable": True}) == {"squad_f1": 1.0, "squad_em": 1.0}


def test_mining_counts_pairs():
    # 3 pairs found, 1 of the 2 right ones among them; English rows have neither
    values = score("mining", ["e1", "e3", "e2", None, None], ["e1", "e2", None, None, None], {"name": "bucc"}, "de")
    assert values == pytest.approx({"mining_f1": 0.4, "mining_precision": 1 / 3, "mining_recall": 1 / 2})
    assert set(score("mining", [None, None], ["e1", None], {"name": "bucc"}, "de").values()) == {0.0}
    assert set(score("mining", [None, "e1"], [None, None], {"name": "bucc"}, "de").values()) == {0.0}


def test_mining_majority_pairs_every_sentence_with_a_random_one():
    rows = [{"side": "foreign", "pair": pair} for pair in ("e1", "e2", None)] + [{"side": "english", "pair": None}] * 4
    # of 2 pairs, one in four is drawn: 1/2 of a pair among 3
    expected = {"mining_f1": 2 * 0.5 / (3 + 2), "mining_precision": 0.5 / 3, "mining_recall": 0.5 / 2}
    assert majority("mining", rows, {"name": "bucc"}) == pytest.approx(expected)


MANY = [f"c{number}" for number in range(25)]


@pytest.mark.parametrize(
    ("ranked", "relevant", "value"),
    [
        (["x", "a"], ["a"], 1 / 2),
        (["x", "a", "b"], ["a", "b"], (1 / 2 + 2 / 3) / 2),
        (["x", "b", "a"], ["a", "b"], (1 / 2 + 2 / 3) / 2),  # which of two right ones is first plays no part
        (["a", "x"], ["a", "b"], 1 / 2),
        (["a", "a", "b"], ["a", "b"], (1 + 2 / 3) / 2),  # found once; the second place is taken
        (["a"], ["a", "a"], 1),
        (MANY[:20], MANY, 1),  # no more than 20 can be found
        (MANY, [MANY[19]], 1 / 20),
        (MANY, [MANY[20]], 0),
        ([], ["a"], 0),
        (None, ["a"], 0),
    ],
)
def test_average_precision_at_20_by_hand(ranked, relevant, value):
    assert score("ranking", [ranked], [relevant], {"name": "el"}, "en") == {"map_at_20": pytest.approx(value)}


def test_ranking_averages_over_queries_and_its_majority_lists_the_commonest():
    assert score("ranking", [["a"], None], [["a"], ["a"]], {"name": "el"}, "en") == {"map_at_20": 0.5}
    rows = [{"relevant": relevant} for relevant in (["b"], ["b"], ["a"])]
    assert majority("ranking", rows, {"name": "el"}) == {"map_at_20": pytest.approx((1 + 1 + 1 / 2) / 3)}
    tied = [{"relevant": relevant} for relevant in (["b"], ["a"])]
    assert majority("ranking", tied, {"name": "el"}) == majority("ranking", tied[::-1], {"name": "el"})


def test_labels_that_come_from_the_data_decide_which_f1_there_is():
    task = {"name": "ccg", "labels": "from_data"}
    assert set(score("tagging", [["N"]], [["N"]], task, "en")) == {"accuracy", "pos_f1"}
    assert set(score("tagging", [["O"]], [["B-X"]], task, "en")) == {"accuracy", "span_f1"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: score("spam", ["a"], ["a"], NLI, "en"), "did you mean 'span'"),
        (lambda: score("classification", ["a"], ["a", "b"], NLI, "en"), "1 predictions for 2 rows"),
        (lambda: score("classification", [], [], NLI, "en"), "at least one, is needed"),
        (lambda: score("tagging", [["O"]], [["O", "O"]], NER, "en"), "row 0: 1 predicted tags for 2 tokens"),
        (lambda: score("tagging", [["NOUN"]], [["VERB"]], POS | {"metrics": ["span_f1"]}, "en"), "metric 'span_f1'"),
        (lambda: score("span", ["x"], [[]], QA, "en"), "row 0: no answer"),
        (lambda: score("ranking", [["x"]], [[]], {"name": "el"}, "en"), "row 0: no relevant candidate"),
        (lambda: majority("retrieval", [], NLI), "no rows"),
    ],
)
def test_bad_input_is_one_clear_message(call, message):
    with pytest.raises(UserError, match=message):
        call()
