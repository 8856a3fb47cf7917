"""The answer's section on prompted language models: what they score, and how they compare with the trained encoders."""

from __future__ import annotations

import pandas as pd

from intermezzo.analysis.design import BASELINE
from intermezzo.analysis.families import Families
from intermezzo.analysis.verdict import LANGUAGES, LEVEL, difference, p_value, significant
from intermezzo.core.markdown import long_table
from intermezzo.core.numerals import count

_GROUPS = ("english", "rare", "other")


def blocks(families: Families) -> list[str]:
    """Paragraphs of Markdown; none where no language model is prompted."""
    design = families.design
    if not design.prompted:
        return []
    return [
        "## Prompted language models",
        "Nothing is trained: a language model is shown each test row as a prompt. Points, by groups of languages; in "
        "brackets an uninformed guess, and in how many languages the score is above it by more than two standard "
        "errors of a test set of its size.",
        long_table(
            "Prompted language models", ["model", "target", *(LANGUAGES[g] for g in _GROUPS)], _scores(families)
        ),
        *_compared(families),
    ]


def _scores(families: Families) -> list[list[str]]:
    design, comparisons, rows = families.design, families.comparisons, []
    for model, entry in design.prompted.items():
        for target in entry.targets:
            if target not in design.targets:
                continue
            metric = design.targets[target].metrics[0]
            key = (model, BASELINE, BASELINE, target, metric)
            values, guess, above = (
                comparisons.values(key).mean(),
                comparisons.majority(key),
                comparisons.above_guess(key),
            )
            groups = {group.name: list(group.languages) for group in design.groups_of_prompted(model, target)}
            cells = [
                f"{values[codes].mean():.1f} ({guess[codes].mean():.1f}; {int(above[codes].sum())} of {len(codes)})"
                if (codes := groups.get(group, []))
                else ""
                for group in _GROUPS
            ]
            rows.append([f"`{model}`", f"`{target}` ({metric})", *cells])
    return rows


def _compared(families: Families) -> list[str]:
    """The family of differences from each encoder."""
    frame: pd.DataFrame = families.prompted
    if frame.empty:
        return []
    rows = []
    for (model, encoder, against), part in frame.groupby(["model", "encoder", "against"], sort=False):
        lines = {line["group"]: line for line in part.to_dict("records")}
        cells = [
            f"{difference(line)}, p = {p_value(line['p_holm'])}" + ("\\*" if significant(line) else "")
            if (line := lines.get(group)) is not None
            else ""
            for group in _GROUPS
        ]
        name = "no intermediate" if against == BASELINE else f"`{against}`"
        rows.append([f"`{model}`", f"`{encoder}`, {name}", *cells])
    return [
        "The prompted model minus the trained encoder, mean over the targets that both have (a secondary family of "
        f"{count(len(frame), 'difference')}, corrected by itself; \\* = corrected p below {LEVEL}). `no intermediate`: "
        "the target's own training alone; a mix: the mean over its intermediates. Intervals allow for seeds of the "
        "trained models and for languages, not for other prompts: another wording can change a score by many points.",
        long_table("Prompted minus trained", ["model", "encoder", *(LANGUAGES[group] for group in _GROUPS)], rows),
    ]
