"""Predictions as a submission: scored against labels from the same data, it gives our own metrics."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from intermezzo.core.artifacts import sha256, write_json
from intermezzo.core.errors import UserError
from intermezzo.core.provenance import PREDICTIONS
from intermezzo.evaluation.benchmark import load_benchmark, score_benchmark
from intermezzo.evaluation.evaluate import gold_of, write_predictions
from intermezzo.evaluation.metrics import score
from intermezzo.evaluation.submission import write_labels, write_submission
from intermezzo.tasks import formats
from specifications import task_spec

RUN = "small/nli/en/seed1"
IOB2, POS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"], ["NOUN", "VERB", "CCONJ", "SCONJ", "SYM"]
NLI = ["entailment", "neutral", "contradiction"]


def labelled(*labels: str) -> list[dict]:
    return [{"id": f"r{i}", "text": "x", "text_pair": "y", "label": label} for i, label in enumerate(labels)]


def tagged(*tags: str) -> list[dict]:
    return [{"id": f"r{i}", "tokens": line.split(), "tags": line.split()} for i, line in enumerate(tags)]


def asked(*answers: str) -> list[dict]:
    rows = [(f"q{i}", f"¿ {answer} !", answer) for i, answer in enumerate(answers)]
    return [
        {"id": name, "context": context, "question": "?", "answers": [answer], "answer_starts": [2]}
        for name, context, answer in rows
    ]


def chosen(*labels: int) -> list[dict]:
    row = {"context": "c", "question": "q", "choices": ["a", "b"]}
    return [row | {"id": f"r{i}", "label": label} for i, label in enumerate(labels)]


def ranked(**relevant: list[str]) -> list[dict]:
    return [{"id": key, "text": "x", "text_pair": None, "relevant": ids} for key, ids in relevant.items()]


# Not in alphabetical order of the English side, as the layout wants it, and one sentence is there twice.
PAIRS = [{"id": f"r{i}", "text": f"f{i}", "text_pair": text} for i, text in enumerate(["the z", "a", "B", "a", "m"])]
FOREIGN = [
    {"id": f"de{i}", "text": "x", "side": "foreign", "pair": pair} for i, pair in enumerate(["en1", "en2", None])
]
ENGLISH = [{"id": f"en{i}", "text": "x", "side": "english", "pair": None} for i in range(4)]
TASKS = {  # benchmark task -> benchmark, what the task is, rows, predictions
    "xnli": ("xtreme", {"format": "classification", "labels": NLI}, labelled(*NLI, "neutral"), [*NLI, "entailment"]),
    "pawsx": (
        "xtreme",
        {"format": "classification", "labels": ["different", "same"]},
        labelled("same", "same", "different"),
        ["same", "different", "different"],
    ),
    "panx": (
        "xtreme",
        {"format": "tagging", "labels": IOB2, "metrics": ["span_f1"]},
        tagged("B-PER I-PER O B-LOC", "O B-LOC"),
        [["I-PER", "I-PER", "O", "B-PER"], ["B-LOC", "B-LOC"]],
    ),
    "udpos": (
        "xtreme-r",
        {"format": "tagging", "labels": POS, "metrics": ["pos_f1"]},
        tagged("NOUN NOUN CCONJ VERB", "SYM SYM", "VERB"),
        [["NOUN", "NOUN", "SCONJ", "VERB"], ["SYM", "NOUN"], ["VERB"]],
    ),
    "tatoeba": ("xtreme", {"format": "retrieval"}, PAIRS, [0, 1, 4, 1, 4]),
    "bucc2018": ("xtreme", {"format": "mining"}, FOREIGN + ENGLISH, ["en1", "en3", "en2", *[None] * 4]),
    "xquad": (
        "xtreme",
        {"format": "span", "metrics": ["squad_f1", "squad_em"]},
        asked("the red house", "a “cat”", "dog", "x"),
        ["red house", "cat", "", "x\ty\n"],
    ),
    "mlqa": (
        "xtreme",
        {"format": "span", "metrics": ["mlqa_f1", "mlqa_em"]},
        asked("der rote Dom", "«Katze»", "Hund"),
        ["rote Dom!", "Katze", "ein Hund bellt"],
    ),
    "xcopa": ("xtreme-r", {"format": "multiple_choice"}, chosen(0, 1, 1), [0, 0, 1]),
    "lareqa": ("xtreme-r", {"format": "ranking"}, ranked(q1=["a", "b"], q2=["c"]), [["a", "x", "b"], ["x", "y"]]),
    "mewslix": ("xtreme-r", {"format": "ranking"}, ranked(m1=["Q1"], m2=["Q2"]), [["Q9", "Q1"], ["Q2"]]),
}
OFFICIAL = {
    "span_f1": "f1", "pos_f1": "f1", "squad_f1": "f1", "mlqa_f1": "f1", "mining_f1": "f1", "squad_em": "exact_match",
    "mlqa_em": "exact_match", "mining_precision": "precision", "mining_recall": "recall", "map_at_20": "map@20",
    "accuracy": "accuracy",
}  # fmt: skip


def predict(folder: Path, language: str, ids: list[str], predictions: list) -> None:
    path, tables = folder / PREDICTIONS, {}
    if path.exists():
        there = pq.read_table(path)
        names = set(there["name"].to_pylist())
        tables = {name: there.filter(pc.field("name") == name).drop_columns("name") for name in names}
    write_predictions(tables | {language: pa.table({"id": ids, "prediction": predictions})}, path)


def evaluated(results: Path, name: str, *, target: str = "", run: str = RUN, language: str = "") -> dict[str, float]:
    """Data and evaluation of a task as the stages leave them; returns our metrics."""
    _, task, rows, predictions = TASKS[name]
    language = language or language_of(name)
    task = {"name": name, "labels": []} | task
    data = results / "data" / "files" / name / language / "test.parquet"
    data.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(formats.table(rows, task["format"], task["labels"]), data)
    folder = results / "eval" / run / (target or name)
    folder.mkdir(parents=True, exist_ok=True)
    predict(folder, language, [row["id"] for row in rows], predictions)
    gold = gold_of(rows, formats.load_format(task["format"]))
    metrics = score(task_spec(task), predictions, gold, language, task.get("metrics", ()))
    result = {"data_sha256": sha256(data), "language": language, "spec": {"task": task}, "metrics": metrics}
    write_json(folder / f"{language}.json", result)
    return metrics


def language_of(name: str) -> str:
    languages = load_benchmark(TASKS[name][0]).tasks[name].languages
    return "de" if "de" in languages else languages[0]


@pytest.mark.parametrize("name", TASKS)
def test_the_score_of_a_submission_is_our_own(tmp_path, name):
    metrics = evaluated(tmp_path / "results", name)
    folders = tmp_path / "submission", tmp_path / "labels"
    for write, folder in zip((write_submission, write_labels), folders, strict=True):
        notes = write(TASKS[name][0], tmp_path / "results", RUN, folder)
        assert any(note.startswith(f"{name}: no predictions of target '{name}' for ") for note in notes)
    scores = score_benchmark(TASKS[name][0], *folders)["ours"]["incomplete"][name]
    for metric in metrics.keys() & OFFICIAL.keys():
        value = metrics[metric]
        assert 0 < value < 1
        assert scores[OFFICIAL[metric]][language_of(name)] == pytest.approx(100 * value, abs=1e-9)


def test_every_task_of_the_benchmarks_has_a_round_trip():
    formats_of = {task.format for name in ("xtreme", "xtreme-r") for task in load_benchmark(name).tasks.values()}
    assert {task["format"] for _, task, *_ in TASKS.values()} == formats_of


def text(tmp_path: Path, name: str, write=write_submission) -> str:
    evaluated(tmp_path / "results", name)
    write(TASKS[name][0], tmp_path / "results", RUN, tmp_path / "out")
    (path,) = (tmp_path / "out" / name).iterdir()
    assert path.stem == f"test-{language_of(name)}"
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "predictions", "labels"),
    [
        ("xnli", "entailment\nneutral\ncontradiction\nentailment\n", "entailment\nneutral\ncontradiction\nneutral\n"),
        ("pawsx", "1\n0\n0\n", "1\n1\n0\n"),
        ("panx", "I-PER\nI-PER\nO\nB-PER\n\nB-LOC\nB-LOC\n", "B-PER\nI-PER\nO\nB-LOC\n\nO\nB-LOC\n"),
        ("tatoeba", "4\n1\n1\n4\n0\n", "2\n1\n3\n4\n0\n"),  # B, a, a, m, the z
        ("bucc2018", "de0\ten1\nde1\ten3\nde2\ten2\n", "de0\ten1\nde1\ten2\n"),
        ("xcopa", '{"label": 0}\n{"label": 0}\n{"label": 1}\n', '{"label": 0}\n{"label": 1}\n{"label": 1}\n'),
    ],
)
def test_files_are_in_the_published_layout(tmp_path, name, predictions, labels):
    assert text(tmp_path / "p", name) == predictions
    assert text(tmp_path / "l", name, write_labels) == labels


def test_answers_and_rankings_are_json_by_id(tmp_path):
    assert json.loads(text(tmp_path / "a", "mlqa")) == {"q0": "rote Dom!", "q1": "Katze", "q2": "ein Hund bellt"}
    assert json.loads(text(tmp_path / "b", "lareqa")) == {"q1": ["a", "x", "b"], "q2": ["x", "y"]}
    assert json.loads(text(tmp_path / "c", "lareqa", write_labels)) == {"q1": ["a", "b"], "q2": ["c"]}


def test_targets_can_have_other_names_and_several_runs_make_one_submission(tmp_path):
    evaluated(tmp_path, "xnli", target="inference")
    evaluated(tmp_path, "xnli", target="inference", language="sw")
    evaluated(tmp_path, "tatoeba", run="small/none/none/seednone")
    write_submission("xtreme", tmp_path, RUN, tmp_path / "out", targets={"xnli": "inference"})
    write_submission("xtreme", tmp_path, "small/none/none/seed1", tmp_path / "out")  # no seed plays a part there
    files = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert files == ["tatoeba/test-de.tsv", "xnli/test-de.tsv", "xnli/test-sw.tsv"]


def test_languages_that_the_benchmark_does_not_have_are_left_out(tmp_path):
    for language in ("de", "gn"):
        evaluated(tmp_path, "xnli", language=language)
    write_submission("xtreme", tmp_path, RUN, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out/xnli").iterdir()] == ["test-de.tsv"]


def _other_data(results: Path) -> None:
    pq.write_table(pa.table({"id": ["r0"]}), results / "data/files/xnli/de/test.parquet")


def _other_rows(results: Path) -> None:
    predict(results / f"eval/{RUN}/xnli", "de", ["r9"], ["neutral"])


def _other_label(results: Path) -> None:
    predicted = ["neutral", "contradictory", "neutral", "neutral"]
    predict(results / f"eval/{RUN}/xnli", "de", [f"r{i}" for i in range(4)], predicted)


def _other_format(results: Path) -> None:
    path = results / f"eval/{RUN}/xnli/de.json"
    write_json(path, json.loads(path.read_text()) | {"spec": {"task": {"name": "ner", "format": "tagging"}}})


@pytest.mark.parametrize(
    ("options", "spoil", "message"),
    [
        ({"benchmark": "xtrem"}, None, "unknown benchmark 'xtrem'; did you mean 'xtreme'"),
        (
            {"run": "small/nli/de/seed1"},
            None,
            "eval/small/nli/de/seed1: no predictions for XTREME; targets named pawsx",
        ),
        ({"targets": {"xlni": "xnli"}}, None, "no task 'xlni' in XTREME; did you mean 'xnli'"),
        (
            {"targets": {"pawsx": "paraphrase"}},
            None,
            "seed1/paraphrase: no predictions in a language of XTREME's pawsx",
        ),
        ({}, _other_data, r"xnli/de.json: made on other data than .*data/\*/xnli/de/test.parquet"),
        ({}, _other_rows, r"xnli/de.json: its predictions are not for the rows of"),
        (
            {},
            _other_label,
            "xnli/de.json: label 'contradictory' has no counterpart in xnli; those that have: entailment",
        ),
        ({}, _other_format, "xnli/de.json: task 'ner' is tagging; xnli needs classification"),
    ],
)
def test_what_cannot_be_submitted_is_named_and_nothing_is_written(tmp_path, options, spoil, message):
    evaluated(tmp_path, "xnli")
    evaluated(tmp_path, "xquad")
    if spoil:
        spoil(tmp_path)
    arguments = {"benchmark": "xtreme", "run": RUN, "targets": {}} | options
    with pytest.raises(UserError, match=message):
        write_submission(
            arguments["benchmark"], tmp_path, arguments["run"], tmp_path / "out", targets=arguments["targets"]
        )
    assert not (tmp_path / "out").exists()


def test_a_submission_is_never_written_over(tmp_path):
    evaluated(tmp_path, "xnli")
    write_submission("xtreme", tmp_path, RUN, tmp_path / "out")
    before = (tmp_path / "out/xnli/test-de.tsv").read_bytes()
    with pytest.raises(UserError, match=r"out/xnli: is there already; remove it or choose another folder"):
        write_labels("xtreme", tmp_path, RUN, tmp_path / "out")
    assert (tmp_path / "out/xnli/test-de.tsv").read_bytes() == before
