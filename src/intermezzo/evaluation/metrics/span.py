"""Extractive question answering: F1 and exact match, over words (SQuAD, MLQA) or characters (JSQuAD, CMRC 2018).

Both strings are normalised and split into words. Of several right answers the best match counts.

- `squad_f1`, `squad_em` (SQuAD v1.1): lower case, without ASCII punctuation and the English articles, split at white
  space, whatever the language: so XTREME scores XQuAD and TyDiQA. A text written without spaces is thus one word, and
  punctuation outside ASCII counts.
- `mlqa_f1`, `mlqa_em`: lower case, without any Unicode punctuation and the articles of the language (`ARTICLES`), split
  at white space, Chinese also around every character of U+4E00-9FA5. A language that MLQA does not have keeps all
  its words. The Arabic article goes wherever it stands, inside a word as well, and leaves a space: so does MLQA's.
- `jsquad_f1`, `jsquad_em` (JGLUE): F1 over characters, for languages that are written without spaces. Lower case,
  without full stops (U+3002) at the end, white space as single spaces; articles and other punctuation stay.
- `cmrc_f1`, `cmrc_em` (CMRC 2018): lower case, without the marks of `_CMRC_MARKS`. A segment is a character of
  U+4E00-9FA5, or a word of what stands between them. F1 is of the longest run of segments that both have, not of a bag
  of them. Words are split at white space and ASCII punctuation; the official script calls NLTK, which also splits
  `don't` into two.

In a task with `unanswerable`, no right answer means that the empty answer is right (SQuAD v2.0): two empty answers
score 1, an empty and a full one 0. Words that normalisation removes make no answer there.
Sources: the evaluation scripts of Rajpurkar et al. (2016, 2018), Lewis et al. (2020), Kurihara et al. (2022; JGLUE's
patch of transformers' squad_metrics.py) and Cui et al. (2019; cmrc2018_evaluate.py, version 5).
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from functools import partial
from typing import Any, NamedTuple

from intermezzo.core.errors import UserError
from intermezzo.evaluation.metrics.accuracy import commonest
from intermezzo.specs.tasks import TaskSpec

ARTICLES = {
    "en": r"\b(a|an|the)\b",
    "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "vi": r"\b(của|là|cái|chiếc|những)\b",
    "ar": "ال",
}
"""Language -> what MLQA takes for articles (Vietnamese: classifiers and other small words)."""
_ENGLISH = re.compile(ARTICLES["en"])
_MLQA = {language: re.compile(pattern) for language, pattern in ARTICLES.items()}
_ASCII = str.maketrans("", "", string.punctuation)
_HAN = re.compile("([\u4e00-\u9fa5])")
_CMRC_MARKS = str.maketrans("", "", "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")  # noqa: RUF001
_CMRC_SEGMENT = re.compile(r"[\u4e00-\u9fa5]|[!-/:-@[-`{-~]|(?:[.,](?=\d)|[^\s\u4e00-\u9fa5!-/:-@[-`{-~])+")


SELECTS = True
"""`score` and `majority` compute those of the four benchmarks that are asked for."""


class _Punctuation(dict[int, int | None]):
    """A table for str.translate that removes ASCII punctuation and all of Unicode's categories P*."""

    def __missing__(self, point: int) -> int | None:
        character = chr(point)
        remove = character in string.punctuation or unicodedata.category(character).startswith("P")
        self[point] = None if remove else point
        return self[point]


_UNICODE = _Punctuation()


def score(
    predictions: list[str | None], gold: list[list[str]], task: TaskSpec, language: str, names: Sequence[str] = ()
) -> dict[str, float]:
    """Compare answers with the right ones; None is a question that was left out, and scores 0.

    names: metrics whose benchmarks are computed (none: all).

    Raises UserError for a question without right answer in a task that is not `unanswerable`.
    """
    none = task.unanswerable
    for number, answers in enumerate(gold):
        if not answers and not none:
            raise UserError(f"row {number}: no answer to compare with, and the task is not 'unanswerable'")
    values = {}
    for name, rules in _rules(language, names).items():
        scored = [_question(p, answers, rules, none) for p, answers in zip(predictions, gold, strict=True)]
        values[f"{name}_f1"] = sum(f1 for f1, _ in scored) / len(gold)
        values[f"{name}_em"] = sum(em for _, em in scored) / len(gold)
    return values


class Rules(NamedTuple):
    """How a benchmark compares two answers: by their units, F1 of two lists of these, and what else must be equal."""

    units: Callable[[str], list[str]]
    f1: Callable[[list[str], list[str]], float]
    exact: Callable[[str], Any] | None = None
    """None: their units."""


def _rules(language: str, names: Sequence[str]) -> dict[str, Rules]:
    """Benchmark -> its rules, of those that `names` are metrics of; of all where these are none of the format."""
    rules = {
        "squad": Rules(words, word_f1),
        "mlqa": Rules(partial(mlqa_words, language=language), word_f1),
        "jsquad": Rules(jsquad_characters, character_f1),
        "cmrc": Rules(cmrc_segments, run_f1, cmrc_text),
    }
    prefixes = {name.partition("_")[0] for name in names}
    return {name: entry for name, entry in rules.items() if name in prefixes} if prefixes & rules.keys() else rules


def majority(
    rows: list[dict[str, Any]], task: TaskSpec, language: str = "", names: Sequence[str] = ()
) -> dict[str, float]:
    """The better, metric by metric, of guesses without a model: whole context, commonest answer, no answer."""
    gold = [row["answers"] for row in rows]
    answers_ = [" ".join(words(answer)) for answers in gold for answer in answers]
    guesses = [[row["context"] for row in rows], [commonest(answers_) if answers_ else ""] * len(rows)]
    if task.unanswerable:
        guesses.append([""] * len(rows))
    scored = [score(guess, gold, task, language, names) for guess in guesses]
    return {metric: max(values[metric] for values in scored) for metric in scored[0]}


def words(text: str) -> list[str]:
    """Words of an answer, normalised as by SQuAD.

    >>> words("The U.S. Navy's ship")
    ['us', 'navys', 'ship']
    """
    return _ENGLISH.sub(" ", text.lower().translate(_ASCII)).split()


def mlqa_words(text: str, language: str) -> list[str]:
    """Words of an answer, normalised as by MLQA for a language.

    >>> mlqa_words("¿La «casa» roja?", "es"), mlqa_words("第3章「上」", "zh")
    (['casa', 'roja'], ['第', '3', '章', '上'])
    """
    text = text.lower().translate(_UNICODE)
    if language in _MLQA:
        text = _MLQA[language].sub(" ", text)
    return (_HAN.sub(r" \1 ", text) if language == "zh" else text).split()


def jsquad_characters(text: str) -> list[str]:
    """Characters of an answer, normalised as by JGLUE.

    >>> "".join(jsquad_characters(" 東京  タワー。。"))
    '東京 タワー'
    """
    return list(" ".join(text.lower().rstrip("。").split()))


def cmrc_text(text: str) -> str:
    """An answer as CMRC 2018 compares it whole.

    >>> cmrc_text("《红楼梦》 第3章。")
    '红楼梦 第3章'
    """
    return text.lower().strip().translate(_CMRC_MARKS)


def cmrc_segments(text: str) -> list[str]:
    """Segments of an answer, as by CMRC 2018.

    >>> cmrc_segments("约1,200人《iPhone 4S》")
    ['约', '1,200', '人', 'iphone', '4s']
    """
    return _CMRC_SEGMENT.findall(cmrc_text(text))


def character_f1(prediction: list[str], answer: list[str]) -> float:
    """F1 of two bags of characters, 0..1; 1 when both are empty."""
    return word_f1(prediction, answer) if prediction and answer else float(prediction == answer)


def run_f1(prediction: list[str], answer: list[str]) -> float:
    """F1 of the longest run of segments that both have, 0..1."""
    shared = SequenceMatcher(None, answer, prediction, autojunk=False).find_longest_match().size
    return 2 * shared / (len(prediction) + len(answer)) if shared else 0.0


def word_f1(prediction: list[str], answer: list[str]) -> float:
    """F1 of two bags of words, 0..1; 0 when they share none (or both are empty)."""
    shared = sum((Counter(prediction) & Counter(answer)).values())
    return 2 * shared / (len(prediction) + len(answer)) if shared else 0.0


def _question(prediction: str | None, answers: list[str], rules: Rules, none: bool) -> tuple[float, bool]:
    if prediction is None:
        return 0.0, False
    ours, theirs = rules.units(prediction), [rules.units(answer) for answer in answers]
    if none:
        theirs = [answer for answer in theirs if answer] or [[]]
        if not ours or theirs == [[]]:
            return float(ours in theirs), ours in theirs
    f1 = max(rules.f1(ours, answer) for answer in theirs)
    if rules.exact is None:
        return f1, ours in theirs
    return f1, rules.exact(prediction) in map(rules.exact, answers)
