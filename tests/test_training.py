"""Training and evaluation on toy data: every format, resuming, determinism, the prediction cache."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from intermezzo.analysis.scores import verify
from intermezzo.core import processor, provenance
from intermezzo.core.errors import UserError
from intermezzo.evaluation.evaluate import evaluate, read_predictions
from intermezzo.modeling.encoder import load_encoder
from intermezzo.modeling.importing import import_encoder
from intermezzo.specs.evaluation import CodeStamps
from intermezzo.specs.finetuning import FinetuneSpec
from intermezzo.specs.importing import ImportSpec
from intermezzo.tasks.formats import table
from intermezzo.training import states
from intermezzo.training.finetune import finetune, plan
from intermezzo.training.pretrain import pretrain
from specifications import SETTINGS, evaluation
from toy_training import ANIMALS, COLOURS, PRETRAIN, TASKS, inputs, rows, spec, weights


@pytest.mark.slow
@pytest.mark.parametrize("name", ["colour", "choice", "tags", "where"])
def test_every_format_learns_and_is_scored_per_language(data, encoder, tmp_path, name):
    finetune(spec(name, epochs=25), encoder, inputs(data, name), tmp_path / "m", tmp_path / "s")
    languages = ["en", "xx"]
    job = evaluation(TASKS[name] | {"name": name}, SETTINGS, languages)
    outputs = {language: tmp_path / f"{language}.json" for language in languages}
    test = {language: data(name, language) for language in languages}
    code = CodeStamps(predict="p", score="s")
    evaluate(job, tmp_path / "m", test, outputs, {"target": name}, support={}, cache=tmp_path / "c", code=code)
    for language in languages:
        result = json.loads(outputs[language].read_text())
        main = TASKS[name]["metrics"][0]
        assert result["metrics"][main] > result["majority"][main] + 0.2, result["metrics"]
        assert result["target"] == name and result["n"] == 64
        assert len(read_predictions(outputs[language])) == 64
    assert not (tmp_path / "s").exists()


def test_allocation_follows_the_weights_and_the_mix_keeps_english_rows_of_english_only(data, encoder, tmp_path):
    finetune(spec("colour", epochs=1), encoder, inputs(data, "colour"), tmp_path / "m", tmp_path / "s")
    lines = [line.split("\t") for line in (tmp_path / "m" / "allocation.tsv").read_text().splitlines()]
    assert [(line[1], line[3]) for line in lines[1:]] == [("en", "36"), ("xx", "12")]


def test_multitask_trains_a_head_per_task_and_model_opens_in_transformers(data, encoder, tmp_path):
    from safetensors.torch import load_file
    from transformers import AutoModel

    names = ("colour", "where")
    finetune(spec(*names, epochs=1), encoder, inputs(data, *names), tmp_path / "m", tmp_path / "s")
    heads = load_file(tmp_path / "m" / "heads.safetensors")
    assert {key.split(".")[0] for key in heads} == set(names)
    opened = AutoModel.from_pretrained(tmp_path / "m")
    ours = load_encoder(tmp_path / "m").model.state_dict()
    assert all(torch.equal(opened.state_dict()[key], value) for key, value in ours.items())


@pytest.mark.slow
def test_same_seed_same_bytes_and_another_seed_others(data, encoder, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        finetune(spec("tags").replace(seed=seed), encoder, inputs(data, "tags"), tmp_path / name, tmp_path / "s")
    assert weights(tmp_path / "a") == weights(tmp_path / "b") != weights(tmp_path / "c")


@pytest.fixture
def die(monkeypatch):
    """die(file, step): a state after every step, and a kill right after that one; gives the list of states written."""
    monkeypatch.setattr(states, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(states, "SAVE_SHARE", float("inf"))
    save, written = states.State.save, []

    def kill_after(file: str, last: int) -> list[tuple[str, int]]:
        def save_and_die(state, step, progress):
            save(state, step, progress)
            written.append((state.path.name, step))
            if (state.path.name, step) == (file, last):
                raise KeyboardInterrupt

        monkeypatch.setattr(states.State, "save", save_and_die)
        return written

    return kill_after


@pytest.mark.slow
def test_a_killed_run_resumes_to_identical_weights(data, encoder, tmp_path, die):
    job, paths = spec("colour", "where"), inputs(data, "colour", "where")
    finetune(job, encoder, paths, tmp_path / "whole", tmp_path / "s")
    die("state0.pt", 5)
    with pytest.raises(KeyboardInterrupt):
        finetune(job, encoder, paths, tmp_path / "killed", tmp_path / "s")
    assert not (tmp_path / "killed" / "manifest.json").exists()
    finetune(job, encoder, paths, tmp_path / "killed", tmp_path / "s")
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    assert (tmp_path / "killed" / "manifest.json").read_text() == (tmp_path / "whole" / "manifest.json").read_text()
    logs = [
        [json.loads(line)["step"] for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("whole", "killed")
    ]
    assert logs[0] == logs[1] == list(range(1, 25))


def in_turn() -> FinetuneSpec:
    """`colour`, then `shade` (the same task by another name), with one head: XCOPA's protocol in small."""
    job = spec("colour", "shade")
    return job.replace(sampling="in_turn", tasks=tuple(task.replace(head="colour") for task in job.tasks))


@pytest.mark.slow
def test_tasks_in_turn_share_a_head_and_resume_in_the_second_stage(data, encoder, tmp_path, die):
    from safetensors.torch import load_file

    job, paths = in_turn(), inputs(data, "colour", "shade")
    finetune(job, encoder, paths, tmp_path / "whole", tmp_path / "s")
    heads = load_file(tmp_path / "whole" / "heads.safetensors")
    assert {key.split(".")[0] for key in heads} == {"colour"}
    assert json.loads((tmp_path / "whole" / "manifest.json").read_text())["steps"] == 24
    written = die("state1.pt", 5)
    with pytest.raises(KeyboardInterrupt):
        finetune(job, encoder, paths, tmp_path / "killed", tmp_path / "s")
    written.clear()
    finetune(job, encoder, paths, tmp_path / "resumed", tmp_path / "s")
    assert written[0] == ("state1.pt", 6)
    assert weights(tmp_path / "resumed") == weights(tmp_path / "whole")


@pytest.mark.slow
def test_labels_from_data_are_in_the_manifest_and_predictions_use_them(data, encoder, tmp_path):
    job = spec("tags", epochs=10)
    job = job.replace(tasks=(job.tasks[0].replace(labels="from_data"),))
    finetune(job, encoder, inputs(data, "tags"), tmp_path / "m", tmp_path / "s")
    assert json.loads((tmp_path / "m" / "manifest.json").read_text())["labels"] == {"tags": ["A", "C", "X"]}
    job = evaluation(TASKS["tags"] | {"name": "tags", "labels": "from_data"}, SETTINGS, ["en"])
    paths, outputs = {"en": data("tags", "en")}, {"en": tmp_path / "en.json"}
    evaluate(job, tmp_path / "m", paths, outputs, {}, support={}, cache=tmp_path / "c", code=CodeStamps())
    assert json.loads(outputs["en"].read_text())["metrics"]["accuracy"] > 0.8


@pytest.mark.slow
def test_masked_text_is_an_intermediate_task_that_starts_from_the_pretrained_head(data, encoder, tmp_path):
    def loss(folder, name, **changes) -> float:
        finetune(spec("text", **changes), folder, inputs(data, "text"), tmp_path / name, tmp_path / "s")
        return json.loads((tmp_path / name / "manifest.json").read_text())["loss"]

    assert loss(encoder, "much", epochs=60, learning_rate=1e-2) < 0.7 * loss(encoder, "little", epochs=1)
    trained, before = (load_encoder(folder).model.state_dict() for folder in (tmp_path / "much", encoder))
    assert not torch.equal(trained["embeddings.word_embeddings.weight"], before["embeddings.word_embeddings.weight"])
    from safetensors.torch import load_file

    heads, pretrained = load_file(tmp_path / "little" / "heads.safetensors"), load_file(encoder / "model.safetensors")
    assert torch.allclose(heads["text.dense.weight"], pretrained["lm_head.dense.weight"], atol=0.05)


def flipped(content: bytes) -> bytes:
    """One bit of the weights is another one: torch does not see it."""
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [lambda content: content[:2000], lambda content: b"", flipped, lambda content: content[: -states.sealed.SEAL]],
    ids=["cut", "empty", "one bit", "older version"],
)
def test_a_damaged_state_starts_from_the_beginning_and_says_so(data, encoder, tmp_path, die, damage, caplog):
    job, paths = spec("colour"), inputs(data, "colour")
    finetune(job, encoder, paths, tmp_path / "whole", tmp_path / "s")
    die("state0.pt", 2)
    with pytest.raises(KeyboardInterrupt):
        finetune(job, encoder, paths, tmp_path / "again", tmp_path / "s")
    state = tmp_path / "s" / "state0.pt"
    state.write_bytes(damage(state.read_bytes()))
    die("none", 0)
    finetune(job, encoder, paths, tmp_path / "again", tmp_path / "s")
    assert weights(tmp_path / "again") == weights(tmp_path / "whole")
    assert f"{state}: damaged, or not written for this key" in caplog.text


@pytest.mark.slow
def test_the_state_of_another_training_is_not_taken(data, encoder, tmp_path, die, caplog):
    """Of the same shapes, under this one's name."""
    job, paths = spec("colour"), inputs(data, "colour")
    finetune(job, encoder, paths, tmp_path / "whole", tmp_path / "s")
    die("state0.pt", 2)
    with pytest.raises(KeyboardInterrupt):
        finetune(job.replace(seed=job.seed + 1), encoder, paths, tmp_path / "m", tmp_path / "other")
    (tmp_path / "other").rename(tmp_path / "s")
    die("none", 0)
    finetune(job, encoder, paths, tmp_path / "m", tmp_path / "s")
    assert weights(tmp_path / "m") == weights(tmp_path / "whole")
    assert "not written for this key" in caplog.text


def test_a_diverging_loss_is_one_message(data, encoder, tmp_path):
    with pytest.raises(UserError, match=r"not a number.*learning_rate"):
        finetune(spec("colour", learning_rate=1e30), encoder, inputs(data, "colour"), tmp_path / "m", tmp_path / "s")
    assert not (tmp_path / "m" / "manifest.json").exists()


def test_only_new_languages_are_predicted_and_results_do_not_change(data, encoder, tmp_path, caplog, monkeypatch):
    task = TASKS["pairs"] | {"name": "pairs"}
    settings = SETTINGS | {"pooling": "mean", "layer": 0, "center": True}

    def run(*languages: str, metrics: tuple[str, ...] = (), question: str = "", **code: str) -> dict[str, str]:
        caplog.clear()
        outputs = {language: tmp_path / f"{language}.json" for language in languages}
        paths = {language: data("pairs", language) for language in languages}
        both = CodeStamps(**{"predict": "p", "score": "s"} | code)
        whole = evaluation(task | {"metrics": metrics}, settings, languages)
        with caplog.at_level("INFO", "intermezzo"):
            places = {"support": {}, "cache": tmp_path / "c"}
            evaluate(whole, encoder, paths, outputs, {}, **places, code=both, question=question)
        return {language: path.read_text() for language, path in outputs.items()}

    first = run("xx")
    assert "predicted: xx; from the cache: none" in caplog.text
    assert verify([tmp_path / "xx.json"]) == []
    before = provenance.parameters(provenance.read(tmp_path / "manifest.json"))
    assert run("xx", question="0123") == first and verify([tmp_path / "xx.json"]) == ["0123"]
    assert provenance.parameters(provenance.read(tmp_path / "manifest.json")) == before  # nothing is out of date
    caplog.clear()
    here = {"precision": "float32", "processor": str(processor.this())}
    monkeypatch.setattr(processor, "this", lambda: processor.Processor("another"))
    second = run("xx", "yy")
    assert "predicted: yy; from the cache: xx" in caplog.text
    computed = json.loads((tmp_path / "manifest.json").read_text())["computed"]
    assert computed == {"xx": here, "yy": {"precision": "float32", "processor": "another"}}
    assert second["xx"] == first["xx"] and json.loads(first["xx"])["metrics"]["accuracy"] > 0.3
    run("xx", score="other")
    assert "predicted: none" in caplog.text
    run("xx", metrics=("accuracy",))
    assert "predicted: none" in caplog.text
    run("xx", predict="other")
    assert "predicted: xx" in caplog.text


def test_cooccurrence_brings_translations_together(data, tmp_path):
    from intermezzo.modeling.tokenizer import load_tokenizer
    from intermezzo.training.cooccurrence import cooccurrence_embeddings

    translated = dict(
        zip([*COLOURS, *ANIMALS], ["rouge", "vert", "bleu", "blanc", "chat", "chien", "aile", "onde"], strict=True)
    )
    examples = rows("pairs", 200, 0)
    for row in examples:
        row["text"] = " ".join(translated.get(word, f"x{word}") for word in row["text_pair"].split())
    pq.write_table(table(examples, "retrieval"), tmp_path / "xx.parquet")
    from intermezzo.modeling.tokenizer import train_tokenizer

    train_tokenizer([t for r in examples for t in (r["text"], r["text_pair"])], tmp_path, vocab_size=150)
    tokenizer = load_tokenizer(tmp_path)
    vectors = cooccurrence_embeddings({"xx": tmp_path / "xx.parquet"}, tokenizer, 16, 0)
    vectors = torch.nn.functional.normalize(vectors, dim=-1)

    def of(word: str) -> torch.Tensor:
        return vectors[tokenizer.encode(word, add_special_tokens=False).ids].mean(0)

    right = sum(
        int(np.argmax([float(of(en) @ of(word)) for word in translated.values()])) == i
        for i, en in enumerate(translated)
    )
    assert right >= 7


def test_untrained_encoder_is_the_control_without_pretraining(data, tmp_path):
    job = PRETRAIN.replace(training=PRETRAIN.training.replace(steps=0))
    text = {language: data("text", language) for language in PRETRAIN.languages}
    pretrain(job, text, {}, tmp_path / "m", tmp_path / "s")
    assert json.loads((tmp_path / "m" / "manifest.json").read_text())["loss"] is None
    assert load_encoder(tmp_path / "m").hidden_size == 16


def test_plan_covers_every_example_once_an_epoch_and_caps_large_tasks():
    job = spec("colour").replace(seed=0, cap=40)
    batches = plan({"big": 100, "small": 20}, job)
    seen = {name: np.concatenate([i for n, i in batches if n == name]) for name in ("big", "small")}
    assert len(seen["big"]) == 80 and len(set(seen["big"])) == 80
    assert len(seen["small"]) == 40 and np.bincount(seen["small"]).tolist() == [2] * 20
    uniform = plan({"big": 100, "small": 20}, job.replace(sampling="uniform", cap=None))
    assert sum(len(i) for n, i in uniform if n == "small") == 120
    with pytest.raises(UserError, match="no training examples"):
        plan({"big": 0}, job)


def imported(source) -> ImportSpec:
    return ImportSpec(source=str(source), revision=None)


def test_import_checks_the_folder_and_the_weights(encoder, tmp_path):
    import_encoder(imported(encoder), tmp_path / "copy")
    assert load_encoder(tmp_path / "copy").hidden_size == 16
    with open(tmp_path / "copy" / "model.safetensors", "ab") as handle:
        handle.write(b"x")
    with pytest.raises(UserError, match="sha256"):
        load_encoder(tmp_path / "copy")
    empty = tmp_path / "empty"
    empty.mkdir()
    bad = [(str(empty), "no config.json"), (str(tmp_path / "absent"), "config.json"), ("package:absent/x", "installed")]
    for source, message in bad:
        with pytest.raises(UserError, match=message):
            import_encoder(imported(source), tmp_path / "x")
    (empty / "config.json").write_text((encoder / "config.json").read_text())
    with pytest.raises(UserError, match="no weights"):
        import_encoder(imported(empty), tmp_path / "x")
    (empty / "model.safetensors").write_bytes((encoder / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(UserError, match="cannot be read"):
        import_encoder(imported(empty), tmp_path / "x")


@pytest.mark.slow
def test_a_hub_name_is_read_from_the_hubs_cache_layout(encoder, tmp_path):
    """As after a download: models--owner--name/{refs/main, snapshots/<commit>}, and no network."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "hub" / "models--owner--tiny"
    shutil.copytree(encoder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    command = (
        "from pathlib import Path; from intermezzo.modeling.importing import import_encoder as i;"
        "from intermezzo.specs.importing import ImportSpec;"
        f"i(ImportSpec(source='owner/tiny', revision={commit!r}), Path({str(tmp_path / 'out')!r}))"
    )
    offline = os.environ | {"HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-c", command], env=offline, check=True, timeout=120)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["spec"] == {"from": "owner/tiny", "revision": commit}
    assert load_encoder(tmp_path / "out").hidden_size == 16
    missing = command.replace("owner/tiny", "owner/tinny")
    failed = subprocess.run([sys.executable, "-c", missing], env=offline, capture_output=True, text=True, timeout=120)
    assert failed.returncode != 0 and "encoder from 'owner/tinny' cannot be read" in failed.stderr
