"""Rivals of intermediate training: translate-test, the curve of shots, and what methods cost and gain."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from intermezzo.analysis import rival_targets
from intermezzo.analysis.design import Cell, Design
from intermezzo.analysis.families import Families
from intermezzo.analysis.pairing import Comparisons
from intermezzo.config import load
from intermezzo.config.remarks import remarks
from intermezzo.core.errors import UserError
from intermezzo.dag.experiment import Grid
from intermezzo.dag.inputs import Inputs
from intermezzo.dag.jobs import Tracked, jobs_of
from intermezzo.dag.specs import Specs
from intermezzo.planning.amounts import Amounts
from intermezzo.planning.costs import Costs
from intermezzo.planning.rates import Rates
from intermezzo.report import methods
from intermezzo.report.plots import plot_methods, plot_shots
from intermezzo.specs.translation import WorldTranslation
from intermezzo.translation import _all_of, translate
from intermezzo.world import build
from specifications import WORLD

TRANSLATED = {
    "grid": {"targets": ["nli", "nli_translated"], "intermediates": ["qa"], "seeds": [0]},
    "languages": {"evaluation": ["en", "nor", "fri"]},
    "targets": {"nli_translated": {"task": "nli", "translate_test": True}},
}


def of_world(task: str, language: str, noise: float = 0.0) -> WorldTranslation:
    fields = {"task": task, "language": language, "split": "test", "examples": None, "backend": "world"}
    return WorldTranslation.read(fields | {"noise": noise, "world": WORLD})


# -- translate-test ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["nli", "qa"])
def test_the_world_translates_test_rows_into_english_with_their_answers(task):
    world = build(WORLD)
    rows, english = (world.rows(task, code, "test", 12) for code in ("fri", "en"))
    assert translate(of_world(task, "fri"), rows) == english, "the same meanings, said in English"
    noisy = translate(of_world(task, "fri", noise=0.5), rows)
    assert noisy != english and [row["id"] for row in noisy] == [row["id"] for row in rows]
    assert noisy != translate(of_world(task, "vel", noise=0.5), world.rows(task, "vel", "test", 12))
    if task == "nli":
        assert [row["label"] for row in noisy] == [row["label"] for row in rows]
    for row in noisy if task == "qa" else ():
        for answer, start in zip(row["answers"], row["answer_starts"], strict=True):
            assert row["context"][start : start + len(answer)] == answer


def test_the_training_is_shared_and_its_test_data_are_jobs_that_are_tracked_and_priced():
    config = load(TRANSLATED)
    grid = Grid(config)
    assert grid.trainings == {"nli": ["nli", "nli_translated"]}
    files = Inputs(grid).evaluation_files("nli_translated")
    assert files["nli/en"] == "results/data/world/nli/en/test.parquet"
    assert files["nli/fri"] == "results/data/in_english/nli/fri/test.parquet"
    jobs, tracked = jobs_of(grid), Tracked(grid)
    job = jobs["data/in_english/nli/fri/test"]
    assert job.needs == ("data/world/nli/fri/test",)
    assert job.path in jobs["eval/world/none/none/seed0/nli_translated"].needs
    before = {path: tracked.of(jobs[path]) for path in (job.path, "eval/world/none/none/seed0/nli_translated")}
    other = Tracked(Grid(load(TRANSLATED | {"translation": {"noise": 0.3}})))
    for path, parameters in before.items():
        assert (
            other.of(jobs[path])["inputs" if path.startswith("eval") else "spec"]
            != parameters["inputs" if path.startswith("eval") else "spec"]
        )
    plain = jobs["eval/world/none/none/seed0/nli"]
    assert other.of(plain) == tracked.of(plain), "the target without translation is as it was"
    assert "translated" not in Specs(grid).spec_evaluate(SimpleNamespace(encoder="world", target="nli"))
    costs = Costs(grid, Amounts(config), Rates.read())
    assert costs.cost(job).seconds > 0


def hub(task: str, **translation) -> dict:
    fields = {"backend": "hub", "model": ".", "languages": {"sw": "swh_Latn"}} | translation
    encoder = {"from": "a/b", "revision": "a" * 40, "pretrained_on": ["en"]}
    return {
        "grid": {"targets": ["x"], "intermediates": [], "encoders": ["e"], "seeds": [0]},
        "data": {"source": "hub"},
        "encoders": {"e": encoder},
        "translation": fields,
        "targets": {"x": {"task": task, "translate_test": True}},
    }


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        (TRANSLATED | {"targets": {"nli_translated": {"task": "pos", "translate_test": True}}}, "belong to words"),
        (TRANSLATED | {"targets": {"nli_translated": {"task": "retrieval", "translate_test": True}}}, "would change"),
        (hub("xquad"), "may lose answers of 'xquad'"),
        (hub("xnli", languages={"yo": "yor_Latn"}), "targets.x.translate_test: no test data of 'xnli' can be"),
        (
            hub("xnli", backend="files"),
            "can be translated into English: the task file's section",
        ),
        (hub("xnli", backend="world"), "translation.backend: 'world' does not fit data.source 'hub'"),
    ],
)
def test_targets_that_cannot_be_translated_are_refused_in_words(overlay, message):
    with pytest.raises(UserError, match=message):
        load(overlay)


def test_languages_that_cannot_be_translated_are_left_out_and_it_is_said():
    config = load(hub("xnli"))
    assert Grid(config).languages("x") == ("en", "sw")
    assert any("cannot be translated into English" in line and "ur" in line for line in remarks(config))


def test_translations_of_other_rows_are_one_message():
    rows = [{"id": str(n), "text": "a", "text_pair": "b", "label": "neutral"} for n in range(3)]
    spec = of_world("nli", "fri")
    assert _all_of(rows, [row | {"id": "x", "text": "c"} for row in rows], spec)[0] == rows[0] | {"text": "c"}
    with pytest.raises(UserError, match="test data of 'fri' in English: 2 rows, and 3 before"):
        _all_of(rows, rows[:2], spec)
    with pytest.raises(UserError, match="row 3: label 'entailment', and 'neutral' before the translation"):
        _all_of(rows, [*rows[:2], rows[2] | {"label": "entailment"}], spec)


# -- the curve of shots, costs and gains -------------------------------------------------------------------------------

LANGUAGES = ["en", "sw", "yo", "qu"]


def design(**changes) -> Design:
    """One intermediate in two mixes; `nli` with few-shot targets and a translated one."""
    target = {"task": "nli", "format": "classification", "metrics": ["accuracy"], "languages": LANGUAGES}
    few = {"trained_in": ["sw", "yo"], "baseline_only": True}
    fields = {
        "english": "en",
        "english_mix": "en",
        "rare": ["sw", "yo", "qu"],
        "seeds": [0, 1],
        "encoders": ["small"],
        "intermediates": {
            "none": {"tasks": [], "mixes": {"none": []}},
            "qa": {"tasks": ["qa"], "mixes": {"en": ["en"], "en+rare": ["en", "sw", "yo"]}},
        },
        "targets": {
            "nli": target | {"training": "nli"},
            "few_all": target | few | {"training": "few_all", "shots": {"sw": None, "yo": None}},
            "few_5": target | few | {"training": "few_5", "shots": {"sw": 5, "yo": 5}},
            "translated": target | {"training": "nli", "translated": True},
        },
    }
    return Design.read(fields | changes)


def points(cell: Cell) -> float:
    """40, and what a method adds in the languages that it has seen."""
    seen = cell.language in ("sw", "yo")
    gain = {"few_5": 2, "few_all": 8}.get(cell.target, 0) * seen + 6 * (cell.target == "translated") * (
        cell.language != "en"
    )
    return 40 + gain + 3 * (cell.mix == "en+rare" and seen) + (cell.seed or 0)


def families(plan: Design) -> Families:
    keys = [dict(zip(Cell._fields, cell, strict=True)) for cell in plan.cells()]
    lines = [
        key | {"value": points(cell) / 100, "n": 400, "majority": 0.33, "fertility": None}
        for key, cell in zip(keys, plan.cells(), strict=True)
    ]
    frame = pd.DataFrame(lines).astype({"seed": "Int64", "fertility": float})
    return Families(Comparisons(frame, plan))


def test_the_curve_of_shots_begins_at_zero_and_ends_with_all():
    curve = rival_targets.curve(families(design()))
    trained = curve[curve["group"] == "trained_in"]
    assert list(trained["shots"]) == [0, 5, np.inf]
    assert list(trained["score"]) == pytest.approx([40.5, 42.5, 48.5])
    assert list(trained["value"]) == pytest.approx([0, 2, 8])
    assert list(curve[curve["group"] == "others"]["value"]) == pytest.approx([0, 0, 0])
    text = "\n".join(rival_targets.blocks(families(design())))
    assert text.index("few_5") < text.index("few_all"), "in the order of the shots"
    assert "## Test data translated into English" in text and "40.5 → 46.5" in text
    labels = [label.get_text() for label in plot_shots(curve).get_xticklabels()]
    assert labels == ["0", "5", "all"]


def test_a_translated_target_is_no_part_of_the_question():
    plan = design()
    assert {plan.kind("qa", "en+rare", "translated", code) for code in LANGUAGES} == {"translate-test"}
    assert plan.twin_of("translated") == "nli" and plan.twin_of("nli") is None
    assert list(families(plan).primary["n_pairs"].unique()) == [1]


def test_a_target_with_an_adapter_is_set_beside_the_same_with_all_weights_and_is_not_few_shot():
    plan = design()
    lora = plan.targets["nli"].model_copy(update={"method": "LoRA", "training": "lora", "baseline_only": True})
    plan = plan.model_copy(update={"targets": {"nli": plan.targets["nli"], "lora": lora}})
    lines = rival_targets.frame(families(plan))
    assert set(lines["group"]) == {"adapted"} and set(lines["method"]) == {"LoRA"} and set(lines["twin"]) == {"nli"}
    text = "\n".join(rival_targets.blocks(families(plan)))
    assert "## Adapters in the target's own training" in text and "few-shot" not in text
    assert rival_targets.curve(families(plan)).empty


def test_rare_languages_in_the_target_are_set_against_the_same_in_the_intermediate():
    plan = design()
    own = plan.intermediates["qa"].model_copy(update={"tasks": ("nli",)})
    few = plan.targets["few_5"].model_copy(update={"baseline_only": False})
    plan = plan.model_copy(
        update={
            "intermediates": plan.intermediates | {"nli": own},
            "targets": {"nli": plan.targets["nli"], "few_5": few},
        }
    )
    (line,) = rival_targets.where_spent(families(plan)).to_dict("records")
    assert (line["target"], line["twin"], line["mix"], line["languages"]) == ("few_5", "nli", "en+rare", "sw yo")
    assert line["n_models"] == 1, "qa is not trained on the target's data"
    assert (line["before"], line["after"]) == pytest.approx((43.5, 42.5)) and line["mean"] == pytest.approx(-1)
    text = "\n".join(rival_targets.blocks(families(plan)))
    assert "few_5 after `en`, against nli after `en+rare`" in text and "43.5 → 42.5" in text
    assert rival_targets.where_spent(families(design())).empty, "few-shot targets from the baseline alone"


def experiment(tmp_path, plan: Design, logged: dict[str, float]) -> SimpleNamespace:
    """What `cost_and_gain` reads of a run: CPU seconds of its jobs, and models without logs."""
    (tmp_path / "logs").mkdir()
    lines = [{"made": f"results/{place}", "seconds": 1.0, "cpu_seconds": cpu} for place, cpu in logged.items()]
    (tmp_path / "logs/usage.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"made": "cut')
    return SimpleNamespace(design=plan, comparisons=families(plan).comparisons, folder=tmp_path / "results", models=[])


def usage() -> dict[str, float]:
    logged = {}
    for seed in (0, 1):
        none = f"small/none/none/seed{seed}"
        logged |= {f"target/{none}/{name}": 3600.0 for name in ("nli", "few_5", "few_all")}
        logged |= {f"eval/{none}/{name}": 360.0 for name in ("nli", "few_5", "few_all", "translated")}
        for mix in ("en", "en+rare"):
            run = f"small/qa/{mix}/seed{seed}"
            logged |= {f"intermediate/{run}": 7200.0, f"target/{run}/nli": 3600.0, f"eval/{run}/nli": 360.0}
    return logged | {f"data/in_english/nli/{code}/test.parquet": 1200.0 for code in ("sw", "yo", "qu")}


def test_costs_are_charged_to_the_method_that_needs_them_and_gains_are_paired(tmp_path):
    frame = methods.cost_and_gain(experiment(tmp_path, design(), usage()))
    assert list(frame["method"].unique()) == [
        *("no intermediate", "intermediate, en", "intermediate, en+rare", "few-shot 5", "few-shot all"),
        "translate-test",
    ]
    seen = frame[frame["languages"] == "rare_seen"].set_index("method")
    assert seen["cost"].to_dict() == pytest.approx(
        {
            "no intermediate": 1.1,
            "intermediate, en": 3.1,
            "intermediate, en+rare": 3.1,
            "few-shot all": 1.1,
            "few-shot 5": 1.1,
            "translate-test": 2.1,
        }
    )
    assert seen.loc["translate-test", "translation"] == pytest.approx(1.0)
    assert seen["value"].to_dict() == pytest.approx(dict(zip(seen.index, (0, 0, 3, 2, 8, 6), strict=True)), abs=1e-9)
    unseen = frame[frame["languages"] == "rare_unseen"].set_index("method")["value"]
    assert unseen["few-shot all"] == pytest.approx(0) and unseen["translate-test"] == pytest.approx(6)
    assert set(frame["unit"]) == {"CPU hours"} and set(frame["languages"]) == {"rare_seen", "rare_unseen", "english"}
    ax = plot_methods(frame[frame["languages"] == "rare_seen"])
    assert ax.get_xlabel() == "cost, CPU hours" and len(ax.get_legend_handles_labels()[1]) == 6


def test_pairs_for_realignment_move_no_language_to_the_seen_ones(tmp_path):
    plan = design()
    qa = plan.intermediates["qa"]
    aligned = qa.model_copy(update={"method": "realignment", "mixes": {"en": ("de",), "en+rare": ("sw", "yo", "qu")}})
    plan = plan.model_copy(update={"intermediates": plan.intermediates | {"aligned": aligned}})
    frame = methods.cost_and_gain(experiment(tmp_path, plan, usage()))
    groups = frame[frame["method"] == "translate-test"].set_index("languages")["n_languages"]
    assert groups.to_dict() == {"rare_seen": 2, "rare_unseen": 1, "english": 1}


def test_prices_make_money_of_hours_and_what_no_log_tells_has_no_cost(tmp_path):
    logged = {place: cpu for place, cpu in usage().items() if "in_english/nli/yo" not in place}
    plan = design(prices={"cpu_hour": 0.5, "currency": "EUR"})
    frame = methods.cost_and_gain(experiment(tmp_path, plan, logged))
    cost = frame[frame["languages"] == "english"].set_index("method")["cost"]
    assert set(frame["unit"]) == {"EUR"} and cost["few-shot 5"] == pytest.approx(0.55)
    assert np.isnan(cost["translate-test"]), "a translation whose cost is not known costs not nothing"
