"""The statistics behind the answer: calibrated intervals, sign flips, correction, power, breakdowns."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import permutation_test, ttest_1samp

from intermezzo.analysis import answer, breakdown, effects, summary
from intermezzo.analysis.best_intermediate import best_intermediate
from intermezzo.analysis.design import Design
from intermezzo.analysis.families import Families
from intermezzo.analysis.intervals import components, estimate
from intermezzo.analysis.items import item_error
from intermezzo.analysis.pairing import Comparisons
from intermezzo.analysis.power import seeds_needed, visible, visible_effects
from intermezzo.analysis.significance import flip_p, holm, look_factor, smallest_p
from intermezzo.tasks.formats import load_format

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "calibration.py"
LANGUAGES = ["en", "deu", "nor", "fri", "tul", "mor"]


@pytest.fixture(scope="module")
def calibration():
    spec = importlib.util.spec_from_file_location("calibration", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- intervals ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_intervals_are_calibrated(calibration):
    """Two standard errors of 1500 draws are 0.012. Where one language in ten gains 15, no interval of a mean holds."""

    def chosen(name):
        return "parallel" not in name and "one language in ten" not in name

    result = calibration.calibrate(1500, seeds=(3, 5), languages=(8, 40), names=chosen)
    for cell in result["cells"]:
        if cell["families"] >= 4:
            assert cell["coverage"] >= 0.935 - 0.012 and cell["false_positive"] <= 0.06 + 0.012, cell
            assert cell["equivalent"] <= 0.05 + 0.012 and (cell["bold"] or 0) <= 0.055 + 0.015, cell
    for row in result["peeking"]:
        assert row["any_look"] <= 0.06 + 0.012 and row["any_look"] < row["without_spending"], row
    related = [row["coverage"] for row in result["alternatives"] if "famil" in row["scenario"]]
    assert max(related) < 0.9  # what taking related languages as independent makes of it


def test_related_languages_are_no_independent_draws(calibration):
    """The interval that takes each language by itself is far too short where half of them are one family."""
    from intermezzo.analysis.intervals import Anova

    draw = np.random.default_rng(8)
    values, _ = calibration.normal((1.0, 30.0, 4.0), calibration.half, 0.7)(draw, 1500, 5, 20)
    by_family, alone = Anova(values, calibration.half(20)), Anova(values)
    assert np.mean(np.abs(alone.mean) <= alone.half(0.95)) < 0.85
    assert np.mean(np.abs(by_family.mean) <= by_family.half(0.95)) > 0.935
    assert (by_family.half(0.95) >= alone.half(0.95)).all()  # the wider of the two
    singles = Anova(values, calibration.own(20))
    assert singles.half(0.95) == pytest.approx(alone.half(0.95))


def test_items_that_languages_share_widen_the_interval(calibration):
    draw = np.random.default_rng(9)
    values, error = calibration.counted(1.5)(draw, 150, 5, 20)
    from intermezzo.analysis.intervals import Anova

    alone, with_items = Anova(values), Anova(values, items=error)
    assert np.mean(np.abs(alone.mean) <= alone.half(0.95)) < 0.85
    assert np.mean(np.abs(with_items.mean) <= with_items.half(0.95)) > 0.9


def test_item_errors_by_hand():
    same = np.tile(
        [[1.0, -1.0, 3.0, 1.0]], (3, 1)
    )  # three languages that agree on every item: variance 8 / 4, mean of 4
    error = item_error(same)
    assert (error.total, error.common) == (pytest.approx(0.5), pytest.approx(0.5 * (1 - 1 / 3)))
    apart = np.array([[1.0, -1.0, np.nan, np.nan], [np.nan, np.nan, 1.0, -1.0]])  # nothing in common
    assert item_error(apart).common == pytest.approx(0) and item_error(apart).total == pytest.approx(0.25)
    floor = estimate(np.array([[3.01], [2.99]]), items=item_error(same[:1]))
    assert floor.high - floor.mean == pytest.approx(1.96 * 0.5**0.5, abs=0.01)  # one language: an honest floor


@pytest.mark.slow
def test_calibration_is_one_command(tmp_path):
    command = [sys.executable, str(SCRIPT), "--json", str(tmp_path / "out.json"), "--experiments", "20"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = json.loads((tmp_path / "out.json").read_text())
    assert {"coverage", "false_positive", "seeds", "languages", "bold", "equivalent"} <= set(result["cells"][0])
    assert result["experiments"] == 20 and "| scenario | coverage, 2 seeds |" in shown


def test_equivalence_is_where_the_interval_lies_within():
    draw = np.random.default_rng(10)
    for _ in range(50):
        result = estimate(draw.normal(0.2, 1, (3, 8)), smallest=1.0)
        assert (result.p_equivalent < 0.05) == (result.low > -1 and result.high < 1)
    assert estimate(draw.normal(5, 1, (3, 8)), smallest=1.0).p_equivalent == 1.0


def test_looks_share_the_level():
    assert [look_factor(n) for n in (1, 2, 3, 4)] == [1, 10, 20, 40]
    assert sum(0.05 / look_factor(n) for n in range(1, 60)) <= 0.06


@pytest.mark.parametrize("shape", [(3, 8), (2, 5), (1, 6), (4, 1)])
def test_interval_and_p_agree(shape):
    draw = np.random.default_rng(3)
    for _ in range(50):
        result = estimate(draw.normal(0.8, 1, shape))
        assert (result.low > 0 or result.high < 0) == (result.p < 0.05)


def test_one_seed_or_language_is_students_t():
    values = np.random.default_rng(0).normal(1, 2, 7)
    expected = ttest_1samp(values, 0)
    for shape in ((1, 7), (7, 1)):
        result = estimate(values.reshape(shape))
        assert result.p == pytest.approx(expected.pvalue)
        interval = expected.confidence_interval()
        assert (result.low, result.high) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_components_are_recovered():
    draw = np.random.default_rng(1)
    values = draw.normal(0, 2, (300, 1)) + draw.normal(0, 3, (1, 300)) + draw.normal(0, 1, (300, 300))
    variances = components(values)
    assert variances.seed == pytest.approx(4, rel=0.2)
    assert variances.language == pytest.approx(9, rel=0.2)
    assert variances.remainder == pytest.approx(1, rel=0.05)
    assert np.isnan(components(values[:1]).seed) and np.isnan(components(values[:, :1]).language)


# -- sign flips and correction -----------------------------------------------------------------------------------------


def test_exact_sign_flips_are_those_of_scipy():
    values = np.random.default_rng(2).normal(0.7, 1, 9)
    expected = permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert flip_p(values) == pytest.approx(expected.pvalue)


def test_drawn_sign_flips_come_near_the_t_test():
    values = np.random.default_rng(4).normal(0.4, 1, 40)
    assert flip_p(values) == pytest.approx(ttest_1samp(values, 0).pvalue, abs=0.01)
    assert flip_p(values) == flip_p(values)


@pytest.mark.parametrize("units", [1, 2, 3, 5, 8])
def test_no_p_is_below_what_the_design_supports(units):
    assert flip_p(np.full(units, 3.0)) == smallest_p(units) == 2 / 2**units


def test_sign_flips_without_effect_are_exact():
    draw = np.random.default_rng(5)
    rejected = [flip_p(draw.standard_t(3, 8)) < 0.05 for _ in range(2000)]
    assert np.mean(rejected) <= 0.055


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]).tolist() == [1.0, 1.0]
    with_gap = holm([np.nan, 0.02, 0.01])
    assert np.isnan(with_gap[0]) and with_gap[1:] == pytest.approx([0.02, 0.02])


# -- power -------------------------------------------------------------------------------------------------------------


def test_a_visible_effect_is_seen_in_four_of_five_experiments():
    draw = np.random.default_rng(6)
    pilot = components(draw.normal(0, 1, (4, 1)) + draw.normal(0, 3, (1, 12)) + draw.normal(0, 2, (4, 12)))
    effect = visible(pilot, 4, 12)
    seen = 0
    for _ in range(600):
        values = effect + draw.normal(0, pilot.seed**0.5, (4, 1)) + draw.normal(0, pilot.language**0.5, (1, 12))
        seen += estimate(values + draw.normal(0, pilot.remainder**0.5, (4, 12))).low > 0
    assert seen / 600 == pytest.approx(0.8, abs=0.05)


def test_more_seeds_and_languages_see_smaller_effects():
    pilot = components(np.random.default_rng(7).normal(0, 3, (3, 8)) + np.array([[-2.0], [0], [2]]))
    table = visible_effects(pilot, [8, 20], [2, 3, 5, 10])
    assert (np.diff(table.to_numpy(), axis=0) < 0).all() and (table[20] < table[8]).all()
    seeds = seeds_needed(pilot, [0.001, 5.0], [8, 20])
    assert np.isnan(seeds.loc[0.001]).all()  # out of reach of thirty seeds
    assert table.at[10, 8] > 5 or seeds.loc[5.0, 8] <= 10
    assert np.isnan(visible(components(np.ones((1, 4)) * [1, 2, 3, 4]), 3, 4))  # one seed shows no spread of seeds


# -- frames from an experiment -----------------------------------------------------------------------------------------


def design(**changes) -> Design:
    targets = {
        name: {"task": name, "format": fmt, "metrics": metrics, "languages": LANGUAGES}
        for name, fmt, metrics in (("nli", "classification", ["accuracy"]), ("qa", "span", ["squad_f1", "squad_em"]))
    }
    targets["nli_blind"] = targets["nli"] | {"control": True}
    spec = {
        "english": "en",
        "english_mix": "en",
        "rare": ["fri", "tul", "mor"],
        "seeds": [0, 1, 2],
        "encoders": ["small"],
        "intermediates": {
            "none": {"tasks": [], "mixes": {"none": []}},
            "nli": {"tasks": ["nli"], "mixes": {"en": ["en"], "mix": ["en", "fri", "tul"]}},
        },
        "targets": targets,
        "attributes": {
            "deu": {"family": "west", "script": "Latin", "joshi": 5},
            "nor": {"family": "west", "script": "Runes", "joshi": 1},
            "fri": {"family": "west", "script": "Latin", "joshi": 1},
            "tul": {"family": "south", "script": "Tulu", "joshi": 0},
            "mor": {"family": "far"},
        },
        "pretrained": {"small": {"deu": True, "nor": True, "fri": False}},
    }
    return Design.read(spec | changes)


def frame(plan: Design, gain, fertility=lambda language: None, seed: int = 0) -> pd.DataFrame:
    """Scores of a design, in 0..1: half right, a gain (points) in the mix, and noise of one point."""
    noise, rows = np.random.default_rng(seed), []
    for cell in plan.cells():
        points = 50 + noise.normal(0, 1) + (gain(cell) if cell.mix == "mix" else 0)
        rows.append(
            cell._asdict() | {"value": points / 100, "n": 400, "majority": 0.3, "fertility": fertility(cell.language)}
        )
    return pd.DataFrame(rows).astype({"seed": "Int64", "fertility": float})


def families(plan: Design, gain, fertility=lambda language: None, seed: int = 0, looks: int = 1) -> Families:
    return Families(Comparisons(frame(plan, gain, fertility, seed), plan), looks)


def test_primary_comparisons_have_their_figures():
    plan = design()
    table = families(plan, lambda c: 10 if c.language in ("fri", "tul") else 0).primary
    assert list(table["group"]) == ["rare", "rare_seen", "rare_unseen"]
    seen = table.iloc[1]
    # nli is trained on nli in fri and tul: qa alone is zero-shot there
    assert (seen["languages"], seen["n_languages"], seen["n_seeds"], seen["n_pairs"]) == ("fri tul", 2, 3, 1)
    assert seen["mean"] == pytest.approx(10, abs=1.5) and seen["improved"] == 1.0
    assert (seen["least_p_languages"], seen["least_p_seeds"]) == (0.5, 0.25)
    assert table.iloc[2]["doubt"] == "one language" and np.isnan(table.iloc[2]["p_holm"])  # and does not count
    assert table["p_holm"].tolist()[:2] == pytest.approx(holm(table["p"][:2]).tolist())


def test_the_effect_size_is_that_of_single_differences():
    """It does not grow with the number of pairs that are averaged: by hand, over every pair, seed and language."""
    plan = design(attributes={}, question={"pairs": ["transfer", "same data"]})
    found = families(plan, lambda c: 3, seed=4)
    line = found.primary.iloc[0]
    single = np.concatenate(
        [p.delta[["fri", "tul", "mor"]].to_numpy().ravel() for p in effects.pairs(found.comparisons, "small", "mix")]
    )
    assert line["spread"] == pytest.approx(single.std(ddof=1))
    assert line["effect_size"] == pytest.approx(line["mean"] / single.std(ddof=1))


def test_summary_corrects_over_main_metrics_without_controls():
    plan = design()
    found = families(plan, lambda c: 5)
    table = summary.table(found)
    against = table[table["ci_of"] == "delta_english"]
    family = against[(against["target"] != "nli_blind") & (against["metric"] != "squad_em")]
    single = {(row["target"], row["group"]): row["p_holm"] for row in found.single.to_dict("records")}
    assert [single[row["target"], row["language_group"]] for row in family.to_dict("records")] == list(family["p_holm"])
    assert against.drop(family.index)["p_holm"].isna().all() and against["p"].notna().all()
    assert (family["p_holm"] >= family["p"]).all()


def test_distance_from_the_mix_is_not_guessed():
    languages = {
        "deu": {"family": "west", "script": "Latin"}, "nor": {"family": "west", "incomplete": True},
        "fri": {"family": "isolate", "script": "Latin"}, "tul": {"family": "isolate", "script": "Tulu"},
        "mor": {"incomplete": True},
    }  # fmt: skip
    plan = design(attributes=languages)  # in the mix: fri, tul

    def nearest(plan):
        table = breakdown.by_attribute(families(plan, lambda c: 0))
        lines = table[table["attribute"] == "distance"]
        return {
            code: value
            for codes, value in zip(lines["languages"], lines["value"], strict=True)
            for code in codes.split()
        }

    assert nearest(plan) == {"fri": "0 in the mix", "tul": "0 in the mix", "deu": "3 same script"}
    plan = design(attributes=languages | {"fri": {"family": "west", "incomplete": True}})
    assert nearest(plan) == {"fri": "0 in the mix", "tul": "0 in the mix"}


@pytest.mark.slow
@pytest.mark.parametrize("read", [{}, {"small": {"deu": True, "fri": True}}, {"other": {"deu": True, "fri": False}}])
def test_pretraining_groups_languages_only_where_this_encoder_has_read_some_of_them(read):
    plan = design(pretrained=read)
    table = breakdown.by_attribute(families(plan, lambda c: 0))
    assert "pretrained" not in set(table["attribute"])


@pytest.mark.slow
def test_languages_are_grouped_by_what_is_known_of_them():
    plan = design()
    table = breakdown.by_attribute(families(plan, lambda c: 8 if c.language in ("fri", "nor") else 0))
    lines = {(row["attribute"], row["value"]): row for row in table.to_dict("records")}
    west = lines["family", "west"]
    assert (set(west["languages"].split()), west["n_seen"]) == ({"deu", "nor", "fri"}, 1)
    assert lines["joshi", 1]["mean"] == pytest.approx(8, abs=1.5)
    assert set(lines["pretrained", True]["languages"].split()) == {"deu", "nor"}  # tul and mor: not known
    nearest = {row["languages"]: row["value"] for row in table.to_dict("records") if row["attribute"] == "distance"}
    assert nearest == {
        "fri tul": "0 in the mix",
        "deu": "1 same family and script",
        "nor": "2 same family",
        "mor": "4 neither",
    }
    assert not (table["languages"].str.contains("en")).any()
    text = answer.text(families(plan, lambda c: 0))
    assert "### Groups of languages" in text and "| resource class (Joshi et al. 2020) | 1 |" in text


def test_targets_that_nothing_is_trained_for_are_no_other_task():
    formats = {"nli": "classification", "pos": "tagging", "bucc": "mining", "tatoeba": "retrieval", "lareqa": "ranking"}
    metrics = {name: [load_format(form).metrics[0].name] for name, form in formats.items()}
    targets = {
        name: {"task": name, "format": form, "metrics": metrics[name], "languages": LANGUAGES[1:]}
        for name, form in formats.items()
    }
    plan = design(targets=targets)
    pairs = effects.pairs(families(plan, lambda c: 0).comparisons, "small", "mix")
    kinds = {pair.target: pair.kinds["fri"] for pair in pairs}
    expected = dict.fromkeys(("pos", "lareqa"), "transfer") | dict.fromkeys(("bucc", "tatoeba"), "untrained")
    assert kinds == {"nli": "same data"} | expected


@pytest.mark.slow
def test_fertility_is_compared_where_results_tell_it():
    plan = design()
    order = {code: number for number, code in enumerate(LANGUAGES)}

    def gain(cell):
        return 5 * order[cell.language]

    told = families(plan, gain, lambda language: 1.0 + order[language])
    (line,) = breakdown.with_fertility(told).to_dict("records")
    assert line["correlation"] == pytest.approx(1.0) and line["n_languages"] == 5
    assert "fertility" in set(breakdown.by_attribute(told)["attribute"])
    silent = families(plan, gain)
    assert breakdown.with_fertility(silent).empty
    assert "fertility" not in set(breakdown.by_attribute(silent)["attribute"])
    same = families(plan, gain, lambda language: 2.0)  # nothing correlates with a constant
    assert breakdown.with_fertility(same).empty and "nan" not in answer.text(same)


def test_the_transfer_gap_is_paired():
    plan = design()
    table = breakdown.transfer_gap(families(plan, lambda c: 12 if c.language == "fri" else 2))
    seen = table[table["group"] == "rare_seen"].iloc[0]
    # fri gains 10 more than English, tul as much: the gap of the two shrinks by 5
    assert seen["mean"] == pytest.approx(-5, abs=1.5)
    assert seen["after"] - seen["before"] == pytest.approx(seen["mean"])


@pytest.mark.slow
def test_the_best_intermediate_is_chosen_on_development_data():
    plan = design()
    test = Comparisons(frame(plan, lambda c: 0), plan)
    development = frame(plan, lambda c: 9).assign(split="dev")
    table = best_intermediate(development, test)
    assert list(table["target"]) == ["nli", "qa"]  # the control is none
    assert set(table["mix"]) == {"mix"}
    assert table["dev"].tolist() == pytest.approx([59, 59], abs=1.5)
    assert table["test"].tolist() == pytest.approx([50, 50], abs=1.5)
    assert "chosen on development data alone" in answer.text(Families(test), development)


@pytest.mark.slow
def test_without_a_baseline_or_a_rival_the_answer_says_none():
    mixes = {"en": ["en"], "mix": ["en", "fri", "tul"]}
    plan = design(intermediates={"nli": {"tasks": ["nli"], "mixes": mixes}})
    development = frame(plan, lambda c: 9).assign(split="dev")
    said = answer.text(families(plan, lambda c: 0), development[development["mix"] == "mix"])
    row = next(line for line in said.split("chosen on development data alone")[1].splitlines() if "| nli |" in line)
    assert "| none | none → " in row and "nan" not in said


@pytest.mark.parametrize("split", ["test", None, "mixed"])
def test_selection_on_test_data_is_refused(split):
    plan = design()
    scores = frame(plan, lambda c: 0)
    if split:
        scores["split"] = "test"
    if split == "mixed":
        scores.loc[3:, "split"] = "dev"
    with pytest.raises(AssertionError, match="development scores only"):
        best_intermediate(scores, Comparisons(scores, plan))
