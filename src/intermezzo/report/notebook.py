"""`intermezzo.results(FOLDER)`: the results of a finished run as pandas frames, for notebooks and papers."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path

import pandas as pd

from intermezzo.analysis import rival_targets
from intermezzo.analysis.design import Design
from intermezzo.analysis.verdict import verdict
from intermezzo.core import provenance
from intermezzo.core.errors import UserError
from intermezzo.report import accounts, differences, methods
from intermezzo.report.results import ExperimentResults

_VERDICT_COLUMNS = ["encoder", "mix", "group", "verdict", "mean", "low", "high", "p_holm", "n_languages", "n_seeds"]


class Results:
    """The frames of one finished run; each is computed when it is asked for, and then kept.

    Differences are in points (0..100), paired by seed and language, with 95 % intervals (`low`, `high`). The frames
    `groups`, `languages`, `baseline`, `curves`, `allocation`, `costs`, `methods` and `shots` are what
    `intermezzo.report.plots` draws.
    """

    def __init__(self, folder: str | Path = "results", design: str | Path | None = None) -> None:
        """folder: of results. design: JSON file of the design, for a folder of `intermezzo analyse`.

        Raises UserError for a folder that has no finished run.
        """
        self.folder = Path(folder)
        self._design = _design(Path(design) if design else self.folder / provenance.SUMMARY)

    @cached_property
    def _experiment(self) -> ExperimentResults:
        return ExperimentResults(self._design, self.folder / "scores.parquet", self.folder)

    @property
    def scores(self) -> pd.DataFrame:
        """One row per value (0..1): encoder, intermediate, mix, seed, target, language, metric, and hashes."""
        return self._experiment.scores

    @cached_property
    def summary(self) -> pd.DataFrame:
        """summary.tsv: means over seeds per model, target and group of languages, in points."""
        return pd.read_csv(self.folder / "summary.tsv", sep="\t", keep_default_na=False, na_values=[""])

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """One row per primary comparison: verdict (higher, lower, equivalent, undecided), difference, corrected p."""
        lines = self._experiment.families.primary.to_dict("records")
        return pd.DataFrame([line | {"verdict": verdict(line)} for line in lines], columns=_VERDICT_COLUMNS)

    @cached_property
    def groups(self) -> pd.DataFrame:
        """Effect of each mix per target and group of languages (`plot_forest`); target `mean`: all pairs that count."""
        return differences.by_group(self._experiment)

    @cached_property
    def languages(self) -> pd.DataFrame:
        """Effect of each mix per target and language, and both scores (`plot_languages`)."""
        return differences.by_language(self._experiment)

    @cached_property
    def baseline(self) -> pd.DataFrame:
        """Every intermediate and mix against no intermediate training (`plot_heatmap`)."""
        return differences.against_baseline(self._experiment)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Training loss by step of every model that has a log (`plot_learning_curves`)."""
        return accounts.learning_curves(self._experiment)

    @cached_property
    def allocation(self) -> pd.DataFrame:
        """Examples per language of every mix (`plot_allocation`)."""
        return accounts.allocation(self._experiment)

    @cached_property
    def methods(self) -> pd.DataFrame:
        """Cost and gain of intermediate training and its rivals (`plot_methods`)."""
        return methods.cost_and_gain(self._experiment)

    @cached_property
    def shots(self) -> pd.DataFrame:
        """Scores by the number of few-shot examples in the target's training (`plot_shots`)."""
        return rival_targets.curve(self._experiment.families)

    @cached_property
    def costs(self) -> pd.DataFrame:
        """Examples, steps, tokens and time of the trainings (`plot_costs`)."""
        return accounts.costs(self._experiment)


def _design(path: Path) -> Design:
    """The design in a file: its own JSON, or what a run has left beside its summary."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise UserError(f"{path}: no such file; name the folder of a finished run, or a design") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error})") from None
    return Design.read(content["spec"] if isinstance(content, dict) and "spec" in content else json.dumps(content))
