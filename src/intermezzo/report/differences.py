"""The differences that the figures show, as tables in points.

Averages are the answer's: a language's difference is the mean over the (intermediate, target) pairs that have it, seed
by seed, with the intervals of `analysis.intervals`. Controls are in the table against the baseline, marked, and in
no average.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from intermezzo.analysis.design import BASELINE
from intermezzo.analysis.effects import GROUPS, Pair, overall, pairs
from intermezzo.analysis.intervals import estimate
from intermezzo.report.experiment import Experiment

AVERAGED = {"all": "all languages", "rare": "rare languages", "other": "other languages", "english": "English"}
OVERALL = "mean"
"""Stands for all targets together."""


def against_baseline(experiment: Experiment) -> pd.DataFrame:
    """One line per encoder, language group, intermediate, mix and target (main metric).

    kind: score (of the baseline), difference (from it); target `mean` is the plain mean over a line's targets without
    controls. control: whether intermediate or target is one. low, high: 95 % interval of a difference.
    """
    return pd.DataFrame(_against_baseline(experiment))


def _against_baseline(experiment: Experiment) -> Iterator[dict[str, object]]:
    design = experiment.design
    for encoder in (one for one in design.encoders if one not in design.baseline_only):
        for group in AVERAGED:
            for intermediate, mix in design.trained(encoder):
                names = {"encoder": encoder, "languages": group, "intermediate": intermediate, "mix": mix}
                lines = list(_cells(experiment, names))
                yield from lines
                values = [line["value"] for line in lines if not design.targets[str(line["target"])].control]
                if values:
                    mean = _plain(sum(values) / len(values)) | {"target": OVERALL, "metric": ""}
                    yield lines[0] | names | mean | {"control": design.intermediates[intermediate].control}


def _cells(experiment: Experiment, names: dict[str, str]) -> Iterator[dict[str, object]]:
    design, comparisons = experiment.design, experiment.comparisons
    encoder, group, intermediate, mix = names.values()
    for target, one in design.targets.items():
        found = [each for each in design.groups(intermediate, mix, target) if each.name == group]
        if one.baseline_only or not found:
            continue
        languages, key = list(found[0].languages), (encoder, intermediate, mix, target, one.metrics[0])
        baseline = intermediate == BASELINE
        values = comparisons.values(key) if baseline else comparisons.delta_baseline(key)
        if values is not None:
            chosen = values[languages]
            numbers = _plain(chosen.to_numpy().mean()) if baseline else _interval(chosen)
            kind = {"target": target, "metric": one.metrics[0], "kind": "score" if baseline else "difference"}
            yield names | kind | numbers | {"control": one.control or design.intermediates[intermediate].control}


def by_group(experiment: Experiment) -> pd.DataFrame:
    """A mix against English-only: per encoder, mix, target (`mean`: over all targets) and group of languages."""
    lines = []
    for encoder, mix in experiment.compared:
        found = pairs(experiment.comparisons, encoder, mix)
        for target in [OVERALL, *dict.fromkeys(pair.target for pair in found)]:
            of_target = [pair for pair in found if target in (OVERALL, pair.target)]
            for group in GROUPS:
                if any(group in pair.groups for pair in of_target):
                    delta = overall(of_target, group)
                    names = {"encoder": encoder, "mix": mix, "target": target, "languages": group}
                    lines.append(names | _interval(delta) | {"n_languages": delta.shape[1], "n_seeds": len(delta)})
    return pd.DataFrame(lines)


def by_language(experiment: Experiment) -> pd.DataFrame:
    """A mix against English-only: per encoder, mix, target and language, the mean over intermediates.

    english, mixed: the two scores; each: the difference of each intermediate. The interval is over seeds alone. A
    language that some intermediates saw and others did not has a line for either.
    """
    lines = []
    for encoder, mix in experiment.compared:
        found = pairs(experiment.comparisons, encoder, mix)
        for target in dict.fromkeys(pair.target for pair in found):
            for group in GROUPS:
                having = [pair for pair in found if pair.target == target and group in pair.groups]
                names = {"encoder": encoder, "mix": mix, "target": target}
                lines += [names | line for line in _languages(experiment, having, group)] if having else []
    return pd.DataFrame(lines)


def _languages(experiment: Experiment, having: Sequence[Pair], group: str) -> Iterator[dict[str, object]]:
    """The lines of one target's languages of a group; `having`: its pairs that have the group."""
    delta, singles = overall(having, group), [pair.of(group).mean() for pair in having]
    before = [experiment.comparisons.values(pair.reference).mean() for pair in having]
    for code in dict.fromkeys(code for pair in having for code in pair.groups[group]):
        with_it = [number for number, pair in enumerate(having) if code in pair.groups[group]]
        english = float(np.mean([before[number][code] for number in with_it]))
        found = _interval(delta[[code]])
        names = {"metric": having[0].key[4], "languages": group, "language": code, "name": experiment.language(code)}
        scores = {"english": english, "mixed": english + found["value"]}
        each = [float(singles[number][code]) for number in with_it]
        yield names | scores | found | {"each": each, "n_seeds": len(delta)}


def _interval(delta: pd.DataFrame) -> dict[str, float]:
    found = estimate(delta.to_numpy())
    return {"value": found.mean, "low": found.low, "high": found.high}


def _plain(value: float) -> dict[str, float]:
    return {"value": float(value), "low": math.nan, "high": math.nan}
