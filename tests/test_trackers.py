"""Trackers see a training and its scores and change nothing: stand-ins of MLflow and W&B, and the libraries offline."""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from intermezzo.core.errors import UserError
from intermezzo.evaluation.evaluate import evaluate
from intermezzo.execution import trackers
from intermezzo.specs.evaluation import CodeStamps
from intermezzo.training.finetune import finetune
from specifications import SETTINGS, evaluation
from toy_training import TASKS, inputs, spec, weights

KEY = "0123456789abcdef0123456789abcdef01234567"
MODEL = "results/target/world/nli/en+rare/seed0/nli"
CONFIG = {"training": {"epochs": 3}, "tasks": [{"name": "nli"}], "languages": ["en", "xx"]}
CALLS = '''
import json, os, random, sys

def call(library, method, **values):
    """Record a call, draw from all generators, and fail where the test asks for it."""
    with open(os.environ["CALLS"], "a") as file:
        file.write(json.dumps([library, method, values], default=str) + "\\n")
    random.random(), sys.modules["numpy"].random.rand(), sys.modules["torch"].rand(1)
    if os.environ.get("FAILS") == method:
        raise {"Exit": SystemExit}.get(os.environ.get("ERROR"), RuntimeError)(f"no {os.environ['WANDB_API_KEY']}")
'''
WANDB = """
from calls import call

class Run:
    def __init__(self):
        self.summary = self
    def define_metric(self, name, step_metric): pass
    def log(self, values): call("wandb", "losses", **values)
    def update(self, values): call("wandb", "scores", **values)
    def finish(self, exit_code): call("wandb", "close", failed=exit_code)

def Settings(**values):
    return values

def init(**values):
    call("wandb", "init", **values)
    return Run()
"""
MLFLOW = """
from types import SimpleNamespace
from calls import call

class MlflowClient:
    runs = []
    def __init__(self, uri): call("mlflow", "init", uri=uri)
    def get_experiment_by_name(self, name): return None
    def create_experiment(self, name): return name
    def search_runs(self, experiments, query, max_results):
        return [run for run in self.runs if run.tag in query]
    def create_run(self, experiment, run_name, tags):
        (tag,) = tags.values()
        self.runs.append(SimpleNamespace(info=SimpleNamespace(run_id=run_name), tag=tag))
        return self.runs[-1]
    def update_run(self, run_id, status): call("mlflow", "again", run_id=run_id, status=status)
    def log_batch(self, run_id, metrics=(), params=()):
        values = {item[0]: item[1] for item in (*metrics, *params)}
        method = "config" if params else "losses" if any("/loss" in name for name in values) else "scores"
        call("mlflow", method, run_id=run_id, **values)
    def set_terminated(self, run_id, status): call("mlflow", "close", status=status)
"""


@pytest.fixture
def stand_ins(tmp_path, monkeypatch):
    """Both trackers, as modules that record calls; a function that gives the calls of one library so far."""
    modules = tmp_path / "modules"
    (modules / "mlflow").mkdir(parents=True)
    (modules / "calls.py").write_text(CALLS)
    (modules / "wandb.py").write_text(WANDB)
    (modules / "mlflow" / "__init__.py").write_text(MLFLOW)
    (modules / "mlflow" / "entities.py").write_text("def Metric(*values): return values\nParam = Metric\n")
    for name in [name for name in sys.modules if name.partition(".")[0] in ("mlflow", "wandb", "calls")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(modules))
    clean(monkeypatch, tmp_path)
    file = tmp_path / "calls.jsonl"
    file.touch()
    monkeypatch.setenv("CALLS", str(file))
    yield lambda library: [line[1:] for line in map(json.loads, file.read_text().splitlines()) if line[0] == library]
    for name in [name for name in sys.modules if name.partition(".")[0] in ("mlflow", "wandb", "calls")]:
        sys.modules.pop(name)


def clean(monkeypatch, folder: Path) -> None:
    """Both trackers are asked for, in a folder of their own, with their own defaults."""
    for name in [name for name in os.environ if name.startswith(("MLFLOW_", "WANDB_"))]:
        monkeypatch.delenv(name)
    for name in ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"):
        monkeypatch.setenv(name, "1")
    monkeypatch.chdir(folder)
    monkeypatch.setenv(trackers.TRACKERS, "mlflow, wandb")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.delenv(trackers.TENSORBOARD, raising=False)


def follow_one_run() -> None:
    with trackers.follow(MODEL, CONFIG) as run:
        run.losses("target", 2, loss=0.5, tokens=64)
    trackers.log_scores(MODEL, CONFIG, {"nli/xx/accuracy": 0.25})


def test_a_run_has_its_models_folder_as_name_its_configuration_its_losses_and_its_scores(stand_ins):
    follow_one_run()
    (_, first), losses, _, (_, second), scores, close = stand_ins("wandb")
    assert (first["name"], first["config"], first["mode"], first["project"]) == (MODEL, CONFIG, "offline", "intermezzo")
    assert first["id"] == second["id"]
    assert losses == ["losses", {"target/step": 2, "target/loss": 0.5, "target/tokens": 64}]
    assert scores == ["scores", {"nli/xx/accuracy": 0.25}] and close == ["close", {"failed": 0}]
    calls = [(method, values) for method, values in stand_ins("mlflow") if method != "init"]
    config = {"training.epochs": "3", "tasks.0.name": "nli", "languages": "['en', 'xx']"}
    assert calls == [
        ("config", {"run_id": MODEL} | config),
        ("losses", {"run_id": MODEL, "target/loss": 0.5, "target/tokens": 64}),
        ("close", {"status": "FINISHED"}),
        ("again", {"run_id": MODEL, "status": "RUNNING"}),
        ("scores", {"run_id": MODEL, "nli/xx/accuracy": 0.25}),
        ("close", {"status": "FINISHED"}),
    ]


def test_a_training_that_fails_is_told_and_keeps_its_own_error(stand_ins):
    with pytest.raises(UserError, match="the loss is not a number"), trackers.follow(MODEL, CONFIG):
        raise UserError("the loss is not a number")
    assert stand_ins("wandb")[-1] == ["close", {"failed": 1}] and stand_ins("mlflow")[-1][1] == {"status": "FAILED"}


@pytest.mark.parametrize("error", ["Error", "Exit"])
@pytest.mark.parametrize("method", ["init", "losses", "scores", "close"])
def test_a_tracker_that_fails_anywhere_is_one_warning_without_a_key(stand_ins, monkeypatch, caplog, method, error):
    monkeypatch.setenv("FAILS", method)
    monkeypatch.setenv("ERROR", error)
    follow_one_run()
    assert {f"the tracker {name} has failed" in caplog.text for name in trackers.NAMES} == {True}
    assert KEY not in caplog.text and "***" in caplog.text
    methods = [name for name, _ in stand_ins("wandb")]
    assert methods.count("losses") == (method != "init") and methods.count(method) <= 2


def test_addresses_and_keys_are_hidden_in_messages(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret-of-the-server")
    text = "no answer from https://me:pass@host/x with secret-of-the-server"
    assert trackers._without_secrets(text) == "no answer from https://***@host/x with ***"


@pytest.mark.parametrize(
    ("value", "message"),
    [("comet", "there is no tracker 'comet'; it may name mlflow and wandb"), ("mlflow", "mlflow is not installed")],
)
def test_a_tracker_that_cannot_be_is_an_error_before_anything_runs(monkeypatch, value, message):
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    for name in [name for name in sys.modules if name.partition(".")[0] == "mlflow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv(trackers.TRACKERS, value)
    with pytest.raises(UserError, match=message):
        trackers.check()
    monkeypatch.setenv(trackers.TRACKERS, " , ")
    monkeypatch.delenv(trackers.TENSORBOARD, raising=False)
    assert trackers.check() == []


def generators() -> list:
    return [random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()]


def test_no_generator_of_random_numbers_moves(stand_ins):
    before = generators()
    follow_one_run()
    assert generators() == before


@pytest.mark.slow
def test_weights_and_results_are_the_same_bytes_with_trackers_with_failing_ones_and_without(
    data, encoder, stand_ins, tmp_path, monkeypatch, caplog
):
    languages = ["en", "xx"]
    job = evaluation(TASKS["colour"] | {"name": "colour"}, SETTINGS, languages)
    contents, calls = {}, {}
    for name, asked, fails in (
        ("tracked", "mlflow,wandb", ""),
        ("failing", "mlflow,wandb", "losses"),
        ("plain", "", ""),
    ):
        monkeypatch.setenv(trackers.TRACKERS, asked)
        monkeypatch.setenv("FAILS", fails)
        out, earlier = tmp_path / name, len(stand_ins("wandb"))
        finetune(spec("colour", epochs=2), encoder, inputs(data, "colour"), out / "model", out / "state")
        outputs = {language: out / f"{language}.json" for language in languages}
        test = {language: data("colour", language) for language in languages}
        places = {"support": {}, "cache": out / "cache", "code": CodeStamps()}
        evaluate(job, out / "model", test, outputs, {"target": "colour"}, **places)
        contents[name] = [weights(out / "model"), *(path.read_bytes() for path in outputs.values())]
        calls[name] = stand_ins("wandb")[earlier:]
    assert contents["tracked"] == contents["failing"] == contents["plain"]
    assert not calls["plain"] and [method for method, _ in calls["failing"]].count("losses") == 1
    assert caplog.text.count("the tracker wandb has failed") == 1
    log = [json.loads(line) for line in (tmp_path / "plain/model/log.jsonl").read_text().splitlines()]
    losses = [values["target/loss"] for method, values in calls["tracked"] if method == "losses"]
    assert losses == [line["loss"] for line in log]
    (scores,) = [values for method, values in calls["tracked"] if method == "scores"]
    assert scores["colour/xx/accuracy"] == json.loads(outputs["xx"].read_text())["metrics"]["accuracy"]


@pytest.mark.slow
@pytest.mark.parametrize("name", trackers.NAMES)
def test_the_true_libraries_offline(tmp_path, monkeypatch, name):
    library = pytest.importorskip(name)
    clean(monkeypatch, tmp_path)
    monkeypatch.setenv(trackers.TRACKERS, name)
    follow_one_run()
    if name == "mlflow":
        client = library.MlflowClient("sqlite:///logs/mlflow.db")
        (run,) = client.search_runs([client.get_experiment_by_name("intermezzo").experiment_id])
        assert (run.info.run_name, run.info.status) == (MODEL, "FINISHED")
        assert run.data.metrics == {"target/loss": 0.5, "target/tokens": 64, "nli/xx/accuracy": 0.25}
        assert run.data.params["training.epochs"] == "3"
    else:
        assert len(list(tmp_path.glob("logs/wandb/offline-run-*/*.wandb"))) == 2
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
