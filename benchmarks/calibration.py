"""How often the answer's intervals hold the truth, how often it sees what is not there, and what it claims wrongly.

    python benchmarks/calibration.py --json FILE [--experiments 2000]

Simulates paired differences (seeds x languages) with a known effect and puts them through the functions that
`answer.md` is made with. Scenarios: normal and other distributions, related languages (families, those of the project's
own configurations among them), test sets that are translations of each other, variances of the project's own runs, and
looking again after more seeds. Per scenario, seeds and languages: `coverage` of the 95 % interval, `false_positive`
(experiments without an effect whose interval leaves out zero), `bold` (families of three comparisons without an effect
of which any gets a bold verdict), `equivalent` (a difference of exactly the smallest that matters, called equivalent).
`docs/statistics.md` shows a run. One core, minutes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from intermezzo.analysis.intervals import FEWEST_FAMILIES, Anova, ItemError, doubt_of, generalises
from intermezzo.analysis.items import item_error
from intermezzo.analysis.sensitivity import reml
from intermezzo.analysis.significance import holm, look_factor

SEEDS = (2, 3, 4, 5)
LANGUAGES = (4, 6, 8, 12, 20, 40)
VARIANCES = {
    "small language effect": (1.0, 6.0, 4.0),
    "large language effect": (1.0, 30.0, 4.0),
    "one pair, rare languages": (3.0, 1.0, 14.0),
    "one pair, all languages": (2.5, 20.0, 14.0),
    "one task, all languages": (0.5, 100.0, 20.0),
    "retrieval": (0.3, 0.3, 1.5),
    "mean of pairs, rare languages": (1.0, 1.0, 1.0),
    "mean of pairs, all languages": (0.8, 8.0, 1.0),
    "noise alone": (0.0, 0.0, 10.0),
    "large seed effect": (15.0, 1.0, 10.0),
}
"""Variances of seed x treatment, language x treatment and remainder, in squared points. Those from "one pair" to "mean
of pairs" are of the world study (docs/world.md), rounded."""
CONFIGURED = {
    "rare_mix, rare in the mix": (3, 3, 2, 1, 1, 1, 1, 1),
    "rare_mix, rare outside the mix": (16, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1),
    "AfriXNLI, rare": (13, 1, 1, 1),
}
"""Languages per family in the groups of the project's own configurations."""
ITEMS = 400
LEVEL = 0.05


class Scenario(NamedTuple):
    """A way to make experiments without an effect. families: (languages) -> label of each.

    draw: (generator, experiments, seeds, languages, effects of seeds or None) -> differences, and the error of the
    items if there is one.
    """

    name: str
    draw: Callable[..., tuple[np.ndarray, ItemError | None]]
    families: Callable[[int], list[str]]
    languages: tuple[int, ...] = LANGUAGES


def own(languages: int) -> list[str]:
    """Every language is a family."""
    return [str(number) for number in range(languages)]


def of_four(languages: int) -> list[str]:
    """Families of four languages."""
    return [str(number // 4) for number in range(languages)]


def half(languages: int) -> list[str]:
    """Half of the languages are one family, the others are each their own."""
    return ["large" if number < languages // 2 else str(number) for number in range(languages)]


def configured(sizes: tuple[int, ...]) -> Callable[[int], list[str]]:
    """Families of these sizes."""
    return lambda languages: [str(number) for number, size in enumerate(sizes) for _ in range(size)]


def normal(
    variances: tuple[float, float, float], families: Callable[[int], list[str]] = own, share: float = 0.0
) -> Any:
    """Normal effects; `share` of the languages' variance is that of their families."""

    def draw(
        random: np.random.Generator, n: int, seeds: int, languages: int, shared: Any = None
    ) -> tuple[np.ndarray, None]:
        _, members = np.unique(families(languages), return_inverse=True)
        common = random.standard_normal((n, members.max() + 1))[:, members]
        language = np.sqrt(share) * common + np.sqrt(1 - share) * random.standard_normal((n, languages))
        return _crossed(variances, _seeds(random, n, seeds, shared), language, _noise(random, n, seeds, languages))

    return draw


def heavy(
    random: np.random.Generator, n: int, seeds: int, languages: int, shared: Any = None
) -> tuple[np.ndarray, None]:
    """Student's t with three degrees of freedom in all effects."""
    parts = [random.standard_t(3, shape) / np.sqrt(3) for shape in ((n, seeds), (n, languages), (n, seeds, languages))]
    return _crossed((1.0, 6.0, 4.0), parts[0] if shared is None else shared, *parts[1:])


def skewed(
    random: np.random.Generator, n: int, seeds: int, languages: int, shared: Any = None
) -> tuple[np.ndarray, None]:
    """Exponential effects of languages: a few gain much."""
    language = random.exponential(size=(n, languages)) - 1
    return _crossed((1.0, 6.0, 4.0), _seeds(random, n, seeds, shared), language, _noise(random, n, seeds, languages))


def one_in_ten(
    random: np.random.Generator, n: int, seeds: int, languages: int, shared: Any = None
) -> tuple[np.ndarray, None]:
    """One language in ten gains 15 points, the others 0; the mean gain is taken out."""
    language = 15.0 * (random.random((n, languages)) < 0.1) - 1.5
    return _crossed((1.0, 1.0, 4.0), _seeds(random, n, seeds, shared), language, _noise(random, n, seeds, languages))


def counted(common: float) -> Any:
    """Right answers to `ITEMS` items that all languages share. common: sd, on the scale of log odds, of an item's
    change from the reference to the mix."""

    def draw(
        random: np.random.Generator, n: int, seeds: int, languages: int, shared: Any = None
    ) -> tuple[np.ndarray, ItemError]:
        values, errors = [], []
        for _ in range(n):
            item = random.standard_normal((1, 1, ITEMS))
            change = common * random.standard_normal((1, 1, ITEMS))
            seed, language = (
                0.04 * random.standard_normal((seeds, 1, 1)),
                0.1 * random.standard_normal((1, languages, 1)),
            )
            level = 0.4 + item + 0.5 * random.standard_normal((1, languages, 1))
            before = random.random((seeds, languages, ITEMS)) < _share(level)
            after = random.random((seeds, languages, ITEMS)) < _share(level + change + seed + language)
            difference = 100.0 * (after.mean(axis=0) - before.mean(axis=0))
            values.append(100.0 * (after.mean(axis=-1) - before.mean(axis=-1)))
            errors.append(item_error(difference))
        error = ItemError(np.array([e.common for e in errors]), np.array([e.total for e in errors]))
        return np.array(values) - _expected(random, common), error

    return draw


def _expected(random: np.random.Generator, common: float) -> float:
    """The mean change of a share of right answers that a symmetric change of log odds makes, in points."""
    noise = random.standard_normal((4, 400_000))
    level = 0.4 + noise[0] + 0.5 * noise[1]
    change = common * noise[2] + np.sqrt(0.04**2 + 0.1**2) * noise[3]
    return float(100 * (_share(level + change) - _share(level)).mean())


def _share(log_odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-log_odds))


def _seeds(random: np.random.Generator, n: int, seeds: int, shared: np.ndarray | None) -> np.ndarray:
    return random.standard_normal((n, seeds)) if shared is None else shared


def _noise(random: np.random.Generator, n: int, seeds: int, languages: int) -> np.ndarray:
    return random.standard_normal((n, seeds, languages))


def _crossed(
    variances: tuple[float, float, float], seed: np.ndarray, language: np.ndarray, rest: np.ndarray
) -> tuple[np.ndarray, None]:
    of_seed, of_language, of_rest = np.sqrt(variances)
    return of_seed * seed[:, :, None] + of_language * language[:, None, :] + of_rest * rest, None


def scenarios() -> list[Scenario]:
    """All of them."""
    listed = [Scenario(f"normal: {name}", normal(variances), own) for name, variances in VARIANCES.items()]
    listed += [Scenario("heavy tails (t, 3 df)", heavy, own), Scenario("skewed languages", skewed, own)]
    listed += [Scenario("one language in ten gains 15", one_in_ten, own)]
    for name in ("small language effect", "large language effect"):
        for label, families in (("families of four", of_four), ("half of the languages one family", half)):
            listed.append(Scenario(f"{label}: {name}", normal(VARIANCES[name], families, 0.7), families))
    for name, sizes in CONFIGURED.items():
        families = configured(sizes)
        for variances, share in (("small language effect", 0.3), ("large language effect", 0.5), ("retrieval", 0.7)):
            draw = normal(VARIANCES[variances], families, share)
            listed.append(Scenario(f"{name}: {variances}, {share:g}", draw, families, (sum(sizes),)))
    listed += [Scenario(f"parallel test sets, common sd {sd:g}", counted(sd), own, (8, 20)) for sd in (0.8, 1.5)]
    return listed


def measure(
    scenario: Scenario, experiments: int, seeds: int, languages: int, random: np.random.Generator
) -> dict[str, Any]:
    """The line of one scenario with so many seeds and languages."""
    values, items = scenario.draw(random, experiments, seeds, languages)
    labels = scenario.families(languages)
    anova = Anova(values, labels, items)
    off = np.abs(anova.mean)
    families = len(set(labels))
    firm = not doubt_of(seeds, languages) and generalises(labels)
    # a true difference of exactly the smallest that matters, which is chosen so large that claims are possible
    smallest = 2.0 * float(np.median(anova.half(1 - LEVEL)))
    inside = np.abs(anova.mean + smallest) + anova.half(1 - LEVEL) < smallest
    return {
        "scenario": scenario.name,
        "seeds": seeds,
        "languages": languages,
        "families": families,
        "coverage": _share_of(off <= anova.half(0.95)),
        "false_positive": _share_of(off > anova.half(0.95)),
        "equivalent": _share_of(inside),
        "claims": firm,
        "half_width": round(float(np.median(anova.half(0.95))), 2),
    }


def any_bold(scenario: Scenario, experiments: int, seeds: int, languages: int, random: np.random.Generator) -> float:
    """Share of families of three comparisons without an effect of which any is significant after Holm's correction.

    The three are groups of languages on which the same models are tested, so that they share their seeds.
    """
    hit, shared = np.zeros(experiments, dtype=bool), random.standard_normal((experiments, seeds))
    for _ in range(3):
        values, items = scenario.draw(random, experiments, seeds, languages, shared)
        anova = Anova(values, scenario.families(languages), items)
        hit |= np.abs(anova.mean) > anova.half(1 - LEVEL / 3)
    assert holm([0.0166, 1, 1])[0] < LEVEL <= holm([0.0168, 1, 1])[0]  # what the line above stands for
    return _share_of(hit)


PEEKING = ((2, 3, 5), (3, 5), (3, 5, 8, 10), (2, 3, 4, 5, 6, 8, 10))
"""Numbers of seeds after which one looks."""


def peek(variances: tuple[float, float, float], looks: tuple[int, ...], n: int, random: np.random.Generator) -> dict:
    """Share of experiments without an effect in which any look finds one: with the levels of the looks, and without."""
    values, _ = normal(variances)(random, n, looks[-1], 12)
    spent, naive = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    for number, seeds in enumerate(looks, start=1):
        anova = Anova(values[:, :seeds])
        spent |= np.abs(anova.mean) > anova.half(1 - LEVEL / look_factor(number))
        naive |= np.abs(anova.mean) > anova.half(1 - LEVEL)
    return {"looks": list(looks), "any_look": _share_of(spent), "without_spending": _share_of(naive)}


def few_languages(experiments: int, random: np.random.Generator) -> list[dict[str, Any]]:
    """Groups of one to three languages, each of its own family: given one language nothing holds for others."""
    lines = []
    for seeds in (*SEEDS, 1):
        for languages in (1, 2, 3) if seeds > 1 else (4, 12):
            values, _ = normal(VARIANCES["small language effect"])(random, experiments, seeds, languages)
            anova = Anova(values)
            line = {"seeds": seeds, "languages": languages, "doubt": doubt_of(seeds, languages)}
            lines.append(line | {"coverage": _share_of(np.abs(anova.mean) <= anova.half(0.95))})
    return lines


def alternatives(experiments: int, random: np.random.Generator) -> list[dict[str, Any]]:
    """Coverage of a mixed model (REML) on the same kinds of experiments, related languages among them."""
    lines = []
    for scenario in (s for s in scenarios() if s.languages == LANGUAGES and "one language in ten" not in s.name):
        for seeds in SEEDS:
            values, _ = scenario.draw(random, experiments, seeds, 20)
            mean, width = reml(values)
            lines.append({"scenario": scenario.name, "seeds": seeds, "coverage": _share_of(np.abs(mean) <= width)})
    return lines


def calibrate(
    experiments: int,
    seeds: tuple[int, ...] = SEEDS,
    languages: tuple[int, ...] | None = None,
    names: Callable[[str], bool] = lambda name: True,
) -> dict[str, Any]:
    """All tables; each number rests on so many experiments of its own (parallel test sets: a tenth).

    languages: instead of each scenario's. names: which scenarios.
    """
    random, cells = np.random.default_rng(20), []
    for scenario in (s for s in scenarios() if names(s.name)):
        n = max(1, experiments // 10) if scenario.name.startswith("parallel") else experiments
        for count in (languages if languages and scenario.languages == LANGUAGES else None) or scenario.languages:
            for s in seeds:
                line = measure(scenario, n, s, count, random)
                bold = any_bold(scenario, n, s, count, random) if line["claims"] else None
                cells.append(line | {"experiments": n, "bold": bold})
    peeking = [
        {"variances": name} | peek(VARIANCES[name], looks, experiments, random)
        for name in ("mean of pairs, rare languages", "one pair, rare languages", "large language effect")
        for looks in PEEKING
    ]
    few = few_languages(experiments, random)
    return {
        "experiments": experiments,
        "cells": cells,
        "peeking": peeking,
        "few_languages": few,
        "alternatives": alternatives(experiments, random),
    }


def _share_of(flags: np.ndarray) -> float:
    return round(float(flags.mean()), 4)


def show(result: dict[str, Any]) -> str:
    """The tables as Markdown: coverage by scenario and seeds, lowest and highest over numbers of languages."""
    cells = result["cells"]
    seeds = sorted({cell["seeds"] for cell in cells})
    head = [
        "scenario",
        *(f"coverage, {s} seeds" for s in seeds),
        "false positives, 3 or more",
        "any bold",
        "equivalent",
    ]
    lines = [_line(head), _line(["---", *["--:"] * (len(head) - 1)])]
    for name in dict.fromkeys(cell["scenario"] for cell in cells):
        rows = [cell for cell in cells if cell["scenario"] == name and cell["families"] >= FEWEST_FAMILIES]
        several = [cell for cell in rows if cell["seeds"] > 2]
        bold = [cell["bold"] for cell in several if cell["bold"] is not None]
        numbers = [_span([cell["coverage"] for cell in rows if cell["seeds"] == s]) for s in seeds]
        numbers += [_most([cell["false_positive"] for cell in several]), _most(bold)]
        lines.append(_line([name, *numbers, _most([cell["equivalent"] for cell in several])]))
    lines += ["", _line(["looks after seeds", "variances", "any look", "without spending"]), "|---|---|--:|--:|"]
    for row in result["peeking"]:
        looks = ", ".join(map(str, row["looks"]))
        lines.append(_line([looks, row["variances"], _percent(row["any_look"]), _percent(row["without_spending"])]))
    lines += ["", _line(["seeds", "languages", "coverage", "claims"]), "|--:|--:|--:|---|"]
    for row in result["few_languages"]:
        claims = f"none: {row['doubt']}" if row["doubt"] else "in these families only"
        lines.append(_line([row["seeds"], row["languages"], _percent(row["coverage"]), claims]))
    head = ["mixed model (REML), 20 languages", *(f"{s} seeds" for s in SEEDS)]
    lines += ["", _line(head), _line(["---", *["--:"] * len(SEEDS)])]
    for name in dict.fromkeys(row["scenario"] for row in result["alternatives"]):
        of_name = [row["coverage"] for row in result["alternatives"] if row["scenario"] == name]
        lines.append(_line([name, *map(_percent, of_name)]))
    return "\n".join(lines)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _span(values: list[float]) -> str:
    if not values:
        return ""
    low, high = _percent(min(values)), _percent(max(values))
    return low if low == high else f"{low}-{high}"


def _most(values: list[float]) -> str:
    return _percent(max(values)) if values else ""


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
