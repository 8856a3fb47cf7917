"""Effects of a mix relative to English-only intermediate training, as frames: the numbers behind the answer.

All values are points (0..100). Averages over targets use each target's main metric and count every language once: a
language's difference is the mean over the (intermediate, target) pairs that have it. Controls are excluded.

| frame | one line per | family of `p_holm` |
|---|---|---|
| `headline` | encoder, mix, language group | all its lines |
| `per_pair` | encoder, mix, intermediate, target, language group | all its lines |
| `against_baseline` | encoder, intermediate, mix, language group | all its lines |

Columns that all have: mean, error, low, high (95 %), p (see `intervals`), p_holm, n_languages, n_seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from intermezzo.analysis.design import BASELINE, Design
from intermezzo.analysis.intervals import components, estimate
from intermezzo.analysis.pairing import Comparisons, Key
from intermezzo.analysis.significance import flip_p, holm, smallest_p
from intermezzo.tasks.formats import load_format

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
        """The name of the intermediate."""
        return self.key[1]

    @property
    def target(self) -> str:
        """The name of the target."""
        return self.key[3]

    def of(self, group: str) -> pd.DataFrame:
        """The differences of one group of languages, seeds x languages."""
        return self.delta[self.groups[group]]


def mixes(design: Design) -> list[str]:
    """The mixes that are compared with the English-only one, in the configuration's order."""
    ordered = design.in_order(mix for name, mix in design.trained() if name != BASELINE)
    return [mix for mix in ordered if mix != design.english_mix]


def pairs(comparisons: Comparisons, encoder: str, mix: str) -> list[Pair]:
    """Every (intermediate, target), controls apart, that was trained in both `mix` and the English-only mix."""
    design, compared = comparisons.design.without_controls(), []
    for intermediate, entry in design.intermediates.items():
        for name, target in design.targets.items() if mix in entry.mixes else ():
            key = (encoder, intermediate, mix, name, target.metrics[0])
            delta, reference = comparisons.delta_english(key), comparisons.english(key)
            if delta is not None and reference is not None:
                groups = {group.name: list(group.languages) for group in design.groups(intermediate, mix, name)}
                kind = "same task" if target.task in entry.tasks else load_format(target.format).relation
                compared.append(Pair(key, reference, delta, groups, kind))
    return compared


def overall(compared: Sequence[Pair], group: str) -> pd.DataFrame:
    """Seeds x languages of a group: the mean difference over those pairs that have the language."""
    return average([pair.of(group) for pair in compared if group in pair.groups])


def average(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The mean of several differences (seeds x languages), per language over those that have it."""
    return pd.concat(parts).groupby(level=0).mean()


def headline(comparisons: Comparisons) -> pd.DataFrame:
    """The answer in numbers. Further columns:

    n_pairs and languages (space-separated);
    p_languages, p_seeds: p of sign flips of languages and of seeds; least_p_languages, least_p_seeds: the smallest p
    that flips of so few can give;
    effect_size: the mean over the standard deviation of a single paired difference, of all three components together
    (after d of Westfall, Kenny and Judd 2014, doi:10.1037/xge0000014), NaN with one seed or language;
    improved: share of languages whose mean is above zero;
    var_seed, var_language, var_remainder: the components.
    """
    design = comparisons.design.without_controls()
    rows = []
    for encoder, mix in product(design.encoders, mixes(design)):
        compared = pairs(comparisons, encoder, mix)
        for group in GROUPS:
            with_group = [pair for pair in compared if group in pair.groups]
            if with_group:
                names = {"encoder": encoder, "mix": mix, "group": group, "n_pairs": len(with_group)}
                rows.append(names | describe(overall(with_group, group)))
    return _corrected(rows)


def describe(delta: pd.DataFrame) -> dict[str, Any]:
    """Every number of `headline` for one matrix of paired differences (seeds x languages)."""
    values = delta.to_numpy()
    parts = components(values)
    by_seed, by_language = values.mean(axis=1), values.mean(axis=0)
    spread = float(np.sqrt(parts.seed + parts.language + parts.remainder))
    return {
        "languages": " ".join(map(str, delta.columns)),
        **statistics(delta),
        "p_languages": flip_p(by_language),
        "least_p_languages": smallest_p(len(by_language)),
        "p_seeds": flip_p(by_seed),
        "least_p_seeds": smallest_p(len(by_seed)),
        "effect_size": float(values.mean()) / spread if spread > 0 else np.nan,
        "improved": float((by_language > 0).mean()),
        "var_seed": parts.seed,
        "var_language": parts.language,
        "var_remainder": parts.remainder,
    }


def statistics(delta: pd.DataFrame) -> dict[str, Any]:
    """n_languages, n_seeds, mean, error, low, high, p of a matrix of paired differences (seeds x languages)."""
    seeds, languages = delta.shape
    return {"n_languages": languages, "n_seeds": seeds, **asdict(estimate(delta.to_numpy()))}


def per_pair(comparisons: Comparisons) -> pd.DataFrame:
    """Every single comparison. Further columns: metric, kind, before and after (means in the two mixes)."""
    design = comparisons.design.without_controls()
    return _corrected(
        [
            {"encoder": encoder, "mix": mix} | _single(comparisons, pair, group)
            for encoder, mix in product(design.encoders, mixes(design))
            for pair in pairs(comparisons, encoder, mix)
            for group in GROUPS
            if group in pair.groups
        ]
    )


def _single(comparisons: Comparisons, pair: Pair, group: str) -> dict[str, Any]:
    means = [comparisons.values(key)[pair.groups[group]].to_numpy().mean() for key in (pair.reference, pair.key)]
    names = {"intermediate": pair.intermediate, "target": pair.target, "metric": pair.key[4], "kind": pair.kind}
    return names | {"group": group, "before": means[0], "after": means[1]} | statistics(pair.of(group))


def against_baseline(comparisons: Comparisons) -> pd.DataFrame:
    """Difference from no intermediate training, mean over all targets, for English, rare and other languages."""
    return _corrected(list(_baseline(comparisons)))


def _baseline(comparisons: Comparisons) -> Iterator[dict[str, Any]]:
    design = comparisons.design.without_controls()
    if BASELINE not in design.intermediates:
        return
    trainings = [names for names in design.trained() if names[0] != BASELINE]
    for encoder, (intermediate, mix) in product(design.encoders, trainings):
        parts: dict[str, list[pd.DataFrame]] = {"english": [], "rare": [], "other": []}
        for name, target in design.targets.items():
            delta = comparisons.delta_baseline((encoder, intermediate, mix, name, target.metrics[0]))
            for group in design.groups(intermediate, mix, name):
                if group.name in parts and delta is not None:
                    parts[group.name].append(delta[list(group.languages)])
        for group, deltas in parts.items():
            if deltas:
                names = {"encoder": encoder, "intermediate": intermediate, "mix": mix, "group": group}
                yield names | statistics(average(deltas))


def _corrected(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    if len(frame):
        frame.insert(frame.columns.get_loc("p") + 1, "p_holm", holm(frame["p"]))
    return frame
