"""Paired differences of an experiment and their averages: which pairs there are, what each is, and its statistics.

All values are points (0..100). Averages over targets use each target's main metric and count every language once: a
language's difference is the mean over the (intermediate, target) pairs that have it. Controls are excluded. Which of
these averages are tested together, and their corrected p: `families`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from intermezzo.analysis.design import BASELINE, UNKNOWN_FAMILY, Design
from intermezzo.analysis.intervals import ItemError, components, estimate, generalises
from intermezzo.analysis.pairing import Comparisons, Key
from intermezzo.analysis.significance import flip_p, smallest_p

GROUPS = {
    "rare_seen": "rare, seen in the mix",
    "rare_unseen": "rare, not in the mix",
    "other": "other",
    "english": "English",
}
"""A partition of a target's languages."""
KINDS = ("transfer", "untrained", "same skill", "same data", "few-shot", "translate-test")
SUPERVISED = ("same skill", "same data")
FEW_SHOT, TRANSLATE_TEST = "few-shot", "translate-test"
RIVALS = (FEW_SHOT, TRANSLATE_TEST)
"""Kinds of targets that are not zero-shot, whatever the intermediate is."""


@dataclass(frozen=True)
class Pair:
    """One intermediate and target, in a mix (`key`) and in the one that it is compared with (`reference`).

    delta: their difference, seeds x languages. groups: name -> languages. kinds: language -> what the intermediate is
    to the target there (`Design.kind`), in the mix or, where that is nearer to supervision, in the reference.
    """

    key: Key
    reference: Key
    delta: pd.DataFrame
    groups: dict[str, list[str]]
    kinds: dict[str, str]

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

    def kinds_of(self, group: str) -> list[str]:
        """What it is in the languages of a group, each kind once."""
        return [kind for kind in KINDS if kind in {self.kinds[code] for code in self.groups[group]}]

    def restricted(self, kinds: Collection[str]) -> Pair:
        """The same pair in those languages where it is one of `kinds`; groups without any are left out."""
        groups = {name: [c for c in codes if self.kinds[c] in kinds] for name, codes in self.groups.items()}
        return replace(self, groups={name: codes for name, codes in groups.items() if codes})


def mixes(design: Design) -> list[str]:
    """The mixes that are compared with the question's reference, in the configuration's order."""
    ordered = design.in_order(mix for name, mix in design.trained() if name != BASELINE)
    return [mix for mix in ordered if mix != design.against]


def pairs(comparisons: Comparisons, encoder: str, mix: str, kinds: Collection[str] = KINDS) -> list[Pair]:
    """Every (intermediate, target), controls apart, that was trained in `mix` and in the question's reference.

    kinds: leave out languages, and pairs without any, where a pair is none of these.
    """
    design, compared = comparisons.design.without_controls(), []
    for intermediate, entry in design.intermediates.items():
        for name, target in design.targets.items() if {mix, design.against} <= entry.mixes.keys() else ():
            key = (encoder, intermediate, mix, name, target.metrics[0])
            reference = (encoder, intermediate, design.against, name, target.metrics[0])
            groups = {group.name: list(group.languages) for group in design.groups(intermediate, mix, name)}
            pair = Pair(
                key,
                reference,
                comparisons.difference(key, reference),
                groups,
                {code: _kind(design, intermediate, (mix, design.against), name, code) for code in target.languages},
            ).restricted(kinds)
            compared += [pair] if pair.groups else []
    return compared


def _kind(design: Design, intermediate: str, mixes: Sequence[str], target: str, language: str) -> str:
    """The kind that is nearest to supervision, of several mixes."""
    return max((design.kind(intermediate, mix, target, language) for mix in mixes), key=KINDS.index)


def overall(compared: Sequence[Pair], group: str) -> pd.DataFrame:
    """Seeds x languages of a group: the mean difference over those pairs that have the language."""
    return average([pair.of(group) for pair in compared if group in pair.groups])


def average(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The mean of several differences (seeds x languages), per language over those that have it."""
    return pd.concat(parts).groupby(level=0).mean() if len(parts) > 1 else parts[0]


def statistics(delta: pd.DataFrame, design: Design, items: ItemError | None = None) -> dict[str, Any]:
    """Numbers of a matrix of paired differences (seeds x languages).

    n_languages, n_seeds; mean, error, low, high (95 %), p, p_equivalent, families and doubt as of `intervals.Estimate`;
    unknown: whether the family of any language is not known; firm: whether a conclusion may be drawn about other seeds
    and other languages at all.
    """
    seeds, languages = delta.shape
    result = estimate(
        delta.to_numpy(), families=design.families(delta.columns), items=items, smallest=design.question.smallest
    )
    firm = not result.doubt and generalises(design.families(delta.columns))
    unknown = UNKNOWN_FAMILY in design.families(delta.columns)
    return {"n_languages": languages, "n_seeds": seeds, **asdict(result), "unknown": unknown, "firm": firm}


def describe(compared: Sequence[Pair], group: str, design: Design, items: ItemError | None = None) -> dict[str, Any]:
    """Every number of the mean over the pairs that have languages of a group. Beside those of `statistics`:

    n_pairs and languages (space-separated);
    least, most: the language with the smallest and the largest mean; least_mean, most_mean: the two means;
    uneven: the language that makes more than half of the variation between five languages or more, else empty;
    p_languages, p_seeds: p of sign flips of languages and of seeds; least_p_languages, least_p_seeds: the smallest p
    that flips of so few can give;
    spread: standard deviation of a single paired difference (one pair, seed and language), points; effect_size: the
    mean over it;
    improved: share of languages whose mean is above zero;
    var_seed, var_language, var_remainder: the components.
    """
    with_group = [pair for pair in compared if group in pair.groups]
    delta = overall(with_group, group)
    values, singles = delta.to_numpy(), np.concatenate([pair.of(group).to_numpy().ravel() for pair in with_group])
    parts, by_seed, by_language = components(values), values.mean(axis=1), delta.mean()
    spread = float(singles.std(ddof=1)) if len(singles) > 1 else np.nan
    deviations = (by_language - by_language.mean()) ** 2
    uneven = len(deviations) >= 5 and deviations.max() > deviations.sum() / 2
    uneven = uneven and len(by_seed) > 1 and deviations.max() > 9 * parts.remainder / len(by_seed)  # and no noise
    return {
        "n_pairs": len(with_group),
        "languages": " ".join(map(str, delta.columns)),
        **statistics(delta, design, items),
        "least": by_language.idxmin(),
        "least_mean": float(by_language.min()),
        "most": by_language.idxmax(),
        "most_mean": float(by_language.max()),
        "uneven": deviations.idxmax() if uneven else "",
        "p_languages": flip_p(by_language.to_numpy()),
        "least_p_languages": smallest_p(len(by_language)),
        "p_seeds": flip_p(by_seed),
        "least_p_seeds": smallest_p(len(by_seed)),
        "spread": spread,
        "effect_size": float(values.mean()) / spread if spread > 0 else np.nan,
        "improved": float((by_language > 0).mean()),
        "var_seed": parts.seed,
        "var_language": parts.language,
        "var_remainder": parts.remainder,
    }
