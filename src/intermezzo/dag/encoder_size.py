"""The size of an encoder: its parameters, and the arithmetic that a token costs."""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from intermezzo.config.checks.adapters import LINEAR
from intermezzo.config.models import Config
from intermezzo.config.sections.encoders import ScratchEncoder
from intermezzo.config.sections.training import AdapterConfig
from intermezzo.core.errors import UserError
from intermezzo.core.model_packages import TABLE, model_package
from intermezzo.core.places import local
from intermezzo.specs.adapters import is_named
from intermezzo.tasks import RESOURCES

RATES = RESOURCES / "rates.tsv"
"""The table of encoders and how fast they are; here its sizes alone are read."""
_KEYS = {
    "hidden_size": ("hidden_size", "dim", "emb_dim"),
    "layers": ("num_hidden_layers", "n_layers"),
    "intermediate_size": ("intermediate_size", "hidden_dim"),
    "vocab_size": ("vocab_size", "n_words"),
}
"""A size -> its names in config.json: most types', DistilBERT's, XLM's and FlauBERT's."""
_GATED = frozenset({"eurobert", "gte", "modernbert", "nomic_bert"})
"""Types whose feed-forward layers have three matrices: half as many weights and operations again."""


class Shape(NamedTuple):
    """The numbers that an encoder's size follows from."""

    hidden_size: int
    layers: int
    intermediate_size: int
    vocab_size: int

    @property
    def parameters(self) -> int:
        """Weights of the embeddings and the layers (biases, norms and 512 positions included)."""
        h, ff = self.hidden_size, self.intermediate_size
        return self.vocab_size * h + 514 * h + self.layers * (4 * h * h + 2 * h * ff + 9 * h + ff) + 2 * h

    def flops(self, length: float = 64.0) -> float:
        """Floating-point operations of a forward pass per token, in inputs of `length` tokens; embeddings cost none."""
        h = self.hidden_size
        return 2.0 * self.layers * (4 * h * h + 2 * h * self.intermediate_size + 2 * h * length)

    def __str__(self) -> str:
        return f"{self.layers}x{self.hidden_size}, {self.vocab_size:,} pieces"


def adapter_parameters(shape: Shape, adapter: AdapterConfig) -> int:
    """Weights of an adapter; a module that BERT and XLM-R lack counts as one of the feed-forward layers."""
    default = ["query", "value"] if adapter.kind == "lora" else ["key", "value", "output.dense"]
    names = {"all": [*LINEAR], "None": default}.get(str(adapter.modules), adapter.modules)
    adapted = [part for part in LINEAR if any(is_named(part, end) for end in names or ())]
    others = [end for end in names or () if not any(is_named(part, end) for part in LINEAR)]
    narrow = sum("attention" in part for part in adapted)
    wide = len(adapted) - narrow + len(others)
    h, ff = shape.hidden_size, shape.intermediate_size
    if adapter.kind == "ia3":
        return shape.layers * (narrow * h + wide * ff)
    return shape.layers * adapter.rank * (narrow * 2 * h + wide * (h + ff))


def known_shapes(table: Path = RATES) -> dict[str, Shape]:
    """Name of an encoder in the table of rates -> its shape."""
    with open(table, encoding="utf-8", newline="") as handle:
        rows = csv.DictReader((row for row in handle if not row.startswith("#")), delimiter="\t")
        return {row["model"]: Shape(*(int(row[key]) for key in Shape._fields)) for row in rows}


def shape_of(config: Config, name: str, known: Mapping[str, Shape]) -> tuple[Shape, str]:
    """The shape of one of the configuration's encoders, and where it is known from.

    known: name on the hub -> shape. Of one that is taken from elsewhere its config.json is read: of the model folder
    that the workflow made, else of the folder or package that it comes from. Raises UserError when there is none.
    """
    encoder = config.encoders[name]
    if isinstance(encoder, ScratchEncoder):
        model = encoder.model
        sizes = (model.hidden_size, model.layers, model.intermediate_size, encoder.tokenizer.vocab_size)
        return Shape(*sizes), "the configuration"
    source = encoder.from_
    if packed := model_package(source):
        return _shape(packed.config), str(TABLE)
    places = [Path(f"results/encoders/{name}"), Path(local(source))]
    if source.startswith("package:"):
        module, _, inside = source.removeprefix("package:").partition("/")
        package = importlib.util.find_spec(module)
        places += [Path(folder) / inside for folder in (package and package.submodule_search_locations) or ()]
    for place in places:
        try:
            content = json.loads((place / "config.json").read_text(encoding="utf-8"))
            return _shape(content), str(place / "config.json")
        except (OSError, ValueError, TypeError):
            continue
        except KeyError as error:
            path, keys = place / "config.json", error.args[0]
            raise UserError(f"{path}: no {keys}, which the encoder's size follows from") from None
    if source in known:
        return known[source], "resources/rates.tsv"
    raise UserError(
        f"encoders.{name}.from: the size of '{source}' is not known before it is there, and resources/rates.tsv has no "
        f"line for it; run `snakemake encoders` first, or add a line (there are: {', '.join(sorted(known))})"
    )


def _shape(content: Mapping[str, Any]) -> Shape:
    """The shape that a config.json gives. Raises KeyError with the names of a size that it lacks."""
    sizes: dict[str, int] = {}
    for size, names in _KEYS.items():
        present = [content[name] for name in names if content.get(name) is not None]
        if present:
            sizes[size] = int(present[0])
        elif size == "intermediate_size" and "emb_dim" in content:
            sizes[size] = 4 * int(content["emb_dim"])  # XLM's and FlauBERT's, which have no key for it
        else:
            raise KeyError(" or ".join(names))
    if content.get("model_type") in _GATED:
        sizes["intermediate_size"] = sizes["intermediate_size"] * 3 // 2
    return Shape(**sizes)
