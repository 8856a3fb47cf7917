"""What `intermezzo plan` says of downloads: sizes, hosts and licences, and the price of translation by a model."""

import json
from pathlib import Path

import pytest
import yaml
from huggingface_hub import constants

from intermezzo.cli.main import main
from intermezzo.core.places import PROJECT
from intermezzo.planning.rates import Rates
from intermezzo.planning.translators import translator
from intermezzo.sources.hub.address import folder_of
from intermezzo.tasks import load_task

NLLB = "facebook/nllb-200-distilled-600M"
GRID = {
    "grid": {
        "encoders": ["xlm-roberta-base"],
        "intermediates": ["mnli"],
        "mixes": ["en", "en+rare"],
        "targets": ["xnli", "udpos", "masakhaner2", "tydiqa"],
        "seeds": [0],
    }
}


@pytest.fixture
def plan(tmp_path, monkeypatch, capsys):
    """plan(more) -> (what is printed, the JSON): of a part of rare_mix, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))

    def plan(more=None):
        Path("part.yaml").write_text(yaml.safe_dump(GRID | (more or {})))
        overlays = [str(PROJECT / "config/experiments/rare_mix.yaml"), "part.yaml"]
        assert main(["plan", "--json", "plan.json", "--configfile", *overlays]) == 0
        return capsys.readouterr().out, json.loads(Path("plan.json").read_text())

    return plan


def test_downloads_are_told_with_hosts_and_licences(plan):
    printed, written = plan()
    found = {(download["host"], download["name"]): download for download in written["downloads"]}
    ud = found["lindat.mff.cuni.cz", "repository/xmlui/bitstream/handle/11234/1-3105/ud-treebanks-v2.5.tgz"]
    assert (ud["mb"], ud["basis"], ud["used_by"]) == (355.2, "resources/downloads.tsv", ["udpos"])
    assert found["github.com", "masakhane-io/masakhane-ner"]["mb"] == 82  # one archive for 20 languages
    assert found["huggingface.co", NLLB]["mb"] == pytest.approx(2460, rel=0.01)
    assert found["huggingface.co", NLLB]["used_by"] == ["translation"]
    assert found["huggingface.co", "FacebookAI/xlm-roberta-base"]["used_by"] == ["encoder xlm-roberta-base"]
    assert 20 < found["huggingface.co", "datasets/nyu-mll/glue"]["mb"] < 80  # 52 MB
    licences = {licence["subject"]: licence for licence in written["licences"]}
    assert not licences[NLLB]["commercial"]
    assert not licences["xnli"]["commercial"]
    assert licences["tydiqa"] == {"subject": "tydiqa", "text": "TyDiQA: Apache-2.0.", "commercial": True}
    assert f"* {NLLB}: CC BY-NC 4.0" in printed
    assert "Downloads that are not here yet: about 4." in printed
    assert "huggingface.co 3." in printed


def test_what_is_here_is_left_out_and_the_lock_file_knows_sizes(plan, tmp_path):
    xnli = load_task("xnli").sources.parts("hub")["sw"]["test"][0]
    snapshot = tmp_path / "cache/datasets--nyu-mll--glue/snapshots" / ("a" * 40)
    (snapshot / "mnli").mkdir(parents=True)
    file = {"bytes": 7_000_000, "sha256": "0" * 64}
    for name in ("mnli/train-0.parquet", "mnli/validation_matched-0.parquet", "mnli/validation_mismatched-0.parquet"):
        (snapshot / name).touch()
    glue = {"commit": "a" * 40, "files": {f"mnli/{path.name}": file for path in (snapshot / "mnli").iterdir()}}
    codes = load_task("xnli").languages("hub", "test")
    files = {f"{code}/{split}-0.parquet": file for code in codes for split in ("test", "validation")}
    commit = xnli["revision"]
    locked = {"nyu-mll/glue": {"main": glue}, "facebook/xnli": {commit: {"commit": commit, "files": files}}}
    Path("config").mkdir()
    Path("config/data.lock.yaml").write_text(yaml.safe_dump({"repositories": locked}))
    ud = load_task("udpos").sources.parts("hub")["el"]["test"][0]["url"]
    folder_of(Path("results/.downloads"), ud).mkdir(parents=True)
    nllb = f"models--{NLLB.replace('/', '--')}/snapshots/f8d333a098d19b4fd9a8b18f94170487ad3f821d"
    (tmp_path / "cache" / nllb).mkdir(parents=True)
    _, written = plan()
    found = {download["name"]: download for download in written["downloads"]}
    assert not {"datasets/nyu-mll/glue", NLLB} & found.keys()
    assert not any("v2.5" in name for name in found)
    assert found["datasets/facebook/xnli"]["mb"] == 7 * 16  # 15 test sets, and the English development set
    assert found["datasets/facebook/xnli"]["basis"] == "the lock file"


def test_an_experiment_without_downloads_says_nothing_of_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "--configfile", str(PROJECT / "config/experiments/tiny.yaml")]) == 0
    printed = capsys.readouterr().out
    assert "Downloads" not in printed
    assert "Licences" not in printed


def test_translation_has_a_price(plan):
    printed, written = plan()
    (data,) = (stage for stage in written["stages"] if stage["name"] == "data")
    assert data["gpu_seconds"] > 60
    assert "translation, assumed from h200" in printed
    _, twice = plan({"translation": {"examples": 20000}})
    (more,) = (stage for stage in twice["stages"] if stage["name"] == "data")
    assert more["gpu_seconds"] == pytest.approx(2 * data["gpu_seconds"], rel=0.1)
    printed, _ = plan({"translation": {"model": "ana/translator"}})
    assert "translation: the size of ana/translator is not known, so it has no price" in printed


def test_the_size_of_a_translator_is_that_of_its_table_or_folder(tmp_path):
    known = translator(NLLB)
    assert known.parameters == pytest.approx(615e6, rel=0.01)
    sizes = {"d_model": 1024, "encoder_layers": 12, "encoder_ffn_dim": 4096, "vocab_size": 256206}
    (tmp_path / "config.json").write_text(json.dumps(sizes))
    assert translator(str(tmp_path)).parameters == known.parameters
    rate = Rates.read().rate(known.encoder, "cpu", "predict")
    assert known.seconds(1000, 16, 4, rate) > 2 * known.seconds(1000, 16, 1, rate)
    assert translator("ana/translator") is None
