"""Formats from one YAML and a table to the summary: regression, classification with F1, and a format of one's own."""

from __future__ import annotations

import csv
import json

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score
from sklearn.preprocessing import MultiLabelBinarizer

from checkout import Checkout

pytestmark = pytest.mark.workflow
COLOURS, ANIMALS = ["red", "green", "blue", "white"], ["cat", "dog", "bird", "fish"]


def described(fmt: str, path: str, fields: dict, *, reader: str = "delimited", delimiter: str = "", **more) -> dict:
    """A task file over tables in two languages."""
    part = {"reader": reader, "path": path, "fields": fields} | ({"delimiter": delimiter} if delimiter else {})
    block = {"languages": {"en": "eng", "sw": "swa"}, "splits": {"train": "train", "test": "test"}, "part": part}
    task = {"description": "A test.", "format": fmt, "skill": "own:test", "licence": "sentences: CC0 1.0"}
    return task | more | {"sources": {"files": {"each": [block]}}}


PAIR = {"text": "first", "text_pair": "second"}
TASKS = {
    "alike": described(
        "regression",
        "alike/{code}.{split}.csv",
        PAIR | {"label": "score"},
        metrics=["pearson", "spearman"],
        partial_input="premise",
    ),
    "animals": described(
        "classification",
        "animals/{code}.{split}.tsv",
        {"text": "text", "text_pair": None, "label": "animal"},
        delimiter="\t",
        labels=ANIMALS,
        metrics=["macro_f1", "accuracy", "micro_f1", "weighted_f1"],
    ),
    "colours": described(
        "multi_label",
        "colours/{code}.{split}.jsonl",
        {"text": "text", "text_pair": None, "labels": "colours"},
        reader="jsonl",
        labels=COLOURS,
        metrics=["micro_f1", "macro_f1", "weighted_f1", "accuracy"],
    ),
    "parity": described("odd_or_even", "alike/{code}.{split}.csv", PAIR | {"label": "number"}, metrics=["agreement"]),
}
TOY = {  # a format of one's own: is a number odd?
    "tasks/formats": """\
from intermezzo.tasks.formats.base import NUMBER, TEXT, Format, Metric


class OddOrEven(Format):
    columns = {"id": TEXT, "text": TEXT, "text_pair": TEXT, "label": NUMBER}
    metrics = (Metric("agreement", low=-1.0),)


FORMAT = OddOrEven()
""",
    "modeling/heads": """\
import torch
from torch import nn

from intermezzo.modeling.heads import REAL, Feature, encode_texts

COLUMNS = {"target": REAL}


def encode(rows, tokenizer, spec):
    encodings = encode_texts(rows, tokenizer, spec.max_length)
    return [Feature(i, [e.ids], [e.type_ids], rows[i]["label"] % 2) for i, e in enumerate(encodings)]


class Head(nn.Module):
    def __init__(self, hidden_size, spec):
        super().__init__()
        self.out = nn.Linear(hidden_size, 1)

    def forward(self, states, batch):
        return self.out(states[list(batch.begins)])[:, 0]

    def loss(self, scores, features):
        target = torch.tensor([f.target for f in features])
        return nn.functional.binary_cross_entropy_with_logits(scores, target)


def decode(head, scores, features):
    return (scores > 0).tolist()


def join(pieces, rows):
    return [odd for _, odd in sorted(pieces, key=lambda piece: piece[0].row)]
""",
    "evaluation/metrics": """\
def score(predictions, gold, task, language):
    return {"agreement": 2 * sum(p == g % 2 for p, g in zip(predictions, gold)) / len(gold) - 1}


def majority(rows, task, language=""):
    return {"agreement": 0.0}
""",
}


def sentence(number: int) -> str:
    return f"the {COLOURS[number % 4]} {ANIMALS[number * 7 % 4]} sees a {ANIMALS[number * 3 % 4 - 1]}"


def write(folder, name: str, header: list[str], rows: list[list[str]], delimiter: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    with open(folder / name, "w", newline="", encoding="utf-8") as handle:
        csv.writer(handle, delimiter=delimiter).writerows([header, *rows])


def make_encoder(folder):
    """A small untrained XLM-R with a tokenizer of the sentences' words."""
    from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

    from intermezzo.modeling.tokenizer import train_tokenizer

    size = train_tokenizer([sentence(n) for n in range(40)], folder, vocab_size=60)
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = XLMRobertaConfig(vocab_size=size, max_position_embeddings=130, type_vocab_size=1, pad_token_id=1, **shape)
    XLMRobertaForMaskedLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run over the three tasks: as targets, as intermediates, and with every control."""
    checkout = Checkout.fresh(tmp_path_factory.mktemp("formats") / "checkout")
    folder = checkout.folder
    for home, text in TOY.items():
        (folder / "src" / "intermezzo" / home / "odd_or_even.py").write_text(text)
    (folder / "config" / "tasks").mkdir()
    for name, task in TASKS.items():
        (folder / "config" / "tasks" / f"{name}.yaml").write_text(yaml.safe_dump(task, allow_unicode=True))
    for code in ("eng", "swa"):
        for split, begin, end in (("train", 0, 48), ("test", 48, 72)):
            pairs = [
                [sentence(n), sentence(n // 2), f"{5 * (sentence(n)[4:8] == sentence(n // 2)[4:8]) - n % 3 / 2}", n]
                for n in range(begin, end)
            ]
            write(folder / "mine", f"alike/{code}.{split}.csv", ["first", "second", "score", "number"], pairs, ",")
            texts = [[sentence(n), ANIMALS[n * 7 % 4 if n % 5 else 0]] for n in range(begin, end)]
            (folder / "mine" / "colours").mkdir(exist_ok=True)
            lines = [
                {"text": sentence(n), "colours": (COLOURS * 2)[n % 4 :][: 2 - n % 4 // 2]} for n in range(begin, end)
            ]
            jsonl = "".join(json.dumps(line) + "\n" for line in lines)
            (folder / "mine" / "colours" / f"{code}.{split}.jsonl").write_text(jsonl)
            write(folder / "mine", f"animals/{code}.{split}.tsv", ["text", "animal"], texts, "\t")
    changes = {
        "grid": {
            "encoders": ["film"],
            "intermediates": ["alike", "shuffled", "as_text"],
            "mixes": ["both"],
            "targets": ["alike", "second_alone", "animals", "colours", "parity"],
        },
        "data": {"source": "files", "root": "mine"},
        "languages": {"evaluation": "all", "rare": "auto"},
        "encoders": {"tiny": None, "world": None, "film": {"from": str(make_encoder(folder / "encoder"))}},
        "mixes": {"both": {"weights": {"en": 1, "sw": 1}}},
        "intermediates": {
            "shuffled": {"tasks": ["alike"], "shuffle_labels": True},
            "as_text": {"tasks": ["alike"], "as_text": True},
        },
        "targets": {
            "second_alone": {"task": "alike", "partial_input": True, "baseline_only": True},
            "colours": {"baseline_only": True},
            "parity": {"baseline_only": True},
        },
        "training": {
            "intermediate": {"examples": 48, "epochs": 2},
            "target": {"examples": 48, "epochs": 8, "learning_rate": 0.01},
        },
    }
    (folder / "own.yaml").write_text(yaml.safe_dump(changes))
    done = checkout.snakemake(overlays=("own.yaml",))
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return folder


def scores(folder, target: str) -> pd.DataFrame:
    frame = pd.read_parquet(folder / "results" / "scores.parquet")
    return frame[frame["target"] == target]


def answers(folder, target: str, task: str, intermediate: str, mix: str, language: str) -> tuple[list, list]:
    """Gold and predictions of an evaluation, from the files that it leaves."""
    path = f"results/eval/film/{intermediate}/{mix}/seed0/{target}/predictions.parquet"
    predictions = pq.read_table(folder / path, filters=[("name", "=", language)])
    data = pq.read_table(folder / f"results/data/files/{task}/{language}/test.parquet")
    assert predictions["id"].to_pylist() == data["id"].to_pylist()
    return data["labels" if task == "colours" else "label"].to_pylist(), predictions["prediction"].to_pylist()


def same(folder, target: str, task: str, metrics: dict) -> None:
    """Every score of a target is what reference implementations make of its predictions."""
    frame = scores(folder, target)
    assert set(frame["metric"]) == set(metrics) and set(frame["language"]) == {"en", "sw"}
    for line in frame.to_dict("records"):
        gold, predictions = answers(folder, target, task, line["intermediate"], line["mix"], line["language"])
        assert len({*map(str, predictions)}) > 1, "a constant prediction tests no metric"
        assert line["value"] == pytest.approx(metrics[line["metric"]](gold, predictions), abs=1e-9), line


def test_regression_scores_are_those_of_scipy(finished):
    metrics = {
        "pearson": lambda gold, ours: pearsonr(gold, ours).statistic,
        "spearman": lambda gold, ours: spearmanr(gold, ours).statistic,
    }
    same(finished, "alike", "alike", metrics)
    same(finished, "second_alone", "alike", metrics)
    assert set(scores(finished, "alike")["intermediate"]) == {"none", "alike", "shuffled", "as_text"}
    assert (scores(finished, "alike")["majority"] == 0).all()


def test_classification_scores_are_those_of_scikit_learn(finished):
    averages = ("macro", "micro", "weighted")
    metrics = {f"{name}_f1": lambda g, o, name=name: f1_score(g, o, average=name, zero_division=0) for name in averages}
    same(finished, "animals", "animals", metrics | {"accuracy": accuracy_score})


def test_multi_label_scores_are_those_of_scikit_learn(finished):
    table = MultiLabelBinarizer(classes=COLOURS).fit([])

    def of(metric, **options):
        return lambda gold, ours: metric(table.transform(gold), table.transform(ours), **options)

    averages = ("macro", "micro", "weighted")
    metrics = {f"{name}_f1": of(f1_score, average=name, zero_division=0) for name in averages}
    same(finished, "colours", "colours", metrics | {"accuracy": of(accuracy_score)})


def test_a_format_of_ones_own_is_three_files(finished):
    gold, predictions = answers(finished, "parity", "parity", "none", "none", "en")
    right = sum(odd == number % 2 for odd, number in zip(predictions, gold, strict=True))
    line = scores(finished, "parity").set_index("language").loc["en"]
    assert line["value"] == pytest.approx(2 * right / len(gold) - 1)


def test_the_summary_has_every_target_by_its_main_metric(finished):
    summary = pd.read_csv(finished / "results" / "summary.tsv", sep="\t")
    main = summary.groupby("target", sort=False)["metric"].first().to_dict()
    main_metrics = ["pearson", "pearson", "macro_f1", "micro_f1", "agreement"]
    assert main == dict(zip(["alike", "second_alone", "animals", "colours", "parity"], main_metrics, strict=True))
    assert summary["mean"].notna().all()
