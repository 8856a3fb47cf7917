"""Every frame that figures and tables are made from, computed once."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from intermezzo.analysis import rival_targets
from intermezzo.report import accounts, differences, methods
from intermezzo.report.results import ExperimentResults


@dataclass(frozen=True)
class Frames:
    """The frames of one experiment; their columns are described at the functions that make them."""

    baseline: pd.DataFrame
    groups: pd.DataFrame
    languages: pd.DataFrame
    curves: pd.DataFrame
    allocation: pd.DataFrame
    costs: pd.DataFrame
    methods: pd.DataFrame
    shots: pd.DataFrame

    def by_figure(self) -> dict[str, pd.DataFrame]:
        """Name of a figure -> the frame that it draws."""
        return {
            "rare": self.groups,
            "heatmap": self.baseline,
            "languages": self.languages,
            "learning": self.curves,
            "allocation": self.allocation,
            "costs": self.costs,
            "methods": self.methods,
            "shots": self.shots,
        }

    @classmethod
    def of(cls, results: ExperimentResults) -> Frames:
        """Compute all of them. Raises UserError for a broken training log."""
        return cls(
            differences.against_baseline(results),
            differences.by_group(results),
            differences.by_language(results),
            accounts.learning_curves(results),
            accounts.allocation(results),
            accounts.costs(results),
            methods.cost_and_gain(results),
            rival_targets.curve(results.families),
        )
