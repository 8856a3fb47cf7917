"""The error from test items that languages share, against a bootstrap of these items."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from intermezzo.analysis.effects import pairs
from intermezzo.analysis.items import Items, item_error
from intermezzo.analysis.pairing import Comparisons
from intermezzo.dag.paths import Run, evaluation_path
from test_answer import UNSEEN, design, scores

ITEMS, DRAWS = 60, 3000


def item_scores(plan, folder, lacking: int) -> dict[tuple[str, ...], np.ndarray]:
    """Result folders with scores per item, of which a part is common to all languages; and them, averaged over seeds.

    (intermediate, mix, target, language) -> ITEMS points; NaN: the language lacks the item. Each language after the
    first lacks `lacking` items more.
    """
    random, tables, means = np.random.default_rng(5), {}, {}
    common = {(mix, target): random.random(ITEMS) for mix in ("en", "mix") for target in plan.targets}
    for cell in plan.cells():
        if cell.intermediate == "none" or cell.metric != plan.targets[cell.target].metrics[0]:
            continue
        right = (common[cell.mix, cell.target] + random.random(ITEMS) < 1.0).astype(float)
        rank = UNSEEN.index(cell.language) if cell.language in UNSEEN else 0
        present = np.arange(ITEMS) >= lacking * rank
        names = [f"{number}" for number in np.arange(ITEMS)[present]]
        frame = pd.DataFrame({"name": cell.language, "id": names, "score": right[present]})
        path = folder / evaluation_path(Run(*cell[:4]), cell.target, "predictions", "results/eval")
        tables.setdefault(path.with_suffix(".parquet"), []).append(frame)
        key = (cell.intermediate, cell.mix, cell.target, cell.language)
        means[key] = means.get(key, 0.0) + np.where(present, 100 * right / len(plan.seeds), np.nan)
    for path, frames in tables.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.concat(frames).to_parquet(path)
    return means


def bootstrap(means, compared, group: str, *, together: bool) -> float:
    """Variance of the mean over draws of items: the same ones in all languages of a target, or each its own."""
    random, languages = np.random.default_rng(6), compared[0].groups[group]
    total = np.zeros(DRAWS)
    for target in dict.fromkeys(pair.target for pair in compared):
        drawn = random.integers(0, ITEMS, (DRAWS, ITEMS))
        for code in languages:
            if not together:
                drawn = random.integers(0, ITEMS, (DRAWS, ITEMS))
            for pair in (pair for pair in compared if pair.target == target):
                before, after = (means[pair.intermediate, mix, target, code] for mix in ("en", "mix"))
                total += np.nanmean((after - before)[drawn], axis=1) / len(compared) / len(languages)
    return float(total.var())


@pytest.mark.slow
@pytest.mark.parametrize("lacking", [0, 8])
def test_the_error_from_items_is_that_of_a_bootstrap_of_shared_items(tmp_path, lacking):
    plan = design(seeds=[0, 1])
    means = item_scores(plan, tmp_path, lacking)
    compared = pairs(Comparisons(scores(plan), plan), "small", "mix", ["transfer"])
    compared = [pair for pair in compared if "rare_unseen" in pair.groups]
    error = Items(plan, tmp_path / "results").error(compared, "rare_unseen")
    together, apart = (bootstrap(means, compared, "rare_unseen", together=shared) for shared in (True, False))
    assert len(compared) == 4 and together > 1.5 * apart
    assert error.total**0.5 == pytest.approx(together**0.5, rel=0.04)
    assert error.common**0.5 == pytest.approx((together - apart) ** 0.5, rel=0.08)


def test_the_error_of_one_matrix_is_that_of_a_bootstrap():
    random = np.random.default_rng(7)
    differences = random.normal(0, 30, (5, 80)) + random.normal(0, 30, 80)
    differences[4, 40:] = np.nan
    drawn = random.integers(0, 80, (DRAWS, 80))
    means = np.mean([np.nanmean(row[drawn], axis=1) for row in differences], axis=0)
    assert item_error(differences).total ** 0.5 == pytest.approx(means.std(), rel=0.04)
