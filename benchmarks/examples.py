"""Examples for the benchmarks, tokenised once: real sentence pairs, question answering windows, tagged sentences, text.

Real data are read below INTERMEZZO_REAL_DATA (mnli-dev, snli-dev, xquad, ud); without it, random ids with lengths like
theirs stand in. The tokenizer is trained on the texts themselves: 16,000 BPE pieces give 1.25 tokens per English
word, about what XLM-R's tokenizer gives.
"""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from intermezzo.modeling.heads import Feature, format_module
from intermezzo.modeling.tokenizer import load_tokenizer, train_tokenizer
from intermezzo.specs.encoding import EncodingSpec, HeadSpec

PIECES = 16_000
LENGTH = {"pairs": 128, "qa": 384, "tagging": 128, "mlm": 128}
"""Kind of examples -> the length to which run_xnli, XTREME and run_qa pad."""
FORMAT = {"pairs": "classification", "qa": "span", "tagging": "tagging", "mlm": "mlm"}
LABELS = {"pairs": ["contradiction", "entailment", "neutral"], "qa": [], "mlm": []}
MASK_SEED = 0


@dataclass(frozen=True)
class Examples:
    """kind, the features (as our engine takes them), the labels of the task and the folder of the tokenizer."""

    kind: str
    features: list[Feature]
    labels: list[str]
    tokenizer: Path
    real: bool

    @property
    def lengths(self) -> list[int]:
        return [feature.tokens for feature in self.features]

    def for_trainer(self, i: int) -> dict:
        """An example as transformers' models take it."""
        feature = self.features[i]
        ids = feature.sequences[0]
        if self.kind == "pairs":
            return {"input_ids": ids, "labels": feature.target}
        if self.kind == "qa":
            return {"input_ids": ids, "start_positions": feature.target[0], "end_positions": feature.target[1]}
        labels = [-100] * len(ids)
        for place, label in feature.target:
            labels[place] = label
        return {"input_ids": ids, "labels": labels}


def load(kinds: list[str], folder: Path, *, limit: int, synthetic: bool = False) -> dict[str, Examples]:
    """`kind` -> at most `limit` examples of it, in a seeded order."""
    root = Path(os.environ.get("INTERMEZZO_REAL_DATA") or "absent")
    if synthetic or not root.is_dir():
        train_tokenizer((f"{a}{b} {b}{c}" for a in "abcdef" for b in "ghijkl" for c in "mnop"), folder, vocab_size=40)
        return {kind: _synthetic(kind, folder, limit) for kind in kinds}
    rows = {kind: _READERS[kind](root) for kind in kinds}
    train_tokenizer((text for part in rows.values() for row in part for text in _texts(row)), folder, vocab_size=PIECES)
    tokenizer = load_tokenizer(folder)
    return {kind: _encoded(kind, part, tokenizer, folder, limit) for kind, part in rows.items()}


def _encoded(kind: str, rows: list[dict], tokenizer: Tokenizer, folder: Path, limit: int) -> Examples:
    rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))[:limit]]
    labels = sorted({tag for row in rows for tag in row["tags"]}) if kind == "tagging" else LABELS[kind]
    module = format_module(FORMAT[kind])
    spec = EncodingSpec(task=kind, labels=tuple(labels), max_length=LENGTH[kind], stride=128)
    features = module.encode(rows, tokenizer, spec)
    if kind == "mlm":
        features = _masked(features)
    order = np.random.default_rng(1).permutation(len(features))[:limit]
    return Examples(kind, [features[i] for i in order], labels, folder, True)


def _masked(features: list[Feature]) -> list[Feature]:
    """Masked once and for all, so that all systems predict the same tokens."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(MASK_SEED)
        head = format_module("mlm").Head(4, HeadSpec(pooling="cls"))
        head.special = [0, 1, 2]  # of our own tokenizer
        return head.corrupt(features)


def _synthetic(kind: str, folder: Path, limit: int) -> Examples:
    random = np.random.default_rng(0)
    middle, spread = {"pairs": (39, 0.45), "qa": (193, 0.4), "tagging": (22, 0.6), "mlm": (39, 0.45)}[kind]
    lengths = np.clip(random.lognormal(np.log(middle), spread, limit).astype(int), 8, LENGTH[kind])
    features = []
    for i, length in enumerate(lengths.tolist()):
        ids = [0, *random.integers(4, 39, length - 2).tolist(), 2]
        places = sorted(random.choice(np.arange(1, length - 1), 3, replace=False).tolist())
        target = {"pairs": i % 3, "qa": (places[0], places[1]), "tagging": [(place, place % 3) for place in places]}
        target["mlm"] = [(place, 5) for place in places]
        features.append(Feature(i, [ids], [[0] * length], target[kind]))
    return Examples(kind, features, LABELS.get(kind, ["A", "B", "C"]), folder, False)


def _pairs(root: Path) -> list[dict]:
    return [
        {"id": "", "text": row["premise"], "text_pair": row["hypothesis"], "label": row["label"]}
        for name in ("mnli-dev", "snli-dev")
        for row in csv.DictReader((root / name / "dev.csv").open(encoding="utf-8"))
    ]


def _qa(root: Path) -> list[dict]:
    rows = []
    for language in ("en", "de"):
        content = json.loads((root / "xquad" / f"xquad.{language}.json").read_text(encoding="utf-8"))
        for paragraph in (p for article in content["data"] for p in article["paragraphs"]):
            for question in paragraph["qas"]:
                answer = question["answers"][0]
                row = {"context": paragraph["context"], "question": question["question"]}
                rows.append(row | {"answers": [answer["text"]], "answer_starts": [answer["answer_start"]]})
    return rows


def _tagging(root: Path) -> list[dict]:
    rows = []
    for path in sorted((root / "ud" / "UD_English-EWT").glob("*.conllu")):
        for sentence in path.read_text(encoding="utf-8").strip().split("\n\n"):
            cells = [line.split("\t") for line in sentence.splitlines() if line and line[0] != "#"]
            words = [(cell[1], cell[3]) for cell in cells if cell[0].isdigit()]
            rows.append({"tokens": [word for word, _ in words], "tags": [tag for _, tag in words]})
    return rows


def _mlm(root: Path) -> list[dict]:
    return [{"text": row["text"], "text_pair": row["text_pair"]} for row in _pairs(root)]


def _texts(row: dict) -> list[str]:
    names = ("text", "text_pair", "context", "question")
    return [row[name] for name in names if row.get(name)] + [" ".join(row.get("tokens", []))]


_READERS = {"pairs": _pairs, "qa": _qa, "tagging": _tagging, "mlm": _mlm}
