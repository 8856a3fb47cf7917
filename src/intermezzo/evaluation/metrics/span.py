"""Extractive question answering: F1 over words and exact match, by the rules of SQuAD v1.1.

Both strings are lower-cased, freed of ASCII punctuation and of the English articles, and split at white space,
whatever the language: so XTREME scores XQuAD and TyDiQA. A text written without spaces is thus one word, and
punctuation outside ASCII counts. Of several right answers the best match counts.
Source: Rajpurkar et al. (2016), the SQuAD v1.1 evaluation script.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from typing import Any

from intermezzo.errors import UserError
from intermezzo.evaluation.metrics.accuracy import commonest

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def score(predictions: list[str], gold: list[list[str]], task: dict[str, Any], language: str) -> dict[str, float]:
    """Compare answers with the right ones; raises UserError for a question that has no right answer."""
    f1 = em = 0.0
    for number, (prediction, answers) in enumerate(zip(predictions, gold, strict=True)):
        if not answers:
            raise UserError(f"row {number}: no answer to compare with; SQuAD v1.1 metrics need at least one")
        ours = words(prediction)
        theirs = [words(answer) for answer in answers]
        f1 += max(word_f1(ours, answer) for answer in theirs)
        em += ours in theirs
    return {"squad_f1": f1 / len(gold), "squad_em": em / len(gold)}


def majority(rows: list[dict[str, Any]], task: dict[str, Any]) -> dict[str, float]:
    """The better, metric by metric, of two guesses without a model: the whole context, the commonest answer."""
    gold = [row["answers"] for row in rows]
    answer = commonest(" ".join(words(a)) for answers in gold for a in answers)
    guesses = [[row["context"] for row in rows], [answer] * len(rows)]
    scored = [score(guess, gold, task, "") for guess in guesses]
    return {metric: max(values[metric] for values in scored) for metric in scored[0]}


def words(text: str) -> list[str]:
    """Words of a normalised answer.

    >>> words("The U.S. Navy's ship")
    ['us', 'navys', 'ship']
    """
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def word_f1(prediction: list[str], answer: list[str]) -> float:
    """F1 of two bags of words, 0..1; 0 when they share none (or both are empty)."""
    shared = sum((Counter(prediction) & Counter(answer)).values())
    return 2 * shared / (len(prediction) + len(answer)) if shared else 0.0
