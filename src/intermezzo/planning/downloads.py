"""What an experiment will download: from which hosts, how much, and under which licences.

Sizes are those of the lock file, where something was downloaded before, else of `resources/downloads.tsv`, else
estimated from rows and lengths. What is here already (in data.downloads, or in the hub's cache) is left out.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from intermezzo.config.models import Config
from intermezzo.config.sections.encoders import ImportedEncoder
from intermezzo.core.secrets import masked
from intermezzo.dag.paths import IN_ENGLISH, TRANSLATED
from intermezzo.dag.specs import LOCK
from intermezzo.planning.amounts import Amounts
from intermezzo.planning.jobs import Job
from intermezzo.planning.translators import translator
from intermezzo.tasks import RESOURCES, Task, load_task

TABLE = RESOURCES / "downloads.tsv"
HUB = "huggingface.co"
LOCKED, LISTED, ESTIMATED = "the lock file", "resources/downloads.tsv", "estimated"
PART = "estimated: what is read of it"
"""Of an archive that holds more than the files that are read."""
_NON_COMMERCIAL = re.compile(r"\bNC\b|non-?commercial|not for commercial", re.IGNORECASE)


class Download(NamedTuple):
    """A repository, an archive or a file that is to come."""

    host: str
    name: str
    mb: float
    basis: str
    """What the size rests on."""
    used_by: tuple[str, ...]
    """Tasks, `encoder NAME` or `translation`."""


class Licence(NamedTuple):
    """The licence of a task or a model, as far as it is known."""

    subject: str
    text: str
    commercial: bool
    """Whether it says nothing against commercial use."""


class _Size(NamedTuple):
    """What is known of the size of a download, or of a piece of it ("": of all)."""

    host: str
    name: str
    piece: str
    mb: float
    basis: str


def downloads(config: Config, todo: Iterable[Job], amounts: Amounts, weights_mb: Mapping[str, float]) -> list[Download]:
    """All downloads of the jobs that are to do, the largest first. weights_mb: encoder -> MB of its weights."""
    sizes: dict[tuple[str, str], dict[str, _Size]] = {}
    users: dict[tuple[str, str], set[str]] = {}
    for size, user in _sizes(config, todo, amounts, weights_mb):
        place = (size.host, size.name)
        sizes.setdefault(place, {})[size.piece] = size
        users.setdefault(place, set()).add(user)
    found = []
    for (host, name), pieces in sizes.items():
        counted = [pieces[""]] if "" in pieces else list(pieces.values())
        bases = {size.basis for size in counted}
        basis = next(basis for basis in (PART, ESTIMATED, LISTED, LOCKED) if basis in bases)
        mb = sum(size.mb for size in counted)
        found.append(Download(host, name, mb, basis, tuple(sorted(users[host, name]))))
    return sorted(found, key=lambda download: (-download.mb, download.name))


def licences(config: Config, found: Sequence[Download]) -> list[Licence]:
    """The licence of each task and of the translator in `found`; those of encoders stand on their pages alone."""
    subjects = sorted({user for download in found for user in download.used_by if not user.startswith("encoder ")})
    texts = {}
    for subject in subjects:
        if subject == "translation":
            known = translator(str(config.translation.model))
            texts[str(config.translation.model)] = known.licence if known else ""
        else:  # without that of the embedded world's data
            texts[subject] = re.sub(r"^world: .*?\(generated\)\.\s*", "", load_task(subject).licence).strip()
    return [
        Licence(subject, text or "not known here: see its page", _NON_COMMERCIAL.search(text) is None)
        for subject, text in texts.items()
    ]


def _sizes(
    config: Config, todo: Iterable[Job], amounts: Amounts, weights_mb: Mapping[str, float]
) -> Iterable[tuple[_Size, str]]:
    """(size, user) of every download or piece of one; several jobs may need the same."""
    data = _Data(config)
    for job in todo:
        keys = job.keys
        if job.stage == "encoder":
            encoder = config.encoders[keys.encoder]
            if isinstance(encoder, ImportedEncoder) and not _is_here(encoder.from_, encoder.revision):
                mb = weights_mb.get(keys.encoder, 0.0)
                yield _Size(HUB, encoder.from_, "", mb, ESTIMATED), f"encoder {keys.encoder}"
        elif job.stage == "data" and keys.source in (TRANSLATED, IN_ENGLISH) and config.translation.backend == "hub":
            model = str(config.translation.model)
            if not _is_here(model, config.translation.revision):
                known = translator(model)
                yield _Size(HUB, model, "", known.parameters * 4 / 1e6 if known else 0.0, ESTIMATED), "translation"
        elif job.stage == "data" and keys.source in ("hub", TRANSLATED, IN_ENGLISH):
            task, section = load_task(keys.task), "hub" if keys.source == "hub" else "translated"
            parts = task.sources.parts(section).get(keys.language, {}).get(keys.split, [])
            for part in parts:
                mb = amounts.published_bytes(task.name, keys.language, keys.split, section) / 1e6 / len(parts)
                if (size := data.size(task, part, mb)) is not None:
                    yield size, task.name


class _Data:
    """The downloads of parts of task files, as far as they are not here."""

    def __init__(self, config: Config) -> None:
        self.folder = Path(config.data.downloads)
        self._single: dict[str, list[str]] = {}

    @cached_property
    def lock(self) -> Any:
        """The lock file."""
        from intermezzo.sources.hub.lock import Lock

        return Lock(Path(LOCK))

    def size(self, task: Task, part: dict[str, Any], estimate: float) -> _Size | None:
        """The size of a part's download; estimate: of the part, in MB. None where it is here, or on the disk anyway."""
        if "repository" in part:
            return self._repository(part, estimate)
        url = part.get("url")
        return self._address(task, part, estimate) if isinstance(url, str) and urlsplit(url).scheme != "file" else None

    def _repository(self, part: dict[str, Any], estimate: float) -> _Size | None:
        from intermezzo.sources.hub.patterns import matching

        repository, pattern = part["repository"], part["files"]
        entry = self.lock.entry(("repositories", repository, part.get("revision") or "main"))
        names = matching(entry.get("files", {}), pattern)
        if names and all((_cached("datasets", repository, entry["commit"]) / name).exists() for name in names):
            return None
        mb, basis = estimate, ESTIMATED
        if names:
            mb, basis = sum(entry["files"][name]["bytes"] for name in names) / 1e6, LOCKED
        elif (repository, pattern) in _table():
            mb, basis = _table()[repository, pattern], LISTED
        return _Size(HUB, f"datasets/{repository}", pattern, mb, basis)

    def _address(self, task: Task, part: dict[str, Any], estimate: float) -> _Size | None:
        from intermezzo.sources.hub import github
        from intermezzo.sources.hub.address import folder_of

        url, member = part["url"], part.get("member")
        if folder_of(self.folder, url).is_dir():
            return None
        address, piece = url, member or ""
        if not member and github.companions(url, self._single_files(task)):
            address, piece = github.place_of(url).archive, url  # type: ignore[union-attr]
        locked = self.lock.entry(("urls", masked(url))).get("bytes")
        mb, basis = (estimate, PART if member else ESTIMATED) if locked is None else (locked / 1e6, LOCKED)
        if (address, "") in _table():
            mb, basis, piece = _table()[address, ""], LISTED, ""
        elif locked is not None and member:
            piece = ""
        host = urlsplit(address).hostname or "?"
        path = urlsplit(masked(address)).path.strip("/")
        return _Size(host, "/".join(path.split("/")[:2]) if "github" in host else path, piece, mb, basis)

    def _single_files(self, task: Task) -> list[str]:
        """The addresses of all files that a task reads as they are."""
        if task.name not in self._single:
            data = task.sources.parts("hub").values()
            parts = [part for splits in data for parts in splits.values() for part in parts]
            self._single[task.name] = [str(part["url"]) for part in parts if "url" in part and not part.get("member")]
        return self._single[task.name]


def _cached(kind: str, repository: str, commit: str) -> Path:
    """The folder of a commit in the hub's cache."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"{kind}--{repository.replace('/', '--')}" / "snapshots" / commit


def _is_here(model: str, revision: str | None) -> bool:
    """Whether a model is in the hub's cache, or not of the hub: what is has a revision."""
    return revision is None or _cached("models", model, revision).is_dir()


@cache
def _table() -> dict[tuple[str, str], float]:
    """(address, pattern of files) -> MB."""
    with open(TABLE, encoding="utf-8", newline="") as handle:
        rows = csv.DictReader((row for row in handle if not row.startswith("#")), delimiter="\t")
        return {(row["address"], row["files"]): float(row["mb"]) for row in rows}
