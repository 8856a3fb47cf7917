"""The answer in words: what a mix does for rare languages, against English-only intermediate training.

Every sentence is made from the numbers; the words "higher" and "lower" are used only where the interval of a paired
difference leaves out zero. Controls have no part in it. Averages over targets use each target's main metric and count
every language once: a language's difference is the mean over the (intermediate, target) pairs that have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from intermezzo.analysis.comparisons import Comparisons, Key
from intermezzo.analysis.design import BASELINE, Design
from intermezzo.analysis.intervals import Estimate, estimate

GROUPS = {
    "rare_seen": "rare, seen in the mix",
    "rare_unseen": "rare, not in the mix",
    "other": "other",
    "english": "English",
}


@dataclass(frozen=True)
class Pair:
    """One intermediate and target, in a mix (`key`) and in the English-only one (`reference`).

    delta: their difference, seeds x languages. groups: name -> languages. kind: what the target is to the intermediate.
    """

    key: Key
    reference: Key
    delta: pd.DataFrame
    groups: dict[str, list[str]]
    kind: str

    @property
    def intermediate(self) -> str:
        return self.key[1]

    @property
    def target(self) -> str:
        return self.key[3]

    def of(self, group: str) -> pd.DataFrame:
        return self.delta[self.groups[group]]


def text(comparisons: Comparisons) -> str:
    """The whole answer as Markdown."""
    design = comparisons.design.without_controls()
    mixes = sorted({mix for name, mix in design.trained() if name != BASELINE} - {design.english_mix})
    blocks = [_question(design, mixes)]
    differences = 0
    for encoder in design.encoders:
        for mix in mixes:
            if pairs := _pairs(comparisons, design, encoder, mix):
                blocks += _mix(comparisons, design, encoder, mix, pairs)
                differences += sum(group in pair.groups for pair in pairs for group in GROUPS)
        blocks += _against_baseline(comparisons, design, encoder)
        blocks += _at_chance(comparisons, design, encoder)
    blocks.append(_limits(len(design.seeds), differences))
    return "\n\n".join(blocks) + "\n"


def _question(design: Design, mixes: Sequence[str]) -> str:
    asked = (
        "Does intermediate-task training on a mix of English and rare languages improve zero-shot results in rare "
        "languages, compared with English-only intermediate training?"
    )
    if not design.english_mix or not mixes:
        asked += "\n\nThis experiment cannot answer it: it needs an English-only mix and at least one other mix."
    return (
        f"# The answer of this experiment\n\n**Question.** {asked}\n\n"
        "All figures are points (0 to 100) of a target's main metric; differences are paired by seed and language, "
        "with 95 % intervals in brackets."
    )


def _pairs(comparisons: Comparisons, design: Design, encoder: str, mix: str) -> list[Pair]:
    """Every (intermediate, target) that was trained in both `mix` and the English-only mix."""
    pairs = []
    for intermediate, one in design.intermediates.items():
        for name, target in design.targets.items() if mix in one.mixes else ():
            key = (encoder, intermediate, mix, name, target.metrics[0])
            delta, reference = comparisons.delta_english(key), comparisons.english(key)
            if delta is not None and reference is not None:
                groups = {group.name: list(group.languages) for group in design.groups(intermediate, mix, name)}
                other = "retrieval" if target.format == "retrieval" else "other task"
                kind = "same task" if target.task in one.tasks else other
                pairs.append(Pair(key, reference, delta, groups, kind))
    return pairs


def _mix(comparisons: Comparisons, design: Design, encoder: str, mix: str, pairs: Sequence[Pair]) -> list[str]:
    kinds = sorted({pair.kind for pair in pairs})
    columns = {"all": pairs} | {kind: [p for p in pairs if p.kind == kind] for kind in kinds if len(kinds) > 1}
    rows, sentences = [], []
    for group, words in GROUPS.items():
        having = [pair for pair in pairs if group in pair.groups]
        if not having:
            sentences.append(f"- **{words}**: no such language here.")
            continue
        languages = sorted({language for pair in having for language in pair.groups[group]})
        each = [estimate(pair.of(group).to_numpy()) for pair in having]
        sentences.append(
            f"- **{words}** ({', '.join(languages)}): {_words(_overall(having, group))}. By their own intervals, of "
            f"{_count(each, 'pair')} {sum(one.low > 0 for one in each)} higher and {sum(one.high < 0 for one in each)} "
            f"lower; {sum(_uninformative(comparisons, pair, group) for pair in having)} at chance in both mixes."
        )
        shown = [[pair for pair in some if group in pair.groups] for some in columns.values()]
        rows.append([words, str(len(languages)), *(_short(_overall(some, group)) if some else "" for some in shown)])
    trained, tested = sorted({pair.intermediate for pair in pairs}), sorted({pair.target for pair in pairs})
    return [
        f"## `{mix}` against `{design.english_mix}`, encoder `{encoder}`",
        f"Mean over the pairs of {_count(trained, 'intermediate')} ({', '.join(trained)}) and "
        f"{_count(tested, 'target')} ({', '.join(tested)}), with {_count(design.seeds, 'seed')}:",
        "\n".join(sentences),
        "The same, and split by what the target has to do with the intermediate:",
        _table(["languages", "number", *columns], rows),
        f"Per pair: the mean with `{design.english_mix}`, with `{mix}`, and the difference; † = both at chance.",
        _table(["intermediate", "target", *GROUPS.values()], [_details(comparisons, pair) for pair in pairs]),
    ]


def _details(comparisons: Comparisons, pair: Pair) -> list[str]:
    row = [pair.intermediate, f"{pair.target} ({pair.key[4]}{', same task' if pair.kind == 'same task' else ''})"]
    for group in GROUPS:
        if group not in pair.groups:
            row.append("")
            continue
        before, after = (
            comparisons.values(key)[pair.groups[group]].to_numpy().mean() for key in (pair.reference, pair.key)
        )
        mark = " †" if _uninformative(comparisons, pair, group) else ""
        row.append(f"{before:.1f} → {after:.1f}, {_short(estimate(pair.of(group).to_numpy()))}{mark}")
    return row


def _uninformative(comparisons: Comparisons, pair: Pair, group: str) -> bool:
    return all(_is_chance(comparisons, key, pair.groups[group]) for key in (pair.reference, pair.key))


def _overall(pairs: Sequence[Pair], group: str) -> Estimate:
    return _mean([pair.of(group) for pair in pairs])


def _mean(parts: Sequence[pd.DataFrame]) -> Estimate:
    """The mean over several differences, first per seed and language over those that have the language."""
    return estimate(pd.concat(parts).groupby(level=0).mean().to_numpy())


def _against_baseline(comparisons: Comparisons, design: Design, encoder: str) -> list[str]:
    if BASELINE not in design.intermediates:
        return []
    rows = []
    for intermediate, mix in design.trained():
        parts: dict[str, list[pd.DataFrame]] = {"english": [], "rare": [], "other": []}
        for name, target in design.targets.items() if intermediate != BASELINE else ():
            delta = comparisons.delta_baseline((encoder, intermediate, mix, name, target.metrics[0]))
            for group in design.groups(intermediate, mix, name):
                if group.name in parts:
                    parts[group.name].append(delta[list(group.languages)])
        if any(parts.values()):
            rows.append([intermediate, mix, *(_short(_mean(some)) if some else "" for some in parts.values())])
    return [
        f"## Against no intermediate training, encoder `{encoder}`",
        "Mean difference over all targets; this says whether intermediate training itself helps.",
        _table(["intermediate", "mix", "English", "rare", "other"], rows),
    ]


def _at_chance(comparisons: Comparisons, design: Design, encoder: str) -> list[str]:
    """Targets where nothing was learnt: a difference between two guesses says nothing."""
    lines = []
    for name, target in design.targets.items():
        for group in ("english", "rare", "other"):
            weak = []
            for intermediate, mix in design.trained():
                found = [one for one in design.groups(intermediate, mix, name) if one.name == group]
                key = (encoder, intermediate, mix, name, target.metrics[0])
                weak += [_is_chance(comparisons, key, list(one.languages)) for one in found]
            if weak and all(weak):
                lines.append(f"- `{name}`, {group}: no model is above the uninformed guess; uninformative.")
            elif sum(weak) * 2 >= len(weak) > 0:
                lines.append(f"- `{name}`, {group}: {sum(weak)} of {len(weak)} models are not; read with care.")
    return [
        f"## Where results are at chance, encoder `{encoder}`",
        "A mean counts as chance when it exceeds the uninformed guess (most frequent label or tag, fixed answer, one "
        "in n) by no more than twice its standard error, over seeds and languages or, if that is larger, for test sets "
        "of this size. A difference of two guesses says nothing; such targets stay in the averages and dilute them.",
        "\n".join(lines) or "None: on every target, in every language group, most models are above chance.",
    ]


def _is_chance(comparisons: Comparisons, key: Key, languages: list[str]) -> bool:
    found = estimate(comparisons.above_chance(key)[languages].to_numpy())
    return found.mean <= 2 * float(np.fmax(found.error, comparisons.sampling_error(key, languages)))


def _limits(seeds: int, differences: int) -> str:
    few = {
        1: "One seed cannot show how much a repetition would differ: every interval here is over languages alone.",
        2: "Two seeds tell little about how much seeds differ, and intervals are wide for that reason: a difference "
        "that they cannot show may still be there.",
    }.get(seeds, f"{seeds} seeds stand behind each figure; the intervals allow for so few.")
    points = [
        f"{few} More seeds are the first thing to add.",
        "Seeds repeat the intermediate and target training, not the encoder's pretraining: nothing here says how "
        "another encoder would behave.",
        "A target marked *same task* is also a task of the intermediate: there, seen languages had labelled data of "
        "that very task, and the gain is not zero-shot in the strict sense.",
        "Intervals treat the targets as given and a group's languages as a sample; where a group is one language, "
        "they speak of that language only.",
    ]
    if differences:
        points.append(
            f"Differences shown per intermediate, target and group: {differences}, uncorrected; "
            "without any effect one in twenty of their intervals would leave out zero."
        )
    return "## What these numbers cannot say\n\n" + "\n".join(f"- {point}" for point in points)


def _words(found: Estimate) -> str:
    if np.isnan(found.low):
        return f"{_short(found)}, one seed and one language: no interval, so nothing can be said"
    if found.low > 0:
        return f"**higher** with the mix, {_short(found)}"
    if found.high < 0:
        return f"**lower** with the mix, {_short(found)}"
    return f"no difference can be shown, {_short(found)}"


def _short(found: Estimate) -> str:
    value = f"{found.mean:+.1f}"
    shown = value if np.isnan(found.low) else f"{value} [{found.low:.1f}, {found.high:.1f}]"
    return re.sub(r"-(?=0\.0\b)", "", shown)


def _count(things: Sequence[object], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
