"""Task formats: what each of them says, and that nothing about a format stands elsewhere."""

from __future__ import annotations

import random
import subprocess
from collections import Counter

import pytest

from checkout import ROOT
from intermezzo.core.errors import UserError
from intermezzo.evaluation.evaluate import gold_of
from intermezzo.evaluation.metrics import majority, score
from intermezzo.modeling.heads import format_module
from intermezzo.sources import files
from intermezzo.sources.files.reading import File
from intermezzo.tasks import Task
from intermezzo.tasks.controls import as_text, remove_input, shuffle_labels
from intermezzo.tasks.formats import MASKED_TEXT, format_names, load_format, table
from specifications import task_spec

NAMES = format_names()
LABELS = ("a", "b")
ROWS = {
    "classification": [
        {"id": str(i), "text": f"t{i}", "text_pair": f"p{i}", "label": LABELS[i % 2]} for i in range(12)
    ],
    "multiple_choice": [
        {"id": str(i), "context": "c", "question": "q", "choices": ["x", "y", "z"][: 2 + i % 2], "label": i % 2}
        for i in range(12)
    ],
    "tagging": [{"id": str(i), "tokens": ["v", "w"], "tags": [LABELS[i % 2], "a"]} for i in range(12)],
    "span": [
        {"id": str(i), "context": f"w{i} and x", "question": "q", "answers": [f"w{i}"], "answer_starts": [0]}
        for i in range(12)
    ],
    "retrieval": [{"id": str(i), "text": f"t{i}", "text_pair": f"p{i}"} for i in range(12)],
    "mining": [{"id": str(i), "text": f"t{i}", "side": "foreign", "pair": f"e{i}"} for i in range(12)],
    "ranking": [{"id": str(i), "text": f"t{i}", "text_pair": f"p{i}", "relevant": []} for i in range(12)],
    "regression": [{"id": str(i), "text": f"t{i}", "text_pair": f"p{i}", "label": i / 2 - 1} for i in range(12)],
    "multi_label": [
        {"id": str(i), "text": f"t{i}", "text_pair": f"p{i}", "labels": [["a"], ["a", "b"], []][i % 3]}
        for i in range(12)
    ],
    "mlm": [{"id": str(i), "text": f"t{i}", "text_pair": None} for i in range(12)],
}


def test_no_format_is_named_outside_its_modules():
    pattern = rf'"({"|".join(NAMES)})"'
    homes = ("tasks/formats", "modeling/heads", "evaluation/metrics", "world/generators")
    command = ["git", "grep", "-nE", pattern, "--", "src", *(f":!src/intermezzo/{home}" for home in homes)]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout == ""


@pytest.mark.parametrize("name", NAMES)
def test_a_format_is_whole(name):
    form = load_format(name)
    assert form.name == name and next(iter(form.columns)) == "id" and form.schema.names == [*form.columns]
    assert form.gold is None or form.gold in form.columns
    assert form.label_column is None or form.label_column in form.columns
    assert table(ROWS[name], name, LABELS).to_pylist() == ROWS[name]
    assert form.masked == (name == MASKED_TEXT) and bool(form.metrics) != form.masked
    assert all(metric.low < metric.high for metric in form.metrics)
    assert hasattr(format_module(name), "Head") == (form.trained or form.masked)
    inputs = form.model_inputs(ROWS[name][0])
    assert inputs and all(all(isinstance(text, str) for text in texts) for texts in inputs)
    assert len(form.assumed_inputs(3, 4, "train")) * form.lengths.inputs == len(inputs) or form.one_feature
    assert form.read_apart or form.token_counts((5.0, 6.0), 8, 4)[1] >= 8


@pytest.mark.parametrize("name", [name for name in NAMES if load_format(name).translatable])
def test_texts_that_are_translated_into_themselves_give_the_same_row(name):
    form = load_format(name)
    for row in ROWS[name]:
        assert form.translated(row, form.texts(row)) == row


@pytest.mark.parametrize("name", [name for name in NAMES if load_format(name).trained])
def test_controls_take_something_away_and_keep_the_form(name):
    form, rows = load_format(name), ROWS[name]
    for field in form.removable:
        assert table(remove_input(rows, name, field), name, LABELS).num_rows == len(rows)
    shuffled = shuffle_labels(rows, name, 3)
    assert shuffled == shuffle_labels(rows, name, 3) != rows
    table(shuffled, name, LABELS)
    assert [form.model_inputs(row)[0][0] for row in shuffled] == [form.model_inputs(row)[0][0] for row in rows]
    if form.label_column:
        before, after = (Counter(label for row in some for label in form.labels_of(row)) for some in (rows, shuffled))
        assert before == after
    table(as_text(rows, name), MASKED_TEXT)


@pytest.mark.parametrize("name", [name for name in NAMES if load_format(name).metrics])
def test_a_guess_has_the_metrics_that_a_format_names_within_their_ranges(name):
    form = load_format(name)
    rows = [row | {"relevant": ["x"]} if name == "ranking" else row for row in ROWS[name]]
    values = majority(task_spec({"format": name, "labels": LABELS}), rows, "en")
    assert set(values) <= {metric.name for metric in form.metrics} and form.metrics[0].name in values
    assert all(form.metric(metric).low <= value <= form.metric(metric).high for metric, value in values.items())


@pytest.mark.parametrize("name", [name for name in NAMES if load_format(name).metrics])
def test_a_scorer_has_the_metrics_that_a_format_names_and_is_best_where_all_is_right(name):
    form = load_format(name)
    gold = gold_of([row | {"relevant": ["x"]} if name == "ranking" else row for row in ROWS[name]], form)
    predictions = [answers[0] for answers in gold] if form.gold == "answers" else gold
    values: dict[str, float] = {}
    for labels in (LABELS, ("O", "B-PER", "I-PER")):
        values |= score(task_spec({"format": name, "labels": labels}), predictions, gold, "en")
    assert set(values) == {metric.name for metric in form.metrics}
    assert all(values[metric.name] == pytest.approx(metric.high) for metric in form.metrics if metric.name != "span_f1")


def test_labels_are_renamed_and_unknown_ones_are_named():
    tagging, classification = load_format("tagging"), load_format("classification")
    assert tagging.renamed(ROWS["tagging"][1], {"a": "c"})["tags"] == ["b", "c"]
    assert classification.renamed(ROWS["classification"][0], {"a": "c"})["label"] == "c"
    assert load_format("span").renamed(ROWS["span"][0], {"a": "c"}) == ROWS["span"][0]
    with pytest.raises(UserError, match=r"row 1 \(id '1'\): tags b; allowed: a"):
        table(ROWS["tagging"], "tagging", ["a"])
    assert table(ROWS["tagging"], "tagging", "from_data").num_rows == 12


def test_what_does_not_exist_is_one_message():
    with pytest.raises(UserError, match="unknown task format 'taging'; did you mean 'tagging'"):
        load_format("taging")
    with pytest.raises(UserError, match="format span: unknown metric 'squad'"):
        load_format("span").metric("squad")


@pytest.mark.parametrize("seed", range(20))
def test_f1_over_labels_is_that_of_scikit_learn(seed):
    from sklearn.metrics import accuracy_score, f1_score

    drawn = random.Random(seed)
    labels = [f"label {i}" for i in range(drawn.randint(1, 5))]
    gold, ours = (drawn.choices(labels, k=drawn.choice([1, 7, 40])) for _ in range(2))
    size = min(len(gold), len(ours))
    gold, ours = gold[:size], ours[:size]
    values = score(task_spec({"format": "classification"}), ours, gold, "en")
    assert values["accuracy"] == accuracy_score(gold, ours)
    for average in ("macro", "micro", "weighted"):
        expected = f1_score(gold, ours, average=average, zero_division=0)
        assert values[f"{average}_f1"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_f1_over_sets_of_labels_is_that_of_scikit_learn(seed):
    from sklearn.metrics import accuracy_score, f1_score
    from sklearn.preprocessing import MultiLabelBinarizer

    drawn = random.Random(seed)
    labels = [f"label {i}" for i in range(drawn.randint(2, 5))]
    gold, ours = ([drawn.sample(labels, k=drawn.randint(0, len(labels))) for _ in range(12)] for _ in range(2))
    values = score(task_spec({"format": "multi_label"}), ours, gold, "en")
    table_of = MultiLabelBinarizer().fit(gold + ours)
    right, predicted = table_of.transform(gold), table_of.transform(ours)
    assert values["accuracy"] == accuracy_score(right, predicted)
    for average in ("macro", "micro", "weighted"):
        expected = f1_score(right, predicted, average=average, zero_division=0)
        assert values[f"{average}_f1"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_correlations_are_those_of_scipy(seed):
    from scipy.stats import pearsonr, spearmanr

    drawn = random.Random(seed)
    gold = [drawn.choice([0.0, 1.5, 3.0, 3.2, 5.0]) for _ in range(30)]
    ours = [drawn.gauss(0, 1) - seed % 3 * value for value in gold]
    values = score(task_spec({"format": "regression"}), ours, gold, "en")
    assert values["pearson"] == pytest.approx(pearsonr(ours, gold).statistic, abs=1e-12)
    assert values["spearman"] == pytest.approx(spearmanr(ours, gold).statistic, abs=1e-12)


def test_a_constant_guess_correlates_with_nothing_and_opposites_by_minus_one():
    assert score(task_spec({"format": "regression"}), [2.0, 2.0], [1.0, 3.0], "en") == {"pearson": 0.0, "spearman": 0.0}
    opposite = score(task_spec({"format": "regression"}), [3.0, 2.0, 1.0], [1.0, 2.0, 3.0], "en")
    assert opposite == {"pearson": pytest.approx(-1), "spearman": pytest.approx(-1)}


TABLE = "first\tsecond\tscore\na b\tc\t3\nd\te\t-0.5\n"


def read_table(tmp_path, text: str) -> list[dict]:
    (tmp_path / "x.tsv").write_text(text)
    task = Task(name="sts", description="", format="regression", licence="none", sources={})
    fields = {"text": "first", "text_pair": "second", "label": "score"}
    part = {"reader": "delimited", "delimiter": "\t", "fields": fields, "drop": ["empty"]}
    return files.read_part(task, part, [File(tmp_path, "x.tsv")], "TASKFILE")


def test_numbers_are_read_from_a_table(tmp_path):
    rows = read_table(tmp_path, TABLE)
    assert [row["label"] for row in rows] == [3.0, -0.5] and all(type(row["label"]) is float for row in rows)
    assert table(rows, "regression").column("label").to_pylist() == [3.0, -0.5]


@pytest.mark.parametrize(
    ("value", "message"),
    [("high", r"x\.tsv: row 0 .*label is 'high', not a number"), ("nan", "label nan; a finite number is needed")],
)
def test_a_label_that_is_no_number_is_one_message(tmp_path, value, message):
    with pytest.raises(UserError, match=message):
        read_table(tmp_path, TABLE.replace("\t3\n", f"\t{value}\n"))
