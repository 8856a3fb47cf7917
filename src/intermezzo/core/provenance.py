"""What a product says of how it was made, and whether it still is what was made.

Snakemake records how files were made in .snakemake, which stays behind when results are copied. So products say it too:
the specification and the code of their job, a digest of all that its inputs were made with, and the SHA-256 of the
files. The record of a product lies beside it:

    results/data/{...}/{split}.parquet                     {split}.json
    models and evaluations                                 manifest.json in their folder
    leakage.tsv                                            leakage.json
    scores.parquet, summary.tsv, answer.md                 summary.json
    report.html, figures/, tables/                         report.json

`difference` compares a record with what a configuration asks for; `check` sees that a file is the one that was made.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from intermezzo.core.artifacts import canonical, digest, sha256, write_json
from intermezzo.core.differences import differences, sentence
from intermezzo.core.errors import UserError

MANIFEST, PREDICTIONS = "manifest.json", "predictions.parquet"
"""Files in the folder of an evaluation, beside the scores of each language; the first is in that of a model too."""
DIGEST = "digest"
"""The key of a record that has a digest of the others."""
SUMMARY = "summary.json"
"""Beside the scores, the summary and the answer."""
TRACKED = ("spec", "code", "inputs", "run")
"""Parameters of a job that say what it makes; `run` are the names of an evaluation."""
NAMES = ("encoder", "intermediate", "mix", "seed", "target")
"""Keys of an evaluation's manifest that are its `run`."""
QUESTION = "question"
"""Key of an evaluation's manifest: digest of the question that was asked then. It makes nothing out of date."""
MISSING = "is missing"
WEIGHTS = ".safetensors"
LARGEST = 100_000_000
"""Bytes up to which a file is hashed while planning, as those of the profile's `max-checksum-file-size`."""
_SUMMARY = frozenset({"scores.parquet", "summary.tsv", "answer.md"})
_MODELS = frozenset({"encoders", "intermediate", "target"})


class Difference(NamedTuple):
    """Why a product is not what is asked for."""

    path: str
    """The file that shows it."""
    words: str
    """What is wrong with it, in words that follow its name."""
    before: dict[str, str] | None = None
    """What its record says (`parameters`), where it was made with something else."""


def record_path(product: str | Path) -> Path | None:
    """Where the record of a product of the workflow lies, by its path below `results`; None for another file."""
    path = PurePosixPath(product)
    root, *below = path.parts
    kind = below[0] if below else ""
    if kind in ("data", "leakage.tsv"):
        return Path(path.with_suffix(".json"))
    if kind in _MODELS or kind == "eval":
        return Path(path.with_name(MANIFEST))
    if kind in _SUMMARY:
        return Path(root, SUMMARY)
    return Path(root, "report.json") if kind in ("report.html", "figures", "tables") else None


def write(record: Path, spec: Any, code: str, inputs: str, files: Iterable[Path]) -> None:
    """Write the record of `files`, which lie in its folder or below it. spec: the model of the job's specification."""
    hashes = {path.relative_to(record.parent).as_posix(): sha256(path) for path in files}
    write_record(record, {"spec": spec.as_json(), "code": code, "inputs": inputs, "files": hashes})


def write_record(record: Path, fields: dict[str, Any]) -> None:
    """Write a record with a digest of itself, so that a change of it is seen; one that `fields` has is replaced."""
    write_json(record, fields | {DIGEST: _digest(fields)})


def read(record: Path | None) -> dict[str, Any]:
    """What a record says; {} where there is none or one that is not as it was written."""
    try:
        content = json.loads(record.read_text(encoding="utf-8")) if record else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) and is_intact(content) else {}


def is_intact(record: Mapping[str, Any]) -> bool:
    """Whether the content of a record is as it was written."""
    try:
        return bool(record.get(DIGEST) == _digest(record))
    except ValueError:  # NaN, or half a character
        return False


def _digest(fields: Mapping[str, Any]) -> str:
    """Of all fields but the digest itself."""
    return digest(json.loads(json.dumps({name: value for name, value in fields.items() if name != DIGEST})), 32)


def parameters(record: Mapping[str, Any]) -> dict[str, str]:
    """What a record says of its job's parameters (`TRACKED`), each as the text that the job was given."""
    values = {name: record[name] for name in TRACKED if name in record}
    if record.keys() >= set(NAMES):
        values["run"] = {name: record[name] for name in NAMES}
    return {name: value if isinstance(value, str) else canonical(value) for name, value in values.items()}


def hash_of(product: str | Path, record: Mapping[str, Any]) -> str | None:
    """The SHA-256 that a record has of its product; None where it has none."""
    place, files = record_path(product), record.get("files")
    if place is None or not isinstance(files, dict):
        return None
    value = files.get(PurePosixPath(product).relative_to(PurePosixPath(place.parent)).as_posix())
    return value if isinstance(value, str) else None


def difference(
    outputs: Sequence[str],
    wanted: Mapping[str, str],
    altered: Collection[str],
    missing: Collection[str],
) -> Difference | None:
    """How the outputs of a job differ from what is asked for; None if they do not, or nobody can tell.

    wanted: its parameters (`TRACKED`) as the configuration has them. altered: the outputs whose content is in doubt,
    as they were written at another time than Snakemake recorded, if it did. missing: those that are not there.
    """
    place = record_path(outputs[0])
    absent = sorted(path for path in missing if not path.endswith(WEIGHTS))  # they need not be kept
    if absent:
        return Difference(absent[0], MISSING)
    if place is None or not altered:
        return None
    record = read(place)
    before = parameters(record)
    if not before.keys() >= wanted.keys():
        return Difference(str(place), "does not say how it was made" if place.is_file() else MISSING)
    if before.items() >= wanted.items():
        altered_contents = (path for path in altered if _is_another(path, record))
        return next((Difference(path, "was changed after it was made") for path in altered_contents), None)
    return Difference(str(place), f"was made {_words(before, wanted)}", before)


def _is_another(path: str, record: Mapping[str, Any]) -> bool:
    """Whether a file, unless it is large, has another content than its record says."""
    expected = None if path.endswith(WEIGHTS) else hash_of(path, record)  # those are hashed when they are loaded
    return expected is not None and Path(path).stat().st_size <= LARGEST and sha256(path) != expected


def _words(before: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """What a product was made with instead of what is asked for."""
    if before["spec"] != wanted["spec"]:
        try:
            changes = differences(json.loads(before["spec"]), json.loads(wanted["spec"]))
        except ValueError:
            changes = []
        told = ", ".join(f"{path} {sentence(old, new)}" for path, old, new in changes[:2])
        return f"with other settings ({told}{', ...' if len(changes) > 2 else ''})"
    if before["code"] != wanted["code"]:
        return "by other code"
    return "for another run" if before.get("run") != wanted.get("run") else "from other inputs"


def check(path: Path, record: Path | None = None) -> None:
    """Raise UserError if a file is not the one that its record names; a file without a record passes.

    record: None = the file of the same name that ends in .json.
    """
    place = record or path.with_suffix(".json")
    if not place.is_file():
        return
    files = read(place).get("files")
    expected = files.get(path.name) if isinstance(files, dict) else None
    if not isinstance(expected, str):
        raise UserError(f"{place}: damaged, or not the record of {path.name}; delete both and run again")
    if (actual := sha256(path)) != expected:
        raise UserError(
            f"{path}: was changed after it was made (sha256 {actual[:12]}..., {place.name} says {expected[:12]}...); "
            "delete it and run again"
        )
