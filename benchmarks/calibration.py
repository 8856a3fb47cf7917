"""How often the answer's intervals hold the truth, and how often they see an effect that is not there.

    python benchmarks/calibration.py --json FILE [--experiments 2000]

Simulates paired differences (seeds x languages) with a known effect and puts them through the functions that
`answer.md` is made with. Per number of seeds and languages, over experiments whose variances are drawn from those of
real runs (`REALISTIC`): `coverage` of the 95 % interval, `false_positive` (share of experiments without an effect whose
interval leaves out zero), the same for each setting of variances alone (`by_setting`, stress tests among them), and the
alternatives that were not chosen (`alternatives`). `docs/statistics.md` shows a run. One core, seconds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import stdtrit

from intermezzo.analysis.intervals import Anova
from intermezzo.analysis.significance import holm

SEEDS = (2, 3, 4, 5)
LANGUAGES = (8, 12, 20, 30, 40)
FEW_LANGUAGES = (2, 4)
EFFECT = 3.0

REALISTIC = {
    "one pair, rare languages": (3.0, 1.0, 14.0),
    "one pair, all languages": (2.5, 20.0, 14.0),
    "same task, all languages": (0.5, 100.0, 20.0),
    "retrieval": (0.3, 0.3, 1.5),
    "mean of pairs, rare languages": (1.0, 1.0, 1.0),
    "mean of pairs, all languages": (0.8, 8.0, 1.0),
}
"""Variances of seed x treatment, language x treatment and remainder, in squared points: analysis of variance of mix
minus English-only in the world study (docs/world.md: 3 seeds, 9 languages, 400 test rows), rounded; a pair is an
intermediate and a target."""

STRESS = {
    "noise alone": (0.0, 0.0, 10.0),
    "no seed effect": (0.0, 10.0, 10.0),
    "no language effect": (10.0, 0.0, 10.0),
    "large seed effect": (15.0, 1.0, 10.0),
    "large effects of both": (10.0, 50.0, 10.0),
}


def simulate(draw: np.random.Generator, variances: np.ndarray, seeds: int, languages: int) -> np.ndarray:
    """Differences without an effect, (experiments x seeds x languages); variances: experiments x 3."""
    of_seed, of_language, rest = np.sqrt(variances).T[:, :, None, None]
    n = len(variances)
    return (
        of_seed * draw.standard_normal((n, seeds, 1))
        + of_language * draw.standard_normal((n, 1, languages))
        + rest * draw.standard_normal((n, seeds, languages))
    )


def skewed(draw: np.random.Generator, n: int, seeds: int, languages: int) -> np.ndarray:
    """No mean effect, but not normal: three languages in ten gain, scores are shares of 400 right answers."""
    gain = np.where(draw.random((n, 1, languages)) < 0.3, 7.0, -3.0) / 100
    level = np.clip(0.55 + 0.1 * draw.standard_normal((n, 1, languages)), 0.2, 0.8)
    wobble = 0.01 * draw.standard_normal((2, n, seeds, 1)) + 0.02 * draw.standard_normal((2, n, seeds, languages))
    scores = [draw.binomial(400, level + part + noise) for part, noise in zip((0, gain), wobble, strict=True)]
    return (scores[1] - scores[0]) / 4


# -- the chosen method and the others; each takes differences and gives the mean and half the width of the interval ----


def chosen(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    anova = Anova(values)
    return anova.mean, anova.half(0.95)


def satterthwaite(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One t for the whole standard error, degrees of freedom after Satterthwaite (1946)."""
    anova = Anova(values)
    of_seed, of_language, rest = anova.squares
    total = np.maximum.reduce([of_seed + of_language - rest, of_seed, of_language])
    df = total**2 / (of_seed**2 / anova.freedom[0] + of_language**2 / anova.freedom[1])
    return anova.mean, stdtrit(np.maximum(df, 1), 0.975) * np.sqrt(total / values[0].size)


def reml(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a mixed model gives for a balanced design: restricted maximum likelihood, which pools the mean squares of
    components estimated as zero, and Satterthwaite's degrees of freedom."""
    anova = Anova(values)
    free = np.array(anova.freedom, dtype=float)[:, None]
    squares = np.array(anova.squares)
    pooled = np.vstack([squares[:2] < squares[2], np.ones((1, len(values)), dtype=bool)])
    df_rest = (free * pooled).sum(axis=0)
    rest = (free * squares * pooled).sum(axis=0) / df_rest
    parts = np.where(pooled[:2], rest, np.maximum(squares[:2], rest))
    total = parts.sum(axis=0) - rest
    spread = np.where(pooled[:2], 0, parts**2 / free[:2]).sum(axis=0)
    neither, both = ~pooled[:2].any(axis=0), pooled[:2].all(axis=0)
    spread += np.where(neither | both, rest**2 / df_rest, 0)
    return anova.mean, stdtrit(total**2 / spread, 0.975) * np.sqrt(total / values[0].size)


def bootstrap(values: np.ndarray, resamples: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Hierarchical bootstrap: seeds and languages drawn with replacement, 95 % of the resampled means around their own
    (the same resamples for all experiments)."""
    draw, (seeds, languages) = np.random.default_rng(1), values.shape[1:]
    by_seed = draw.multinomial(seeds, np.full(seeds, 1 / seeds), resamples) / seeds
    by_language = draw.multinomial(languages, np.full(languages, 1 / languages), resamples) / languages
    means = np.einsum("nsl,rs,rl->nr", values, by_seed, by_language, optimize=True)
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    return (low + high) / 2, (high - low) / 2


def over_languages(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Student's t over languages, seeds averaged away: what is reported when seeds are not treated as a sample."""
    return chosen(values.mean(axis=1, keepdims=True))


def language_flips(values: np.ndarray, flips: int = 1000) -> np.ndarray:
    """Whether sign flips of languages give p < 0.05 (drawn flips, the same for all experiments)."""
    units = values.mean(axis=1)
    signs = 1 - 2 * np.random.default_rng(2).integers(0, 2, (flips - 1, units.shape[1]))
    beyond = np.abs(units @ signs.T) >= np.abs(units.sum(axis=1))[:, None] - 1e-9
    return (beyond.sum(axis=1) + 1) / flips < 0.05


ALTERNATIVES: dict[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "Satterthwaite": satterthwaite,
    "mixed model (REML)": reml,
    "hierarchical bootstrap": bootstrap,
    "t over languages alone": over_languages,
}


def holds(method: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], values: np.ndarray, truth: float) -> float:
    """Share of experiments whose interval holds the truth, rounded to four digits."""
    mean, half = method(values)
    return round(float(np.mean(np.abs(mean - truth) <= half)), 4)


def calibrate(experiments: int, seeds: tuple[int, ...] = SEEDS, languages: tuple[int, ...] = LANGUAGES) -> dict:
    """All tables; each number rests on so many experiments of its own."""
    draw = np.random.default_rng(20)
    settings = REALISTIC | STRESS
    real = np.array(list(REALISTIC.values()))
    cells, by_setting, others, families, few = [], [], [], [], []
    for s in seeds:
        for n in languages:
            shape = {"seeds": s, "languages": n}
            drawn = [real[draw.integers(0, len(real), experiments)] for _ in range(2)]
            effect, nothing = simulate(draw, drawn[0], s, n), simulate(draw, drawn[1], s, n)
            found = {
                "coverage": holds(chosen, effect + EFFECT, EFFECT),
                "false_positive": round(1 - holds(chosen, nothing, 0.0), 4),
                "false_positive_language_flips": round(float(language_flips(nothing).mean()), 4),
            }
            cells.append(shape | found)
            for name, variances in settings.items():
                values = simulate(draw, np.tile(variances, (experiments, 1)), s, n)
                by_setting.append(shape | {"setting": name, "coverage": holds(chosen, values, 0.0)})
            values = skewed(draw, experiments, s, n)
            by_setting.append(shape | {"setting": "skewed, counted", "coverage": holds(chosen, values, 0.0)})
            covered = {name: holds(method, nothing, 0.0) for name, method in ALTERNATIVES.items()}
            others.append(shape | {"coverage": covered})
            families.append(shape | {"any_false_positive_of_4": _family(draw, experiments, s, n, real)})
        for n in FEW_LANGUAGES:
            values = simulate(draw, real[draw.integers(0, len(real), experiments)], s, n)
            few.append({"seeds": s, "languages": n, "coverage": holds(chosen, values, 0.0)})
    return {
        "experiments": experiments,
        "effect": EFFECT,
        "level": 0.95,
        "realistic": REALISTIC,
        "by_seeds_and_languages": cells,
        "by_setting": by_setting,
        "alternatives": others,
        "families": families,
        "few_languages": few,
        "coverage": _mean(cells, "coverage"),
        "false_positive": _mean(cells, "false_positive"),
    }


def _family(draw: np.random.Generator, experiments: int, seeds: int, languages: int, real: np.ndarray) -> float:
    """Share of families of four comparisons without any effect in which one is significant after Holm's correction.

    Significant after correction means, for the smallest p of four, below 0.05 / 4; seeds are shared by the four.
    """
    found = np.zeros(experiments, dtype=bool)
    variances = real[draw.integers(0, len(real), experiments)]
    shared = np.sqrt(variances[:, :1, None]) * draw.standard_normal((experiments, seeds, 1))
    without_seeds = variances * [0, 1, 1]
    for _ in range(4):
        anova = Anova(shared + simulate(draw, without_seeds, seeds, languages))
        found |= np.abs(anova.mean) > anova.half(1 - 0.05 / 4)
    assert holm([0.0124, 1, 1, 1])[0] < 0.05 <= holm([0.0126, 1, 1, 1])[0]  # what the line above stands for
    return round(float(found.mean()), 4)


def _mean(cells: list[dict[str, Any]], name: str) -> float:
    return round(float(np.mean([cell[name] for cell in cells])), 4)


def show(result: dict[str, Any]) -> str:
    """The tables as Markdown."""
    lines = [
        "| seeds | languages | coverage | false positives | by sign flips of languages | families of 4, corrected |"
    ]
    lines += ["|--:|--:|--:|--:|--:|--:|"]
    for cell, family in zip(result["by_seeds_and_languages"], result["families"], strict=True):
        values = [cell["coverage"], cell["false_positive"], cell["false_positive_language_flips"]]
        values.append(family["any_false_positive_of_4"])
        lines.append(_line([cell["seeds"], cell["languages"], *(f"{100 * value:.1f}" for value in values)]))
    lines += ["", _line(["seeds", "languages", "coverage"]), "|--:|--:|--:|"]
    few = result["few_languages"]
    lines += [_line([cell["seeds"], cell["languages"], f"{100 * cell['coverage']:.1f}"]) for cell in few]
    seeds = sorted({row["seeds"] for row in result["by_setting"]})
    lines += ["", _line(["variances", *(f"{s} seeds" for s in seeds)]), _line(["---", *(["--:"] * len(seeds))])]
    for name in dict.fromkeys(row["setting"] for row in result["by_setting"]):
        rows = [row for row in result["by_setting"] if row["setting"] == name]
        spans = [[100 * row["coverage"] for row in rows if row["seeds"] == s] for s in seeds]
        lines.append(_line([name, *(f"{min(span):.1f}-{max(span):.1f}" for span in spans)]))
    lines += ["", _line(["method", *(f"{s} seeds" for s in seeds)]), _line(["---", *(["--:"] * len(seeds))])]
    for name in ("chosen", *ALTERNATIVES):
        row = [name]
        for s in seeds:
            source = result["by_seeds_and_languages"] if name == "chosen" else result["alternatives"]
            span = [c["coverage"] if name == "chosen" else c["coverage"][name] for c in source if c["seeds"] == s]
            row.append(f"{100 * min(span):.1f}-{100 * max(span):.1f}")
        lines.append(_line(row))
    return "\n".join(lines)


def _line(cells: list[Any]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, help="file to write")
    parser.add_argument("--experiments", type=int, default=2000, help="experiments per number (2000)")
    options = parser.parse_args()
    if options.experiments < 1:
        parser.error(f"--experiments {options.experiments}: at least 1")
    result = calibrate(options.experiments)
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(show(result))


if __name__ == "__main__":
    main()
