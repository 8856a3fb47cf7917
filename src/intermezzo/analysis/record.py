"""Looks at results, in the record of the question: `question.json` beside the answer (`execution.questions`).

What was asked when results were first seen is part of the evidence. A look is an analysis of complete results: its
question, its seeds, and a digest of its numbers. The same numbers again are the same look, so that an analysis that is
repeated says the same. Looks at several seeds with fewer seeds than now count as earlier looks at growing results.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intermezzo.analysis.design import Design
from intermezzo.analysis.families import Families
from intermezzo.core.artifacts import digest
from intermezzo.execution.questions import NAME, Look, Record, read, write
from intermezzo.specs.summary import question_id

__all__ = ["NAME", "History", "history", "write"]


@dataclass(frozen=True)
class History:
    """How the present analysis stands to earlier ones. looks: its number among looks at growing results, from 1 on.

    changes: sentences about what was changed after results existed. before: whether the question is known to have been
    asked before there were results.
    """

    looks: int = 1
    changes: list[str] = field(default_factory=list)
    before: bool = False


def history(path: Path | None, families: Families, made_under: Collection[str] = ()) -> tuple[History, Record]:
    """What the record at `path` says of the present results, and its new content; None: there is no record.

    made_under: digests of the questions that were asked when the results were made, by their manifests. Raises
    UserError for a file that is not a record.
    """
    design = families.design
    record = read(path) if path is not None else Record()
    present = Look(
        question=design.asked_question(),
        parts={
            "encoders": sorted(design.encoders),
            "intermediates": sorted(design.intermediates),
            "targets": sorted(design.targets),
            "languages": sorted({code for line in _primary(families) for code in line["languages"].split()}),
        },
        seeds=sorted(design.seeds),
        numbers=digest([[line["encoder"], line["mix"], line["group"], *_rounded(line)] for line in _primary(families)]),
    )
    looks = record.looks if present in record.looks else [*record.looks, present]
    earlier = looks[: looks.index(present)]
    fewer = {tuple(look.seeds) for look in earlier if len(look.seeds) > 1 and {*look.seeds} < {*present.seeds}}
    questions = [entry.question for entry in record.asked]
    first = questions.index(present.question) if present.question in questions else None
    late = first is not None and record.asked[first].results
    changes = [
        *(_asked_late(questions[:first], present.question) if late else ()),
        *_made_under(made_under, questions, design),
        *_changes(earlier, present),
    ]
    content = Record(asked=record.asked, looks=looks, present=record.present)
    before = first is not None and not late and not {*made_under} - {design.question_id}
    return History(1 + len(fewer), list(dict.fromkeys(changes)), before), content


def _made_under(digests: Collection[str], questions: list[dict[str, Any]], design: Design) -> Iterator[str]:
    """What the questions asked otherwise that results were made under; the record has their texts."""
    texts = {question_id(question): question for question in questions}
    for name in sorted({*digests} - {design.question_id}):
        if name in texts:
            yield from _other_keys(texts[name], design.asked_question())
        else:
            yield f"Results were made under another question (`{name}`), whose text is not in {NAME}."


def _asked_late(questions: list[dict[str, Any]], present: dict[str, Any]) -> Iterator[str]:
    """What earlier questions asked otherwise, where the present one was first asked when there were results."""
    if not questions:
        yield "The question was first recorded when results existed."
    for question in questions:
        yield from _other_keys(question, present)


def _other_keys(before: dict[str, Any], present: dict[str, Any]) -> Iterator[str]:
    for key, value in present.items():
        if (old := before.get(key)) != value:
            yield f"`question.{key}` was {_shown(old)} when results existed, and is {_shown(value)}."


def _primary(families: Families) -> list[dict[str, Any]]:
    return families.primary.to_dict("records")


def _rounded(line: dict[str, Any]) -> list[Any]:
    return [f"{line[key]:.9f}" for key in ("mean", "least_mean", "most_mean")]


def _changes(earlier: list[Look], present: Look) -> list[str]:
    """What earlier looks had otherwise, a sentence per difference."""
    sentences = []
    for look in earlier:
        sentences += _other_keys(look.question, present.question)
        for key, names in present.parts.items():
            before = look.parts.get(key, [])
            more, less = sorted({*names} - {*before}), sorted({*before} - {*names})
            moved = [f"{', '.join(part)} {verb}" for part, verb in ((more, "added"), (less, "left out")) if part]
            if moved:
                sentences.append(f"Since earlier results, of the {key} {' and '.join(moved)}.")
    return sentences


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
