"""Paired differences: scores as seed x language matrices; the only place where two results are subtracted."""

from __future__ import annotations

import numpy as np
import pandas as pd

from intermezzo.analysis.design import BASELINE, Design
from intermezzo.analysis.items import Items
from intermezzo.tasks.formats import load_format

Key = tuple[str, str, str, str, str]
"""encoder, intermediate, mix, target, metric"""


class Comparisons:
    """All scores of an experiment, in points (0..100).

    Every method returns a frame with seeds as rows and a target's languages as columns, or None where there is
    nothing to compare with. Differences are paired: value and reference have the seed and the language in common.
    """

    def __init__(self, scores: pd.DataFrame, design: Design, items: Items | None = None) -> None:
        self.design, self.items = design, items or Items()
        keys = ["encoder", "intermediate", "mix", "target", "metric"]
        self._values: dict[Key, pd.DataFrame] = {}
        self._majority: dict[Key, pd.Series] = {}
        self._rows: dict[Key, pd.Series] = {}
        self._fertility = scores.reindex(columns=["encoder", "language", "fertility"]).dropna()
        for key, part in scores.groupby(keys, sort=False):
            seeds = part["seed"].fillna(-1).astype(int)
            matrix = part.assign(seed=seeds).pivot(index="seed", columns="language", values="value")
            languages = list(design.languages_of(key[0], key[3]))
            self._values[key] = matrix[languages] * 100
            self._majority[key] = part.groupby("language")["majority"].first()[languages] * 100
            self._rows[key] = part.groupby("language")["n"].first()[languages]

    def values(self, key: Key) -> pd.DataFrame:
        """The metric itself."""
        return self._values[key]

    def majority(self, key: Key) -> pd.Series:
        """What an uninformed guess gets, per language."""
        return self._majority[key]

    def fertility(self, encoder: str) -> pd.Series:
        """Subwords per word of each language, mean over targets; empty where results do not tell."""
        return self._fertility[self._fertility["encoder"] == encoder].groupby("language")["fertility"].mean()

    def above_chance(self, key: Key) -> pd.DataFrame:
        """The metric minus the uninformed guess of its language."""
        return self._values[key] - self._majority[key]

    def above_guess(self, key: Key) -> pd.Series:
        """Per language, whether the mean over seeds exceeds the uninformed guess by more than two standard errors.

        The error is that of a test set of this size, its rows as independent trials: binomial, the larger one of the
        score's and the guess's. For F1 this is an upper bound; a correlation has one of 1 / sqrt(rows).
        """
        score, guess = self._values[key].mean() / 100, self._majority[key] / 100
        variance = np.maximum(score * (1 - score), guess * (1 - guess))
        if load_format(self.design.targets[key[3]].format).metric(key[4]).low < 0:
            variance = variance * 0 + 1
        return score - guess > 2 * np.sqrt(variance / self._rows[key])

    def delta_baseline(self, key: Key) -> pd.DataFrame | None:
        """Difference from the same target without intermediate training."""
        encoder, intermediate, _, target, metric = key
        if intermediate == BASELINE or BASELINE not in self.design.intermediates:
            return None
        (mix,) = self.design.intermediates[BASELINE].mixes
        return self._minus(key, (encoder, BASELINE, mix, target, metric))

    def delta_english(self, key: Key) -> pd.DataFrame | None:
        """Difference from the same intermediate trained in the English-only mix."""
        reference = self.english(key)
        return None if reference is None else self._minus(key, reference)

    def english(self, key: Key) -> Key | None:
        """The same intermediate and target with the English-only mix."""
        encoder, intermediate, mix, target, metric = key
        english = self.design.english_mix
        if mix == english or english not in self.design.intermediates[intermediate].mixes:
            return None
        return encoder, intermediate, english, target, metric

    def difference(self, key: Key, reference: Key) -> pd.DataFrame:
        """One result minus another of the same target, paired."""
        return self._minus(key, reference)

    def from_prompted(self, key: Key, reference: pd.DataFrame) -> pd.DataFrame:
        """What a prompted model (`key`) has more than a matrix of seeds x languages, in its own languages; one whose
        answers no seed changes is paired with every seed."""
        values, encoder = self._values[key], key[0]
        reference = reference[list(values.columns)]
        return values - reference if self.design.prompted[encoder].seeded else -(reference - values.iloc[0])

    def _minus(self, key: Key, reference: Key) -> pd.DataFrame:
        values, subtracted = self._values[key], self._values[reference]
        if self.design.seeds_of(reference[1], reference[3]) == (None,):  # the untouched encoder pairs with every seed
            return values - subtracted.iloc[0]
        return values - subtracted
