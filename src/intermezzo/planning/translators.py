"""What a translation model costs: its size, its licence, and the time that it takes for so many tokens."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

from intermezzo.core.places import local
from intermezzo.dag.encoder_size import Shape
from intermezzo.planning.rates import BATCH, Rate
from intermezzo.tasks import RESOURCES

TABLE = RESOURCES / "translators.tsv"
STEPS = 4.0
"""A step of the decoder in steps of an encoder of its depth: twice the layers' work, and choosing the next piece."""


class Translator(NamedTuple):
    """A sequence-to-sequence model with as many layers in the decoder as in the encoder."""

    encoder: Shape
    licence: str

    @property
    def parameters(self) -> int:
        """Weights; the embeddings of both sides and of the output are the same."""
        h, ff = self.encoder.hidden_size, self.encoder.intermediate_size
        return self.encoder.parameters + self.encoder.layers * (8 * h * h + 2 * h * ff)

    def seconds(self, tokens: float, batch_size: int, beams: int, rate: Rate) -> float:
        """The time to translate texts of so many tokens in all; rate: at which an encoder of its size predicts.

        The decoder takes one step for each token of a batch, and has a second attention and all pieces to choose from.
        """
        h, ff = self.encoder.hidden_size, self.encoder.intermediate_size
        decoder = 2 * self.encoder.layers * (8 * h * h + 2 * h * ff) + 2 * self.encoder.vocab_size * h
        arithmetic = beams * decoder / self.encoder.flops()
        reading = rate.seconds(tokens / BATCH, tokens)
        return reading + rate.seconds(STEPS * tokens / batch_size, tokens * arithmetic)


def translator(model: str) -> Translator | None:
    """What is known of a model, by its name on the hub or from its folder; None: nothing."""
    if model in _known():
        return _known()[model]
    try:
        content = json.loads((Path(local(model)) / "config.json").read_text(encoding="utf-8"))
        sizes = (content[key] for key in ("d_model", "encoder_layers", "encoder_ffn_dim", "vocab_size"))
        return Translator(Shape(*map(int, sizes)), "")
    except (OSError, ValueError, TypeError, KeyError):
        return None


@cache
def _known() -> dict[str, Translator]:
    with open(TABLE, encoding="utf-8", newline="") as handle:
        rows = csv.DictReader((row for row in handle if not row.startswith("#")), delimiter="\t")
        return {
            row["model"]: Translator(Shape(*(int(row[key]) for key in Shape._fields)), row["licence"]) for row in rows
        }
