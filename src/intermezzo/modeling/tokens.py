"""Rows tokenised once: for every job, seed and mix that reads them with the same tokenizer.

    folder = digest of (tokenizer, format and its code, specification of the encoding)
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
from intermezzo.modeling.folder import TOKENIZER
from intermezzo.modeling.heads import Feature
from intermezzo.modeling.tokenizer import load_tokenizer
from intermezzo.specs.encoding import EncodingSpec

LEAST = 500_000
"""Characters of rows, as JSON, below which tokenising takes a fraction of a second and is not worth a file."""
ROWS = 4096
"""Rows that are tokenised at a time: what the tokenizer returns is large."""


class Tokens:
    """Tokenises rows with the tokenizer of a model folder. cache: the folder of stored rows; None = store nothing."""

    def __init__(self, model: Path, cache: Path | None = None) -> None:
        self.tokenizer, self.model, self.cache = load_tokenizer(model), model, cache
        self.stores: dict[Path, _Folder] = {}

    def encode(self, module: ModuleType, rows: Sequence[Any], spec: EncodingSpec) -> Sequence[Feature]:
        """What `module.encode` gives for these rows: a list, or the like over stored arrays."""
        encode = partial(module.encode, tokenizer=self.tokenizer, spec=spec)
        if self.cache is None or _characters(rows) < LEAST:
            return encode(rows)
        folder = self.cache / self._key(module, spec)
        store = self.stores.setdefault(folder, _Folder(folder, module.COLUMNS))
        return store.features(rows, encode)

    def _key(self, module: ModuleType, spec: EncodingSpec) -> str:
        heads = (Feature.__module__, module.encode.__module__)
        files = [*sorted(Path(__file__).parent.glob("*.py")), *(Path(sys.modules[name].__file__) for name in heads)]
        code = [sha256(path) for path in files]  # all that `encode` is made of
        tokenizer = sha256(self.model / TOKENIZER)
        return digest([tokenizer, tokenizers.__version__, module.encode.__module__, code, spec.as_json()], 32)


class _Folder:
    """The files of one folder, each opened and checked once."""

    def __init__(self, folder: Path, columns: dict[str, pa.DataType]) -> None:
        self.folder, self.columns = folder, columns
        self.segments: dict[str, stored.Segment] = {}

    def features(self, rows: Sequence[Any], encode: partial) -> stored.Features:
        """The features of the rows, in their order; rows that no file has are tokenised with `encode` and stored."""
        row_digests = [_digest(row) for row in rows]
        digests = np.frombuffer(b"".join(row_digests), np.uint64).reshape(-1, 2)
        segment_of_all = self._open(_name(row_digests))
        if segment_of_all is not None:  # these very rows, as in all evaluations on a test set
            return stored.Features([segment_of_all], np.zeros(len(rows), int), np.arange(len(rows)))
        parts, part_of, segment_rows = [], np.full(len(rows), -1), np.empty(len(rows), int)
        for path in sorted(self.folder.glob("*.arrow")):
            missing = np.flatnonzero(part_of < 0)
            segment = self._open(path.stem) if len(missing) else None
            if segment is not None:
                matches = segment.find(digests[missing])
                part_of[missing[matches >= 0]], segment_rows[missing[matches >= 0]] = len(parts), matches[matches >= 0]
                parts.append(segment)
        new: dict[bytes, int] = {}
        for i in np.flatnonzero(part_of < 0).tolist():
            segment_rows[i] = new.setdefault(row_digests[i], len(new))
        if new:
            first_index = {name: i for i, name in reversed([*enumerate(row_digests)]) if name in new}
            parts.append(self._make([rows[first_index[name]] for name in new], list(new), encode))
            part_of[part_of < 0] = len(parts) - 1
        return stored.Features(parts, part_of, segment_rows)

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
            batches.append(stored.columns(by_row, names[start : start + ROWS], self.columns))
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
