"""A model folder is whole or is not there; a file of it that is missing, cut off or changed is one message."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from intermezzo.core import folders, sealed
from intermezzo.core.errors import UserError
from intermezzo.core.folders import whole_folder
from intermezzo.evaluation.evaluate import evaluate
from intermezzo.evaluation.predict import predictor
from intermezzo.modeling.encoder import load_encoder
from intermezzo.modeling.folder import write_manifest
from intermezzo.modeling.importing import import_encoder
from intermezzo.report.export import export
from intermezzo.specs.evaluation import CodeStamps
from intermezzo.specs.importing import ImportSpec
from intermezzo.training import states
from intermezzo.training.finetune import finetune
from intermezzo.training.pretrain import pretrain
from specifications import SETTINGS, evaluation, prediction
from toy_training import PRETRAIN, TASKS, inputs, rows, spec, weights

# -- written whole -------------------------------------------------------------------------------------------------


def write(folder: Path, content: str) -> None:
    with whole_folder(folder) as part:
        for name in ("config.json", "manifest.json", "model.safetensors"):
            (part / name).write_text(content)


def contents(folder: Path) -> set[str]:
    return {path.read_text() for path in folder.iterdir()} if folder.is_dir() else set()


def counting(call, count):
    """`call`, which counts first."""

    def counted(*arguments, **keywords):
        count()
        return call(*arguments, **keywords)

    return counted


def killed_at(number: int, folder: Path) -> bool:
    """Write the folder in a fork that SIGKILL ends at its `number`-th call of the system; False if it has fewer."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    calls = iter(range(1, number))
    kill = lambda: next(calls, None) is None and os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
    for name in ("rename", "replace", "mkdir", "fsync", "unlink", "rmdir"):
        setattr(os, name, counting(getattr(os, name), kill))
    write(folder, "new")
    os._exit(0)


@pytest.mark.slow
@pytest.mark.parametrize("before", ["nothing", "an empty folder", "a model"])
def test_a_kill_at_any_moment_leaves_the_old_folder_or_the_new_one_or_none(tmp_path, before):
    number, seen = 1, set()
    while True:
        folder = tmp_path / str(number) / "model"
        folder.parent.mkdir()
        if before != "nothing":
            folder.mkdir()
        if before == "a model":
            write(folder, "old")
        killed = killed_at(number, folder)
        assert len(contents(folder)) <= 1, "a mixture of two models"
        assert len(list(folder.iterdir()) if folder.is_dir() else []) in (0, 3), "half a model"
        seen |= contents(folder)
        write(folder, "again")
        assert contents(folder) == {"again"}
        assert [path.name for path in folder.parent.iterdir()] == ["model"], "what the kill left is still there"
        if not killed:
            break
        number += 1
    assert number > 6 and seen == ({"old", "new"} if before == "a model" else {"new"})


def test_a_failure_leaves_the_old_folder_and_nothing_else(tmp_path):
    write(tmp_path / "model", "old")
    with pytest.raises(RuntimeError), whole_folder(tmp_path / "model") as part:
        (part / "config.json").write_text("half")
        raise RuntimeError
    assert contents(tmp_path / "model") == {"old"} and len(list(tmp_path.iterdir())) == 1


def test_a_link_to_a_folder_stays_one(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "model").symlink_to(tmp_path / "disk", target_is_directory=True)
    write(tmp_path / "model", "new")
    assert (tmp_path / "model").is_symlink() and contents(tmp_path / "disk") == {"new"}


def test_temporary_folders_of_killed_processes_are_removed(tmp_path):
    script = f"import os; from intermezzo.core import folders; folders.temporary_folder({str(tmp_path)!r}); "
    environment = os.environ | {"PYTHONPATH": str(Path(folders.__file__).parents[2])}
    command = [sys.executable, "-c", f"{script}os.kill(os.getpid(), 9)"]
    assert subprocess.run(command, env=environment).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    others = {tmp_path / "intermezzo-mine", tmp_path / left.name.replace(left.name[11:17], "0" * 6)}
    for path in others:
        path.mkdir()
    first, second = folders.temporary_folder(tmp_path), folders.temporary_folder(tmp_path)
    assert set(tmp_path.iterdir()) == {first, second} | others
    assert len(first.name) <= 36 and stat.S_IMODE(first.stat().st_mode) == 0o700


# -- checked where it is read --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(data, encoder, tmp_path_factory) -> Path:
    """A model folder with a head."""
    folder = tmp_path_factory.mktemp("trained")
    finetune(spec("colour", epochs=1), encoder, inputs(data, "colour"), folder / "model", folder / "state")
    return folder / "model"


@pytest.fixture
def model(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "model"))


DAMAGES = {
    "gone": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "changed": lambda path: path.write_bytes(path.read_bytes()[:-2] + b" \n"),
}
ENCODER = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "manifest.json")


def predict(model: Path) -> None:
    predictor(prediction(TASKS["colour"] | {"name": "colour"}, SETTINGS, head="colour"), model)(
        rows("colour", 4, 1), "en"
    )


def score(model: Path, data, out: Path) -> None:
    job, code = evaluation(TASKS["colour"] | {"name": "colour"}, SETTINGS, ["en"]), CodeStamps(predict="p", score="s")
    job = job.replace(prediction=job.prediction.replace(head="colour"))
    files = {"data": {"en": data("colour", "en")}, "outputs": {"en": out / "en.json"}}
    evaluate(job, model, **files, names={}, support={}, cache=out / "cache", code=code)


def readers(data, out: Path) -> dict:
    """What reads a model folder."""
    return {
        "load": load_encoder,
        "predict": predict,
        "score": lambda model: score(model, data, out),
        "train": lambda model: finetune(spec("tags"), model, inputs(data, "tags"), out / "trained", out / "state"),
        "export": lambda model: export(model, out / "exported"),
    }


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    ("reader", "name"),
    [
        *(("load", name) for name in ENCODER),
        *(("predict", name) for name in (*ENCODER, "heads.safetensors")),
        *(("score", name) for name in (*ENCODER, "heads.safetensors")),
        *(("train", name) for name in ENCODER),
        *(("export", name) for name in (*ENCODER, "heads.safetensors", "allocation.tsv")),
    ],
)
def test_a_damaged_file_is_one_message_that_names_it_and_the_mend(model, data, tmp_path, reader, name, damage):
    out = tmp_path / "out"
    out.mkdir()
    if (name, damage) == ("manifest.json", "changed"):
        pytest.skip("white space at the end of JSON is no damage")
    DAMAGES[damage](model / name)
    with pytest.raises(UserError) as refused:
        readers(data, out)[reader](model)
    message = str(refused.value)
    if reader == "export" and damage == "gone" and name in ("manifest.json", "model.safetensors"):
        assert f"no {name}" in message
    else:
        assert message.startswith(f"{model / name}: damaged (") and f"delete the folder {model} and run" in message
    assert not list(out.glob("*.json")) and not (out / "trained").exists() and not (out / "exported").exists()


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", "null", "7", '"x"', '{"weights_sha256": 5}', '{"files": [], "weights_sha256": "a"}', "\x00", "\ufeff{",
     '{"files": {"model.safetensors": 1}, "weights_sha256": 1}'],
)  # fmt: skip
@pytest.mark.parametrize("reader", ["load", "score", "train", "export"])
def test_a_manifest_that_is_none_is_one_message(model, data, tmp_path, reader, text):
    (model / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json: damaged .*; delete the folder .*model and run again"):
        readers(data, tmp_path)[reader](model)


def test_another_head_under_the_same_manifest_is_noticed(model, data, tmp_path):
    heads = load_file(model / "heads.safetensors")
    save_file({name: value * 2 for name, value in heads.items()}, model / "heads.safetensors")
    with pytest.raises(UserError, match=r"heads\.safetensors: damaged \(sha256"):
        score(model, data, tmp_path)
    assert not (tmp_path / "en.json").exists()


def test_predictions_of_another_tokenizer_are_not_taken_from_the_cache(model, data, tmp_path, monkeypatch):
    """The same weights with another tokenizer or configuration: another key."""
    score(model, data, tmp_path)
    first = json.loads((tmp_path / "en.json").read_text())
    for name in ("tokenizer.json", "config.json"):
        (model / name).write_text(json.dumps(json.loads((model / name).read_text()), indent=7))
        manifest = json.loads((model / "manifest.json").read_text())
        write_manifest(model, manifest)
        cached = len(list((tmp_path / "cache").glob("*.parquet")))
        score(model, data, tmp_path)
        second = json.loads((tmp_path / "en.json").read_text())
        assert second["weights_sha256"] == first["weights_sha256"] and second["metrics"] == first["metrics"]
        assert len(list((tmp_path / "cache").glob("*.parquet"))) == cached + 1, name


def test_an_encoder_has_no_head_to_predict_with(encoder):
    with pytest.raises(UserError, match=r"no head .*for task 'colour'"):
        predict(encoder)


def test_the_manifest_has_every_file_but_the_log(trained):
    manifest = json.loads((trained / "manifest.json").read_text())
    assert manifest["files"].keys() == {path.name for path in trained.iterdir()} - {"manifest.json", "log.jsonl"}
    assert manifest["weights_sha256"] == manifest["files"]["model.safetensors"]
    assert manifest["heads_sha256"] == manifest["files"]["heads.safetensors"]


@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077])
def test_files_have_the_rights_of_the_umask(encoder, data, tmp_path, mask):
    before = os.umask(mask)
    try:
        finetune(spec("colour", epochs=1), encoder, inputs(data, "colour"), tmp_path / "model", tmp_path / "state")
        import_encoder(ImportSpec(source=str(encoder), revision=None), tmp_path / "copy")
    finally:
        os.umask(before)
    for folder in (tmp_path / "model", tmp_path / "copy"):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert set(modes.values()) == {0o666 & ~mask}, modes
        assert stat.S_IMODE(folder.stat().st_mode) == 0o777 & ~mask


# -- weights that are not finite -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["colour", "text"])
def test_a_last_step_that_leaves_no_numbers_saves_nothing(data, encoder, tmp_path, name):
    """One step: its loss and gradient are those of the weights before it."""
    job = spec(name, learning_rate=1e38, epochs=1, batch_size=1000)
    if name == "text":
        job = job.replace(phase="intermediate")
    with pytest.raises(UserError, match=rf"{job.phase}: the weights are no longer finite .* learning_rate 1e\+38"):
        finetune(job, encoder, inputs(data, name), tmp_path / "model", tmp_path / "state")
    assert not (tmp_path / "model").exists()


def test_pretraining_that_leaves_no_numbers_saves_nothing(data, tmp_path):
    job = PRETRAIN.replace(training=PRETRAIN.training.replace(learning_rate=1e38, steps=1))
    text = {language: data("text", language) for language in PRETRAIN.languages}
    with pytest.raises(UserError, match="pretrain: the weights are no longer finite"):
        pretrain(job, text, {}, tmp_path / "model", tmp_path / "state")
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
def test_of_several_processes_none_saves_them_either(data, encoder, tmp_path):
    job = spec("colour", learning_rate=1e38, epochs=1, batch_size=1000).replace(processes=2)
    with pytest.raises(UserError, match="the weights are no longer finite"):
        finetune(job, encoder, inputs(data, "colour"), tmp_path / "model", tmp_path / "state")
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
def test_no_state_of_them_is_written_and_one_that_is_there_is_not_used(data, encoder, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(states, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(states, "SAVE_SHARE", float("inf"))
    with pytest.raises(UserError, match="the weights are no longer finite"):
        finetune(spec("colour", learning_rate=1e38), encoder, inputs(data, "colour"), tmp_path / "m", tmp_path / "bad")
    assert not list((tmp_path / "bad").glob("*.pt"))

    job, paths = spec("colour", epochs=1), inputs(data, "colour")
    finetune(job, encoder, paths, tmp_path / "whole", tmp_path / "state")
    monkeypatch.setattr(states.shutil, "rmtree", lambda *_, **__: None)  # the states of a finished training stay
    finetune(job, encoder, paths, tmp_path / "kept", tmp_path / "state")
    monkeypatch.undo()
    (path,) = (tmp_path / "state").glob("*.pt")
    content = torch.load(path, weights_only=True)
    next(iter(content["modules"].values())).view(-1)[3] = float("inf")
    with sealed.write(path) as part:
        torch.save(content, part)
    finetune(job, encoder, paths, tmp_path / "again", tmp_path / "state")
    assert "its weights are not finite numbers" in caplog.text
    assert weights(tmp_path / "again") == weights(tmp_path / "whole")


def test_an_encoder_of_no_numbers_is_not_imported(encoder, tmp_path):
    source = Path(shutil.copytree(encoder, tmp_path / "source"))
    values = load_file(source / "model.safetensors")
    name = next(name for name in values if "LayerNorm" in name)
    values[name][0] = float("nan")
    save_file(values, source / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=f"not finite numbers .*{name.split('.')[-2]}"):
        import_encoder(ImportSpec(source=str(source), revision=None), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_predictions_that_are_no_numbers_are_not_scored(model, data, tmp_path):
    """Finite weights whose products are not."""
    heads = load_file(model / "heads.safetensors")
    save_file({name: torch.full_like(value, 3e38) for name, value in heads.items()}, model / "heads.safetensors")
    write_manifest(model, json.loads((model / "manifest.json").read_text()))
    with pytest.raises(UserError, match=r"outputs for task 'colour' are not finite"):
        score(model, data, tmp_path)
    assert not (tmp_path / "en.json").exists()
