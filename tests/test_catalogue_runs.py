"""Whole runs over the catalogue: every task on the world, and a task of one's own from one YAML and one data file."""

from __future__ import annotations

import os
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from checkout import ROOT, Checkout
from intermezzo.tasks import load_task, task_names
from toy_files import REVIEWS

pytestmark = pytest.mark.workflow

WORLD = [name for name in task_names() if load_task(name).sources.world]
TARGETS = [name for name in WORLD if load_task(name).metrics]
TEXTS = [name for name in WORLD if load_task(name).format == "mlm" and name != "text"]


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    return Checkout.fresh(tmp_path / "checkout")


def scores(checkout: Checkout) -> pd.DataFrame:
    return pd.read_parquet(checkout.folder / "results" / "scores.parquet")


def test_the_catalogue_has_every_task_that_is_promised():
    intermediate = "anli_plus mnli qqp squad_v1 squad_v2 hellaswag ccg cosmosqa commonsenseqa socialiqa mlm"
    xtreme = "xnli pawsx udpos panx xquad mlqa tydiqa bucc2018 tatoeba"
    rare = "americasnli afrixnli masakhaner2 masakhapos afriqa"
    assert set(f"{intermediate} {xtreme} xcopa lareqa mewslix {rare}".split()) <= set(WORLD)


def test_every_task_runs_on_the_world_from_data_to_score(checkout):
    changes = {
        "grid": {"targets": TARGETS, "intermediates": TEXTS, "mixes": ["en+rare"]},
        "languages": {"evaluation": ["en", "nor"], "rare": ["fri", "mor"]},
        "data": {"rows": {"train": 60, "test": 12, "dev": 12}},
        "targets": {name: {"baseline_only": True} for name in TARGETS if name != "nli"},
        "training": {
            "intermediate": {"examples": 40},
            "target": {"examples": 40},
            "tasks": {"nli": {"target": {"examples": 40, "epochs": 1}}},
        },
    }
    (checkout.folder / "all.yaml").write_text(yaml.safe_dump(changes))
    done = checkout.snakemake(overlays=("all.yaml",))
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    found = scores(checkout)
    assert set(found["target"]) == set(TARGETS)
    for name in TARGETS:
        languages = {"nor"} if load_task(name).format in ("retrieval", "mining") else {"en", "nor"}
        assert set(found.loc[found["target"] == name, "language"]) == languages, name
        assert set(found.loc[found["target"] == name, "metric"]) == set(load_task(name).metrics), name
    assert found["value"].between(0, 1).all()


@pytest.mark.skipif("INTERMEZZO_REAL_DATA" not in os.environ, reason="INTERMEZZO_REAL_DATA: no folder of real data")
def test_every_format_runs_on_real_data(checkout):
    targets = ["nli", "pos", "ner", "qa", "multiple_choice", "tatoeba", "udhr", "lareqa", "wnut17"]
    changes = {
        "grid": {"targets": targets, "intermediates": ["mlm"], "mixes": ["en+rare"]},
        "data": {"source": "files", "rows": {"train": 80, "test": 20, "dev": 20}},
        "languages": {"evaluation": ["en", "de", "sw", "zh"], "rare": "auto"},
        "encoders": {"tiny": {"languages": ["en", "de", "sw"], "tokenizer": {"vocab_size": 1500}}},
        "targets": {name: {"baseline_only": True} for name in targets if name != "nli"},
        "training": {
            "intermediate": {"examples": 40},
            "target": {"examples": 40, "max_length": 96, "stride": 32},
            "tasks": {"nli": {"target": {"examples": 40, "epochs": 1}}},
        },
    }
    (checkout.folder / "real.yaml").write_text(yaml.safe_dump(changes))
    done = checkout.snakemake(overlays=("real.yaml",), data__root=os.environ["INTERMEZZO_REAL_DATA"])
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    found = scores(checkout)
    assert set(found["target"]) == set(targets) and found["value"].between(0, 1).all()
    assert set(found["language"]) == {"en", "de", "sw", "zh"}


TASK = (
    REVIEWS
    + """\
sources:
  files:
    each:
      - languages: {en: eng, sw: swa}
        splits: {train: train, test: test}
        rows: {train: 40, test: {en: 10, sw: 10}}
        part:
          reader: jsonl
          path: "reviews/{code}.{split}.jsonl"
          fields: {text: review, text_pair: null, label: verdict}
"""
)


def review(number: int) -> str:
    verdict, word = (("good", "lovely"), ("bad", "awful"))[number % 2]
    return f'{{"review": "the {word} film number {number}", "verdict": "{verdict}"}}\n'


def test_a_task_of_ones_own_is_one_yaml_file_and_its_data(checkout):
    folder = checkout.folder
    (folder / "config" / "tasks").mkdir()
    (folder / "config" / "tasks" / "reviews.yaml").write_text(TASK)
    (folder / "mine" / "reviews").mkdir(parents=True)
    for code in ("eng", "swa"):
        for split, size in (("train", 40), ("test", 10)):
            lines = "".join(review(number) for number in range(size))
            (folder / "mine" / "reviews" / f"{code}.{split}.jsonl").write_text(lines)
    changes = {
        "grid": {"encoders": ["film"], "intermediates": ["reviews"], "mixes": ["both"], "targets": ["reviews"]},
        "data": {"source": "files", "root": "mine"},
        "languages": {"evaluation": "all", "rare": "auto"},
        "encoders": {"tiny": None, "world": None, "film": {"from": str(make_encoder(folder / "encoder"))}},
        "mixes": {"both": {"weights": {"en": 1, "sw": 1}}},
        "training": {"intermediate": {"examples": 40}, "target": {"examples": 40, "epochs": 40, "learning_rate": 0.01}},
    }
    (folder / "own.yaml").write_text(yaml.safe_dump(changes))
    command = [sys.executable, "-m", "intermezzo", "tasks"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    listed = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    assert "reviews" in listed.stdout
    done = checkout.snakemake(overlays=("own.yaml",))
    assert done.returncode == 0, done.stdout + done.stderr
    found = scores(checkout)
    assert set(zip(found["target"], found["language"], strict=True)) == {("reviews", "en"), ("reviews", "sw")}
    assert (found["value"] > 0.9).all(), found[["intermediate", "language", "value"]]


def make_encoder(folder):
    """A small untrained XLM-R with a tokenizer of the reviews' words."""
    from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

    from intermezzo.modeling.tokenizer import train_tokenizer

    size = train_tokenizer([review(n) for n in range(40)], folder, vocab_size=70)
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = XLMRobertaConfig(vocab_size=size, max_position_embeddings=130, type_vocab_size=1, pad_token_id=1, **shape)
    XLMRobertaForMaskedLM(config).save_pretrained(folder)
    return folder


def test_only_trainable_tasks_are_offered_as_intermediates(checkout):
    done = checkout.snakemake("-n", grid__intermediates=["tatoeba"])
    assert done.returncode != 0 and "grid.intermediates: unknown name 'tatoeba'" in done.stderr + done.stdout
    assert not load_task("tatoeba").form.intermediate
