"""Sensitivity of the primary comparisons to the method: do other methods see the same?

Neither decides anything: in simulations both are too short with few seeds (docs/statistics.md).

- A mixed model with crossed random effects of seeds and languages, fitted by restricted maximum likelihood (REML) with
  Satterthwaite's degrees of freedom. The design is balanced, so it has a closed form; statsmodels' MixedLM has none for
  crossed effects.
- A hierarchical bootstrap: seeds, families, and languages within them drawn with replacement.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from intermezzo.analysis.effects import overall, pairs
from intermezzo.analysis.families import Families
from intermezzo.analysis.intervals import Anova
from intermezzo.analysis.verdict import LANGUAGES, difference
from intermezzo.core.markdown import long_table

_RESAMPLES = 4000


def reml(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and half the width of the 95 % interval of matrices (... x seeds x languages) by a mixed model.

    Mean squares of components that are estimated as zero are pooled.
    """
    anova = Anova(values)
    squares = np.array(anova.squares)
    free = np.array(anova.freedom, dtype=float).reshape(3, *[1] * (squares.ndim - 1))
    pooled = np.concatenate([squares[:2] < squares[2], np.ones((1, *squares.shape[1:]), dtype=bool)])
    df_rest = (free * pooled).sum(axis=0)
    rest = (free * squares * pooled).sum(axis=0) / df_rest
    parts = np.where(pooled[:2], rest, np.maximum(squares[:2], rest))
    total = parts.sum(axis=0) - rest
    spread = np.where(pooled[:2], 0, parts**2 / free[:2]).sum(axis=0)
    neither, both = ~pooled[:2].any(axis=0), pooled[:2].all(axis=0)
    spread += np.where(neither | both, rest**2 / df_rest, 0)
    freedom = np.divide(total**2, spread, out=np.ones_like(total), where=spread > 0)
    return anova.mean, stdtrit(freedom, 0.975) * np.sqrt(total / (anova.seeds * anova.languages))


def bootstrap(values: np.ndarray, families: Sequence[str], resamples: int = _RESAMPLES) -> tuple[float, float]:
    """The 95 % interval of one matrix (seeds x languages) by a hierarchical bootstrap with a fixed seed."""
    draw, (seeds, languages) = np.random.default_rng(1), values.shape
    _, members = np.unique(families, return_inverse=True)
    columns = [np.flatnonzero(members == family) for family in range(members.max() + 1)]
    by_seed = draw.multinomial(seeds, np.full(seeds, 1 / seeds), resamples) / seeds
    times = draw.multinomial(len(columns), np.full(len(columns), 1 / len(columns)), resamples)
    by_language = np.zeros((resamples, languages))
    for of_family, drawn in zip(columns, times.T, strict=True):
        size = len(of_family)
        by_language[:, of_family] = draw.multinomial(drawn * size, np.full(size, 1 / size))
    by_language /= by_language.sum(axis=1, keepdims=True)
    low, high = np.quantile(np.einsum("sl,rs,rl->r", values, by_seed, by_language), [0.025, 0.975])
    return float(low), float(high)


def blocks(families: Families) -> list[str]:
    """Markdown paragraphs; none where no comparison has several seeds and languages."""
    design, rows = families.design, []
    for line in families.primary.to_dict("records"):
        if line["doubt"]:
            continue
        compared = pairs(families.comparisons, line["encoder"], line["mix"], design.question.pairs)
        values = overall(compared, line["group"]).to_numpy()
        mean, half = map(float, reml(values))
        low, high = bootstrap(values, design.families(line["languages"].split()))
        intervals = [(line["low"], line["high"]), (mean - half, mean + half), (low, high)]
        zero_outside = [low > 0 or high < 0 for low, high in intervals]
        agree = "yes" if len(set(zero_outside)) == 1 else "no"
        cells = [difference({"mean": mean, "low": low, "high": high}) for low, high in intervals]
        rows.append([f"`{line['mix']}`, `{line['encoder']}`", LANGUAGES[line["group"]], *cells, agree])
    if not rows:
        return []
    return [
        "## Sensitivity",
        "The primary comparisons by two other methods, uncorrected. With few seeds or languages both have intervals "
        "that are too short (docs/statistics.md), so they decide nothing. `agree`: all three leave out zero, or none "
        "does.",
        long_table(
            "Sensitivity",
            ["mix, encoder", "languages", "here", "mixed model (REML)", "hierarchical bootstrap", "agree"],
            rows,
        ),
    ]
