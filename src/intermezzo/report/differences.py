"""The differences that the figures and tables show, as frames in points (0..100).

Averages are those of the answer: a language's difference is the mean over the (intermediate, target) pairs that have
it, seed by seed, with the intervals of `analysis.intervals`. Controls are marked in the frame against the baseline and
excluded from every average.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from intermezzo.analysis.design import BASELINE, Group
from intermezzo.analysis.effects import GROUPS, Pair, overall, pairs, statistics
from intermezzo.analysis.intervals import ItemError
from intermezzo.analysis.verdict import significant
from intermezzo.report.results import ExperimentResults

AVERAGED = {"all": "all languages", "rare": "rare languages", "other": "other languages", "english": "English"}
PROMPTED = "prompted"
"""Stands in the place of the mix for a language model that is prompted."""
OVERALL = "mean"
"""Stands for all targets together."""


def against_baseline(results: ExperimentResults) -> pd.DataFrame:
    """One line per encoder, language group, intermediate, mix and target (main metric).

    kind: score (of the baseline), difference (from it); target `mean` is the plain mean over a line's targets without
    controls. control: whether intermediate or target is one. low, high: 95 % interval of a difference. p_holm: its
    corrected p, as in the summary (`Families.from_baseline`); significant: whether it is shown by it.
    """
    return pd.DataFrame(_against_baseline(results))


def _against_baseline(results: ExperimentResults) -> Iterator[dict[str, object]]:
    design = results.design
    for encoder in (name for name in design.encoders if name not in design.baseline_only):
        for group in AVERAGED:
            for intermediate, mix in design.trained(encoder):
                names = {"encoder": encoder, "languages": group, "intermediate": intermediate, "mix": mix}
                lines = list(_cells(results, names))
                yield from lines
                values = [line["value"] for line in lines if not design.targets[str(line["target"])].control]
                if values:
                    mean = _plain(sum(values) / len(values)) | {"target": OVERALL, "metric": "", "significant": False}
                    mean |= {"p_holm": math.nan}
                    yield lines[0] | names | mean | {"control": design.intermediates[intermediate].control}
            yield from _prompted(results, encoder, group)


def _prompted(results: ExperimentResults, encoder: str, group: str) -> Iterator[dict[str, object]]:
    """Prompted models against the encoder without intermediate training, as rows beside its intermediates."""
    design, comparisons = results.design, results.comparisons
    for model in design.prompted:
        names = {"encoder": encoder, "languages": group, "intermediate": model, "mix": PROMPTED}
        lines = []
        for target in design.targets if BASELINE in design.intermediates else ():
            codes = next((g.languages for g in _groups_of_prompted(results, model, target) if g.name == group), ())
            if codes and not design.targets[target].baseline_only:
                metric = design.targets[target].metrics[0]
                baseline = comparisons.values((encoder, BASELINE, BASELINE, target, metric))
                delta = comparisons.from_prompted((model, BASELINE, BASELINE, target, metric), baseline)[list(codes)]
                kind = {"target": target, "metric": metric, "kind": "difference", "control": False}
                lines.append(names | kind | _interval(delta, results) | {"p_holm": math.nan, "significant": False})
        yield from lines
        if lines:
            mean = _plain(float(np.mean([line["value"] for line in lines]))) | {"target": OVERALL, "metric": ""}
            yield lines[0] | mean


def _groups_of_prompted(results: ExperimentResults, model: str, target: str) -> list[Group]:
    design = results.design
    return design.groups_of_prompted(model, target) if target in design.prompted[model].targets else []


def _cells(results: ExperimentResults, names: dict[str, str]) -> Iterator[dict[str, object]]:
    design, comparisons = results.design, results.comparisons
    encoder, group, intermediate, mix = names.values()
    for target, entry in design.targets.items():
        groups = [candidate for candidate in design.groups(intermediate, mix, target) if candidate.name == group]
        if entry.baseline_only or not groups:
            continue
        languages, key = list(groups[0].languages), (encoder, intermediate, mix, target, entry.metrics[0])
        baseline = intermediate == BASELINE
        values = comparisons.values(key) if baseline else comparisons.delta_baseline(key)
        if values is not None:
            of_group = values[languages]
            numbers = _plain(of_group.to_numpy().mean()) if baseline else _interval(of_group, results)
            kind = {"target": target, "metric": entry.metrics[0], "kind": "score" if baseline else "difference"}
            numbers |= _corrected(results, (encoder, intermediate, mix, target, group))
            yield names | kind | numbers | {"control": entry.control or design.intermediates[intermediate].control}


def _corrected(results: ExperimentResults, key: tuple[str, ...]) -> dict[str, object]:
    """The corrected p of a difference from the baseline; NaN for a control and for what has none."""
    line = results.corrected.get(key)
    return {"p_holm": line["p_holm"] if line else math.nan, "significant": bool(line and significant(line))}


def by_group(results: ExperimentResults) -> pd.DataFrame:
    """A mix against its reference: per encoder, mix, target and group of languages.

    Target `mean`: over all pairs that the question counts, so that zero-shot transfer and supervision are not mixed; it
    has a line for all rare languages, too, where some are in the mix and others are not.
    Intervals allow for seeds, languages and test items, as those of the answer do.
    """
    lines = []
    for encoder, mix in results.compared:
        compared = pairs(results.comparisons, encoder, mix)
        for target in [OVERALL, *dict.fromkeys(pair.target for pair in compared)]:
            asked = results.design.question.pairs
            of_target = [
                p.restricted(asked) if target == OVERALL else p for p in compared if target in (OVERALL, p.target)
            ]
            present = [group for group in GROUPS if any(group in pair.groups for pair in of_target)]
            split = target == OVERALL and {"rare_seen", "rare_unseen"} <= {*present}
            for group in ["rare", *present] if split else present:
                of_group = [pair for pair in of_target if group in pair.groups]
                delta, items = overall(of_group, group), results.comparisons.items.error(of_group, group)
                names = {"encoder": encoder, "mix": mix, "target": target, "languages": group}
                size = {"n_languages": delta.shape[1], "n_seeds": len(delta)}
                lines.append(names | _interval(delta, results, items) | size)
    return pd.DataFrame(lines)


def by_language(results: ExperimentResults) -> pd.DataFrame:
    """A mix against English-only: per encoder, mix, target and language, the mean over intermediates.

    english, mixed: the two scores; per_intermediate: the difference of each intermediate. The interval is over seeds
    alone. A language that some intermediates saw and others did not has a line for either.
    """
    lines = []
    for encoder, mix in results.compared:
        compared = pairs(results.comparisons, encoder, mix)
        for target in dict.fromkeys(pair.target for pair in compared):
            for group in GROUPS:
                of_group = [pair for pair in compared if pair.target == target and group in pair.groups]
                names = {"encoder": encoder, "mix": mix, "target": target}
                lines += [names | line for line in _languages(results, of_group, group)] if of_group else []
    return pd.DataFrame(lines)


def _languages(results: ExperimentResults, compared: Sequence[Pair], group: str) -> Iterator[dict[str, object]]:
    """The lines of one target's languages of a group; `compared`: its pairs that have the group."""
    delta, singles = overall(compared, group), [pair.of(group).mean() for pair in compared]
    references = [results.comparisons.values(pair.reference).mean() for pair in compared]
    for code in dict.fromkeys(code for pair in compared for code in pair.groups[group]):
        numbers = [number for number, pair in enumerate(compared) if code in pair.groups[group]]
        english = float(np.mean([references[number][code] for number in numbers]))
        difference = _interval(delta[[code]], results)
        names = {"metric": compared[0].key[4], "languages": group}
        names |= {"language": code, "name": results.language_name(code)}
        scores = {"english": english, "mixed": english + difference["value"]}
        per_intermediate = [float(singles[number][code]) for number in numbers]
        yield names | scores | difference | {"per_intermediate": per_intermediate, "n_seeds": len(delta)}


def _interval(delta: pd.DataFrame, results: ExperimentResults, items: ItemError | None = None) -> dict[str, float]:
    result = statistics(delta, results.design, items)
    return {"value": result["mean"], "low": result["low"], "high": result["high"]}


def _plain(value: float) -> dict[str, float]:
    return {"value": float(value), "low": math.nan, "high": math.nan}
