"""What the answer may call a difference: the only place where p-values become words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from intermezzo.analysis.design import Design
from intermezzo.analysis.effects import FEW_SHOT, SUPERVISED
from intermezzo.analysis.intervals import FEWEST_FAMILIES
from intermezzo.core.numerals import count, interval, plain

LEVEL = 0.05
"""A difference is called one when its corrected p is below this."""
Verdict = Literal["higher", "lower", "equivalent", "undecided"]
LANGUAGES = {
    "rare": "rare languages",
    "rare_seen": "rare languages in the mix",
    "rare_unseen": "rare languages outside the mix",
    "other": "other languages",
    "english": "English",
}
_NOTES = {
    "one seed": "one seed: another one may differ, so nothing is concluded",
    "one language": "one language: nothing is concluded about others",
    "one seed and one language": "one seed and one language: no interval, so nothing can be said",
    "one degree of freedom": "two seeds and two languages: one degree of freedom, so nothing is concluded",
    "all differences are equal": "all differences are equal: no interval, so nothing can be said",
}


def verdict(line: Mapping[str, Any]) -> Verdict:
    """What a line of `Families.primary` or `secondary` shows: never more than "undecided" where there is a doubt."""
    if line["doubt"]:
        return "undecided"
    if line["p_holm"] < LEVEL:
        return "higher" if line["mean"] > 0 else "lower"
    return "equivalent" if line.get("p_equivalent_holm", 1.0) < LEVEL else "undecided"


def significant(line: Mapping[str, Any]) -> bool:
    """Whether a difference gets a star: shown after correction, and by enough seeds, languages and families."""
    return bool(line["firm"] and line["p_holm"] < LEVEL)


def sentence(line: Mapping[str, Any], design: Design) -> str:
    """One primary comparison as a sentence to quote: verdict, difference, and what it rests on."""
    word, smallest = verdict(line), points(design.question.smallest)
    mix, against = f"`{line['mix']}`", f"`{design.against}`"
    size = f"{abs(line['mean']):.1f} points"
    brackets = "" if np.isnan(line["low"]) else f", 95 % interval [{plain(line['low'], minus='-')}, "
    brackets += f"{plain(line['high'], minus='-')}]" if brackets else ""
    where = f"{setting(design.question.pairs)} {LANGUAGES[line['group']]}"
    if word in ("higher", "lower"):
        compared = f"scores {size} {word} than {against}{brackets}, corrected p = {p_value(line['p_holm'])}"
        if line["p_equivalent_holm"] < LEVEL:
            compared += f"; a difference of {smallest} or more is excluded"
    elif word == "equivalent":
        compared = (
            f"differs from {against} by less than {smallest}: {difference(line)}, corrected p of a difference that "
            f"large = {p_value(line['p_equivalent_holm'])}"
        )
    else:
        compared = f"against {against}: {difference(line)}"
        if not line["doubt"]:
            compared += f", corrected p = {p_value(line['p_holm'])}; "
            compared += f"neither no difference nor one of {smallest} can be excluded"
    label = word.capitalize() + ("" if line["firm"] or word == "undecided" else " in these families")
    label = f"**{label}**" if line["firm"] and word != "undecided" else label
    return f"{label}: {where}, {mix} {compared} ({basis(line)})."


def basis(line: Mapping[str, Any]) -> str:
    """What a comparison rests on: languages, families, seeds, pairs, encoder; and why it says little, if so."""
    parts = [f"{count(line['n_languages'], 'language')} of {related(line)}", count(line["n_seeds"], "seed")]
    parts += [count(line["n_pairs"], "pair") + " of intermediate and target", f"encoder `{line['encoder']}`"]
    if line["doubt"]:
        return f"{', '.join(parts)}; {_NOTES[line['doubt']]}"
    why = "there are fewer than four" if line["families"] < FEWEST_FAMILIES else "nearly all languages are of one"
    return ", ".join(parts) + ("" if line["firm"] else f"; it speaks of these families only, as {why}")


def related(line: Mapping[str, Any]) -> str:
    """How many families the languages are of."""
    families = line["families"] - line["unknown"]
    if not families:
        return "unknown families"
    words = f"{families} {'family' if families == 1 else 'families'}"
    return f"{words} and unknown ones" if line["unknown"] else words


def setting(kinds: Sequence[str]) -> str:
    """The beginning of a sentence about pairs of these kinds, before the languages."""
    if set(kinds) == {"transfer"}:
        return "in zero-shot transfer to"
    if set(kinds) == {"untrained"}:
        return "without training for the target (retrieval), in"
    if set(kinds) <= set(SUPERVISED):
        return "with labelled data of the same skill in the language, in"
    if set(kinds) == {FEW_SHOT}:
        return "in targets that are trained in other languages than English, in"
    return f"over pairs of the kinds {', '.join(kinds)}, in"


def difference(line: Mapping[str, Any]) -> str:
    """Mean and 95 % interval (keys mean, low, high) in ASCII, such as +2.1 [-0.3, 4.5]."""
    return interval(line["mean"], line["low"], line["high"], minus="-")


def p_value(p: float) -> str:
    """Two significant digits, never a bare zero; `none` for NaN."""
    if np.isnan(p):
        return "none"
    if p < 0.001:
        return "<0.001"
    return f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def points(value: float) -> str:
    """1 point, 0.5 points."""
    return f"{value:g} point{'' if value == 1 else 's'}"
