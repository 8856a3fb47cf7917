"""Equal trainings are one job: which targets share a model, what the model is called, and that scores stay the same."""

import json

import pytest

from checkout import ROOT, Checkout
from intermezzo.config import catalogue, load
from intermezzo.core.errors import UserError
from intermezzo.dag.experiment import Grid
from intermezzo.dag.inputs import Inputs
from intermezzo.dag.specs import Specs
from intermezzo.dag.trainings import target_spec
from intermezzo.planning.jobs import jobs_of
from intermezzo.specs.evaluation import EvaluateSpec

TWINS = {
    "grid": {"targets": ["nli", "twin", "nli_other", "nli_shuffled", "nli_hypothesis"]},
    "targets": {
        "twin": {"task": "nli"},
        "nli_other": {"task": "nli", "training": {"epochs": 7}},
        "nli_shuffled": {"task": "nli", "shuffle_labels": True},
        "nli_hypothesis": {"task": "nli", "partial_input": True, "baseline_only": True},
    },
}


def trainings(*overlays) -> dict[str, list[str]]:
    return Grid(load(*overlays)).trainings


def test_targets_that_are_trained_alike_share_a_training():
    assert trainings(TWINS) == {
        "nli": ["nli", "twin"],
        "nli-nli_other": ["nli_other"],
        "nli-nli_shuffled": ["nli_shuffled"],
        "nli-nli_hypothesis": ["nli_hypothesis"],
    }


def test_the_benchmarks_that_are_trained_on_mnli_or_squad_share_one():
    shared = trainings(ROOT / "config/experiments/rare_mix.yaml")
    assert shared["mnli"] == ["xnli", "americasnli", "afrixnli"]
    assert shared["squad_v1"] == ["xquad", "mlqa", "afriqa"]
    assert shared["socialiqa+copa"] == ["xcopa"]
    assert len(shared) == 8


@pytest.mark.parametrize("position", [0, 3])
def test_a_special_target_changes_no_other_name(position):
    targets = ["nli", "pos", "qa"]
    targets.insert(position, "special")
    overlay = {"grid": {"targets": targets}, "targets": {"special": {"task": "nli", "training": {"epochs": 7}}}}
    assert trainings(overlay)["nli"] == ["nli"]
    assert trainings(overlay)["nli-special"] == ["special"]


def test_a_target_with_settings_of_its_own_keeps_the_plain_name_where_it_is_free():
    assert trainings({"grid": {"targets": ["nli"]}, "targets": {"nli": {"training": {"epochs": 7}}}}) == {
        "nli": ["nli"]
    }


def test_equal_settings_of_two_special_targets_are_one_training():
    entry = {"task": "nli", "training": {"epochs": 7}}
    overlay = {"grid": {"targets": ["a", "b", "nli"]}, "targets": {"a": entry, "b": entry}}
    assert trainings(overlay) == {"nli": ["nli"], "nli-a": ["a", "b"]}


def test_all_targets_of_a_training_have_its_specification():
    """What tells trainings apart is all that the job depends on: no target gets another's model."""

    grid = Grid(load(ROOT / "config/experiments/rare_mix.yaml"))
    names = {}
    for training, targets in grid.trainings.items():
        for encoder in grid.encoders:
            (spec,) = {target_spec(grid, encoder, target, seed=3).canonical() for target in targets}
            assert names.setdefault((encoder, spec), training) == training


def test_a_shared_training_is_one_job_of_the_runs_of_all_its_targets():
    overlay = {
        "grid": {"targets": ["nli", "first"]},
        "targets": {"first": {"task": "nli", "baseline_only": True}},
    }
    grid = Grid(load(overlay))
    assert grid.runs_of_training("nli") == grid.runs_of("nli")
    paths = Inputs(grid).target_paths()
    assert len(paths) == len(set(paths)) == len(grid.runs)
    jobs = jobs_of(grid)
    assert sum(job.stage == "target" for job in jobs.values()) == len(grid.runs)
    assert "target/world/none/none/seed0/nli" in jobs["eval/world/none/none/seed0/first"].needs


def test_an_evaluation_says_which_head_predicts():
    from test_grid import wildcards

    specs = Specs(Grid(load(ROOT / "config/experiments/rare_mix.yaml")))
    for target, head in (("afrixnli", "mnli"), ("xquad", "squad_v1"), ("masakhapos", "udpos"), ("panx", "panx")):
        where = wildcards(target=target, encoder="mbert")
        assert EvaluateSpec.read(specs.spec_evaluate(where)).prediction.head_name == head


@pytest.mark.workflow
def test_targets_that_share_a_training_have_the_same_scores(tmp_path):
    """Two names of one task: one training, two evaluations, the same numbers."""
    checkout = Checkout.fresh(tmp_path / "checkout")
    settings = {"grid__targets": ["nli", "twin"], "grid__intermediates": [], "targets__twin": {"task": "nli"}}
    settings |= {"languages__evaluation": ["en", "nor"]}
    checkout.run("results/summary.tsv", **settings)
    results = checkout.folder / "results"
    assert [path.name for path in (results / "target/tiny/none/none/seed0").iterdir()] == ["nli"]
    files = [results / f"eval/tiny/none/none/seed0/{target}/nor.json" for target in ("nli", "twin")]
    scores = [json.loads(path.read_text()) for path in files]
    assert scores[0]["metrics"] == scores[1]["metrics"]
    assert scores[0]["weights_sha256"] == scores[1]["weights_sha256"]


# -- other languages than English --------------------------------------------------------------------------------

LANGUAGES = {
    "grid": {"targets": ["nli", "nli_mix", "nli_few"]},
    "targets": {
        "nli_mix": {"task": "nli", "mix": "en+rare"},
        "nli_few": {"task": "nli", "shots": {"fri": 5, "@family:velic": 2}},
    },
}


def test_a_target_is_trained_in_the_languages_of_a_mix_and_on_few_shots():
    grid = Grid(load(LANGUAGES))
    assert grid.trainings == {"nli": ["nli"], "nli-nli_mix": ["nli_mix"], "nli-nli_few": ["nli_few"]}
    files = {name: [*Inputs(grid).training_files(name)] for name in grid.trainings}
    assert files["nli"] == ["nli/en"]
    rare = {
        f"nli/{portion}" for portion in catalogue.portions_of(grid.config, "en+rare", grid.task("nli"))[1].languages
    }
    assert rare and {*files["nli-nli_mix"]} == {"nli/en", *rare}
    assert files["nli-nli_few"][0] == "nli/en" and "nli/fri" in files["nli-nli_few"]
    spec = target_spec(grid, "world", "nli_few", 0)
    assert spec.tasks[0].shots["fri"] == 5 and {*spec.tasks[0].shots.values()} == {2, 5}
    assert {*spec.data_names} == {*files["nli-nli_few"]}
    assert target_spec(grid, "world", "nli_mix", 0).tasks[0].portions[1].weight == 0.25


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"mix": "en+raer"}, "targets.x.mix: unknown mix 'en+raer'; did you mean 'en.rare'"),
        ({"shots": {"frr": 3}}, "targets.x.shots.frr: unknown language or group"),
        ({"shots": {"en": 3}}, "targets.x.shots.en: 'en' is in the target's training already; name it once"),
        ({"shots": {"fri": 3, "@rare": 2}}, "targets.x.shots.@rare: 'fri' is in the target's training already"),
        ({"mix": "en+rare", "shots": {"fri": 3}}, "targets.x.shots.fri: 'fri' is in the target's training already"),
        ({"shots": {"fri": 0}}, "targets.x.shots.fri: must be greater than or equal to 1"),
        ({"shots": {"fri": 50000}}, "targets.x.shots: 50000 examples of 'fri', but data.rows.train takes"),
        ({"task": "retrieval", "mix": "en"}, "targets.x: retrieval is not trained: remove train, mix, shots"),
        ({"task": "retrieval", "shots": {"fri": 3}}, "targets.x: retrieval is not trained: remove train, mix, shots"),
    ],
)
def test_languages_that_a_target_cannot_be_trained_in(entry, message):
    with pytest.raises(UserError, match=message.replace("+", r"\+")):
        load({"grid": {"targets": ["x"]}, "targets": {"x": {"task": "nli"} | entry}})
