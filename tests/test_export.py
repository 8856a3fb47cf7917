"""Exported models open with transformers, and their cards say what is in the files and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

from intermezzo.core.artifacts import sha256
from intermezzo.core.errors import UserError
from intermezzo.modeling.folder import write_manifest
from intermezzo.report.export import export

RUN = "small/nli/en+sw/seed0"


@pytest.fixture
def results(tmp_path):
    """A target model and an intermediate one of one run, with result files of both."""
    folder = tmp_path / "results"
    intermediate = model(folder / "intermediate" / RUN, 1)
    target = model(folder / "target" / RUN / "nli", 2, intermediate)
    for path, language, points, sha in (
        (f"{RUN}/nli/en", "en", 0.812, target),
        (f"{RUN}/nli/sw", "sw", 0.405, target),
        (f"{RUN}/nli/de", "de", 0.999, "0" * 64),  # of weights that have been replaced since
        (f"{RUN}/nli/en.dev", "en", 0.888, target),  # on development data
        (f"{RUN}/pairs/sw", "sw", 0.25, intermediate),
    ):
        score(folder / "eval" / f"{path}.json", language, points, sha)
    return folder


def model(folder: Path, seed: int, origin: str = "3" * 64) -> str:
    """A tiny encoder with tokenizer, heads, allocation and manifest; returns the hash of its weights."""
    torch.manual_seed(seed)
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "hello": 2, "world": 3}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    size = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    BertModel(BertConfig(vocab_size=4, **size), add_pooling_layer=False).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))
    (folder / "heads.safetensors").write_bytes(b"heads")
    kind = "intermediate" if "intermediate" in folder.parts else "target"
    data = {"nli/en": "4" * 64} | ({"nli/sw": "5" * 64, "mine/en": "6" * 64} if kind == "intermediate" else {})
    allocation = "nli\ten\t75\t100\nnli\tsw\t25\t30\n" if kind == "intermediate" else "nli\ten\t64\t64\n"
    (folder / "allocation.tsv").write_text("task\tlanguage\texamples\tsupply\n" + allocation)
    manifest = {"kind": kind, "code": "c0de", "steps": 12, "from_sha256": origin, "data_sha256": data}
    manifest |= {"spec": {"training": {"learning_rate": 0.001}}, "made_with": {"torch": "2.6"}}
    write_manifest(folder, manifest)
    return sha256(folder / "model.safetensors")


def score(path: Path, language: str, points: float, sha: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    result = {"target": path.parent.name, "language": language, "metrics": {"accuracy": points}, "n": 400}
    result |= {"majority": {"accuracy": 0.334}, "weights_sha256": sha, "data_sha256": language.encode().hex() * 16}
    path.write_text(json.dumps(result | {"spec": {"task": {"name": "nli"}}}))


def test_exported_model_opens_with_transformers(results, tmp_path):
    source = results / "target" / RUN / "nli"
    export(source, tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    encoder, original = (AutoModel.from_pretrained(folder).eval() for folder in (tmp_path / "model", source))
    batch = tokenizer(["hello world", "hello"], padding=True, return_tensors="pt")
    assert batch["input_ids"].tolist() == [[2, 3], [2, 0]]
    with torch.no_grad():
        assert torch.equal(encoder(**batch).last_hidden_state, original(**batch).last_hidden_state)
    assert (tmp_path / "model" / "heads.safetensors").read_bytes() == b"heads"


def test_card_of_a_target_model(results, tmp_path):
    export(results / "target" / RUN / "nli", tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text()
    head = yaml.safe_load(card.split("---")[1])
    assert head["language"] == ["en", "sw"] and head["library_name"] == "transformers"
    assert "# small/nli/en+sw/seed0/nli\n" in card
    target, intermediate = card.split("### Target training")[1].split("### Intermediate training")
    assert "| nli | en | 64 | 64 |" in target and "| sw |" not in target
    assert "| nli | sw | 25 | 30 |" in intermediate and f"| nli | sw | `{'5' * 64}` |" in card
    assert "| nli | en | accuracy | 81.2 | 33.4 | 400 | `656e656e656e656e` |" in card
    assert "| nli | sw | accuracy | 40.5 |" in card and "99.9" not in card and "88.8" not in card
    assert "CC BY-SA 4.0" in card and "`mine` (trained on): not in the catalogue" in card
    assert "| training: learning_rate | `0.001` |" in card and "`c0de`" in card
    assert "tested in en, sw and in no other language" in card and "zero-shot transfer" in card


def test_card_of_an_intermediate_model_has_what_was_read_off_it(results, tmp_path):
    export(results / "intermediate" / RUN, tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text()
    assert f"| trained from weights | `{'3' * 64}` |" in card and "### Target training" not in card
    assert "| pairs | sw | accuracy | 25.0 |" in card and "81.2" not in card and "zero-shot transfer" not in card


def test_model_outside_of_results_has_no_scores(results, tmp_path):
    (results / "target" / RUN / "nli").rename(tmp_path / "lonely")
    export(tmp_path / "lonely", tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text()
    assert "# lonely\n" in card and "None: no result file names these weights." in card and "It was not tested." in card


def test_equal_models_give_equal_bytes(results, tmp_path):
    for name in ("one", "two"):
        export(results / "target" / RUN / "nli", tmp_path / name)
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two")]
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda model: (model / "tokenizer.json").unlink(), r"tokenizer\.json: damaged \(no such file"),
        (lambda model: (model / "heads.safetensors").write_bytes(b"x"), r"heads\.safetensors: damaged"),
        (lambda model: (model / "allocation.tsv").write_text("task\n"), r"allocation\.tsv: damaged"),
        (lambda model: (model / "model.safetensors").write_bytes(b"x"), "manifest.json says"),
        (lambda model: (model / "manifest.json").write_text("{"), "not valid JSON"),
        (lambda model: (model / "manifest.json").write_text("[]"), r"manifest\.json: damaged"),
    ],
)
def test_a_broken_model_is_refused(results, tmp_path, spoil, message):
    source = results / "target" / RUN / "nli"
    spoil(source)
    with pytest.raises(UserError, match=message):
        export(source, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_folder_with_files_is_not_overwritten(results, tmp_path):
    with pytest.raises(UserError, match="is there already"):
        export(results / "target" / RUN / "nli", results)
    with pytest.raises(UserError, match="give a model folder"):
        export(tmp_path / "nowhere", tmp_path / "model")
