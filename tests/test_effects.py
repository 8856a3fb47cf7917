"""Effects come out of the labels: they are there with true labels and gone with shuffled ones.

A small world, a small encoder, and part-of-speech tagging, which is learnt in seconds. The target is trained in
English; the intermediate in the mix of English and two rare languages.
"""

import json
from statistics import fmean

import pyarrow.parquet as pq
import pytest

from intermezzo.evaluation.evaluate import evaluate
from intermezzo.specs.evaluation import CodeStamps
from intermezzo.tasks import load_task
from intermezzo.tasks.formats import table
from intermezzo.training.finetune import finetune
from intermezzo.training.pretrain import pretrain
from intermezzo.world import build
from specifications import OPTIMISATION, evaluation, finetuning, pretraining, task

RARE = ["fri", "qul"]
LANGUAGES = ["en", *RARE]
TASK = load_task("pos")
SETTINGS = {
    "epochs": 4, "batch_size": 16, "learning_rate": 3e-3, "weight_decay": 0.01, "warmup": 0.1, "clip": 1.0,
    "max_length": 64, "stride": 16, "dropout": 0.0, "pooling": "cls", "freeze_embeddings": False,
}  # fmt: skip
ENCODER = pretraining(
    languages=LANGUAGES,
    tokenizer={"vocab_size": 1000},
    model={"hidden_size": 32, "layers": 1, "heads": 2, "intermediate_size": 64, "max_length": 64},
    training=OPTIMISATION | {"steps": 300, "batch_size": 32, "learning_rate": 5e-3},
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("world"), build({"seed": 7, "documents_scale": 0.2})

    def path(name: str, fmt: str, language: str, split: str, n: int | None):
        place = folder / f"{name}.{language}.{split}.parquet"
        if not place.exists():
            rows = made.rows(name, language, split, n)
            pq.write_table(table(rows, fmt, TASK.labels), place)
        return place

    text = {language: path("text", "mlm", language, "train", None) for language in LANGUAGES}
    pretrain(ENCODER, text, {}, folder / "encoder", folder / "state")
    train = {f"pos/{language}": path("pos", "tagging", language, "train", 300) for language in LANGUAGES}
    test = {language: path("pos", "tagging", language, "test", 150) for language in LANGUAGES}
    return folder, train, test


def train(world, model, name: str, *, shuffle: bool, weights: dict[str, float], examples: int):
    folder, data, _ = world
    portions = [[code, weight, [code]] for code, weight in weights.items()]
    entry = task("pos", TASK.format, TASK.labels, shuffle_labels=shuffle, examples=examples, portions=portions)
    finetune(finetuning(entry, seed=0, settings=SETTINGS), model, data, folder / name, folder / "state")
    return folder / name


def scores(world, model) -> dict[str, tuple[float, float]]:
    """Language -> (accuracy, accuracy of the most frequent tag), in points."""
    _, _, test = world
    values = {"name": "pos", "format": TASK.format, "labels": TASK.labels, "metrics": ["accuracy"]}
    spec = evaluation(values, SETTINGS, LANGUAGES)
    outputs = {language: model / f"{language}.json" for language in LANGUAGES}
    evaluate(spec, model, test, outputs, {}, support={}, cache=model / "cache", code=CodeStamps())
    results = {language: json.loads(path.read_text()) for language, path in outputs.items()}
    return {k: (100 * r["metrics"]["accuracy"], 100 * r["majority"]["accuracy"]) for k, r in results.items()}


@pytest.mark.slow
def test_target_training_on_shuffled_labels_learns_nothing(world):
    encoder = world[0] / "encoder"
    true = scores(world, train(world, encoder, "true", shuffle=False, weights={"en": 1.0}, examples=300))
    shuffled = scores(world, train(world, encoder, "shuffled", shuffle=True, weights={"en": 1.0}, examples=300))
    assert true["en"][0] > true["en"][1] + 40
    assert shuffled["en"][0] < shuffled["en"][1] + 5


@pytest.mark.slow
def test_the_mix_helps_rare_languages_and_shuffled_intermediate_labels_do_not(world):
    mixed, english = {"en": 0.5, "fri": 0.25, "qul": 0.25}, {"en": 1.0}
    rare = {}
    for name, weights, shuffle in (("en", english, False), ("mix", mixed, False), ("mix-shuffled", mixed, True)):
        model = train(world, world[0] / "encoder", f"i-{name}", shuffle=shuffle, weights=weights, examples=300)
        target = train(world, model, f"t-{name}", shuffle=False, weights=english, examples=100)
        rare[name] = fmean(value for language, (value, _) in scores(world, target).items() if language in RARE)
    assert rare["mix"] > rare["en"] + 10, rare
    assert rare["mix-shuffled"] < rare["en"] + 5, rare
