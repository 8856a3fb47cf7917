"""Rare languages in a target's own training: what they add there, to set beside what they add in the intermediate.

A target that is trained in other languages too is compared with its twin: the same task, trained in English alone, from
the same models. This is few-shot and no zero-shot transfer, so it is no part of the question.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from intermezzo.analysis.design import BASELINE, Design
from intermezzo.analysis.effects import average, statistics
from intermezzo.analysis.families import Families
from intermezzo.analysis.pairing import Key
from intermezzo.analysis.verdict import difference, p_value, significant
from intermezzo.core.markdown import long_table


def frame(families: Families) -> pd.DataFrame:
    """A line per encoder, target with a twin, models that both start from, and group of rare languages; one family.

    Columns: encoder, target, twin, metric; start (the mix of the intermediates, or `none`); group (`trained_in`: the
    languages of the target's training, `others`); n_models, languages (space-separated); before and after (means of
    twin and target, points); those of `effects.statistics`; p_holm.
    """
    lines = [line for encoder in families.design.encoders for line in _lines(families, encoder)]
    for line, p_holm in zip(lines, families.corrected(lines), strict=True):
        line["p_holm"] = p_holm
    return pd.DataFrame([{name: value for name, value in line.items() if name != "delta"} for line in lines])


def _lines(families: Families, encoder: str) -> Iterator[dict[str, Any]]:
    design, comparisons = families.design, families.comparisons
    for name, target in design.targets.items():
        twin = twin_of(design, name)
        if twin is None:
            continue
        shared = [code for code in target.languages if code in design.targets[twin].languages]
        rare = [code for code in shared if code in design.rare and code != design.english]
        groups = {
            "trained_in": [code for code in rare if code in target.trained_in],
            "others": [code for code in rare if code not in target.trained_in],
        }
        for (start, models), (group, codes) in product(_starts(design).items(), groups.items()):
            if not codes or not models:
                continue
            keys: list[Key] = [(encoder, *model, name, target.metrics[0]) for model in models]
            twins: list[Key] = [(*key[:3], twin, key[4]) for key in keys]
            both = zip(keys, twins, strict=True)
            delta = average([comparisons.difference(key, reference)[codes] for key, reference in both])
            before, after = (
                float(np.mean([comparisons.values(key)[codes].to_numpy().mean() for key in side]))
                for side in (twins, keys)
            )
            names = {"encoder": encoder, "target": name, "twin": twin, "metric": target.metrics[0], "start": start}
            names |= {"group": group, "n_models": len(models), "languages": " ".join(codes)}
            yield names | {"before": before, "after": after, "delta": delta} | statistics(delta, design)


def twin_of(design: Design, target: str) -> str | None:
    """The target of the same task and main metric that is trained in English alone; None for one that is so itself."""
    entry = design.targets[target]
    for name, twin in design.targets.items() if entry.trained_in else ():
        same = (twin.task, twin.trained_on, twin.metrics[0]) == (entry.task, entry.trained_on, entry.metrics[0])
        if same and not twin.trained_in:
            return name
    return None


def _starts(design: Design) -> dict[str, list[tuple[str, str]]]:
    """Mix, or `none` -> the (intermediate, mix) that targets start from."""
    mixes = [mix for mix in (design.against, *design.asked) if mix]
    starts = {mix: [pair for pair in design.trained() if pair[1] == mix and pair[0] != BASELINE] for mix in mixes}
    return {BASELINE: [pair for pair in design.trained() if pair[0] == BASELINE]} | starts


def blocks(families: Families) -> list[str]:
    """Markdown paragraphs; none where no target is trained in other languages than English."""
    lines: Sequence[Any] = frame(families).to_dict("records")
    if not lines:
        return []
    star, words = "\\*", {"trained_in": "rare, in the target's training", "others": "rare, not in it"}
    rows = [
        [
            f"{line['target']} ({line['metric']}) against {line['twin']}, `{line['encoder']}`",
            "no intermediate" if line["start"] == BASELINE else f"`{line['start']}`",
            f"{words[line['group']]} ({line['languages'].replace(' ', ', ')})",
            f"{line['before']:.1f} → {line['after']:.1f}, {difference(line)}" + (star if significant(line) else ""),
            p_value(line["p_holm"]),
        ]
        for line in lines
    ]
    return [
        "## Rare languages in the target's own training",
        "Targets that are trained in other languages than English, against the same task trained in English alone, "
        "each pair from the same models. This is few-shot, not zero-shot, and no part of the question. What the "
        "languages add in the intermediate is above.",
        long_table(
            "Targets trained in rare languages",
            ["target", "after intermediates in", "languages", "difference", "corrected p"],
            rows,
        ),
    ]
