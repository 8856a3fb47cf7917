"""The answer in words: what a mix does for rare languages, against English-only intermediate training.

Every sentence is made from the numbers of `effects` and `breakdown`; "higher" and "lower" in bold are used only where
a paired difference stays different from zero after correction for all comparisons of its family (`verdict`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from intermezzo.analysis import breakdown_text, effects, power_text
from intermezzo.analysis.design import Design
from intermezzo.analysis.effects import GROUPS, Pair, overall, statistics
from intermezzo.analysis.intervals import estimate
from intermezzo.analysis.pairing import Comparisons, Key
from intermezzo.analysis.significance import smallest_p
from intermezzo.analysis.verdict import LEVEL, difference, p_value, verdict
from intermezzo.core.markdown import table
from intermezzo.core.numerals import count


def text(comparisons: Comparisons, development: pd.DataFrame | None = None) -> str:
    """The whole answer as Markdown; `development`: scores on development data (see `best_intermediate`), or None."""
    design = comparisons.design.without_controls()
    headline, single = effects.headline(comparisons), effects.per_pair(comparisons)
    baseline = effects.against_baseline(comparisons)
    blocks = [_question(design, effects.mixes(design), len(headline))]
    for encoder in design.encoders:
        for mix in effects.mixes(design):
            if pairs := effects.pairs(comparisons, encoder, mix):
                parts = [frame[(frame["encoder"] == encoder) & (frame["mix"] == mix)] for frame in (headline, single)]
                blocks += _mix(comparisons, design, pairs, *parts, (len(headline), len(single)))
        if len(baseline):
            blocks += _against_baseline(encoder, baseline)
        blocks += _at_chance(comparisons, design, encoder)
    blocks += breakdown_text.blocks(comparisons, development)
    blocks.append(_limits(design, len(single)))
    return "\n\n".join(blocks) + "\n"


def _question(design: Design, mixes: Sequence[str], family: int) -> str:
    question = (
        "Does intermediate-task training on a mix of English and rare languages improve zero-shot results in rare "
        "languages, compared with English-only intermediate training?"
    )
    if not design.english_mix or not mixes:
        question += "\n\nThis experiment cannot answer it: it needs an English-only mix and at least one other mix."
    return (
        f"# The answer of this experiment\n\n**Question.** {question}\n\n"
        "All figures are points (0 to 100) of a target's main metric; differences are paired by seed and language, "
        f"with 95 % intervals in brackets that allow for other seeds and other languages. Corrected p: Holm's, over "
        f"the {count(family, 'comparison')} that are named in bold below (encoders x mixes x groups of languages). "
        "How, and how well it is calibrated: docs/statistics.md."
    )


def _mix(
    comparisons: Comparisons,
    design: Design,
    pairs: Sequence[Pair],
    headline: pd.DataFrame,
    single: pd.DataFrame,
    families: tuple[int, int],
) -> list[str]:
    kinds = sorted({pair.kind for pair in pairs})
    columns = {"all": pairs} | {kind: [p for p in pairs if p.kind == kind] for kind in kinds if len(kinds) > 1}
    lines = {line["group"]: line for line in headline.to_dict("records")}
    rows, sentences = [], []
    for group, words in GROUPS.items():
        if group not in lines:
            sentences.append(f"- **{words}**: no such language here.")
            continue
        line, in_group = lines[group], single[single["group"] == group]
        chance = sum(_uninformative(comparisons, pair, group) for pair in pairs if group in pair.groups)
        sentences.append(
            f"- **{words}** ({line['languages'].replace(' ', ', ')}): {verdict(line, families[0])}. By their own "
            f"intervals, of {count(len(in_group), 'pair')} {(in_group['low'] > 0).sum()} higher and "
            f"{(in_group['high'] < 0).sum()} "
            f"lower; {chance} at chance in both mixes."
        )
        sentences += [f"  - {detail}" for detail in power_text.details(line, families[0])]
        averaged = [[pair for pair in column if group in pair.groups] for column in columns.values()]
        cells = [difference(statistics(overall(column, group))) if column else "" for column in averaged]
        rows.append([words, str(line["n_languages"]), *cells])
    intermediates, targets = sorted({pair.intermediate for pair in pairs}), sorted({pair.target for pair in pairs})
    undecided = [line for line in lines.values() if not line["p_holm"] < LEVEL]
    return [
        f"## `{pairs[0].key[2]}` against `{design.english_mix}`, encoder `{pairs[0].key[0]}`",
        f"Mean over the pairs of {count(len(intermediates), 'intermediate')} ({', '.join(intermediates)}) and "
        f"{count(len(targets), 'target')} ({', '.join(targets)}), with {count(len(design.seeds), 'seed')}:",
        "\n".join(sentences),
        *power_text.power_table(undecided, families[0]),
        "The same, and split by what the target has to do with the intermediate (no p, no correction):",
        table(["languages", "number", *columns], rows),
        f"Per pair: the mean with `{design.english_mix}`, with `{pairs[0].key[2]}`, and the difference; \\* = "
        f"corrected p below {LEVEL} (over {families[1]} such differences), † = both at chance.",
        table(["intermediate", "target", *GROUPS.values()], [_row(comparisons, pair, single) for pair in pairs]),
    ]


def _row(comparisons: Comparisons, pair: Pair, single: pd.DataFrame) -> list[str]:
    of_pair = single[(single["intermediate"] == pair.intermediate) & (single["target"] == pair.target)]
    lines = {line["group"]: line for line in of_pair.to_dict("records")}
    row = [pair.intermediate, f"{pair.target} ({pair.key[4]}{', same task' if pair.kind == 'same task' else ''})"]
    for group in GROUPS:
        if group not in lines:
            row.append("")
            continue
        line = lines[group]
        marks = ("\\*" if line["p_holm"] < LEVEL else "") + (" †" if _uninformative(comparisons, pair, group) else "")
        row.append(f"{line['before']:.1f} → {line['after']:.1f}, {difference(line)}{marks}")
    return row


def _against_baseline(encoder: str, frame: pd.DataFrame) -> list[str]:
    rows = []
    for (intermediate, mix), part in frame[frame["encoder"] == encoder].groupby(["intermediate", "mix"], sort=False):
        lines = {line["group"]: line for line in part.to_dict("records")}
        marks = {group: "\\*" if line["p_holm"] < LEVEL else "" for group, line in lines.items()}
        cells = [difference(lines[g]) + marks[g] if g in lines else "" for g in ("english", "rare", "other")]
        rows.append([intermediate, mix, *cells])
    return [
        f"## Against no intermediate training, encoder `{encoder}`",
        "Mean difference over all targets; this says whether intermediate training itself helps. "
        f"\\* = corrected p below {LEVEL} (over the {count(len(frame), 'difference')} of this kind).",
        table(["intermediate", "mix", "English", "rare", "other"], rows),
    ]


def _uninformative(comparisons: Comparisons, pair: Pair, group: str) -> bool:
    return all(_is_chance(comparisons, key, pair.groups[group]) for key in (pair.reference, pair.key))


def _at_chance(comparisons: Comparisons, design: Design, encoder: str) -> list[str]:
    """Targets where nothing was learnt: a difference between two guesses says nothing."""
    lines = []
    for name, target in design.targets.items():
        for group in ("english", "rare", "other"):
            at_chance = []
            for intermediate, mix in design.trained():
                key = (encoder, intermediate, mix, name, target.metrics[0])
                splits = [split for split in design.groups(intermediate, mix, name) if split.name == group]
                at_chance += [_is_chance(comparisons, key, list(split.languages)) for split in splits]
            if at_chance and all(at_chance):
                lines.append(f"- `{name}`, {group}: no model is above the uninformed guess; uninformative.")
            elif sum(at_chance) * 2 >= len(at_chance) > 0:
                counts = f"{sum(at_chance)} of {len(at_chance)}"
                lines.append(f"- `{name}`, {group}: {counts} models are at chance; read with care.")
    return [
        f"## Where results are at chance, encoder `{encoder}`",
        "A mean counts as chance when it exceeds the uninformed guess (most frequent label or tag, fixed answer, one "
        "in n) by no more than twice its standard error, over seeds and languages or, if that is larger, for test sets "
        "of this size. A difference of two guesses says nothing; such targets stay in the averages and dilute them.",
        "\n".join(lines) or "None: on every target, in every language group, most models are above chance.",
    ]


def _is_chance(comparisons: Comparisons, key: Key, languages: list[str]) -> bool:
    above = estimate(comparisons.above_chance(key)[languages].to_numpy())
    return above.mean <= 2 * float(np.fmax(above.error, comparisons.sampling_error(key, languages)))


def _limits(design: Design, differences: int) -> str:
    seeds = len(design.seeds)
    few = {
        1: "One seed cannot show how much a repetition would differ: every interval and p here is over languages "
        "alone, and speaks of this seed only. A second seed is the first thing to add.",
        2: "Two seeds tell little about how much seeds differ. Intervals are wide for that reason, and still, in "
        "simulations, hold the truth in 92 to 100 of 100 cases, depending on the variances: with two seeds no method "
        "holds 95 for all of them. A difference that they cannot show may still be there; more seeds are the first "
        "thing to add.",
    }.get(seeds, f"{seeds} seeds stand behind each figure; the intervals allow for so few.")
    flips = (
        ""
        if seeds == 1
        else (
            f"{seeds} seeds cannot support a p-value below {p_value(smallest_p(seeds))} without assumptions (by sign "
            "flips of seeds); the p-values given rest on normally distributed differences."
        )
    )
    points = [
        few,
        flips,
        "Seeds repeat the intermediate and target training, not the encoder's pretraining: nothing here says how "
        "another encoder would behave.",
        "A target marked *same task* is also a task of the intermediate: there, seen languages had labelled data of "
        "that very task, and the gain is not zero-shot in the strict sense.",
        "Intervals treat the targets as given and a group's languages as a sample; where a group is one language, "
        "they speak of that language and its test set only.",
        "Brackets are intervals of single differences: without any effect one in twenty of them would leave out zero. "
        f"That is what the correction is for (per pair: {count(differences, 'difference')})."
        if differences
        else "",
    ]
    return "## What these numbers cannot say\n\n" + "\n".join(f"- {point}" for point in points if point)
