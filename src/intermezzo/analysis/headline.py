"""The first screen of the answer: verdicts, question, warnings, in-language supervision, and one small table.

Who reads no further has read what was asked, what is concluded, and what speaks against the conclusion. Everything
here is short; the evidence follows under headings (`answer`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from intermezzo.analysis.design import Design
from intermezzo.analysis.effects import SUPERVISED, Pair, average, pairs
from intermezzo.analysis.families import Families
from intermezzo.analysis.pairing import Comparisons
from intermezzo.analysis.record import History
from intermezzo.analysis.verdict import LANGUAGES, basis, difference, p_value, points, sentence, setting
from intermezzo.core import leakage
from intermezzo.core.markdown import LONG_TABLE, folded, table
from intermezzo.core.numerals import count

TITLE = "# The answer of this experiment"
LARGE_SHARE = 0.01
"""Of the rows of a file that are in training data: from here on the answer warns."""
_MOST_WARNINGS = 6
"""Those that are not folded."""
_WITHIN = {"rare": "all", "rare_seen": "in the mix", "rare_unseen": "outside the mix"}


class Notes(NamedTuple):
    """What the answer says of the data. shortfalls: sentences about mixes that had less than they asked for."""

    shortfalls: Sequence[str] = ()
    overlaps: Sequence[leakage.Overlap] = ()
    """With training data; empty: nobody looked."""


def blocks(families: Families, past: History, notes: Notes) -> list[str]:
    """Markdown paragraphs: the title, the verdicts (one paragraph, a line each), and the rest of the first screen."""
    design = families.design
    over = "seeds and languages" if len(design.seeds) > 1 else "languages (one seed)"
    verdicts = [f"- {sentence(line, design)}" for line in families.primary.to_dict("records")]
    return [
        TITLE,
        "\n".join(verdicts) or f"This experiment cannot answer its question: {_why_not(design)}.",
        _question(families, past),
        *_supervision(families),
        *_warnings(families, past, notes),
        *_means(families),
        f"Points: 0 to 100 of a target's main metric. Brackets: 95 % intervals over {over}, clustered by family. "
        "Below: the evidence, secondary comparisons, sensitivity, languages, chance, limitations. docs/statistics.md: "
        "methods and their calibration.",
    ]


def _question(families: Families, past: History) -> str:
    design, question = families.design, families.design.question
    mixes = ", ".join(f"`{mix}`" for mix in design.asked) or "no mix"
    when = " before there were results" if past.before else ""
    if {*question.groups} <= _WITHIN.keys():
        groups = f"rare languages ({', '.join(_WITHIN[group] for group in question.groups)})"
    else:
        groups = ", ".join(LANGUAGES[group] for group in question.groups)
    corrected = ", Holm-corrected" if families.decidable > 1 else ""
    corrected += f" and for look {past.looks} at growing results" if past.looks > 1 else ""
    return (
        f"**Question** `{design.question_id}`, fixed in the configuration{when}: does intermediate training on {mixes} "
        f"instead of `{design.against}` change results {setting(question.pairs)} {groups}? Smallest difference that "
        f"matters: {points(question.smallest)}. {count(len(families.primary), 'primary comparison')}{corrected}."
    )


def _why_not(design: Design) -> str:
    if not design.against:
        return "it has no English-only mix, and `question.against` names no other"
    if not design.asked:
        return f"no mix but `{design.against}` has rows in a rare language, and `question.mixes` names none"
    return "no intermediate and target of the asked kinds were trained in both mixes and evaluated in such a language"


def _warnings(families: Families, past: History, notes: Notes) -> list[str]:
    """What speaks against the verdicts, the gravest first; of many, those beyond the first are folded."""
    changes = " ".join(past.changes)
    changed = [f"The question or its design was changed after results existed. {changes}"] if changes else []
    leaks = [f"Leakage: {leak} (leakage.tsv)." for leak in leakage.sentences(notes.overlaps, LARGE_SHARE)]
    warnings = [f"- {words}" for words in (*changed, *notes.shortfalls, *leaks, *_of_verdicts(families))]
    if not warnings:
        return []
    first, more = warnings[:_MOST_WARNINGS], warnings[_MOST_WARNINGS:]
    parts = ["**Warnings**\n\n" + "\n".join(first)]
    return [*parts, folded(count(len(more), "more warning"), "\n".join(more))] if more else parts


def _of_verdicts(families: Families) -> list[str]:
    """Primary comparisons whose gains are uneven, or that mostly rest on guesses."""
    warnings, guessed = [], []
    for line in families.primary.to_dict("records"):
        where = _where(line, families.design)
        if line["uneven"]:
            warnings.append(f"Uneven gains: {where}: `{line['uneven']}` alone makes more than half of the variation.")
        compared = compared_of(families, line)
        guesses = sum(both_at_chance(families.comparisons, pair, line["group"]) for pair in compared)
        if 2 * guesses > len(compared):
            guessed.append(f"{guesses} of {count(len(compared), 'pair')} ({where})")
    if guessed:
        warnings.append(f"No language is above the guess, with either mix, in {'; '.join(guessed)}.")
    return warnings


def _supervision(families: Families) -> list[str]:
    """In-language supervision, which is not zero-shot and no part of the verdict."""
    notes = []
    for line in families.secondary.to_dict("records"):
        if line["family"] == "in-language supervision":
            where = f"{setting(SUPERVISED)} {LANGUAGES[line['group']]}, "
            p_words = f", corrected p = {p_value(line['p_holm'])}"
            notes.append(
                f"- In-language supervision, not zero-shot: {where}`{line['mix']}` against `{families.design.against}` "
                f"{difference(line)}{'' if line['doubt'] else p_words} ({basis(line)})."
            )
    if len(notes) > _MOST_WARNINGS:
        return [folded("In-language supervision, not part of the verdict", "\n".join(notes))]
    return ["**Not part of the verdict**\n\n" + "\n".join(notes)] if notes else []


def _means(families: Families) -> list[str]:
    """The means behind the verdicts: with the reference, with the mix, and their difference."""
    design, lines = families.design, families.primary.to_dict("records")
    if not lines:
        return []
    rows = []
    for line in lines:
        compared, group = compared_of(families, line), line["group"]
        before, after = (
            average([families.comparisons.values(key)[pair.groups[group]] for pair, key in keys]).to_numpy().mean()
            for keys in ([(pair, pair.reference) for pair in compared], [(pair, pair.key) for pair in compared])
        )
        rows.append([_where(line, design), str(line["n_languages"]), f"{before:.1f}", f"{after:.1f}", difference(line)])
    mix = f"`{design.asked[0]}`" if len(design.asked) == 1 else "mix"
    text = table(["mean over pairs", "languages", f"`{design.against}`", mix, "difference"], rows)
    return [text if len(rows) <= LONG_TABLE else folded(f"The {len(rows)} means behind the verdicts", text)]


def _where(line: dict[str, Any], design: Design) -> str:
    """The languages of a comparison; its mix and encoder where there are several."""
    mix = f", `{line['mix']}`" if len(design.asked) > 1 else ""
    encoder = f", encoder `{line['encoder']}`" if len(design.encoders) > 1 else ""
    return f"{LANGUAGES[line['group']]}{mix}{encoder}"


def compared_of(families: Families, line: dict[str, Any]) -> list[Pair]:
    """The pairs that a line of `Families.primary` is the mean of."""
    kinds = families.design.question.pairs
    compared = pairs(families.comparisons, line["encoder"], line["mix"], kinds)
    return [pair for pair in compared if line["group"] in pair.groups]


def both_at_chance(comparisons: Comparisons, pair: Pair, group: str) -> bool:
    """No language of the group is above the guess, in the mix or in the reference."""
    return not any(comparisons.above_guess(key)[pair.groups[group]].any() for key in (pair.reference, pair.key))
