"""Weights that are not kept (`keep`): deleted when all that reads them is done, and made again when asked for.

When a run starts, every job that will read such weights gets a lease of them: an empty file in the model's folder of
leases. A job that is done gives its lease back, and whoever removes the last one removes the weights. A job that needs
weights which are not there trains them again, from what the model's manifest names, and they must come out bit for bit.

Snakemake's own `temp()` would do the first half. But a rebuilt model counts as an updated input of everything that was
ever made from it, so that one more language on one target would train every other target of the same intermediate anew.
Here weights are none of Snakemake's business: manifests stay, and are what it follows.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from intermezzo.core.artifacts import digest, read_json, sha256
from intermezzo.core.errors import UserError

LEASES = Path("results/.leases")
FILE = "model.safetensors"
Train = Callable[[dict[str, Any], Path, dict[str, Path], Path, Path, str], None]
"""`intermezzo.training.finetune.finetune`."""


def lease(jobs: Iterable[Any], unkept: Collection[str]) -> None:
    """Give the jobs of a run (Snakemake's, those that will run) their leases; leases of a run before are void.

    unkept: stages (folders of results/) whose weights go. Weights whose last reader was lost with its run go now.
    """
    left = {unquote(path.name): path for path in LEASES.glob("*") if path.is_dir()}
    for folder in left.values():
        for file in folder.iterdir():
            file.unlink()
    for job in jobs:
        for manifest in filter(None, [job.input.get("model")]):
            model = Path(manifest).parent
            if model.parts[1] in unkept:
                left.pop(str(model), None)
                _hold(model, Path(job.output[0]).parent)
    for model, folder in left.items():
        if Path(model).parts[1] in unkept:
            with _locked(Path(model)):
                _drop(Path(model))
        else:
            folder.rmdir()  # now it is kept


def release(model: Path, reader: Path) -> None:
    """Give back the lease that the job which writes the folder `reader` has of a model, if it has one."""
    if not _folder(model).is_dir():
        return
    with _locked(model):
        (_folder(model) / quote(str(reader), safe="")).unlink(missing_ok=True)
        _drop(model)


def need(model: Path, reader: Path, states: Path, train: Train) -> None:
    """See that the weights of a model folder are there, for the job that writes the folder `reader`.

    states: folder for what a killed training resumes. train: trains a model from its specification. Raises UserError
    when they cannot be made again as they were: other libraries or another device, changed data, other bits.
    """
    if (not _folder(model).is_dir() and (model / FILE).is_file()) or not (model / "manifest.json").is_file():
        return  # all are kept; or whoever reads the model says what is wrong
    manifest = read_json(model / "manifest.json")
    if "made_from" not in manifest:
        return
    with _locked(model):
        _hold(model, reader)
        if not (model / FILE).is_file():
            _rebuild(model, manifest, states, train)


def _rebuild(model: Path, manifest: dict[str, Any], states: Path, train: Train) -> None:
    from intermezzo.modeling.encoder import environment

    cannot = f"{model}: its weights were not kept (`keep`), and cannot be made again as they were: "
    mend = f"; delete {model}/manifest.json to train and evaluate it anew"
    if (here := environment()) != manifest["made_with"]:
        other = ", ".join(f"{k} {manifest['made_with'].get(k)} is now {v}" for k, v in here.items()
                          if manifest["made_with"].get(k) != v)  # fmt: skip
        raise UserError(f"{cannot}{other}{mend}")
    start = Path(manifest["made_from"]["model"])
    data = {key: Path(path) for key, path in manifest["made_from"]["data"].items()}
    for key, path in data.items():
        if not path.is_file() or sha256(path) != manifest["data_sha256"][key]:
            raise UserError(f"{cannot}{path} is {'another file' if path.is_file() else 'gone'}{mend}")
    need(start, model, states, train)
    name = digest([str(model), manifest["spec"], manifest["code"]], 32)
    made = states / f"{name}.model"
    train(manifest["spec"], start, data, made, states / name, manifest["code"])
    if (found := read_json(made / "manifest.json")["weights_sha256"]) != manifest["weights_sha256"]:
        shutil.rmtree(made)
        raise UserError(f"{cannot}sha256 {found[:12]}..., the manifest says {manifest['weights_sha256'][:12]}...{mend}")
    (made / FILE).replace(model / FILE)
    shutil.rmtree(made)
    release(start, model)


def _folder(model: Path) -> Path:
    return LEASES / quote(str(model), safe="")


def _hold(model: Path, reader: Path) -> None:
    folder = _folder(model)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / quote(str(reader), safe="")).touch()


def _drop(model: Path) -> None:
    """Remove weights that nobody has a lease of; their folder of leases last, as without one they count as kept."""
    folder = _folder(model)
    if folder.is_dir() and not any(folder.iterdir()):
        (model / FILE).unlink(missing_ok=True)
        folder.rmdir()


@contextmanager
def _locked(model: Path) -> Iterator[None]:
    """One job at a time with a model's weights and leases. Models lock those they start from, never the reverse."""
    LEASES.mkdir(parents=True, exist_ok=True)
    with open(_folder(model).with_name(f"{_folder(model).name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
