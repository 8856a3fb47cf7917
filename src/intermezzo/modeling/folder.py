"""Model folders: written whole, with the SHA-256 of every file in the manifest, by which what is read is checked.

    with whole_folder(out) as part:
        ...                                      # weights, configuration, tokenizer
        write_manifest(part, {"kind": "encoder"})
    check(out, WEIGHTS, CONFIG)                  # a UserError where one is missing, cut off or changed

The training log has times, and no result is made from it: it is no part of the manifest.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from intermezzo.core.artifacts import read_json, sha256
from intermezzo.core.errors import UserError
from intermezzo.core.provenance import DIGEST, is_intact, write_record

MANIFEST = "manifest.json"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
HEADS = "heads.safetensors"
TOKENIZER = "tokenizer.json"
TOKENIZER_SETTINGS = "tokenizer_config.json"
ADAPTER = "adapter_model.safetensors"
ADAPTER_SETTINGS = "adapter_config.json"
"""peft's files, in folders whose weights are an adapter for those of the folder that it was trained from."""
ALLOCATION = "allocation.tsv"
LOG = "log.jsonl"
ENCODER = (CONFIG, WEIGHTS, TOKENIZER, TOKENIZER_SETTINGS)
"""What every model folder has besides its manifest."""


def write_manifest(folder: Path, fields: dict[str, Any]) -> None:
    """Write the manifest of a folder that has all its other files: `fields`, and the SHA-256 of each file.

    `weights_sha256` and `heads_sha256` stand beside `files`, as results name them. All files get the rights that a new
    file gets here: safetensors writes files that their owner alone can read.
    """
    names = sorted(path.name for path in folder.iterdir() if path.name not in (MANIFEST, LOG))
    files = {name: sha256(folder / name) for name in names}
    hashes: dict[str, Any] = {"files": files, "weights_sha256": files[WEIGHTS]}
    if HEADS in files:
        hashes["heads_sha256"] = files[HEADS]
    write_record(folder / MANIFEST, fields | hashes)
    mode = (folder / MANIFEST).stat().st_mode
    for name in names:
        (folder / name).chmod(mode)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a model folder. Raises UserError when it is missing, or is none that this program wrote."""
    path = folder / MANIFEST
    try:
        manifest = read_json(path)
    except UserError as error:
        raise damaged(path, "no such file" if not path.is_file() else "not valid JSON") from error
    if isinstance(manifest, dict) and DIGEST in manifest and not is_intact(manifest):
        raise damaged(path, "it was changed after it was written")
    match manifest:
        case {"files": {**files}, "weights_sha256": str(weights)} if files.get(WEIGHTS) == weights:
            if manifest.get("heads_sha256") == files.get(HEADS) and all(isinstance(v, str) for v in files.values()):
                return dict(manifest)
    raise damaged(path, "it lacks the SHA-256 of the model's files, or was written by another version")


def check(folder: Path, *names: str) -> dict[str, Any]:
    """Check files of a model folder against its manifest, which is returned.

    Raises UserError for a file that is missing, cut off or changed, and where the manifest is.
    """
    manifest = read_manifest(folder)
    for name in names:
        path, expected = folder / name, manifest["files"].get(name)
        if not path.is_file():
            raise damaged(path, "no such file")
        if (actual := sha256(path)) != expected:
            raise damaged(path, f"sha256 {actual}, manifest.json says {expected}")
    return manifest


def has_adapter(folder: Path) -> bool:
    """Whether the weights of a model folder are an adapter."""
    return (folder / ADAPTER_SETTINGS).is_file()


def start_of(folder: Path) -> Path:
    """The model folder that an adapter was trained from, and whose weights it needs: where its manifest says, or there
    in relation to a folder of results that was moved. Raises UserError when those weights are not to be found.
    """
    manifest = read_manifest(folder)
    start, expected = Path(manifest["made_from"]["model"]), manifest["from_sha256"]
    for place in (start, *(parent / start for parent in folder.resolve().parents)):
        if (place / MANIFEST).is_file() and read_manifest(place)["weights_sha256"] == expected:
            return place
    raise UserError(
        f"{folder}: it is an adapter for the weights of {start} (sha256 {expected[:12]}...), which are not there; "
        "run from the folder that has these results, or make that model again"
    )


def without_adapters(folder: Path) -> Path:
    """The model folder whose weights are none of an adapter, below all adapters of this one."""
    while has_adapter(folder):
        folder = start_of(folder)
    return folder


def read_allocation(folder: Path) -> list[dict[str, str]]:
    """The lines of a model's allocation.tsv, as its manifest knows it; none of an encoder, which has no such file."""
    if ALLOCATION not in read_manifest(folder)["files"]:
        return []
    check(folder, ALLOCATION)
    with open(folder / ALLOCATION, encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def damaged(path: Path, problem: str) -> UserError:
    """The error for a file of a model folder that is not as it was written."""
    return UserError(f"{path}: damaged ({problem}); delete the folder {path.parent} and run again")
