"""A strong effect that is there must be found by a whole run, from text to answer; one that is not must not.

Planted: rare languages without a relative in the world, tagging, which needs labels of the language, and a mix that has
them (in the translations of English examples). It is supervision in the language, so the question asks for that, and
no word of the answer calls it zero-shot. The control is the same with the intermediate's labels shuffled.
"""

from __future__ import annotations

import csv

import pytest
import yaml

from checkout import Checkout

pytestmark = pytest.mark.workflow

RARE = ["fri", "mor", "qul", "tiw"]
EXPERIMENT = {
    "grid": {
        "encoders": ["small"],
        "intermediates": ["pos", "pos_shuffled"],
        "mixes": ["en", "en+rare"],
        "targets": ["pos"],
        "seeds": [0, 1, 2],
    },
    "question": {"pairs": ["same skill"]},
    "languages": {"evaluation": ["en", *RARE], "rare": RARE},
    "data": {"rows": {"train": 400, "test": 80, "dev": 40}},
    "world": {"documents_scale": 0.15},
    "encoders": {
        "tiny": None,
        "small": {
            "languages": ["en", *RARE],
            "tokenizer": {"vocab_size": 1200},
            "model": {"hidden_size": 32, "layers": 1, "heads": 2, "intermediate_size": 64},
            "training": {"steps": 250, "batch_size": 32, "learning_rate": 5.0e-3},
        },
    },
    "intermediates": {"pos_shuffled": {"tasks": ["pos"], "shuffle_labels": True}},
    "mixes": {"en+rare": {"weights": {"en": 0.5, "@rare": 0.5}, "translated": True}},
    "training": {
        "intermediate": {"examples": 400, "epochs": 4, "batch_size": 16, "learning_rate": 3.0e-3},
        "target": {"examples": 100, "epochs": 6, "batch_size": 16, "learning_rate": 3.0e-3},
    },
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Checkout:
    checkout = Checkout.fresh(tmp_path_factory.mktemp("recovery") / "checkout")
    (checkout.folder / "planted.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    done = checkout.snakemake(overlays=("planted.yaml",))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return checkout


def line(checkout: Checkout, **keys: str) -> dict[str, str]:
    with open(checkout.folder / "results" / "summary.tsv") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if keys.items() <= row.items()]
    (row,) = rows
    return row


def test_the_answer_finds_the_planted_effect(finished):
    answer = (finished.folder / "results" / "answer.md").read_text()
    assert "- **Higher**: with labelled data of the same skill in the language, in rare languages, `en+rare`" in answer
    assert f"**rare languages** ({', '.join(RARE)}): higher" in answer
    keys = {"mix": "en+rare", "language_group": "rare_seen", "metric": "accuracy"}
    seen = line(finished, intermediate="pos", **keys)
    assert float(seen["delta_english"]) > 10 and float(seen["ci_low"]) > 0 and float(seen["p"]) < 0.05


def test_it_is_gone_when_the_labels_are_shuffled(finished):
    keys = {"mix": "en+rare", "language_group": "rare_seen", "metric": "accuracy"}
    shuffled = line(finished, intermediate="pos_shuffled", **keys)
    assert float(shuffled["ci_low"]) < 0 and float(shuffled["p"]) > 0.05
    assert float(shuffled["delta_baseline"]) < 5
