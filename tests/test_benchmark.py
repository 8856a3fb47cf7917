"""Scores of benchmark submissions: equal to the official program's, and honest about what it does not give."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from intermezzo.core.artifacts import write_json
from intermezzo.core.errors import UserError
from intermezzo.evaluation.benchmark import load_benchmark, render, score_benchmark
from intermezzo.evaluation.benchmark_files import file_of
from intermezzo.tasks import RESOURCES, load_task, task_names

BENCHMARKS = ("xtreme", "xtreme-r")


def flat(tree: dict, path: tuple[str, ...] = ()):
    for key, value in tree.items():
        yield from flat(value, (*path, key)) if isinstance(value, dict) else [((*path, key), value)]


def squad(answers: dict[str, list[str]]) -> str:
    questions = [{"id": key, "answers": [{"text": text} for text in texts]} for key, texts in answers.items()]
    return json.dumps({"data": [{"paragraphs": [{"context": "", "qas": questions}]}]})


# format -> (predictions, labels) of which half is right
HALF = {
    "classification": ("a\nb\n", "a\na\n"),
    "tagging": ("B-A\n\nB-A\nO\n", "B-A\n\nO\nB-A\n"),
    "retrieval": ("1\n1\n", "1\n0\n"),
    "mining": ("s1\te1\ns2\te2\n", "s1\te1\ns2\te3\n"),
    "multiple_choice": ('{"label": 0}\n{"label": 0}\n', '{"label": 1}\n{"label": 0}\n'),
    "span": ('{"q1": "x", "q2": "y"}', squad({"q1": ["x"], "q2": ["z"]})),
    "ranking": ('{"q": ["b", "a"]}', '{"q": ["a"]}'),
}


@pytest.fixture
def folders(tmp_path):
    """A complete submission to XTREME-R and its labels; every task is half right."""
    return [whole(tmp_path / kind, side) for side, kind in enumerate(("predictions", "labels"))]


def whole(folder: Path, side: int, benchmark: str = "xtreme-r") -> Path:
    for name, task in load_benchmark(benchmark).tasks.items():
        for language in task.languages:
            write(folder, name, task.format, language, HALF[task.format][side])
    return folder


def write(folder: Path, name: str, fmt: str, language: str, text: str) -> None:
    path = file_of(folder, name, fmt, language)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


# -- the official scores -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mock():
    root = os.environ.get("INTERMEZZO_REAL_DATA")
    if not root:
        pytest.skip("INTERMEZZO_REAL_DATA is not set: XTREME's mock submission is not there")
    return Path(root) / "xtreme-mock"


@pytest.mark.parametrize("seqeval", ["0.0.12", "1.2.2"])
@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_every_score_of_the_official_program(mock, benchmark, seqeval):
    official = json.loads((mock / "expected.json").read_text())[f"seqeval=={seqeval}"][benchmark]
    result = score_benchmark(benchmark, mock / "predictions", mock / "labels", seqeval=seqeval)
    ours = result.pop("ours")
    expected, scores = dict(flat(official["output_file"])), dict(flat(result))
    assert scores.keys() == expected.keys()
    assert max(abs(scores[key] - expected[key]) for key in expected) < 1e-9
    assert ("all_task" in result) == official["complete"]
    assert ours["seqeval"] == seqeval and "all_task" not in ours


def test_the_default_is_the_seqeval_of_the_published_test(mock):
    arguments = "xtreme", mock / "predictions", mock / "labels"
    assert score_benchmark(*arguments) == score_benchmark(*arguments, seqeval="0.0.12")
    assert score_benchmark(*arguments)["udpos"] != score_benchmark(*arguments, seqeval="1.2.2")["udpos"]


def test_tasks_without_all_languages_are_not_scored_as_tasks(mock):
    result = score_benchmark("xtreme-r", mock / "predictions", mock / "labels")
    assert set(result["ours"]["incomplete"]) == {"panx", "udpos", "tatoeba", "xquad"}
    assert result["ours"]["incomplete"]["xquad"]["f1"].keys() == set(load_benchmark("xtreme").tasks["xquad"].languages)
    text = render(result)
    assert "xquad: not scored as a task; no predictions for ro (no file xquad/test-ro.json)" in text
    assert "lareqa: not scored as a task; no folder 'lareqa' among the predictions" in text
    assert "no total: not complete: panx, udpos, tatoeba, xcopa, lareqa, xquad" in text
    assert "so not scored: bucc2018, pawsx" in text


# -- averages, groups and totals -----------------------------------------------------------------------------------


def test_xtreme_r_has_a_total_of_ours_with_lareqa(folders):
    result = score_benchmark("xtreme-r", *folders)
    ours = result.pop("ours")
    assert {name: result[name]["avg_metric"] for name in result if name in load_benchmark("xtreme-r").tasks} == {
        name: pytest.approx(50) for name in load_benchmark("xtreme-r").tasks if name != "lareqa"
    }
    assert ours["tasks"]["lareqa"]["avg_map@20"] == 50
    assert "all_task" not in result and ours["all_task"] == pytest.approx(50)
    assert any("the total is ours" in note for note in ours["notes"])
    assert {"multi_choice", "classification", "tagging", "qa", "retrieval"} < result.keys()


def test_of_several_entities_of_mewslix_the_first_is_right_and_of_lareqas_answers_all(folders):
    """As utils_mewslix.py of google-research/xtreme reads labels: the first id, stripped, and its reciprocal rank."""
    predictions, labels = folders
    for name, language in (("mewslix", "ar"), ("lareqa", "ar")):
        write(predictions, name, "ranking", language, '{"q": ["x", "b", "a"], "r": ["Q1", "Q1 "], "s": [" Q2"]}')
        write(labels, name, "ranking", language, '{"q": ["a", "b"], "r": [" Q1 "], "s": ["Q2"], "t": ["Q3"]}')
    result = score_benchmark("xtreme-r", *folders)
    assert result["mewslix"]["map@20"]["ar"] == pytest.approx(100 * (1 / 3 + 1 + 0 + 0) / 4)
    assert result["ours"]["tasks"]["lareqa"]["map@20"]["ar"] == pytest.approx(
        100 * ((1 / 2 + 2 / 3) / 2 + 0 + 0 + 0) / 4
    )


def test_a_total_is_the_mean_of_tasks_and_repeats_none(folders):
    predictions, labels = folders
    for language in load_benchmark("xtreme-r").tasks["xcopa"].languages:  # in two groups, and once in the total
        write(predictions, "xcopa", "multiple_choice", language, HALF["multiple_choice"][1])
    for language in load_benchmark("xtreme-r").tasks["lareqa"].languages:
        write(predictions, "lareqa", "ranking", language, "{}")
    result = score_benchmark("xtreme-r", predictions, labels)
    assert result["ours"]["all_task"] == pytest.approx((8 * 50 + 100 + 0) / 10)
    assert result["classification"] == pytest.approx(75) and result["multi_choice"] == pytest.approx(100)
    assert result["retrieval"] == pytest.approx(50)  # without LAReQA, as officially


def test_english_and_every_other_language_count_the_same(folders):
    predictions, labels = folders
    write(predictions, "xnli", "classification", "en", "a\na\n")
    assert score_benchmark("xtreme-r", predictions, labels)["xnli"]["avg_accuracy"] == pytest.approx(
        (14 * 50 + 100) / 15
    )


def test_a_question_answering_task_counts_by_the_mean_of_its_metrics(folders):
    predictions, labels = folders
    for language in load_benchmark("xtreme-r").tasks["xquad"].languages:
        write(predictions, "xquad", "span", language, '{"q1": "x w", "q2": "y"}')  # F1 2/3 and 0, no exact match
    scores = score_benchmark("xtreme-r", predictions, labels)["xquad"]
    assert scores["avg_f1"] == pytest.approx(100 / 3) and scores["avg_exact_match"] == 0
    assert scores["avg_metric"] == pytest.approx(100 / 6)


def test_a_complete_xtreme_has_the_official_keys(tmp_path):
    folders = [whole(tmp_path / str(side), side, "xtreme") for side in (0, 1)]
    result = score_benchmark("xtreme", *folders)
    described = load_benchmark("xtreme")
    assert result.keys() == {"all_task", *described.groups, *described.tasks, "ours"}
    assert result["ours"] == {"benchmark": "xtreme", "seqeval": "0.0.12", "incomplete": {}, "notes": []}
    write_json(tmp_path / "scores.json", result)
    assert json.loads((tmp_path / "scores.json").read_text()) == result


def test_the_tables_have_languages_tasks_groups_and_total(folders):
    text = render(score_benchmark("xtreme-r", *folders))
    lines = [line.split() for line in text.splitlines()]
    assert ["xquad", "exact_match", "f1"] in lines and ["ro", "50.00", "50.00"] in lines
    assert ["mewslix", "50.00"] in lines and ["group", "multi_choice", "50.00"] in lines
    assert ["total", "(ours)", "50.00"] in lines and "nan" not in text


# -- files ---------------------------------------------------------------------------------------------------------


def one(tmp_path: Path, fmt: str, predictions: str, labels: str, benchmark: str = "xtreme-r", language: str = "de"):
    """Score one file of the first task of a format that has the language."""
    tasks = load_benchmark(benchmark).tasks
    name = next(name for name, task in tasks.items() if task.format == fmt and language in task.languages)
    for folder, text in (("predictions", predictions), ("labels", labels)):
        write(tmp_path / folder, name, fmt, language, text)
    ours = score_benchmark(benchmark, tmp_path / "predictions", tmp_path / "labels")["ours"]
    return {metric: values[language] for metric, values in ours["incomplete"][name].items()}, ours["notes"]


def test_a_pair_that_is_mined_twice_counts_once(tmp_path):
    scores, _ = one(tmp_path, "mining", "a\te1\na\te1\nb\te2\n", "a\te1\nc\te3\nb\te4\n", "xtreme")
    assert scores == pytest.approx({"f1": 40, "precision": 50, "recall": 100 / 3})


def test_mining_nothing_scores_zero(tmp_path):
    assert one(tmp_path, "mining", "", "a\te1\n", "xtreme")[0] == {"f1": 0, "precision": 0, "recall": 0}


def test_missing_and_strange_ids_are_told_and_score_nothing(tmp_path):
    scores, notes = one(tmp_path, "span", '{"q1": "x", "q9": "x"}', squad({"q1": ["x"], "q2": ["the"]}))
    assert scores == {"exact_match": 50, "f1": 50}
    assert "xquad/test-de.json: nothing for 1 of 2 ids (one is q2); each counts 0" in notes
    assert "xquad/test-de.json: 1 ids that the labels do not have (one is q9); left out" in notes
    assert one(tmp_path, "ranking", '{"q1": ["a"]}', '{"q1": ["a"], "q2": ["b"]}')[0] == {"map@20": 50}


def test_of_an_id_given_twice_the_last_counts_and_is_told(tmp_path):
    scores, notes = one(tmp_path, "span", '{"q": "y", "q": "x"}', squad({"q": ["x"]}))
    assert scores["f1"] == 100 and any("given more than once (one is q)" in note for note in notes)


def test_ends_of_files_and_byte_order_marks_play_no_part(tmp_path):
    assert one(tmp_path, "classification", "\ufeffa\r\nb", "a\nb\n\n\n")[0] == {"accuracy": 100}
    assert one(tmp_path, "tagging", "\nB-A\nO\n\n\nB-A", "B-A\nO\n\nB-A\n\n\n")[0]["f1"] == 100


def test_mlqa_has_its_own_rules_and_tydiqa_those_of_squad(tmp_path):
    for name in ("mlqa", "xquad"):
        write(tmp_path / "predictions", name, "span", "es", '{"q": "¿la casa?"}')
        write(tmp_path / "labels", name, "span", "es", squad({"q": ["casa"]}))
    found = score_benchmark("xtreme", tmp_path / "predictions", tmp_path / "labels")["ours"]["incomplete"]
    assert found["mlqa"] == {"exact_match": {"es": 100}, "f1": {"es": 100}}
    assert found["xquad"]["exact_match"] == {"es": 0} and found["xquad"]["f1"]["es"] == pytest.approx(200 / 3)


BAD = [
    ("classification", "a\n", "a\nb\n", r"test-de.tsv: 1 lines, but 2 in .*labels.*; one for each is needed"),
    ("classification", "a\n", "\n", "labels.*test-de.tsv: no examples"),
    ("tagging", "O\n", "O\n\nO\n", "1 sentences, but 2 in"),
    ("tagging", "O\n\nO\n", "O\n\nO\nO\n", "sentence 2 has 1 tags, but 2 in"),
    ("tagging", "dog NOUN\n", "NOUN\n", r"line 1 is 'dog NOUN'; one tag per line is needed, without its token"),
    ("retrieval", "[12]\n", "12\n", r"line 1 is '\[12\]'; the index of a sentence"),
    ("span", "x\n", squad({"q": ["x"]}), "not valid JSON"),
    ("span", '["x"]', squad({"q": ["x"]}), "found list; an object with a text for each id"),
    ("span", '{"q": null}', squad({"q": ["x"]}), "'q' is null; a text is needed"),
    ("span", '{"q": "x"}', '{"data": [{"qas": []}]}', "not SQuAD's JSON .*paragraphs"),
    ("span", '{"q": "x"}', squad({"q": []}), "'q' has no right answer; .* taken out"),
    ("ranking", '{"q": "x"}', '{"q": ["x"]}', "'q' is \"x\"; a list of ids"),
    ("ranking", '{"q": [1]}', '{"q": ["1"]}', "a list of ids"),
    ("ranking", "{}", "{}", "no examples"),
]


@pytest.mark.parametrize(("fmt", "predictions", "labels", "message"), BAD)
def test_a_file_that_cannot_be_scored_is_named(tmp_path, fmt, predictions, labels, message):
    with pytest.raises(UserError, match=message) as error:
        one(tmp_path, fmt, predictions, labels)
    assert "test-de." in str(error.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [("0", "line 1 is '0'"), ("{", "line 1 is not JSON"), ('{"label": "0"}', "or another index"), ("{}", "or another")],
)
def test_a_choice_that_is_no_index_is_an_error(tmp_path, line, message):
    with pytest.raises(UserError, match=message):
        one(tmp_path, "multiple_choice", f"{line}\n", '{"label": 0}\n', language="et")


def test_a_pair_without_a_tab_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"test-de.tsv: 'a e1'; two ids with a tab between them"):
        one(tmp_path, "mining", "a e1\n", "a\te1\n", "xtreme")


def test_bytes_that_are_no_text_are_an_error(tmp_path):
    one(tmp_path, "classification", "a\n", "a\n")
    (tmp_path / "predictions/xnli/test-de.tsv").write_bytes(b"\xff\xfe\n")
    with pytest.raises(UserError, match=r"predictions/xnli/test-de.tsv: cannot be read as UTF-8"):
        score_benchmark("xtreme-r", tmp_path / "predictions", tmp_path / "labels")


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("xtrem", "p", "l"), {}, "unknown benchmark 'xtrem'; did you mean 'xtreme'"),
        (("xtreme", "p", "l"), {"seqeval": "1.0"}, r"--seqeval 1.0: .*allowed: 0.0.12, 1.2.2"),
        (("xtreme", "absent", "l"), {}, "absent: no such folder"),
        (("xtreme", "p", "l"), {}, "nothing to score for XTREME in .*no folder 'pawsx' among the predictions"),
    ],
)
def test_wrong_arguments_are_one_clear_message(tmp_path, arguments, options, message):
    for name in ("p", "l"):
        (tmp_path / name).mkdir()
    benchmark, *folders = arguments
    with pytest.raises(UserError, match=message):
        score_benchmark(benchmark, *(tmp_path / folder for folder in folders), **options)


# -- the descriptions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_benchmarks_agree_with_the_catalogue_and_the_language_table(benchmark):
    described = load_benchmark(benchmark)
    known = {line.split("\t")[0] for line in (RESOURCES / "languages.tsv").read_text(encoding="utf-8").splitlines()}
    for name, task in described.tasks.items():
        assert len(set(task.languages)) == len(task.languages) and set(task.languages) <= known
        if name in task_names():
            assert load_task(name).format == task.format
            if task.format == "classification":
                assert set(load_task(name).labels) <= task.labels.keys()
    assert {name for group in described.groups.values() for name in group} <= described.tasks.keys()


def test_numbers_of_tasks_and_languages_are_those_of_the_benchmarks():
    tasks = {name: load_benchmark(name).tasks for name in BENCHMARKS}
    sizes = {name: {task: len(entry.languages) for task, entry in entries.items()} for name, entries in tasks.items()}
    both = {"xnli": 15, "mlqa": 7, "tydiqa": 9}
    xtreme = {"pawsx": 7, "panx": 40, "udpos": 33, "bucc2018": 4, "tatoeba": 36, "xquad": 11}
    xtreme_r = {"panx": 48, "udpos": 38, "tatoeba": 41, "xcopa": 11, "lareqa": 11, "mewslix": 11, "xquad": 12}
    assert sizes == {"xtreme": both | xtreme, "xtreme-r": both | xtreme_r}
    languages = [{code for entry in entries.values() for code in entry.languages} for entries in tasks.values()]
    assert [len(codes) for codes in languages] == [40, 50]
