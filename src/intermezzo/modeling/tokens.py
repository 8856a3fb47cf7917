"""Rows tokenised once: for every job, seed and mix that reads them with the same tokenizer.

    folder = digest of (tokenizer, format and its code, what `encode` reads of task and settings)
    folder/{digest of the rows}.arrow     the rows that a job asked for and that no file here had yet

Rows count by their content: those of another seed are the same ones in another order, those of another mix partly the
same, and of both only the rest is tokenised. What is read are views of memory-mapped arrays, which all processes share
and which need a small part of the memory of lists of Python numbers. The cache may be deleted at any time, and never
stops a job: a file that is not whole is made again, one that cannot be written is done without.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import tokenizers

from intermezzo.core.artifacts import digest, sha256
from intermezzo.modeling import stored
from intermezzo.modeling.heads import Feature
from intermezzo.modeling.tokenizer import load_tokenizer

LEAST = 500_000
"""Characters of rows, as JSON, below which tokenising takes a fraction of a second and is not worth a file."""
ROWS = 4096
"""Rows that are tokenised at a time: what the tokenizer returns is large."""
TASK, SETTINGS = ("name", "labels", "alone"), ("max_length", "stride")
"""What `encode` may read: nothing else is shown to it, as the cache would not know."""


class Tokens:
    """Tokenises rows with the tokenizer of a model folder. cache: where they are kept; None = nowhere."""

    def __init__(self, model: Path, cache: Path | None = None) -> None:
        self.tokenizer, self.model, self.cache = load_tokenizer(model), model, cache
        self.stores: dict[Path, _Store] = {}

    def encode(self, module: ModuleType, rows: Sequence[Any], task: dict, settings: dict) -> Sequence[Feature]:
        """What `module.encode` gives for these rows: a list, or the like over stored arrays."""
        seen = [
            {key: given[key] for key in keys if key in given} for given, keys in ((task, TASK), (settings, SETTINGS))
        ]
        encode = partial(module.encode, tokenizer=self.tokenizer, task=seen[0], settings=seen[1])
        if self.cache is None or _characters(rows) < LEAST:
            return encode(rows)
        folder = self.cache / self._key(module, seen)
        store = self.stores.setdefault(folder, _Store(folder, module.COLUMNS))
        return store.features(rows, encode)

    def _key(self, module: ModuleType, seen: list[dict]) -> str:
        heads = (Feature.__module__, module.encode.__module__)
        files = [*sorted(Path(__file__).parent.glob("*.py")), *(Path(sys.modules[name].__file__) for name in heads)]
        code = [sha256(path) for path in files]  # all that `encode` is made of
        tokenizer = sha256(self.model / "tokenizer.json")
        return digest([tokenizer, tokenizers.__version__, module.encode.__module__, code, *seen], 32)


class _Store:
    """The files of one folder, each opened and checked once."""

    def __init__(self, folder: Path, own: dict[str, pa.DataType]) -> None:
        self.folder, self.own = folder, own
        self.segments: dict[str, stored.Segment] = {}

    def features(self, rows: Sequence[Any], encode: partial) -> stored.Features:
        names = [_digest(row) for row in rows]
        wanted = np.frombuffer(b"".join(names), np.uint64).reshape(-1, 2)
        whole = self._open(_name(names))
        if whole is not None:  # these very rows, as in all evaluations on a test set
            return stored.Features([whole], np.zeros(len(rows), int), np.arange(len(rows)))
        parts, of, at = [], np.full(len(rows), -1), np.empty(len(rows), int)
        for path in sorted(self.folder.glob("*.arrow")):
            open_ = np.flatnonzero(of < 0)
            segment = self._open(path.stem) if len(open_) else None
            if segment is not None:
                found = segment.find(wanted[open_])
                of[open_[found >= 0]], at[open_[found >= 0]] = len(parts), found[found >= 0]
                parts.append(segment)
        new: dict[bytes, int] = {}
        for i in np.flatnonzero(of < 0).tolist():
            at[i] = new.setdefault(names[i], len(new))
        if new:
            first = {name: i for i, name in reversed([*enumerate(names)]) if name in new}
            parts.append(self._make([rows[first[name]] for name in new], list(new), encode))
            of[of < 0] = len(parts) - 1
        return stored.Features(parts, of, at)

    def _open(self, name: str) -> stored.Segment | None:
        if name not in self.segments:
            segment = stored.read(self.folder / f"{name}.arrow")
            if segment is None or _name([segment.digests.tobytes()]) != name:
                return None
            self.segments[name] = segment
        return self.segments[name]

    def _make(self, rows: list[Any], names: list[bytes], encode: partial) -> stored.Segment:
        batches = []
        for start in range(0, len(rows), ROWS):
            part = rows[start : start + ROWS]
            by_row: list[list[Feature]] = [[] for _ in part]
            for feature in encode(part):
                by_row[feature.row].append(feature)
            batches.append(stored.columns(by_row, names[start : start + ROWS], self.own))
        batch = pa.concat_batches(batches)
        name = _name(names)
        with suppress(OSError):  # no space, or the folder was deleted just now: this job has what it needs
            stored.write(self.folder / f"{name}.arrow", batch)
        return self._open(name) or stored.Segment(batch)


def _digest(row: Any) -> bytes:
    return hashlib.blake2b(json.dumps(row).encode(), digest_size=stored.DIGEST).digest()


def _name(digests: Sequence[bytes]) -> str:
    return hashlib.sha256(b"".join(digests)).hexdigest()[:32]


def _characters(rows: Sequence[Any]) -> float:
    """An estimate from a hundred of them."""
    sample = rows[:: max(1, len(rows) // 100)]
    return sum(len(json.dumps(row)) for row in sample) / max(1, len(sample)) * len(rows)
