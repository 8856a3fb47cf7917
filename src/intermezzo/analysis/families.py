"""Every comparison of an experiment, with its one corrected p.

P-values are corrected by Holm's procedure within families. A comparison is the matrix of differences that it rests on:
where the same matrix appears in two families (one pair is the mean of one pair), the first one's corrected p holds for
both, and it does not count in the second. So no number has two verdicts.

| frame | one line per | family |
|---|---|---|
| `primary` | encoder, mix, group of languages of the question | all its lines |
| `secondary` | the same, for other kinds of pairs, other groups, and control mixes | its column `family` |
| `single` | encoder, mix, intermediate, target, group | all its lines |
| `from_baseline` | encoder, intermediate, mix, target, group, against no intermediate training | all its lines |
| `mean_from_baseline` | encoder, intermediate, mix, group, the mean over targets | all its lines |
| `prompted` | prompted model, encoder, what it is compared with, group, the mean over targets | all its lines |

Lines of all frames have the columns of `effects.statistics` and p_holm.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from intermezzo.analysis import effects
from intermezzo.analysis.design import BASELINE
from intermezzo.analysis.effects import (
    FEW_SHOT,
    KINDS,
    RIVALS,
    SUPERVISED,
    TRANSLATE_TEST,
    average,
    describe,
    overall,
    pairs,
    statistics,
)
from intermezzo.analysis.pairing import Comparisons
from intermezzo.analysis.significance import holm, look_factor

Line = dict[str, Any]
_SUPERVISED_GROUPS = ("rare_seen", "rare")
"""No other rare language has rows in the mix."""
_DELTA = "delta"
"""The matrix behind a line, while its family is corrected."""


class Families:
    """The comparisons of one experiment. looks: how many times, with the present one, seeds were added to it."""

    def __init__(self, comparisons: Comparisons, looks: int = 1) -> None:
        self.comparisons, self.looks = comparisons, looks
        self.design = comparisons.design.without_controls()
        self._corrected: dict[tuple[Any, ...], float] = {}

    @cached_property
    def primary(self) -> pd.DataFrame:
        """The question's comparisons: columns encoder, mix, group and those of `effects.describe`.

        p_holm and p_equivalent_holm are corrected within this family and for earlier looks, which no other family is.
        Comparisons that nothing can be concluded from (`doubt`) have none and do not count. Groups whose languages and
        pairs are those of an earlier group (all rare languages are in the mix) are left out.
        """
        question = self.design.question
        lines = [
            line
            for encoder, mix in product(self.design.encoders, self.design.asked)
            for line in _distinct(self._means(encoder, mix, question.groups, question.pairs))
        ]
        decidable = [line for line in lines if not line["doubt"]]
        for name in ("p", "p_equivalent"):
            values = np.minimum(1, holm(line[name] for line in decidable) * look_factor(self.looks))
            for line in lines:
                line[f"{name}_holm"] = np.nan
            for line, value in zip(decidable, values, strict=True):
                line[f"{name}_holm"] = float(value)
        self._corrected |= {_key(line[_DELTA]): line["p_holm"] for line in decidable}
        return _without_matrices(lines)

    @cached_property
    def secondary(self) -> pd.DataFrame:
        """What the question leaves out, in families of its own (column `family`); else as `primary`."""
        _ = self.primary  # corrected first
        question, asked, frames = self.design.question, self.design.asked, []
        rest = [kind for kind in KINDS if kind not in question.pairs]
        groups = {
            "in-language supervision": (asked, _SUPERVISED_GROUPS, [kind for kind in rest if kind in SUPERVISED]),
            "few-shot targets": (asked, question.groups, [kind for kind in rest if kind == FEW_SHOT]),
            "translated test data": (asked, question.groups, [kind for kind in rest if kind == TRANSLATE_TEST]),
            "other pairs": (asked, question.groups, [k for k in rest if k not in (*SUPERVISED, *RIVALS)]),
            "other languages": (
                asked,
                [group for group in ("other", "english") if group not in question.groups],
                [kind for kind in KINDS if kind not in RIVALS],
            ),
            "control mixes": (self._controls, question.groups, question.pairs),
        }
        for family, (mixes, of_languages, kinds) in groups.items():
            lines = [
                {"family": family} | line
                for encoder, mix in product(self.design.encoders, mixes)
                for line in _distinct(self._means(encoder, mix, of_languages, kinds))
            ]
            frames += [self._frame(lines)] if lines else []
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    @property
    def decidable(self) -> int:
        """How many primary comparisons there are that something can be concluded from."""
        return int((self.primary["doubt"] == "").sum()) if len(self.primary) else 0

    @property
    def _controls(self) -> list[str]:
        """The mixes that the question does not ask about."""
        return [mix for mix in effects.mixes(self.design) if mix not in self.design.asked]

    @cached_property
    def single(self) -> pd.DataFrame:
        """Every pair and group, `all` and `rare` among them. Columns: encoder, mix, intermediate, target, metric, kind
        (of the pair in the group's languages), group, before and after (means in the reference and in the mix)."""
        _ = self.secondary  # corrected first
        return self._frame(
            [
                {"encoder": encoder, "mix": mix} | self._single(pair, group)
                for encoder, mix in product(self.design.encoders, effects.mixes(self.design))
                for pair in pairs(self.comparisons, encoder, mix)
                for group in pair.groups
            ]
        )

    @cached_property
    def from_baseline(self) -> pd.DataFrame:
        """Every intermediate and target against the target without intermediate training: columns encoder,
        intermediate, mix, target, metric, group."""
        return self._frame(self._differences_from_baseline)

    @cached_property
    def mean_from_baseline(self) -> pd.DataFrame:
        """Its mean over the targets that are no rival of their twin, for English, rare and other languages."""
        _ = self.from_baseline  # corrected first
        parts: dict[tuple[str, ...], list[pd.DataFrame]] = {}
        for line in self._differences_from_baseline:
            if not self.design.method_of(line["target"]) and line["group"] in ("english", "rare", "other"):
                key = (line["encoder"], line["intermediate"], line["mix"], line["group"])
                parts.setdefault(key, []).append(line[_DELTA])
        names = ("encoder", "intermediate", "mix", "group")
        averages = {key: average(deltas) for key, deltas in parts.items()}
        return self._frame(
            [
                dict(zip(names, key, strict=True)) | statistics(delta, self.design) | {_DELTA: delta}
                for key, delta in averages.items()
            ]
        )

    @cached_property
    def prompted(self) -> pd.DataFrame:
        """Prompted models against each encoder, the mean over the targets that they answer and that are trained in
        English: columns model, encoder, against (`none`: no intermediate training; or a mix of the question, averaged
        over its intermediates), group, targets (space-separated)."""
        _ = self.mean_from_baseline  # corrected first
        return self._frame(list(self._prompted()))

    @cached_property
    def of_pair(self) -> dict[tuple[str, ...], Line]:
        """(encoder, mix, intermediate, target, group) -> its line of `single`."""
        keys = ("encoder", "mix", "intermediate", "target", "group")
        return {tuple(line[key] for key in keys): line for line in self.single.to_dict("records")}

    def corrected(self, lines: Sequence[Line]) -> np.ndarray:
        """p_holm of lines that are one family: those that another family has corrected before keep that value.

        Each line has its p and, as `delta`, the matrix of differences that it rests on.
        """
        keys = [_key(line[_DELTA]) for line in lines]
        fresh = {key: line["p"] for key, line in zip(keys, lines, strict=True) if key not in self._corrected}
        self._corrected |= dict(zip(fresh, map(float, holm(fresh.values())), strict=True))
        return np.array([self._corrected[key] for key in keys])

    def _frame(self, lines: list[Line]) -> pd.DataFrame:
        if not lines:
            return pd.DataFrame()
        p_holm = self.corrected(lines)
        frame = _without_matrices(lines)
        frame.insert(frame.columns.get_loc("p") + 1, "p_holm", p_holm)
        return frame

    def _means(self, encoder: str, mix: str, groups: Sequence[str], kinds: Collection[str]) -> Iterator[Line]:
        """The mean over the pairs of some kinds, a line per group of languages that any of them has."""
        compared = pairs(self.comparisons, encoder, mix, kinds)
        for group in groups:
            if any(group in pair.groups for pair in compared):
                names = {"encoder": encoder, "mix": mix, "group": group}
                items = self.comparisons.items.error([p for p in compared if group in p.groups], group)
                delta = overall(compared, group)
                yield names | describe(compared, group, self.design, items) | {_DELTA: delta}

    def _single(self, pair: effects.Pair, group: str) -> Line:
        languages, delta = pair.groups[group], pair.of(group)
        before, after = (
            self.comparisons.values(key)[languages].to_numpy().mean() for key in (pair.reference, pair.key)
        )
        names = {"intermediate": pair.intermediate, "target": pair.target, "metric": pair.key[4]}
        names |= {"kind": ", ".join(pair.kinds_of(group)), "group": group, "before": before, "after": after}
        items = self.comparisons.items.error([pair], group)
        return names | statistics(delta, self.design, items) | {_DELTA: delta}

    @cached_property
    def _differences_from_baseline(self) -> list[Line]:
        return list(self._from_baseline())

    def _prompted(self) -> Iterator[Line]:
        design = self.design
        rivals = [BASELINE] if BASELINE in design.intermediates else []
        for model, encoder, against in product(design.prompted, design.encoders, [*rivals, *design.asked]):
            parts: dict[str, list[pd.DataFrame]] = {}
            targets: dict[str, list[str]] = {}
            for name in design.prompted[model].targets:
                reference = self._rival(encoder, against, name)
                if reference is None:
                    continue
                key = (model, BASELINE, BASELINE, name, design.targets[name].metrics[0])
                delta = self.comparisons.from_prompted(key, reference)
                for group in design.groups_of_prompted(model, name):
                    if group.name in ("english", "rare", "other"):
                        parts.setdefault(group.name, []).append(delta[list(group.languages)])
                        targets.setdefault(group.name, []).append(name)
            for group_name, deltas in parts.items():
                delta = average(deltas)
                names = {"model": model, "encoder": encoder, "against": against, "group": group_name}
                names |= {"targets": " ".join(targets[group_name])}
                yield names | statistics(delta, design) | {_DELTA: delta}

    def _rival(self, encoder: str, mix: str, target: str) -> pd.DataFrame | None:
        """Scores of an encoder (seeds x languages) in a mix, averaged over intermediates; None where there are none."""
        design = self.design
        if target not in design.targets or design.targets[target].trained_in:
            return None
        metric = design.targets[target].metrics[0]
        names = [name for name, entry in design.intermediates.items() if mix in entry.mixes]
        return (
            average([self.comparisons.values((encoder, name, mix, target, metric)) for name in names])
            if names
            else None
        )

    def _from_baseline(self) -> Iterator[Line]:
        if BASELINE not in self.design.intermediates:
            return
        trainings = [names for names in self.design.trained() if names[0] != BASELINE]
        for encoder, (intermediate, mix) in product(self.design.encoders, trainings):
            for name, target in self.design.targets.items():
                delta = self.comparisons.delta_baseline((encoder, intermediate, mix, name, target.metrics[0]))
                for group in self.design.groups(intermediate, mix, name):
                    of_group = delta[list(group.languages)]
                    names = {"encoder": encoder, "intermediate": intermediate, "mix": mix, "target": name}
                    names |= {"metric": target.metrics[0], "group": group.name, "seen_in": group.seen_in}
                    yield names | statistics(of_group, self.design) | {_DELTA: of_group}


def _without_matrices(lines: Sequence[Line]) -> pd.DataFrame:
    return pd.DataFrame([{name: value for name, value in line.items() if name != _DELTA} for line in lines])


def _distinct(lines: Iterator[Line]) -> Iterator[Line]:
    """Those lines whose matrix no earlier one has."""
    known: set[tuple[Any, ...]] = set()
    for line in lines:
        if (key := _key(line[_DELTA])) not in known:
            known.add(key)
            yield line


def _key(delta: pd.DataFrame) -> tuple[Any, ...]:
    """What makes two matrices the same comparison: languages, seeds, and values but for rounding."""
    return (*delta.columns, *delta.index, np.round(delta.to_numpy(), 9).tobytes())
