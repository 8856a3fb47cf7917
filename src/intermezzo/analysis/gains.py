"""The gain of each language, what goes with it, and how it differs between encoders: descriptions, none of them tested.

A gain is a mix minus the reference, mean over the pairs that the question counts. What may go with it: whether the mix
has the language, or a related one (family or branch, script), how far the nearest one is (`languages.distances`), how
many subwords a word has, and whether the encoder's pretraining has read the language. Each predictor is fitted by
itself (least squares) and, where there are five languages for each, all together. The interval of a slope is the wider
one of the usual and of one whose errors are common to a family (Liang and Zeger 1986, Biometrika 73), as for the means
of `intervals`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from intermezzo.analysis.breakdown import mixed_languages
from intermezzo.analysis.design import Design
from intermezzo.analysis.effects import GROUPS, Pair, overall, pairs, statistics
from intermezzo.analysis.families import Families
from intermezzo.analysis.intervals import effective_families

PREDICTORS = {
    "in_mix": "in the mix",
    "family": "another language of its family (or branch) in the mix",
    "script": "another language with its script in the mix, not English",
    "distance": "distance to the nearest other language in the mix, not English (`languages.distances`), per unit",
    "fertility": "subwords per word, per subword more",
    "pretrained": "in the encoder's pretraining",
}
FEWEST = 5
"""Languages per predictor that a fit needs."""


def by_language(families: Families) -> pd.DataFrame:
    """The gain of every language but English. Columns: encoder, mix, language, group, n_pairs, before, after, and those
    of `effects.statistics` (of one language: the interval is over seeds and, where known, test items).

    A language that some intermediates' mixes have and others do not has a line for either group.
    """
    comparisons, design, lines = families.comparisons, families.design, []
    for encoder, mix in product(design.encoders, design.asked):
        compared = pairs(comparisons, encoder, mix, design.question.pairs)
        for group in [name for name in GROUPS if name != "english"]:
            for code in dict.fromkeys(code for pair in compared for code in pair.groups.get(group, ())):
                alone = [_alone(pair, code) for pair in compared if code in pair.groups.get(group, ())]
                before, after = (
                    float(np.mean([comparisons.values(key)[code].mean() for key in keys]))
                    for keys in ([p.reference for p in alone], [p.key for p in alone])
                )
                names = {"encoder": encoder, "mix": mix, "language": code, "group": group, "n_pairs": len(alone)}
                items = comparisons.items.error(alone, code)
                names |= {"before": before, "after": after}
                lines.append(names | statistics(overall(alone, code), design, items))
    return pd.DataFrame(lines)


def _alone(pair: Pair, code: str) -> Pair:
    return replace(pair, groups={code: [code]})


def over_encoders(families: Families) -> pd.DataFrame:
    """The primary comparisons with encoders as repetitions, where there are several.

    Columns: mix, group, encoders (number), mean, low, high (95 %, Student's t over the encoders' means: their seeds and
    languages are taken as given), above (encoders with a mean above zero).
    """
    frame, lines = families.primary, []
    for (mix, group), part in frame.groupby(["mix", "group"], sort=False) if len(frame) else ():
        means = part["mean"].to_numpy()
        if len(means) > 1:
            half = float(stdtrit(len(means) - 1, 0.975) * means.std(ddof=1) / np.sqrt(len(means)))
            line = {"mix": mix, "group": group, "encoders": len(means), "mean": float(means.mean())}
            lines.append(line | {"low": line["mean"] - half, "high": line["mean"] + half, "above": int(sum(means > 0))})
    return pd.DataFrame(lines)


def regressions(families: Families) -> pd.DataFrame:
    """Slopes of the gain on `PREDICTORS`: columns encoder, mix, predictor, fit (alone, together), n_languages, slope
    (points), low, high (95 %).

    A predictor that is not known of a language leaves that language out; one without any variation is left out.
    """
    comparisons, design, lines = families.comparisons, families.design, []
    for encoder, mix in product(design.encoders, design.asked):
        compared = pairs(comparisons, encoder, mix, design.question.pairs)
        groups = [name for name in GROUPS if name != "english"]
        parts = [pair.of(group) for pair in compared for group in groups if group in pair.groups]
        if not parts:
            continue
        gain = pd.concat(parts).groupby(level=0).mean().mean()
        known = _predictors(
            design, mix, list(gain.index), comparisons.fertility(encoder), design.pretrained.get(encoder, {})
        )
        table = pd.DataFrame({name: values for name, values in known.items() if len(set(values.values())) > 1})
        fits = [("alone", [name]) for name in table]
        fits += [("together", list(table))] if table.shape[1] > 1 else []
        for fit, names in fits:
            complete = table[names].dropna().astype(float)
            complete = complete[[name for name in names if complete[name].nunique() > 1]]
            if len(complete) >= FEWEST * complete.shape[1] > 0 and (fit == "alone" or complete.shape[1] > 1):
                codes = list(complete.index)
                slopes = slopes_of(gain[codes].to_numpy(), complete.to_numpy(), design.families(codes))
                for name, (slope, half) in zip(complete, slopes, strict=False):  # none where they cannot be told apart
                    line = {"encoder": encoder, "mix": mix, "predictor": name, "fit": fit, "n_languages": len(codes)}
                    lines.append(line | {"slope": slope, "low": slope - half, "high": slope + half})
    return pd.DataFrame(lines)


def slopes_of(values: np.ndarray, predictors: np.ndarray, families: Sequence[str]) -> list[tuple[float, float]]:
    """Least squares with an intercept: per predictor its slope and half the width of the 95 % interval.

    values: one per language; predictors: languages x predictors. Nothing where the predictors determine one another.
    """
    design = np.column_stack([np.ones(len(values)), predictors])
    number, parameters = design.shape
    if np.linalg.matrix_rank(design) < parameters or number <= parameters:
        return []
    inverse = np.linalg.inv(design.T @ design)
    slopes = inverse @ design.T @ values
    rest = values - design @ slopes
    usual = stdtrit(number - parameters, 0.975) ** 2 * np.diag(inverse) * (rest @ rest) / (number - parameters)
    _, members = np.unique(list(families), return_inverse=True)
    sizes = np.bincount(members)
    clustered = np.zeros(parameters)
    if 1 < len(sizes) < number:
        scores = np.zeros((len(sizes), parameters))
        np.add.at(scores, members, design * rest[:, None])
        weight = len(sizes) / (len(sizes) - 1) * (number - 1) / (number - parameters)
        freedom = max(effective_families(sizes) - 1, 1.0)
        clustered = stdtrit(freedom, 0.975) ** 2 * weight * np.diag(inverse @ scores.T @ scores @ inverse)
    half = np.sqrt(np.maximum(usual, clustered))
    return [(float(slope), float(width)) for slope, width in zip(slopes[1:], half[1:], strict=True)]


def _predictors(
    design: Design, mix: str, languages: Sequence[str], fertility: pd.Series, pretrained: Mapping[str, bool]
) -> dict[str, dict[str, Any]]:
    """Name -> language -> value (0 or 1, or a number), of those languages of which it is known."""
    seen = mixed_languages(design, mix) - {design.english}
    table = design.attributes
    family = dict(zip(languages, design.families(languages), strict=True))
    of_mix = dict(zip(sorted(seen), design.families(sorted(seen)), strict=True))
    scripts = {code: table[code].script for code in seen if code in table}
    known = [code for code in languages if code in table and not table[code].incomplete]
    return {
        "in_mix": {code: int(code in seen) for code in languages},
        "family": {code: _shared(code, family[code], of_mix) for code in known if table[code].family},
        "script": {code: _shared(code, table[code].script, scripts) for code in known if table[code].script},
        "distance": _nearest(design, languages, seen),
        "fertility": {code: float(fertility[code]) for code in languages if code in fertility.index},
        "pretrained": {code: int(pretrained[code]) for code in languages if code in pretrained},
    }


def _nearest(design: Design, languages: Sequence[str], seen: set[str]) -> dict[str, float]:
    """Language -> distance to the nearest other one in the mix, where that to each of them is known."""
    nearest = {}
    for code in languages:
        known = design.distances.get(code, {})
        if (others := seen - {code}) and others <= known.keys():
            nearest[code] = min(known[other] for other in others)
    return nearest


def _shared(code: str, value: str | None, others: Mapping[str, str | None]) -> int:
    """1 if another language has the value, else 0."""
    return int(any(other == value for name, other in others.items() if name != code))
