"""Targets that are rivals of intermediate training: rare languages in the target's own training, translated test data.

Such a target is compared with its twin: the same task, trained in English alone and evaluated as it is, from the same
models. This is no zero-shot transfer, so it is no part of the question.
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
from intermezzo.analysis.pairing import Comparisons, Key
from intermezzo.analysis.verdict import difference, p_value, significant
from intermezzo.core.markdown import long_table
from intermezzo.specs.summary import Target

CURVE = ["encoder", "task", "metric", "start", "group", "shots", "score", "value", "low", "high"]
CURVE += ["n_languages", "n_seeds"]
"""Columns of the curve of shots."""


def frame(families: Families) -> pd.DataFrame:
    """A line per encoder, target with a twin, models that both start from, and group of rare languages; one family.

    Columns: encoder, method (`Design.method_of`), target, twin, metric; shots (examples of each language; NaN: not one
    number, inf: all); start (the mix of the intermediates, or `none`); group (`trained_in`: the languages of the
    target's training, `others`; all rare ones: `translated` of a target whose test data are translated, `adapted` of
    one that is trained with an adapter); n_models, languages (space-separated); before and after (means of twin and
    target, points); those of `effects.statistics`; p_holm.
    """
    lines = [line for encoder in families.design.encoders for line in _lines(families, encoder)]
    for line, p_holm in zip(lines, families.corrected(lines), strict=True):
        line["p_holm"] = p_holm
    return pd.DataFrame([{name: value for name, value in line.items() if name != "delta"} for line in lines])


def _lines(families: Families, encoder: str) -> Iterator[dict[str, Any]]:
    design, comparisons = families.comparisons.design.with_rivals(), families.comparisons
    for name, target in design.targets.items():
        twin = design.twin_of(name)
        if twin is None:
            continue
        shared = [code for code in target.languages if code in design.targets[twin].languages]
        rare = [code for code in shared if code in design.rare and code != design.english]
        groups = {
            "trained_in": [code for code in rare if code in target.trained_in],
            "others": [code for code in rare if code not in target.trained_in],
        }
        if target.translated or not target.trained_in:
            groups = {"translated" if target.translated else "adapted": rare}
        for (start, models), (group, codes) in product(_starts(design).items(), groups.items()):
            if not codes or not models or (target.baseline_only and start != BASELINE):
                continue
            keys: list[Key] = [(encoder, *model, name, target.metrics[0]) for model in models]
            names = {"encoder": encoder, "method": design.method_of(name), "target": name, "twin": twin}
            names |= {"metric": target.metrics[0], "shots": shots_of(target), "start": start, "group": group}
            yield names | _compared(comparisons, keys, [(*key[:3], twin, key[4]) for key in keys], codes)


def _compared(comparisons: Comparisons, keys: list[Key], references: list[Key], codes: list[str]) -> dict[str, Any]:
    """Results (`after`) against others (`before`), one by one, in some languages: means and the paired difference."""
    both = zip(keys, references, strict=True)
    delta = average([comparisons.difference(key, reference)[codes] for key, reference in both])
    before, after = (
        float(np.mean([comparisons.values(key)[codes].to_numpy().mean() for key in side]))
        for side in (references, keys)
    )
    numbers = {"n_models": len(keys), "languages": " ".join(codes), "before": before, "after": after, "delta": delta}
    return numbers | statistics(delta, comparisons.design)


def where_spent(families: Families) -> pd.DataFrame:
    """The same rare languages in the target's training or in the intermediate's: which serves them better?

    A line per encoder, few-shot target and mix of the question; one family. The few-shot target after English
    intermediates (`after`) is set against its twin after the same intermediates in the mix (`before`), over those that
    are trained on the target's own data. Languages are rare ones that both trainings have. How many examples each has
    is the configuration's affair. Columns: encoder, target, twin, metric, mix, n_models, languages, before, after;
    those of `effects.statistics`; p_holm.
    """
    design, comparisons = families.design, families.comparisons
    lines = []
    for encoder, (name, target), mix in product(design.encoders, design.targets.items(), design.asked):
        twin = design.twin_of(name) if target.trained_in and not target.baseline_only else None
        data = {target.task, *target.trained_on}
        intermediates = [
            label
            for label, entry in design.intermediates.items()
            if {mix, design.against} <= entry.mixes.keys() and not entry.control and data & {*entry.tasks}
        ]
        seen = {code for label in intermediates for code in design.intermediates[label].mixes[mix]}
        codes = [
            code for code in target.trained_in if code in design.rare and code in seen and code in target.languages
        ]
        if twin is None or not intermediates or not codes:
            continue
        keys: list[Key] = [(encoder, label, str(design.against), name, target.metrics[0]) for label in intermediates]
        references: list[Key] = [(encoder, label, mix, twin, target.metrics[0]) for label in intermediates]
        names = {"encoder": encoder, "target": name, "twin": twin, "metric": target.metrics[0], "mix": mix}
        lines.append(names | _compared(comparisons, keys, references, codes))
    for line, p_holm in zip(lines, families.corrected(lines), strict=True):
        line["p_holm"] = p_holm
    return pd.DataFrame([{name: value for name, value in line.items() if name != "delta"} for line in lines])


def shots_of(target: Target) -> float:
    """Few-shot examples of each language: inf for all, NaN where it is not one number."""
    numbers = {target.shots.get(code, 0) for code in target.trained_in}
    number = numbers.pop() if len(numbers) == 1 else 0
    return np.inf if number is None else number or np.nan


def curve(families: Families) -> pd.DataFrame:
    """The curve of shots: lines of `frame` with a number of shots, and before them those of 0, where nothing differs.

    Columns: encoder, task (the twin), metric, start, group, shots (inf: all), score (mean, points), value, low, high
    (difference from 0 shots, points), n_languages, n_seeds. Sorted by shots.
    """
    lines: list[dict[str, Any]] = []
    curves = frame(families)
    keys = ["encoder", "twin", "start", "group", "languages"]
    curves = curves[curves["shots"].notna() & curves["group"].isin(_FEW_SHOT[0])] if len(curves) else curves
    for _, part in curves.groupby(keys, sort=False) if len(curves) else ():
        part = part.sort_values("shots", kind="stable")
        first = part.iloc[0]
        names = {"encoder": first["encoder"], "task": first["twin"], "metric": first["metric"]}
        names |= {name: first[name] for name in ("start", "group")}
        size = {name: first[name] for name in ("n_languages", "n_seeds")}
        lines.append(
            names | {"shots": 0.0, "score": first["before"], "value": 0.0, "low": np.nan, "high": np.nan} | size
        )
        for line in part.to_dict("records"):
            numbers = {"shots": line["shots"], "score": line["after"], "value": line["mean"]}
            lines.append(names | numbers | {"low": line["low"], "high": line["high"]} | size)
    return pd.DataFrame(lines, columns=CURVE)


def _starts(design: Design) -> dict[str, list[tuple[str, str]]]:
    """Mix, or `none` -> the (intermediate, mix) that targets start from."""
    mixes = [mix for mix in (design.against, *design.asked) if mix]
    starts = {mix: [pair for pair in design.trained() if pair[1] == mix and pair[0] != BASELINE] for mix in mixes}
    return {BASELINE: [pair for pair in design.trained() if pair[0] == BASELINE]} | starts


def blocks(families: Families) -> list[str]:
    """Markdown paragraphs; none where no target is a rival of its twin."""
    lines: Sequence[Any] = frame(families).to_dict("records")
    words = {"trained_in": "rare, in the target's training", "others": "rare, not in it"}
    words |= dict.fromkeys(("translated", "adapted"), "rare")
    paragraphs = []
    for groups, heading, text, name in (_FEW_SHOT, _TRANSLATED, _ADAPTED):
        chosen = [line for line in lines if line["group"] in groups]
        if chosen:
            header = ["target", "after intermediates in", "languages", "difference", "corrected p"]
            rows = [_row(line, words) for line in sorted(chosen, key=_rank)]
            paragraphs += [f"## {heading}", text, long_table(name, header, rows)]
        if groups == _FEW_SHOT[0]:
            paragraphs += _where_spent(families)
    return paragraphs


def _where_spent(families: Families) -> list[str]:
    lines: Sequence[Any] = where_spent(families).to_dict("records")
    rows = [
        [
            f"{line['target']} after `{families.design.against}`, against {line['twin']} after `{line['mix']}` "
            f"({line['metric']}), `{line['encoder']}`",
            line["languages"].replace(" ", ", "),
            f"{line['before']:.1f} → {line['after']:.1f}, {difference(line)}" + ("\\*" if significant(line) else ""),
            p_value(line["p_holm"]),
        ]
        for line in lines
    ]
    text = (
        "Rare languages in the target's training after English intermediates, against the same languages in the "
        "intermediate and an English target. Intermediates are those on the target's own data. Above 0: the target is "
        "the better place. How many examples each place has, mixes and `shots` say."
    )
    header = ["in the target against in the intermediate", "languages", "difference", "corrected p"]
    return [text, long_table("Rare languages in the target or in the intermediate", header, rows)] if rows else []


_FEW_SHOT = (
    ("trained_in", "others"),
    "Rare languages in the target's own training",
    "Targets that are trained in other languages than English, against the same task trained in English alone, "
    "each pair from the same models. This is few-shot, not zero-shot, and no part of the question. What the "
    "languages add in the intermediate is above.",
    "Targets trained in rare languages",
)
_TRANSLATED = (
    ("translated",),
    "Test data translated into English",
    "Targets whose test data are translated into English, against the same models on the test data as they are. This "
    "is translate-test, not zero-shot, and no part of the question.",
    "Targets with translated test data",
)
_ADAPTED = (
    ("adapted",),
    "Adapters in the target's own training",
    "Targets whose training has an adapter in place of the encoder's weights, against the same task with all weights "
    "trained, each pair from the same models. This is no part of the question.",
    "Targets trained with an adapter",
)
"""Groups of lines, heading, introduction and name of a table."""


def _rank(line: dict[str, Any]) -> tuple[Any, ...]:
    """Few-shot targets of one task after one another by their shots, others in the order of the frame."""
    shots = line["shots"]
    few_shot = line["group"] in _FEW_SHOT[0]
    return (line["encoder"], line["twin"], shots if shots == shots else -1) if few_shot else ()


def _row(line: dict[str, Any], words: dict[str, str]) -> list[str]:
    star = "\\*" if significant(line) else ""
    return [
        f"{line['target']} ({line['metric']}) against {line['twin']}, `{line['encoder']}`",
        "no intermediate" if line["start"] == BASELINE else f"`{line['start']}`",
        f"{words[line['group']]} ({line['languages'].replace(' ', ', ')})",
        f"{line['before']:.1f} → {line['after']:.1f}, {difference(line)}" + star,
        p_value(line["p_holm"]),
    ]
