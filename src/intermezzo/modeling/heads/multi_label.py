"""Multi-label classification: the head of classification with a decision of its own per label."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer
from torch.nn.functional import binary_cross_entropy_with_logits

from intermezzo.core.errors import UserError
from intermezzo.modeling.heads import NUMBERS, Feature, classification, encode_texts, to_float32
from intermezzo.specs.encoding import EncodingSpec

COLUMNS = {"target": NUMBERS}


def encode(rows: list[dict], tokenizer: Tokenizer, spec: EncodingSpec) -> list[Feature]:
    """One feature per row; pairs longer than `max_length` lose tokens of the longer text first.

    The target is a list of indices of labels. Raises UserError for a label that the task does not have.
    """
    ids = {label: i for i, label in enumerate(spec.labels)}
    for row in rows:
        if unknown := [label for label in row["labels"] or () if label not in ids]:
            allowed = ", ".join(spec.labels)
            raise UserError(f"task '{spec.task}', row '{row['id']}': label '{unknown[0]}'; allowed: {allowed}")
    encodings = encode_texts(rows, tokenizer, spec.max_length)
    return [
        Feature(i, [encoding.ids], [encoding.type_ids], [ids[label] for label in row["labels"] or ()])
        for i, (row, encoding) in enumerate(zip(rows, encodings, strict=True))
    ]


class Head(classification.Head):
    """Logits (N, labels); a label holds where its logit is above 0."""

    def loss(self, logits: torch.Tensor, features: list[Feature]) -> torch.Tensor:
        """Mean binary cross-entropy over features and labels."""
        target = torch.zeros(len(features), len(self.labels))
        for i, feature in enumerate(features):
            target[i, feature.target] = 1.0
        return binary_cross_entropy_with_logits(to_float32(logits), target.to(logits.device))


def decode(head: Head, logits: torch.Tensor, features: list[Feature]) -> list[Any]:
    """The labels of each feature, in the task's order."""
    return [[head.labels[i] for i, holds in enumerate(row) if holds] for row in (logits > 0).tolist()]


def join(pieces: list[tuple[Feature, Any]], rows: list[dict]) -> list[list[str]]:
    """The labels of each row."""
    return [labels for _, labels in sorted(pieces, key=lambda piece: piece[0].row)]
