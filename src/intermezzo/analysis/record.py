"""The record of the question and of every look at results: `question.json` beside the answer.

What was asked when results were first seen is part of the evidence. A look is an analysis of complete results: its
question, its seeds, and a digest of its numbers. The same numbers again are the same look, so that an analysis that is
repeated says the same. Looks at several seeds with fewer seeds than now count as earlier looks at growing results.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from intermezzo.analysis.design import Design
from intermezzo.analysis.families import Families
from intermezzo.core.artifacts import digest, read_json, write_json
from intermezzo.core.errors import UserError

NAME = "question.json"
"""Its file, in the folder of the answer."""


class _Look(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    question: dict[str, Any]
    parts: dict[str, list[str]]
    seeds: list[int]
    numbers: str


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")

    question: dict[str, Any]
    id: str
    looks: list[_Look]


@dataclass(frozen=True)
class History:
    """How the present analysis stands to earlier ones. looks: its number among looks at growing results, from 1 on.

    changes: sentences about what was changed after results existed.
    """

    looks: int = 1
    changes: list[str] = field(default_factory=list)


def question_of(design: Design) -> dict[str, Any]:
    """The question with everything that it leaves open filled in."""
    return design.question.model_dump(mode="json") | {"mixes": list(design.asked), "against": design.against}


def question_id(design: Design) -> str:
    """A short name of the question: another one has another name."""
    return digest(question_of(design), 12)


def history(path: Path | None, families: Families) -> tuple[History, dict[str, Any]]:
    """What the record at `path` says of the present results, and its new content; None: there is no record.

    Raises UserError for a file that is not a record.
    """
    design = families.design
    looks = _read(path) if path is not None and path.is_file() else []
    present = _Look(
        question=question_of(design),
        parts={
            "encoders": sorted(design.encoders),
            "intermediates": sorted(design.intermediates),
            "targets": sorted(design.targets),
            "languages": sorted({code for line in _primary(families) for code in line["languages"].split()}),
        },
        seeds=sorted(design.seeds),
        numbers=digest([[line["encoder"], line["mix"], line["group"], *_rounded(line)] for line in _primary(families)]),
    )
    if present not in looks:
        looks = [*looks, present]
    earlier = looks[: looks.index(present)]
    fewer = {tuple(look.seeds) for look in earlier if len(look.seeds) > 1 and {*look.seeds} < {*present.seeds}}
    content = _Record(question=present.question, id=question_id(design), looks=looks).model_dump()
    return History(1 + len(fewer), list(dict.fromkeys(_changes(earlier, present)))), content


def write(path: Path, content: dict[str, Any]) -> None:
    """Write the record."""
    write_json(path, content)


def _read(path: Path) -> list[_Look]:
    try:
        return _Record.model_validate(read_json(path)).looks
    except ValidationError as error:
        keys = ", ".join(sorted({".".join(map(str, detail["loc"])) for detail in error.errors()}))
        raise UserError(
            f"{path}: not a record of the question (wrong: {keys}); restore it, or delete it and lose what it says "
            "about earlier looks"
        ) from None


def _primary(families: Families) -> list[dict[str, Any]]:
    return families.primary.to_dict("records")


def _rounded(line: dict[str, Any]) -> list[Any]:
    return [f"{line[key]:.9f}" for key in ("mean", "least_mean", "most_mean")]


def _changes(earlier: list[_Look], present: _Look) -> list[str]:
    """What earlier looks had otherwise, a sentence per difference."""
    sentences = []
    for look in earlier:
        for key, value in present.question.items():
            if (before := look.question.get(key)) != value:
                sentences.append(f"`question.{key}` was {_shown(before)} when results existed, and is {_shown(value)}.")
        for key, names in present.parts.items():
            before = look.parts.get(key, [])
            more, less = sorted({*names} - {*before}), sorted({*before} - {*names})
            moved = [f"{', '.join(part)} {verb}" for part, verb in ((more, "added"), (less, "left out")) if part]
            if moved:
                sentences.append(f"Since earlier results, of the {key} {' and '.join(moved)}.")
    return sentences


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
