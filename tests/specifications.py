"""Specifications for tests: small ones of every stage, with what a test says of them."""

from __future__ import annotations

from typing import Any

from intermezzo.specs.base import read
from intermezzo.specs.data import DataSpec
from intermezzo.specs.encoding import EncodingSpec, HeadSpec
from intermezzo.specs.evaluation import EvaluateSpec
from intermezzo.specs.finetuning import FinetuneSpec, TrainedTask, TrainingSettings
from intermezzo.specs.mixes import Portion
from intermezzo.specs.prediction import PredictionSpec
from intermezzo.specs.pretraining import PretrainSpec
from intermezzo.specs.tasks import TaskSpec

OPTIMISATION = {"batch_size": 8, "learning_rate": 3e-3, "weight_decay": 0.01, "warmup": 0.1, "clip": 1.0}
SETTINGS = OPTIMISATION | {
    "epochs": 2, "max_length": 32, "stride": 8, "dropout": 0.1, "pooling": "cls_mean_max", "freeze_embeddings": False,
}  # fmt: skip
"""Fine-tuning of a toy encoder."""
WORLD = {
    "seed": 7, "loanwords": 0.2, "names_shared": True, "code_mixed_documents": 0.9, "code_mixed_words": 0.4,
    "documents_scale": 1.0, "translation_noise": 0.0,
}  # fmt: skip


def training(**changes: Any) -> TrainingSettings:
    """Settings of a fine-tuning."""
    return TrainingSettings(**SETTINGS | changes)


def task(name: str, fmt: str, labels: Any = (), **changes: Any) -> TrainedTask:
    """A task to train on; `portions` are given as lists of name, weight and languages."""
    fields = {"partial_input": None, "shuffle_labels": False, "examples": 48, "head": name}
    portions = changes.pop("portions", [["en", 1.0, ["en"]]])
    parts = tuple(Portion(name, float(weight), tuple(codes)) for name, weight, codes in portions)
    labels = labels if isinstance(labels, str) else tuple(labels)
    return TrainedTask(**fields | {"name": name, "format": fmt, "labels": labels, "portions": parts} | changes)


def finetuning(*tasks: TrainedTask, settings: dict[str, Any] | None = None, **changes: Any) -> FinetuneSpec:
    """A fine-tuning on some tasks. settings: of the training, as far as they are others."""
    fields = {"phase": "target", "seed": 1, "threads": 1, "sampling": "proportional"}
    return FinetuneSpec(**fields | {"tasks": tasks, "training": training(**settings or {})} | changes)


def pretraining(**changes: Any) -> PretrainSpec:
    """The pretraining of a toy encoder. Values may be those of JSON."""
    fields = {
        "seed": 0, "threads": 1, "languages": ["en", "xx"], "tokenizer": {"vocab_size": 80},
        "model": {"hidden_size": 16, "layers": 1, "heads": 2, "intermediate_size": 32, "max_length": 32},
        "initialisation": "random", "language_alpha": 0.5, "mask_rate": 0.3,
        "training": OPTIMISATION | {"steps": 12},
    }  # fmt: skip
    return PretrainSpec.read(fields | changes)


def data(source: str, task: str, language: str, split: str, **changes: Any) -> Any:
    """What a source is asked for. Values may be those of JSON."""
    fields: dict[str, Any] = {"source": source, "task": task, "language": language, "split": split, "rows": None}
    special = {
        "world": {"world": WORLD, "generator": None, "labels": {}},
        "files": {"root": None, "parts": []},
        "hub": {"lock": "config/data.lock.yaml", "downloads": "results/.downloads", "parts": []},
    }
    return read(DataSpec, fields | {"format": "classification"} | special[source] | changes)


# -- from dictionaries: a test of a part names what that part reads --------------------------------------------------


def task_spec(values: dict[str, Any]) -> TaskSpec:
    """What predictions and scores are told of a task: name, format, labels, partial_input, unanswerable."""
    fields: dict[str, Any] = {"name": "t", "format": "classification", "labels": (), "partial_input": None}
    fields |= {key: value for key, value in values.items() if key in TaskSpec.model_fields}
    labels = fields["labels"]
    return TaskSpec(**fields | {"labels": labels if isinstance(labels, str) else tuple(labels)})


def encoding(values: dict[str, Any], settings: dict[str, Any]) -> EncodingSpec:
    """How rows of a task become features. values: name, labels, alone."""
    labels = values.get("labels", ())
    fields = {key: settings[key] for key in ("max_length", "stride")}
    fields |= {"task": values.get("name", "t"), "alone": values.get("alone", False)}
    return EncodingSpec(labels=() if isinstance(labels, str) else tuple(labels), **fields)


def head_spec(values: dict[str, Any], settings: dict[str, Any]) -> HeadSpec:
    """A head. values: labels, unanswerable. settings: pooling, dropout."""
    fields = {"pooling": "cls"} | {key: settings[key] for key in ("pooling", "dropout") if key in settings}
    return HeadSpec(labels=tuple(values.get("labels", ())), unanswerable=values.get("unanswerable", False), **fields)


def prediction(values: dict[str, Any], settings: dict[str, Any], **changes: Any) -> PredictionSpec:
    """What predictions depend on. values: of `task_spec`. settings: others of a training are left out."""
    fields = {key: value for key, value in settings.items() if key in PredictionSpec.model_fields}
    return PredictionSpec(**{"task": task_spec(values), "threads": 1} | fields | changes)


def evaluation(values: dict[str, Any], settings: dict[str, Any], languages: Any, **changes: Any) -> EvaluateSpec:
    """An evaluation. values: of `task_spec`, and metrics."""
    fields = {"metrics": tuple(values.get("metrics", ())), "languages": tuple(languages), "split": "test"}
    return EvaluateSpec(**{"prediction": prediction(values, settings)} | fields | changes)
