"""Carrying an answer through a translation: it is marked in the context, and found again between the marks.

Marks that a model may drop, double or move are what this can lose; such rows are left out, never guessed (mark-then-
translate, as in EasyProject, Chen et al. 2023).
"""

from __future__ import annotations

import re

from intermezzo.tasks.formats import Passage

MARKS = (("[", "]"), ("{", "}"), ("<", ">"))
"""Pairs of marks, in order of preference; the first that the context does not contain is used."""
_END = re.compile(r"(?<=[.!?])\s+(?=[\"'(\[{<]*[A-Z0-9])")


def marked(passage: Passage) -> str:
    """The text with marks around its answer; as it is, when there is no answer or no free mark."""
    pair = _marks(passage)
    if pair is None or passage.answer is None:
        return passage.text
    (begin, end), text = passage.answer, passage.text
    return f"{text[:begin]}{pair[0]}{text[begin:end]}{pair[1]}{text[end:]}"


def sentences(context: str) -> list[str]:
    """The context in sentences, as models translate them; a sentence end between the marks does not count."""
    joined: list[str] = []
    for piece in filter(str.strip, _END.split(context)):
        if joined and _open(joined[-1]):
            joined[-1] = f"{joined[-1]} {piece}"
        else:
            joined.append(piece)
    return joined


def recovered(passage: Passage, translation: str) -> Passage | None:
    """The `translation` of `marked(passage)` without marks, and the answer between them; None if they were lost.

    A passage without an answer keeps having none.
    """
    if passage.answer is None:
        return Passage(translation, None)
    pair = _marks(passage)
    if pair is None or translation.count(pair[0]) != 1 or translation.count(pair[1]) != 1:
        return None
    before, _, rest = translation.partition(pair[0])
    answer, _, after = rest.partition(pair[1])
    if pair[1] in before or not answer.strip():
        return None
    begin = len(before) + len(answer) - len(answer.lstrip())
    return Passage(f"{before}{answer}{after}", (begin, begin + len(answer.strip())))


def _marks(passage: Passage) -> tuple[str, str] | None:
    free = (pair for pair in MARKS if not set(pair) & set(passage.text))
    return next(free, None) if passage.answer else None


def _open(piece: str) -> bool:
    return any(piece.count(first) > piece.count(last) for first, last in MARKS)
