"""Export a model: a Hugging Face folder with a model card of its training data and scores.

    export(Path("results/target/world/nli/en+rare/seed0/pos"), Path("pos-model"))

Weights, configuration and tokenizer are copied as they are, but that an adapter is merged into the weights that it
belongs to, so `AutoModel` and `AutoTokenizer` open the folder; heads lie beside them in heads.safetensors, which this
package reads. Where the model lies below a folder of results, its scores come from the result files that name the same
weights.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intermezzo.core.artifacts import atomic, read_json
from intermezzo.core.errors import UserError
from intermezzo.core.provenance import DIGEST
from intermezzo.modeling.folder import (
    ADAPTER,
    ADAPTER_SETTINGS,
    ENCODER,
    MANIFEST,
    WEIGHTS,
    check,
    has_adapter,
    read_allocation,
    read_manifest,
    write_manifest,
)
from intermezzo.report.card import TrainingRecord, card

_DEPTH = {"encoders": 1, "intermediate": 4, "target": 5}
"""Kind of model -> names below its folder of results: encoder, intermediate, mix, seed, training."""


@dataclass(frozen=True)
class ModelLocation:
    """Where a model lies in the results. names: encoder, intermediate, mix, seed, training, as many as its kind has."""

    results: Path
    kind: str
    names: tuple[str, ...]


def export(model: Path, out: Path) -> None:
    """Write the model folder `model` to the new folder `out`, with a model card README.md.

    Raises UserError, and writes nothing, for a folder that is no model of ours, files that are not those of its
    manifest, result files that are broken, and an `out` that holds something already.
    """
    if not (model / MANIFEST).is_file():
        raise UserError(f"{model}: no {MANIFEST}; give a model folder such as results/encoders/NAME")
    if not (model / WEIGHTS).is_file():
        raise UserError(f"{model}: no {WEIGHTS}; if `keep` gives it up, keep it; else delete the folder and run again")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: is there already; name a folder that is new or empty")
    manifest = read_manifest(model)
    files = sorted({*ENCODER, *manifest["files"]})
    check(model, *files)
    location = location_of(model)
    names = location.names if location else (model.resolve().name,)
    text = card(names, list(_trainings(model, manifest, location)), list(_scores(location, manifest)))
    with atomic(out) as part:
        part.mkdir()
        if has_adapter(model):
            _merge(model, manifest, part)
        else:
            for name in (MANIFEST, *files):
                shutil.copyfile(model / name, part / name)
        (part / "README.md").write_text(text, encoding="utf-8")


def _merge(model: Path, manifest: dict[str, Any], folder: Path) -> None:
    """Write a model whose weights are an adapter as one with weights of its own."""
    from intermezzo.modeling.encoder import load_encoder, save_encoder

    save_encoder(load_encoder(model).model, model, folder)
    for name in {*manifest["files"]} - {*ENCODER, ADAPTER, ADAPTER_SETTINGS}:
        shutil.copyfile(model / name, folder / name)
    hashes = ("files", "weights_sha256", "heads_sha256", DIGEST)
    fields = {name: value for name, value in manifest.items() if name not in hashes}
    write_manifest(folder, fields | {"merged_sha256": manifest["weights_sha256"]})


def location_of(model: Path) -> ModelLocation | None:
    """The place of a model folder in the results, by its path; None where the path is another."""
    folder = model.resolve()
    for kind, depth in _DEPTH.items():
        if len(folder.parts) > depth + 1 and folder.parts[-depth - 1] == kind:
            return ModelLocation(folder.parents[depth], kind, folder.parts[-depth:])
    return None


def _trainings(model: Path, manifest: dict[str, Any], location: ModelLocation | None) -> Iterator[TrainingRecord]:
    """The model's training, and those that it started from: the folders that hold the very weights it names."""
    yield TrainingRecord(manifest, read_allocation(model))
    if location is None:
        return
    for kind, depth in (("intermediate", 4), ("encoders", 1)):
        folder = (location.results / kind).joinpath(*location.names[:depth])
        earlier = read_manifest(folder) if len(location.names) > depth and (folder / MANIFEST).is_file() else {}
        if earlier and earlier.get("weights_sha256") == manifest.get("from_sha256"):
            yield TrainingRecord(earlier, read_allocation(folder))
            manifest = earlier


def _scores(location: ModelLocation | None, manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Result files, but on development data, whose predictions these very weights made, in order of their paths."""
    if location is None:
        return
    names = location.names[:4] if location.kind != "encoders" else (*location.names, "none", "none", "seednone")
    for path in sorted((location.results / "eval").joinpath(*names).rglob("*.json")):
        result = read_json(path) if "." not in path.stem else {}
        if result.get("weights_sha256") == manifest["weights_sha256"]:
            yield result
