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

from intermezzo.analysis.comparisons import Comparisons
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
    """One (intermediate, target) and its difference per seed and language, mix against reference."""

    intermediate: str
    target: str
    delta: pd.DataFrame
    groups: dict[str, list[str]]
    kind: str

    def of(self, group: str) -> pd.DataFrame | None:
        return self.delta[self.groups[group]] if group in self.groups else None


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
            delta = comparisons.delta_english((encoder, intermediate, mix, name, target.metrics[0]))
            if delta is not None:
                groups = {group.name: list(group.languages) for group in design.groups(intermediate, mix, name)}
                other = "retrieval" if target.format == "retrieval" else "other task"
                kind = "same task" if target.task in one.tasks else other
                pairs.append(Pair(intermediate, name, delta, groups, kind))
    return pairs


def _mix(comparisons: Comparisons, design: Design, encoder: str, mix: str, pairs: Sequence[Pair]) -> list[str]:
    against = f"`{mix}` against `{design.english_mix}`"
    kinds = sorted({pair.kind for pair in pairs})
    columns = {"all": pairs} | {kind: [p for p in pairs if p.kind == kind] for kind in kinds if len(kinds) > 1}
    rows, sentences = [], []
    for group, words in GROUPS.items():
        overall = _overall(pairs, group)
        if overall is None:
            sentences.append(f"- **{words}**: no such language here.")
            continue
        found, languages = overall
        each = [estimate(part.to_numpy()) for pair in pairs if (part := pair.of(group)) is not None]
        sentences.append(
            f"- **{words}** ({', '.join(languages)}): {_words(found)}; of {_count(each, 'pair')}, "
            f"{sum(one.low > 0 for one in each)} higher and {sum(one.high < 0 for one in each)} lower by its interval."
        )
        shown = [_overall(some, group) for some in columns.values()]
        rows.append([words, str(len(languages)), *(_short(one[0]) if one else "" for one in shown)])
    trained, tested = sorted({pair.intermediate for pair in pairs}), sorted({pair.target for pair in pairs})
    return [
        f"## {against}, encoder `{encoder}`",
        f"Mean over {_count(trained, 'intermediate')} ({', '.join(trained)}), {_count(tested, 'target')} "
        f"({', '.join(tested)}) and {_count(design.seeds, 'seed')}:",
        "\n".join(sentences),
        "The same, and split by what the target has to do with the intermediate:",
        _table(["languages", "number", *columns], rows),
        f"Per intermediate and target: the mean with `{design.english_mix}`, with `{mix}`, and the difference.",
        _table(["intermediate", "target", *GROUPS.values()], _details(comparisons, encoder, mix, pairs)),
    ]


def _overall(pairs: Sequence[Pair], group: str) -> tuple[Estimate, list[str]] | None:
    parts = [part for pair in pairs if (part := pair.of(group)) is not None]
    return (_mean(parts), sorted({language for part in parts for language in part})) if parts else None


def _mean(parts: Sequence[pd.DataFrame]) -> Estimate:
    """The mean over several differences, first per seed and language over those that have the language."""
    return estimate(pd.concat(parts).groupby(level=0).mean().to_numpy())


def _details(comparisons: Comparisons, encoder: str, mix: str, pairs: Sequence[Pair]) -> list[list[str]]:
    rows = []
    for pair in pairs:
        metric = comparisons.design.targets[pair.target].metrics[0]
        row = [pair.intermediate, f"{pair.target} ({metric}{', same task' if pair.kind == 'same task' else ''})"]
        for group in GROUPS:
            part = pair.of(group)
            if part is None:
                row.append("")
                continue
            mixed = comparisons.values((encoder, pair.intermediate, mix, pair.target, metric))[pair.groups[group]]
            before, after = (mixed - part).to_numpy().mean(), mixed.to_numpy().mean()
            row.append(f"{before:.1f} → {after:.1f}, {_short(estimate(part.to_numpy()))}")
        rows.append(row)
    return rows


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
                above = comparisons.above_chance((encoder, intermediate, mix, name, target.metrics[0]))
                weak += [_is_chance(above[list(one.languages)].to_numpy()) for one in found]
            if weak and all(weak):
                lines.append(f"- `{name}`, {group}: no model is above the uninformed guess; uninformative.")
            elif sum(weak) * 2 >= len(weak) > 0:
                lines.append(f"- `{name}`, {group}: {sum(weak)} of {len(weak)} models are not; read with care.")
    return [
        f"## Where results are at chance, encoder `{encoder}`",
        "A mean counts as chance when it exceeds the uninformed guess (most frequent label or tag, fixed answer, one "
        "in n) by less than twice its standard error over seeds and languages. Such targets stay in the averages.",
        "\n".join(lines) or "None: on every target, in every language group, most models are above chance.",
    ]


def _is_chance(above: np.ndarray) -> bool:
    found = estimate(above)
    return found.mean <= 0 or found.mean < 2 * found.error


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
            f"Differences shown per intermediate, target and group: {differences}, uncorrected; about "
            f"{differences * 0.05:.0f} of them would leave out zero by luck alone."
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
