"""Test data in training data: what counts as an overlap, the table, the warning, and trainings without such rows."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from intermezzo.cli.main import main
from intermezzo.config import load
from intermezzo.core import leakage
from intermezzo.core.errors import UserError
from intermezzo.dag.experiment import Grid
from intermezzo.dag.inputs import Inputs
from intermezzo.dag.jobs import Tracked, jobs_of
from intermezzo.dag.lineage import Lineage
from intermezzo.dag.specs import Specs
from intermezzo.sources import overlap
from intermezzo.specs.overlap import DisjointSpec, EvaluationFile, OverlapSpec, TrainingFile
from intermezzo.tasks.formats import load_format

LONG = "the old man and his dog walked along the river until the sun went down"


def pairs(path: Path, texts: list[tuple[str, str | None]]) -> Path:
    """A file of format classification."""
    rows = [{"id": f"{i}", "text": a, "text_pair": b, "label": "x"} for i, (a, b) in enumerate(texts)]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=load_format("classification").schema), path)
    return path


TEST = [("A cat sleeps.", "It is awake."), ("Dogs bark", None), (LONG, "He was alone."), ("No one knows", "this")]
KINDS = [
    (("A cat sleeps.", "It is awake."), "exact"),
    (("a CAT sleeps", "it is: awake!"), "normalised"),
    (("\u00aba cat\u00bb sleeps \u2026", "it is awake"), "normalised"),
    (("It is awake.", "A cat sleeps."), None),  # the other way round is another row
    (("A cat sleeps.", "It is not awake."), None),
    (("dogs\u00ad bark!", None), "normalised"),  # a soft hyphen
    (("He said that " + LONG.replace(" until", ", UNTIL,"), "Yes."), "ngram"),
    (("Something else.", LONG), "ngram"),
    ((LONG.replace("dog", "cat"), "He was alone."), None),  # no 12 words in a row
    (("...", None), None),
]


@pytest.mark.parametrize(("row", "kind"), KINDS)
def test_what_overlaps(tmp_path, row, kind):
    test = EvaluationFile(task="xnli", language="en", format="classification")
    training = TrainingFile(source="files", task="mnli", language="en", format="classification")
    files = {test: pairs(tmp_path / "test.parquet", [*TEST, ("?!", None)])}
    train = pairs(tmp_path / "train.parquet", [("nothing of it", "at all"), row])
    (line,) = overlap.overlaps(files, {training: train}, {}, 12, drop="normalised")
    number = {None: 0, "ngram": 1, "normalised": 2, "exact": 3}[kind]
    assert line.counts == (int(number > 2), int(number > 1), int(number > 0))
    assert (line.rows, line.training_rows, line.training_overlap) == (5, 2, int(number > 0))
    assert line.dropped == int(number > 1)
    for drop, least in (("exact", 3), ("normalised", 2), ("ngram", 1)):
        assert overlap.kept(train, training, files, 12, drop) == [True, number < least]


def test_letters_of_scripts_without_spaces_are_words(tmp_path):
    test = EvaluationFile(task="t", language="zh", format="classification")
    training = TrainingFile(source="files", task="m", language="zh", format="classification")
    sentence = "\u4eca\u5929\u5929\u6c14\u5f88\u597d\u6211\u4eec\u53bb\u516c\u56ed\u73a9"
    files = {test: pairs(tmp_path / "test.parquet", [(sentence, None)])}
    train = pairs(tmp_path / "train.parquet", [(f"\u6211\u8bf4\uff1a{sentence}\u3002", None), (sentence[:6], None)])
    (line,) = overlap.overlaps(files, {}, {training: train}, 8)
    assert line.counts == (0, 0, 1) and line.training_overlap == 1


def test_training_data_of_a_target_in_that_of_intermediates(tmp_path):
    """Rows of what targets are trained on, in other files of intermediates; a file that both have is no overlap."""
    names = {task: TrainingFile(source="files", task=task, language="en", format="classification") for task in "abc"}
    other = names["a"].model_copy(update={"language": "sw"})
    rows = {"a": [*TEST, ("A", "one")], "b": [TEST[0], ("dogs BARK", None), ("x", LONG)], "c": [("of its own", None)]}
    paths = {file: pairs(tmp_path / f"{name}.parquet", rows[name]) for name, file in names.items()}
    intermediates = {names["a"]: paths[names["a"]], names["c"]: paths[names["c"]], other: paths[names["a"]]}
    targets = {names["a"]: paths[names["a"]], names["b"]: paths[names["b"]]}
    test = EvaluationFile(task="t", language="sw", format="classification")
    tests = {test: pairs(tmp_path / "test.parquet", TEST[:1])}
    lines = [*overlap.overlaps(tests, intermediates, targets, 12, drop="exact")]
    assert {
        (line.training, line.data, line.language): line.counts for line in lines if line.kind == "target training"
    } == {
        ("files/a", "files/b", "en"): (1, 2, 3),
        ("files/c", "files/a", "en"): (0, 0, 0),
        ("files/c", "files/b", "en"): (0, 0, 0),
    }
    (tested,) = [line for line in lines if line.kind == "test"]
    assert (tested.training, tested.language, tested.rows, tested.counts) == ("files/a", "sw", 1, (1, 1, 1))
    (line,) = [line for line in lines if line.counts == (1, 2, 3)]
    assert (line.rows, line.training_rows, line.training_overlap, line.dropped) == (3, 5, 3, 0)
    (sentence,) = leakage.sentences([line])
    assert sentence.startswith("100 % of the target") and "(3 of 3, 1 exactly)" in sentence
    assert "of `files/b`" in sentence and "the intermediate training data of `files/a`" in sentence


@pytest.fixture
def files(tmp_path):
    """Names of the command line -> files: one of two languages overlaps in each of the three ways."""
    train = [("a cat sleeps", "it is awake"), (LONG, "really?"), ("other words", None)]
    return {
        "train/world/mnli/sw": pairs(tmp_path / "mnli/sw/train.parquet", [*train, ("A cat sleeps.", "It is awake.")]),
        "train/world/mnli/en": pairs(tmp_path / "mnli/en/train.parquet", [("nothing", "of it")]),
        "test/xnli/sw": pairs(tmp_path / "xnli/sw/test.parquet", TEST),
        "test/xnli/en": pairs(tmp_path / "xnli/en/test.parquet", TEST),
    }


def arguments(files: dict[str, Path], stage: str, spec, out: Path) -> list[str]:
    data = [f"{name}={path}" for name, path in files.items()]
    return [
        "stage",
        stage,
        "--spec",
        spec.canonical(),
        "--code",
        "c",
        "--inputs",
        "i",
        "--data",
        *data,
        "--out",
        str(out),
    ]


def specification(drop=None) -> OverlapSpec:
    of = {"task": "mnli", "source": "world", "format": "classification"}
    tests = {"task": "xnli", "format": "classification"}
    return OverlapSpec(
        ngram=12,
        drop=drop,
        intermediates=tuple(TrainingFile(**of, language=code) for code in ("sw", "en")),
        targets=(TrainingFile(**of, language="en"),),
        tests=tuple(EvaluationFile(**tests, language=code) for code in ("sw", "en")),
    )


def test_the_table_and_its_warning(files, tmp_path, capsys):
    out = tmp_path / "leakage.tsv"
    assert main(arguments(files, "leakage", specification(), out)) in (0, None)
    with open(out, encoding="utf-8") as text:
        lines = {line["language"]: line for line in csv.DictReader(text, delimiter="\t")}
    assert tuple(lines["sw"]) == leakage.COLUMNS
    assert [lines["sw"][kind] for kind in leakage.KINDS] == ["1", "1", "2"] and lines["sw"]["share"] == "0.5000"
    assert lines["sw"]["training_overlap"] == "3" and lines["en"]["ngram"] == "0"
    said = capsys.readouterr().err
    assert "25 % of the test rows of `xnli` (2 of 8, 1 exactly) are in the training data of `world/mnli`" in said
    assert "most in sw (50 %)" in said and "left out" not in said
    assert [leakage.table(leakage.read(out))] == [out.read_text()]
    assert [*leakage.sentences(leakage.read(out), least=0.6)] == []


def test_training_data_without_rows_of_tests(files, tmp_path):
    spec = specification()
    disjoint = DisjointSpec(ngram=12, drop="ngram", training=spec.intermediates[0], tests=spec.tests[:1])
    out = tmp_path / "disjoint.parquet"
    chosen = {name: path for name, path in files.items() if name.endswith("/sw")}
    assert main(arguments(chosen, "disjoin", disjoint, out)) in (0, None)
    assert pq.read_table(out)["id"].to_pylist() == ["2"]
    assert pq.read_schema(out) == load_format("classification").schema


def test_a_table_that_is_none_is_one_message(tmp_path):
    path = tmp_path / "leakage.tsv"
    path.write_text("language\ttraining\n")
    with pytest.raises(UserError, match=r"leakage.tsv: not a table of overlaps \(other columns\); delete it"):
        leakage.read(path)


def test_a_file_that_is_missing_is_one_message(files, tmp_path, capsys):
    del files["test/xnli/en"]
    assert main(arguments(files, "leakage", specification(), tmp_path / "leakage.tsv")) == 2
    assert "no file for test/xnli/en, which the specification names" in capsys.readouterr().err


@pytest.mark.slow
def test_trainings_read_files_without_test_rows_where_the_configuration_says_so():
    keys = SimpleNamespace(intermediate="nli", mix="en+rare", training="nli", source="disjoint", task="nli")
    plain, apart = (Grid(load({"data": {"overlap": {"drop": drop}}})) for drop in (None, "normalised"))
    paths, jobs = Inputs(apart).intermediate_data(keys), jobs_of(apart)
    assert paths == [path.replace("/world/", "/disjoint/") for path in Inputs(plain).intermediate_data(keys)]
    assert Inputs(apart).target_data(keys) == ["results/data/disjoint/nli/en/train.parquet"]
    assert Inputs(apart).overlap_training(keys) == Inputs(plain).overlap_training(keys)
    assert not any("disjoint" in path for path in jobs_of(plain)) and "leakage" in jobs_of(plain)["summary"].needs
    needs = jobs["data/disjoint/nli/en/train"].needs
    assert "data/world/nli/en/train" in needs and "data/world/nli/en/test" in needs
    order = list(jobs)
    assert order.index("data/disjoint/nli/en/train") > max(map(order.index, needs))
    keys.language = "en"
    assert '"drop":"normalised"' in Specs(apart).spec_disjoint(keys)
    assert Tracked(apart).of(jobs["data/disjoint/nli/en/train"])["spec"] == Specs(apart).spec_disjoint(keys)
    assert Lineage(Specs(apart)).of_target(_run(keys)) != Lineage(Specs(plain)).of_target(_run(keys))


def _run(keys: SimpleNamespace) -> SimpleNamespace:
    return SimpleNamespace(**vars(keys) | {"encoder": "world", "seed": "0"})
