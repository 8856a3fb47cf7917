"""Leases of weights that are not kept (`keep`): the last reader deletes them, and who needs them again rebuilds them.

When a run starts, every job that will read such weights gets a lease of them: an empty file in the model's folder of
leases. A job that is done releases its lease, and the release of the last one deletes the weights. A job that needs
deleted weights trains them again from what the model's manifest names, and they must be equal bit for bit.

Snakemake's own `temp()` would do the first half. But a rebuilt model counts as an updated input of everything that was
ever made from it, so that one more language on one target would train every other target of the same intermediate anew.
So Snakemake does not follow weights: it follows manifests, which stay.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from intermezzo.core.artifacts import digest, sha256
from intermezzo.core.errors import UserError
from intermezzo.execution import locks
from intermezzo.modeling.folder import MANIFEST, WEIGHTS, read_manifest

LEASES = Path("results/.leases")
FILE = WEIGHTS
Train = Callable[[dict[str, Any], Path, dict[str, Path], Path, Path, str], None]
"""`intermezzo.training.finetune.finetune`."""


def lease(jobs: Iterable[Any] | None, unkept: Collection[str]) -> None:
    """Give the jobs of a run (Snakemake's, those that will run) their leases; leases of an earlier run are void.

    jobs: None = it is not known which will run; all weights are kept then. unkept: stages (folders of results/) whose
    weights are deleted. Weights whose last reader was lost with its run are deleted now.
    """
    places = {("results", stage) for stage in unkept}  # a workflow that imports this one has models elsewhere
    folders = {unquote(path.name): path for path in LEASES.glob("*") if path.is_dir()}
    for folder in folders.values():
        for file in folder.iterdir():
            file.unlink()
    for job in jobs or ():
        for manifest in filter(None, [job.input.get("model")]):
            model = Path(manifest).parent
            if model.parts[:2] in places:
                folders.pop(str(model), None)
                _add_lease(model, Path(job.output[0]).parent)
    for name, folder in folders.items():
        model = Path(name)
        if jobs is not None and model.parts[:2] in places:
            with _lock(model):
                _delete_if_unleased(model)
        else:
            folder.rmdir()  # without a folder of leases the weights count as kept


def release(model: Path, reader: Path) -> None:
    """Release the lease that the job which writes the folder `reader` has of a model, if it has one."""
    if not _folder(model).is_dir():
        return
    with _lock(model):
        (_folder(model) / quote(str(reader), safe="")).unlink(missing_ok=True)
        _delete_if_unleased(model)


def ensure_weights(model: Path, reader: Path, states: Path, train: Train) -> None:
    """Make sure that a model folder has its weights, for the job that writes the folder `reader`; rebuild them if not.

    states: folder for what a killed training resumes. train: trains a model from its specification. Raises UserError
    when they cannot be rebuilt as they were: other libraries or another device, changed data, other bits.
    """
    if (not _folder(model).is_dir() and (model / FILE).is_file()) or not (model / MANIFEST).is_file():
        return  # all are kept; or whoever reads the model says what is wrong
    manifest = read_manifest(model)
    if "made_from" not in manifest:
        return
    with _lock(model):
        _add_lease(model, reader)
        if not (model / FILE).is_file():
            _rebuild(model, manifest, states, train)


def _rebuild(model: Path, manifest: dict[str, Any], states: Path, train: Train) -> None:
    from intermezzo.modeling.encoder import environment

    problem = f"{model}: its weights were not kept (`keep`), and cannot be made again as they were: "
    mend = f"; delete {model}/manifest.json to train and evaluate it anew"
    if (present := environment()) != manifest["made_with"]:
        changes = ", ".join(f"{k} {manifest['made_with'].get(k)} is now {v}" for k, v in present.items()
                            if manifest["made_with"].get(k) != v)  # fmt: skip
        raise UserError(f"{problem}{changes}{mend}")
    start = Path(manifest["made_from"]["model"])
    data = {key: Path(path) for key, path in manifest["made_from"]["data"].items()}
    for key, path in data.items():
        if not path.is_file() or sha256(path) != manifest["data_sha256"][key]:
            raise UserError(f"{problem}{path} is {'another file' if path.is_file() else 'gone'}{mend}")
    ensure_weights(start, model, states, train)
    name = digest([str(model), manifest["spec"], manifest["code"]], 32)
    rebuilt = states / f"{name}.model"
    train(manifest["spec"], start, data, rebuilt, states / name, manifest["code"])
    digests = (read_manifest(rebuilt)["weights_sha256"], manifest["weights_sha256"])
    if digests[0] != digests[1]:
        shutil.rmtree(rebuilt)
        raise UserError(f"{problem}sha256 {digests[0][:12]}..., the manifest says {digests[1][:12]}...{mend}")
    (rebuilt / FILE).replace(model / FILE)
    shutil.rmtree(rebuilt)
    release(start, model)


def _folder(model: Path) -> Path:
    return LEASES / quote(str(model), safe="")


def _add_lease(model: Path, reader: Path) -> None:
    folder = _folder(model)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / quote(str(reader), safe="")).touch()


def _delete_if_unleased(model: Path) -> None:
    """Delete weights that nobody has a lease of; the folder of leases last, as without one they count as kept."""
    folder = _folder(model)
    if folder.is_dir() and not any(folder.iterdir()):
        (model / FILE).unlink(missing_ok=True)
        folder.rmdir()


def _lock(model: Path) -> AbstractContextManager[None]:
    """One job at a time with a model's weights and leases. Models lock those they start from, never the reverse."""
    return locks.acquire(LEASES / f"{quote(str(model), safe='')}.lock", f"uses the weights of {model}")
