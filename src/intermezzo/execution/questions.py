"""The record of the question: `results/question.json`, which says what was asked before there were results.

A run writes the question into it before its first job, with whether there were results. Evaluations write the digest
of the present question into their manifests, whose text is here. The analysis adds every look at results
(`analysis.record`). The file is evidence: it is never made again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from intermezzo.core.artifacts import read_json, write_json
from intermezzo.core.errors import UserError
from intermezzo.core.provenance import MANIFEST
from intermezzo.specs.summary import SummarySpec

NAME = "question.json"
"""Its file, in the folder of the answer."""


class Asked(BaseModel):
    """A question, when it was first asked. results: whether there were results then."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: dict[str, Any]
    results: bool


class Look(BaseModel):
    """An analysis of complete results. numbers: a digest of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: dict[str, Any]
    parts: dict[str, list[str]]
    seeds: list[int]
    numbers: str


class Record(BaseModel):
    """What the file has."""

    model_config = ConfigDict(extra="forbid")

    asked: list[Asked] = []
    looks: list[Look] = []
    present: str = ""
    """Digest of the question of the last run (`SummarySpec.question_id`)."""


def read(path: Path) -> Record:
    """The record at `path`, an empty one where there is none. Raises UserError for a file that is not a record."""
    if not path.is_file():
        return Record()
    try:
        return Record.model_validate(read_json(path))
    except ValidationError as error:
        keys = ", ".join(sorted({".".join(map(str, detail["loc"])) for detail in error.errors()}))
        raise UserError(
            f"{path}: not a record of the question (wrong: {keys}); restore it, or delete it and lose what it says "
            "about earlier looks"
        ) from None


def write(path: Path, record: Record) -> None:
    """Write the record."""
    write_json(path, record.model_dump())


def present(results: Path) -> str:
    """Digest of the question of the run that goes on, whose results lie below `results`; "" where none is recorded."""
    return read(results / NAME).present


def ask(spec: SummarySpec, results: Path = Path("results")) -> None:
    """Write the question of an experiment into the record below `results`, as the present one.

    Raises UserError for a file that is not a record.
    """
    path, question = results / NAME, spec.asked_question()
    record = read(path)
    if all(entry.question != question for entry in record.asked):
        exist = next((results / "eval").glob(f"*/*/*/*/*/{MANIFEST}"), None) is not None
        record.asked.append(Asked(question=question, results=exist))
    elif record.present == spec.question_id:
        return
    record.present = spec.question_id
    write(path, record)
