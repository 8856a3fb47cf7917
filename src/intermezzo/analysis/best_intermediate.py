"""The best intermediate and mix of each target, chosen on development data; test scores are only looked up for it."""

from __future__ import annotations

import pandas as pd

from intermezzo.analysis.design import BASELINE
from intermezzo.analysis.pairing import Comparisons


def best_intermediate(development: pd.DataFrame, comparisons: Comparisons) -> pd.DataFrame:
    """The (intermediate, mix) with the highest development mean, per encoder and target, the baseline among them.

    development: scores as of `scores.read` (values in 0..1) with a column `split` that says `dev` in every row; the
    mean is over seeds and over the languages that every candidate has, of the target's main metric. comparisons: the
    test results. Columns: encoder, target, metric, languages (those selected on), intermediate, mix, dev (points),
    runner_up (dev points of the next best; NaN without one), test and test_baseline (points, mean over all languages
    of the target but English; NaN without a baseline or such a language). Of equal candidates the first by name is
    taken. Controls are left out.

    Raises AssertionError for scores that are not of development data: choosing on test data is never right.
    """
    splits = set(development["split"]) if "split" in development else {"unknown"}
    if splits - {"dev"}:
        raise AssertionError(f"selection is for development scores only, these are of split {sorted(map(str, splits))}")
    design, rows = comparisons.design.without_controls(), []
    for (encoder, target), scores in development.groupby(["encoder", "target"], sort=True):
        if encoder not in design.encoders or target not in design.targets:
            continue
        metric = design.targets[target].metrics[0]
        candidates = scores[(scores["metric"] == metric) & scores["intermediate"].isin(design.intermediates)]
        table = (
            candidates.pivot_table(index=["intermediate", "mix"], columns="language", values="value").dropna(axis=1)
            * 100
        )
        if table.empty:
            continue
        means = table.mean(axis=1).sort_index().sort_values(ascending=False, kind="stable")
        intermediate, mix = means.index[0]
        languages = [code for code in design.targets[target].languages if code != design.english]
        test = {
            name: comparisons.values((encoder, *training, target, metric))[languages].to_numpy().mean()
            for name, training in (("test", (intermediate, mix)), ("test_baseline", _baseline(comparisons)))
            if training and languages
        }
        names = {"encoder": encoder, "target": target, "metric": metric, "languages": " ".join(table.columns)}
        names |= {"intermediate": intermediate, "mix": mix, "dev": means.iloc[0]}
        names |= {"runner_up": means.iloc[1] if len(means) > 1 else float("nan")}
        rows.append(names | {"test": float("nan"), "test_baseline": float("nan")} | test)
    return pd.DataFrame(rows)


def _baseline(comparisons: Comparisons) -> tuple[str, str] | None:
    baseline = comparisons.design.intermediates.get(BASELINE)
    return (BASELINE, next(iter(baseline.mixes))) if baseline else None
