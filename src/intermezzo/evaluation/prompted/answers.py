"""Answers of a language model, each written down before the next is asked for.

A file of JSON lines, to which lines are added and in which none is changed. So a kill anywhere loses no answer that was
given, and no question is asked twice. A line that a kill cut off, or that was changed, counts as missing.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from intermezzo.core.artifacts import digest
from intermezzo.evaluation.prompted.requests import Answer, Request
from intermezzo.execution import locks

log = logging.getLogger(__name__)


class Answers:
    """The answers of one model and settings. name: a digest of these, which is the file's name and part of its seals.

    Use `opened`: one process at a time adds answers.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path, self.name = folder / f"{name}.jsonl", name
        self._known: dict[str, Answer] = {}
        content = self.path.read_bytes() if self.path.is_file() else b""
        damaged = sum(not self._take(line) for line in content.splitlines() if line.strip())
        if damaged:
            log.warning("%s: %d lines are cut off or were changed; these rows are asked again", self.path, damaged)

    def __contains__(self, request: Request) -> bool:
        return request.key in self._known

    def __getitem__(self, request: Request) -> Answer:
        return self._known[request.key]

    def add(self, pairs: Iterable[tuple[Request, Answer]]) -> None:
        """Write answers down, on the disk when this returns; those that are known stay as they are."""
        fresh = {request.key: answer for request, answer in pairs if request not in self}
        lines = [
            json.dumps([key, answer, self._seal(key, answer)], ensure_ascii=False) for key, answer in fresh.items()
        ]
        if lines:
            with open(self.path, "ab") as file:  # the first line break ends a line that was cut off
                file.write(("\n" + "\n".join(lines) + "\n").encode())
                file.flush()
                os.fsync(file.fileno())
        self._known |= fresh

    def _take(self, line: bytes) -> bool:
        try:
            key, (likelihoods, *rest), seal = json.loads(line)
            answer = Answer(tuple(likelihoods), *rest)
            if seal != self._seal(key, answer):
                return False
        except (ValueError, TypeError):
            return False
        self._known.setdefault(key, answer)
        return True

    def _seal(self, key: str, answer: Answer) -> str:
        return digest([self.name, key, answer], 16)


@contextmanager
def opened(folder: Path, name: str) -> Iterator[Answers]:
    """The answers of a model, while no other process adds to them."""
    folder.mkdir(parents=True, exist_ok=True)
    with locks.acquire(folder / f"{name}.lock", "asks the same model"):
        yield Answers(folder, name)
