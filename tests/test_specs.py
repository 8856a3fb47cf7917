"""Stages by hand: a bad specification or name of data is one message with all that is wrong, and exit status 2."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from intermezzo.cli.main import main
from intermezzo.config import load
from intermezzo.dag.experiment import Grid
from intermezzo.dag.fingerprint import closure
from intermezzo.dag.specs import Specs
from intermezzo.specs.base import read
from intermezzo.specs.data import DataSpec
from intermezzo.specs.evaluation import EvaluateSpec
from intermezzo.specs.finetuning import FinetuneSpec
from intermezzo.specs.importing import ImportSpec
from intermezzo.specs.pretraining import PretrainSpec
from intermezzo.specs.summary import SummarySpec
from intermezzo.specs.translation import TranslationSpec
from specifications import WORLD, data, evaluation, finetuning, pretraining, task

NLI = task("nli", "classification", ["a", "b"], portions=[["en", 1, ["en"]], ["fri", 1, ["fri"]]])
EVALUATED = evaluation(
    {"name": "nli", "metrics": ["accuracy"]}, {"max_length": 8, "stride": 4, "pooling": "cls"}, ["en"]
)
TRANSLATED = {"task": "nli", "language": "fri", "examples": None, "backend": "world", "noise": 0.1, "world": WORLD}
RUN = '{"encoder": "e", "intermediate": "none", "mix": "none", "target": "nli", "seed": 0}'
DESIGN = {
    "english": "en", "english_mix": None, "rare": ["fri"], "seeds": [0], "encoders": ["world"],
    "intermediates": {"none": {"tasks": [], "mixes": {"none": []}}},
    "targets": {"nli": {"task": "nli", "format": "classification", "metrics": ["accuracy"], "languages": ["en"]}},
}  # fmt: skip
STAGES = {
    "prepare": (data("world", "nli", "fri", "test").as_json(), ["--out", "out"]),
    "translate": (TRANSLATED, ["--data", "nli/en=en.parquet", "--out", "out"]),
    "pretrain": (pretraining().as_json(), ["--text", "en=en.parquet", "xx=xx.parquet", "--out", "m", "--states", "s"]),
    "import-encoder": (ImportSpec(source="somewhere", revision=None).as_json(), ["--out", "m"]),
    "finetune": (
        finetuning(NLI).as_json(),
        ["--model", "e", "--data", "nli/en=en.parquet", "nli/fri=f.parquet", "--out", "m", "--states", "s"],
    ),
    "evaluate": (
        EVALUATED.as_json(),
        ["--model", "m", "--data", "nli/en=en.parquet", "--run", RUN, "--out", "o", "--cache", "c"],
    ),
    "summarize": (DESIGN, ["--results", "r", "--scores", "s", "--summary", "t", "--answer", "a"]),
    "report": (DESIGN, ["--scores", "s", "--results", "r", "--page", "p", "--figures", "f", "--tables", "t"]),
}  # fmt: skip


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def complaint(stage: str, spec: object, arguments: list[str], capsys) -> str:
    """The one message that a stage ends in."""
    text = spec if isinstance(spec, str) else json.dumps(spec)
    assert main(["stage", stage, "--spec", text, *arguments]) == 2
    output = capsys.readouterr().err
    assert output.count("error: ") == 1 and "Traceback" not in output
    return output[output.index("error: ") :]


@pytest.mark.parametrize("stage", STAGES)
def test_all_that_is_wrong_with_a_specification_is_told_at_once(stage, capsys):
    spec, arguments = STAGES[stage]
    first = next(key for key, value in spec.items() if key not in ("source", "backend"))
    bad = {key: value for key, value in spec.items() if key != first} | {f"{first}x": 1}
    said = complaint(stage, bad, arguments, capsys)
    assert said.startswith(f"error: --spec of {stage}: the specification has 2 problems:\n")
    assert f"  {first}: missing; this key has no default\n" in said
    assert f"  {first}x: unknown key; did you mean '{first}'?" in said


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_no_specification_is_one_message(stage, capsys, tmp_path):
    arguments = STAGES[stage][1]
    assert "is neither JSON nor a readable file of it (No such file" in complaint(stage, "no.json", arguments, capsys)
    assert "must be a dictionary; found [1] (list)" in complaint(stage, [1], arguments, capsys)
    assert "not valid JSON" in complaint(stage, '{"task": ', arguments, capsys)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    assert "(not text)" in complaint(stage, "bytes", arguments, capsys)


@pytest.mark.parametrize(
    ("stage", "keys", "value", "message"),
    [
        ("prepare", ["rows"], 2.5, r"rows: must be a whole number; found 2.5 (float)"),
        ("prepare", ["source"], "wrold", "source: allowed: 'world', 'files', 'hub'; found 'wrold' (str)"),
        ("prepare", ["split"], "valid", "split: allowed: 'train', 'dev', 'test' or 'candidates'; found 'valid' (str)"),
        ("prepare", ["world", "seeds"], 1, "world.seeds: unknown key; did you mean 'seed'?"),
        ("translate", ["noise"], 2, "noise: must be less than or equal to 1; found 2 (int)"),
        ("translate", ["backend"], "hubb", "backend: allowed: 'world', 'hub', 'files'; found 'hubb' (str)"),
        ("pretrain", ["training", "steps"], -1, "training.steps: must be greater than or equal to 0; found -1 (int)"),
        ("pretrain", ["languages"], "en", "languages: must be a list; found 'en' (str)"),
        ("import-encoder", ["from"], "", "from: string should have at least 1 character; found '' (str)"),
        ("finetune", ["sampling"], "proportionl", "sampling: allowed: 'proportional', 'uniform', 'temperature' or"),
        ("finetune", ["training", "epochs"], 1.5, "training.epochs: must be a whole number; found 1.5 (float)"),
        ("finetune", ["training", "lerning_rate"], 1, "lerning_rate: unknown key; did you mean 'learning_rate'?"),
        ("finetune", ["training", "precision"], "half", "allowed: 'auto', 'float32' or 'bfloat16'; found 'half'"),
        ("finetune", ["tasks"], [], "tasks: tuple should have at least 1 item"),
        ("finetune", ["tasks", 0, "labels"], "data", "0.labels: must be a list, or 'from_data'; found 'data'"),
        ("finetune", ["tasks", 0, "portions", 0, 1], "x", "tasks.0.portions.0.1: must be a number; found 'x' (str)"),
        ("evaluate", ["prediction", "layer"], -1, "prediction.layer: must be greater than or equal to 0; found -1"),
        ("evaluate", ["prediction", "task", "metrics"], [], "prediction.task.metrics: unknown key; allowed: format"),
        ("summarize", ["targets", "nli", "metrics"], "f1", "targets.nli.metrics: must be a list; found 'f1' (str)"),
        ("report", ["seeds"], ["0"], "seeds.0: must be a whole number; found '0' (str)"),
    ],
)  # fmt: skip
def test_a_bad_value_names_its_key_and_what_is_allowed(stage, keys, value, message, capsys):
    spec, arguments = STAGES[stage]
    spec = json.loads(json.dumps(spec))
    place = spec
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    assert message in complaint(stage, spec, arguments, capsys)


@pytest.mark.parametrize(
    ("stage", "files", "message"),
    [
        ("finetune", ["en.parquet"], "--data en.parquet: a file needs a name, as TASK/LANGUAGE=PATH"),
        ("finetune", ["nli/en=a", "nly/fri=b"], "no data called 'nly/fri'; did you mean 'nli/fri'? allowed: nli/en,"),
        ("finetune", ["nli/en=a", "nli/fri=b", "nli/en=c"], "--data nli/en=c: 'nli/en' is a already"),
        ("finetune", ["nli/en=a"], "no file for nli/fri, which the specification names"),
        ("finetune", ["nli/en=a", "nli/fri=b"], "a: no such file"),
        ("translate", ["nli/fri=a"], "no data called 'nli/fri'; did you mean 'nli/en'?"),
        ("evaluate", ["nli/sw=a"], "no data called 'nli/sw'; did you mean 'nli/en'?"),
        ("evaluate", ["nli/en.dev=a"], "no data called 'nli/en.dev'; did you mean 'nli/en'?"),
        ("pretrain", ["text/en=a", "xx=b"], "no data called 'text/en'"),
    ],
)  # fmt: skip
def test_data_files_have_names_that_the_specification_knows(stage, files, message, capsys):
    spec, arguments = STAGES[stage]
    option = "--text" if stage == "pretrain" else "--data"
    start = arguments.index(option) + 1
    end = next(i for i in range(start, len(arguments)) if arguments[i].startswith("--"))
    assert message in complaint(stage, spec, [*arguments[:start], *files, *arguments[end:]], capsys)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--run", "{}", "--run: the specification has 5 problems:\n  encoder: missing"),
        ("--run", "baseline", "--run: baseline is neither JSON nor a readable file of it"),
        (
            "--code",
            '{"predicts": ""}',
            "--code: the specification has 1 problem:\n  predicts: unknown key; did you mean",
        ),
    ],
)
def test_other_json_of_an_evaluation_is_checked_too(option, value, message, capsys):
    spec, arguments = STAGES["evaluate"]
    assert message in complaint("evaluate", spec, [*arguments, option, value], capsys)


def test_a_specification_may_be_a_file(tmp_path, capsys):
    (tmp_path / "spec.json").write_text(json.dumps(STAGES["prepare"][0] | {"language": "xx"}))
    assert "has no language 'xx'" in complaint("prepare", "spec.json", STAGES["prepare"][1], capsys)


# -- models ------------------------------------------------------------------------------------------------------------


def test_specifications_are_read_as_they_are_written():
    specs = Specs(Grid(load({"grid": {"intermediates": ["multi"]}})))
    names = {"encoder": "world", "intermediate": "multi", "mix": "en+rare", "seed": "1", "target": "retrieval"}
    names |= {"source": "world", "task": "nli", "language": "fri", "split": "train"}
    keys = type("Wildcards", (), names)
    models = {
        "data": DataSpec, "translate": TranslationSpec, "pretrain": PretrainSpec, "intermediate": FinetuneSpec,
        "evaluate": EvaluateSpec, "summary": SummarySpec,
    }  # fmt: skip
    for name, model in models.items():
        text = getattr(specs, f"spec_{name}")(keys)
        assert read(model, text).canonical() == text, name


def test_defaults_go_without_saying():
    """So a new setting whose default is what was done before reruns nothing."""
    spec = finetuning(NLI)
    assert "processes" not in spec.canonical() and spec.processes == 1
    assert json.loads(spec.replace(processes=2).canonical())["processes"] == 2
    assert FinetuneSpec.read(spec.canonical()) == spec
    with pytest.raises(ValueError, match="processes"):
        spec.replace(processes=0)


def test_a_repeated_english_mix_reads_english_alone():
    spec = finetuning(NLI)
    assert spec.data_names == ("nli/en", "nli/fri")
    assert spec.replace(mix=spec.mix.replace(budget="english_repeated")).data_names == ("nli/en",)


@pytest.mark.parametrize(
    ("root", "others"),
    [
        ("intermezzo.training.finetune", {"data", "translation", "pretraining", "evaluation", "summary"}),
        ("intermezzo.training.pretrain", {"data", "translation", "evaluation", "summary"}),
        (
            "intermezzo.evaluation.predict",
            {"data", "translation", "pretraining", "finetuning", "evaluation", "summary"},
        ),
        ("intermezzo.sources.world", {"translation", "pretraining", "finetuning", "evaluation", "summary"}),
        ("intermezzo.analysis.run", {"data", "translation", "pretraining", "finetuning", "evaluation"}),
    ],
)
def test_a_specification_of_one_stage_reruns_no_other(root, others):
    reached = closure([root])
    assert not {f"intermezzo.specs.{name}" for name in others} & reached
    assert {"intermezzo.specs.base", "intermezzo.specs"} <= reached


def test_reading_a_specification_imports_nothing_heavy():
    code = (
        "import sys, intermezzo.cli.main; from intermezzo.specs import finetuning, evaluation, data, summary; "
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'pandas', 'pyarrow', 'numpy', 'yaml'}))"
    )
    source = str(Path(__file__).parents[1] / "src")
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env={"PYTHONPATH": source}, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
