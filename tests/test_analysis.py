"""Tables and answer against small experiments whose every figure is worked out by hand."""

from __future__ import annotations

import csv
import json
import random
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from intermezzo.analysis.design import Design
from intermezzo.analysis.intervals import estimate
from intermezzo.analysis.run import summarize
from intermezzo.core.errors import UserError

LANGUAGES = ["en", "deu", "fri", "tul", "mor"]


def spec(**changes):
    """One intermediate in two mixes, one trained target and retrieval, two seeds; fri and tul are seen."""
    default = {
        "english": "en",
        "english_mix": "en",
        "rare": ["fri", "tul", "mor", "xxx"],
        "seeds": [0, 1],
        "encoders": ["small"],
        "intermediates": {
            "none": {"tasks": [], "mixes": {"none": []}},
            "nli": {"tasks": ["nli"], "mixes": {"en": ["en"], "en+rare": ["en", "fri", "tul"]}},
        },
        "targets": {
            "nli": {"task": "nli", "format": "classification", "metrics": ["accuracy"], "languages": LANGUAGES},
            "pairs": {"task": "pairs", "format": "retrieval", "metrics": ["accuracy"], "languages": LANGUAGES[1:]},
        },
    }
    return default | changes


def hand_made(cell):
    """Value in points: a base per model, plus 1 for seed 1, plus a gain that seen languages have in the mix."""
    base = {"none": 40, "en": 50, "en+rare": 52}[cell.mix]
    gain = {"fri": 8, "tul": 18}.get(cell.language, 0) if cell.mix == "en+rare" else 0
    return base + (cell.seed or 0) + gain


@pytest.fixture
def experiment(tmp_path):
    """Write the result files of a design and return a function that summarises them."""

    def run(value=hand_made, change=None, **changes):
        design = spec(**changes)
        results = {}
        for cell in Design.read(design).cells():
            names = dict(zip(cell._fields[:6], cell[:6], strict=True))
            fresh = names | {"metrics": {}, "majority": {}, "n": 400, "spec": {"lr": 1}}
            fresh |= {"weights_sha256": "w", "data_sha256": "d", "code": "c"}
            result = results.setdefault(cell[:6], fresh)
            result["metrics"][cell.metric] = value(cell) / 100
            result["majority"][cell.metric] = 0.34
            result["seed"] = "none" if cell.seed is None else cell.seed
        results = list(results.values())
        if change:
            change(results)
        paths = [tmp_path / f"{number}.json" for number in range(len(results))]
        for path, result in zip(paths, results, strict=True):
            path.write_text(json.dumps(result))
        summarize(Design.read(design), paths, [], *outputs(tmp_path))
        return tmp_path

    return run


def outputs(folder: Path) -> list[Path]:
    return [folder / name for name in ("scores.parquet", "summary.tsv", "answer.md")]


def lines(folder: Path, **selection) -> list[dict[str, str]]:
    with open(folder / "summary.tsv", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    return [row for row in rows if all(row[key] == value for key, value in selection.items())]


def test_summary_by_hand(experiment):
    (row,) = lines(experiment(), target="nli", mix="en+rare", language_group="rare_seen")
    # fri 60, 61 and tul 70, 71 in the mix; 50, 51 in English only; 40, 41 without
    assert row["seen_in"] == "en+rare"
    assert (row["n_languages"], row["n_seeds"], row["mean"], row["sd"]) == ("2", "2", "65.50", "0.71")
    assert (row["majority"], row["delta_baseline"], row["delta_english"]) == ("34.00", "25.00", "15.00")
    # seeds agree, so that the error comes from the languages alone: 10 and 20, one degree of freedom, t = 12.706
    assert (row["ci_of"], row["ci_low"], row["ci_high"]) == ("delta_english", "-48.53", "78.53")


@pytest.mark.slow
def test_groups(experiment):
    rows = lines(experiment(), target="nli", mix="en+rare")
    assert {row["language_group"]: row["n_languages"] for row in rows} == {
        **{"all": "5", "english": "1", "rare": "3", "rare_seen": "2", "rare_unseen": "1", "other": "1"}
    }
    assert {row["language_group"] for row in lines(experiment(), target="pairs")} == {
        *("all", "rare", "rare_seen", "rare_unseen", "other")
    }


def test_reference_rows_have_the_languages_of_the_mix_that_they_are_compared_with(experiment):
    folder = experiment()
    for mix, mean in (("none", "40.50"), ("en", "50.50")):
        (row,) = lines(folder, target="nli", mix=mix, language_group="rare_seen")
        assert (row["seen_in"], row["n_languages"], row["mean"]) == ("en+rare", "2", mean)
    (english,) = lines(folder, target="nli", mix="en", language_group="all")
    assert (english["delta_baseline"], english["delta_english"], english["ci_of"]) == ("10.00", "", "delta_baseline")
    (none,) = lines(folder, target="nli", mix="none", language_group="all")
    assert (none["delta_baseline"], none["delta_english"], none["ci_of"], none["ci_low"]) == ("", "", "", "")


def test_splits_are_named_by_mix_and_by_intermediate_where_the_two_differ():
    mixes = {"en": ["en"], "a": ["en", "fri"], "b": ["en", "tul"]}
    qa_mixes = mixes | {"b": ["en", "mor"]}
    intermediates = {"none": {"tasks": [], "mixes": {"none": []}}}
    intermediates |= {"nli": {"tasks": ["nli"], "mixes": mixes}, "qa": {"tasks": ["qa"], "mixes": qa_mixes}}
    design = Design.read(spec(intermediates=intermediates))

    def seen(intermediate, mix):
        groups = design.groups(intermediate, mix, "nli")
        return {group.seen_in: group.languages for group in groups if group.name == "rare_seen"}

    assert seen("nli", "a") == {"a": ("fri",)}
    assert seen("nli", "en") == {"a": ("fri",), "b": ("tul",)}
    assert seen("none", "none") == {"a": ("fri",), "nli/b": ("tul",), "qa/b": ("mor",)}


def test_without_another_mix_every_rare_language_is_unseen(experiment):
    only = {"none": {"tasks": [], "mixes": {"none": []}}, "nli": {"tasks": ["nli"], "mixes": {"english": ["en"]}}}

    def value(cell):
        return 50 if cell.intermediate == "nli" else 40

    folder = experiment(value, intermediates=only, english_mix="english")
    (row,) = lines(folder, target="nli", intermediate="nli", language_group="rare_unseen")
    assert (row["n_languages"], row["delta_baseline"]) == ("3", "10.00")
    assert not lines(folder, language_group="rare_seen")
    assert "cannot answer it" in (folder / "answer.md").read_text()


def test_untouched_encoder_pairs_with_every_seed(experiment):
    folder = experiment()
    (none,) = lines(folder, target="pairs", intermediate="none", language_group="all")
    assert (none["n_seeds"], none["mean"], none["sd"]) == ("1", "40.00", "")
    (row,) = lines(folder, target="pairs", mix="en", language_group="all")
    assert (row["n_seeds"], row["delta_baseline"]) == ("2", "10.50")


def test_differences_are_paired_by_seed(experiment):
    # seed 1 is 29 points worse throughout: the spread of means is large, that of differences nil
    folder = experiment(lambda cell: hand_made(cell) - 30 * (cell.seed or 0))
    (row,) = lines(folder, target="nli", mix="en+rare", language_group="english")
    assert (row["sd"], row["delta_english"], row["ci_low"], row["ci_high"]) == ("20.51", "2.00", "", "")


def test_scores_are_tidy_and_tell_their_origin(experiment):
    table = pq.read_table(experiment() / "scores.parquet")
    assert table.num_rows == 5 * 6 + 4 * 5
    row = table.to_pylist()[0]
    assert row.pop("spec") and row == {
        **{"encoder": "small", "intermediate": "nli", "mix": "en", "seed": 0, "target": "nli", "language": "deu"},
        **{"metric": "accuracy", "value": 0.5, "n": 400, "majority": 0.34, "fertility": None},
        **{"weights_sha256": "w", "data_sha256": "d", "code": "c"},
    }
    assert table.column("seed").null_count == 4


@pytest.mark.slow
def test_equal_results_give_equal_bytes_whatever_the_order_of_files(experiment):
    first = [path.read_bytes() for path in outputs(experiment())]
    assert [path.read_bytes() for path in outputs(experiment(change=lambda r: random.Random(1).shuffle(r)))] == first


@pytest.mark.slow
def test_answer_is_made_from_the_numbers(experiment):
    def helped(cell):
        """Seen languages gain 20 points, others lose 10, at the same seed and language; a hair apart between seeds."""
        if cell.mix != "en+rare":
            return hand_made(cell)
        return 50 + 1.002 * (cell.seed or 0) + (20 if cell.language in ("fri", "tul") else -10)

    answer = (experiment(helped) / "answer.md").read_text()
    # nli is trained on nli in fri and tul: no transfer, so that mor alone is left for the question
    assert (
        "- Undecided: in zero-shot transfer to rare languages, `en+rare` against `en`: -10.0 [-10.0, -10.0]" in answer
    )
    assert "one language: nothing is concluded about others" in answer
    assert "not zero-shot: with labelled data of the same skill in the language, in rare languages in the mix" in answer
    assert "| nli | nli (accuracy) | 50.5 → 70.5, +20.0 [20.0, 20.0] (same data) |" in answer
    equal = (experiment(lambda c: 50 + 20 * (c.mix == "en+rare")) / "answer.md").read_text()
    assert "`en+rare` +20.0, " not in equal and "+20.0 (1 language of unknown families" in equal


@pytest.mark.slow
def test_mixes_come_in_the_order_of_the_configuration_and_only_where_they_were_trained(experiment):
    """`b` before `a`, as the configuration has them; English-only first in tables; qa was trained in `a` alone."""
    noise, seen = random.Random(0), ["en", "fri", "tul"]
    nli = {"tasks": ["nli"], "mixes": {"a": seen, "b": ["en", "mor"], "en": ["en"]}}
    intermediates = spec()["intermediates"] | {"nli": nli, "qa": {"tasks": ["qa"], "mixes": {"a": seen, "en": ["en"]}}}
    changes = {"intermediates": intermediates, "mixes": ["b", "en", "a"]}
    folder = experiment(lambda cell: 50 + noise.gauss(0, 2), **changes)
    answer = (folder / "answer.md").read_text()
    assert re.findall(r"^## `(\w+)` against `en`", answer, flags=re.MULTILINE) == ["b", "a"]
    tables = [re.findall(r"^\| (nli|qa) \| (en|a|b) \|", answer, flags=re.MULTILINE)]
    for rows in (lines(folder), pq.read_table(folder / "scores.parquet").to_pylist()):
        tables.append(list(dict.fromkeys((row["intermediate"], row["mix"]) for row in rows if row["mix"] != "none")))
    assert tables == [[("nli", "en"), ("nli", "b"), ("nli", "a"), ("qa", "en"), ("qa", "a")]] * 3
    split = lines(folder, target="nli", intermediate="nli", mix="en")
    assert [row["seen_in"] for row in split if row["language_group"] == "rare_seen"] == ["b", "a"]
    assert "Pairs of 1 intermediate (nli)" in answer.split("## `b`")[1].split("## `a`")[0]
    assert "Pairs of 2 intermediates (nli, qa)" in answer.split("## `a`")[1]


def test_answer_counts_the_languages_above_a_guess(experiment):
    """400 rows: 34 points have a standard error of 2.4. fri and tul are guesses, mor and deu are not."""
    noise = random.Random(0)

    def value(cell):
        return (34 if cell.target == "nli" and cell.language in ("fri", "tul") else 80) + noise.gauss(0, 1)

    answer = (experiment(value) / "answer.md").read_text()
    listed = answer.split("## Which results are above a guess")[1].split("##")[0]
    assert "- `nli`, rare languages: 1 of 3 languages above the guess with every model; " in listed
    assert "at chance with every model: fri, tul." in listed
    assert "`nli`, English" not in listed and "`nli`, other" not in listed and "`pairs`" not in listed
    row = next(line for line in answer.splitlines() if line.startswith("| nli | nli"))
    assert [" †" in cell for cell in row.split("|")[3:7]] == [True, False, False, False]


def test_languages_far_above_a_guess_are_not_at_chance_because_others_are(experiment):
    """The mean over languages and its error say nothing of one language: nor at 43 against 12.5 is no guess."""

    def value(cell):
        return {"fri": 43, "tul": 8}.get(cell.language, 10)

    answer = (experiment(value) / "answer.md").read_text()
    listed = answer.split("## Which results are above a guess")[1].split("##")[0]
    assert "- `nli`, rare languages: 1 of 3 languages above" in listed and "with every model: tul, mor." in listed
    assert "no model is above" not in answer


@pytest.mark.slow
def test_a_score_that_a_guess_reaches_by_luck_is_chance(experiment):
    """400 rows: 34 points have a standard error of 2.4; one seed and one language have no other."""

    def informative(points):
        shown = (experiment(lambda cell: points, seeds=[0]) / "answer.md").read_text()
        return "- `nli`, English: " not in shown

    assert not informative(38.5)
    assert informative(39.0)


@pytest.mark.slow
def test_controls_are_in_the_table_and_not_in_the_answer(experiment):
    targets = spec()["targets"]
    targets["nli_blind"] = targets["nli"] | {"control": True}
    with_control = experiment(lambda cell: 99 if cell.target == "nli_blind" else hand_made(cell), targets=targets)
    answer = (with_control / "answer.md").read_text()
    assert lines(with_control, target="nli_blind", mix="en", language_group="all")[0]["mean"] == "99.00"
    assert answer == (experiment() / "answer.md").read_text()


def test_a_control_encoder_has_the_baseline_alone_and_is_in_no_average():
    encoders = {"encoders": ["world", "untrained"], "baseline_only": ["untrained"]}
    design = Design.read(spec(**encoders))
    assert {cell.intermediate for cell in design.cells() if cell.encoder == "untrained"} == {"none"}
    assert {cell.intermediate for cell in design.cells() if cell.encoder == "world"} > {"none"}
    assert design.without_controls().encoders == ("world",)
    targets = spec()["targets"]
    first = next(iter(targets))
    design = Design.read(spec(targets=targets | {first: targets[first] | {"baseline_only": True}}))
    assert {cell.intermediate for cell in design.cells() if cell.target == first} == {"none"}
    assert first not in design.without_controls().targets


def test_estimate_by_hand():
    # languages 1 and 3 at two seeds that differ by 2: each mean square is 4, and nothing remains
    result = estimate(np.array([[0.0, 2.0], [2.0, 4.0]]))
    assert (result.mean, result.error) == (2.0, pytest.approx(np.sqrt(2)))
    # each margin has one degree of freedom, t = 12.706, and their squares add up
    assert result.high - 2 == pytest.approx(12.706 * np.sqrt(2), rel=1e-3)
    assert np.isnan(estimate(np.array([[5.0]])).low)
    one_seed = estimate(np.array([[1.0, 2.0, 3.0]]))
    assert (one_seed.error, one_seed.high) == (pytest.approx(3**-0.5), pytest.approx(2 + 4.303 * 3**-0.5, rel=1e-3))


@pytest.mark.slow
def test_noise_alone_is_seldom_called_an_effect(experiment):
    noise = random.Random(3)
    called = 0
    for _ in range(20):
        folder = experiment(lambda cell: 60 + noise.gauss(0, 3))
        called += sum("**higher**" in line or "**lower**" in line for line in (folder / "answer.md").open())
    assert called <= 8  # of 80 intervals at 95 %


def _without(results):
    del results[3]


def _twice(results):
    results.append(results[0])


def _unasked(results):
    results[0]["language"] = "xxx"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without, "results missing:\n  encoder small"),
        (_twice, "is already in"),
        (_unasked, "not part of the experiment|missing"),
        (lambda r: r[0]["metrics"].update(accuracy=float("nan")), "metrics.accuracy.*finite.*delete the file"),
        (
            lambda r: r[0]["metrics"].update(accuracy=61.0),
            "metrics.accuracy: 61.0, but it must be from 0 to 1; delete the file",
        ),
        (lambda r: r[0]["majority"].clear(), "majority lacks the metric 'accuracy'"),
        (lambda r: r[0].pop("code"), "code: Field required"),
    ],
)
def test_bad_results_are_one_clear_message_and_no_file(experiment, tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        experiment(change=change)
    assert not any(path.exists() for path in outputs(tmp_path))


def test_a_truncated_result_is_named(experiment, tmp_path):
    experiment()
    (tmp_path / "2.json").write_text('{"encoder": "sm')
    with pytest.raises(UserError, match=r"2\.json: not valid JSON"):
        summarize(Design.read(spec()), sorted(tmp_path.glob("*.json")), [], *outputs(tmp_path))


def test_a_wrong_specification_is_refused():
    with pytest.raises(UserError, match="seeds"):
        Design.read({key: value for key, value in spec().items() if key != "seeds"})
