"""Carrying an answer through a translation: it is marked in the context, and found again between the marks.

Marks that a model may drop, double or move are what this can lose; such rows are left out, never guessed (mark-then-
translate, as in EasyProject, Chen et al. 2023).
"""

from __future__ import annotations

import re
from typing import Any

Row = dict[str, Any]
MARKS = (("[", "]"), ("{", "}"), ("<", ">"))
"""Pairs of marks, in order of preference; the first that the context does not contain is used."""
_END = re.compile(r"(?<=[.!?])\s+(?=[\"'(\[{<]*[A-Z0-9])")


def marked(row: Row) -> str:
    """The context with marks around its first answer; as it is, when there is no answer or no free mark."""
    pair = _marks(row)
    if pair is None:
        return row["context"]
    begin = row["answer_starts"][0]
    end = begin + len(row["answers"][0])
    context = row["context"]
    return f"{context[:begin]}{pair[0]}{context[begin:end]}{pair[1]}{context[end:]}"


def sentences(context: str) -> list[str]:
    """The context in sentences, as models translate them; a sentence end between the marks does not count."""
    pieces, kept = [piece for piece in _END.split(context) if piece.strip()], []
    for piece in pieces:
        if kept and _open(kept[-1]):
            kept[-1] = f"{kept[-1]} {piece}"
        else:
            kept.append(piece)
    return kept


def recovered(row: Row, context: str) -> Row | None:
    """The row with the translated `context` and the answer that its marks hold; None if they were lost.

    A row without an answer keeps having none.
    """
    if not row["answers"]:
        return row | {"context": context}
    pair = _marks(row)
    if pair is None or context.count(pair[0]) != 1 or context.count(pair[1]) != 1:
        return None
    before, _, rest = context.partition(pair[0])
    answer, _, after = rest.partition(pair[1])
    if pair[1] in before or not answer.strip():
        return None
    begin = len(before) + len(answer) - len(answer.lstrip())
    answer = answer.strip()
    return row | {
        "context": f"{before}{rest.partition(pair[1])[0]}{after}",
        "answers": [answer],
        "answer_starts": [begin],
    }


def _marks(row: Row) -> tuple[str, str] | None:
    free = (pair for pair in MARKS if not set(pair) & set(row["context"]))
    return next(free, None) if row["answers"] else None


def _open(piece: str) -> bool:
    return any(piece.count(first) > piece.count(last) for first, last in MARKS)
