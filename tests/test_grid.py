"""The grid: which artefacts there are, where they lie, and what their jobs depend on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from intermezzo.config import load
from intermezzo.dag.experiment import Grid
from intermezzo.dag.fingerprint import PACKAGE
from intermezzo.dag.inputs import Inputs
from intermezzo.dag.paths import one_of
from intermezzo.dag.scheduling import Scheduling
from intermezzo.dag.specs import Specs
from intermezzo.mixing import shares


def grid_of(*overlays) -> Grid:
    return Grid(load(*overlays))


def wildcards(**values) -> SimpleNamespace:
    given = {"encoder": "world", "intermediate": "nli", "mix": "en+rare", "seed": "0"}
    given |= {"target": "pos", "training": "pos"}
    return SimpleNamespace(**(given | values))


WITH_MULTI = {"grid": {"intermediates": ["nli", "qa", "multi"]}}


@pytest.fixture(scope="module")
def specs() -> Specs:
    return Specs(grid_of(WITH_MULTI))


@pytest.mark.slow
def test_nothing_heavy_is_imported():
    code = (
        "import sys, intermezzo.dag.experiment, intermezzo.dag.specs, intermezzo.dag.requests; "
        "from intermezzo.config import parse; grid = intermezzo.dag.experiment.Grid(parse({})); "
        "intermezzo.dag.specs.Specs(grid).inputs.evaluation_paths(); intermezzo.dag.requests.Requests(grid); "
        "assert not any(name.startswith('intermezzo.planning') for name in sys.modules); "
        "print(sorted({m.split('.')[0] for m in sys.modules} & "
        "{'torch', 'transformers', 'datasets', 'pandas', 'pyarrow', 'numpy', 'snakemake'}))"
    )
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_default_grid():
    grid = grid_of()
    inputs = Inputs(grid)
    # 1 encoder, 2 intermediates x 2 mixes x 3 seeds, the baseline with each seed; retrieval on the encoder once
    assert len(grid.intermediate_runs) == 12
    assert len(grid.runs) == 15
    assert len(inputs.target_paths()) == 15 * 3
    assert [len(grid.runs_of(target)) for target in grid.targets] == [15, 15, 15, 13]
    languages = 13
    assert len(inputs.evaluation_paths()) == 3 * 15 * languages + 13 * (languages - 1)
    assert len({grid.task(target).format for target in grid.targets}) == 4


def test_paths_hold_the_keys_that_they_depend_on():
    paths = Inputs(grid_of()).evaluation_paths()
    assert "results/eval/world/none/none/seed1/nli/fri.json" in paths
    assert "results/eval/world/none/none/seednone/retrieval/fri.json" in paths
    assert "results/eval/world/qa/en+rare/seed2/retrieval/fri.json" in paths
    assert not any("/retrieval/en.json" in path for path in paths)
    assert len(paths) == len(set(paths))


def test_only_the_data_that_is_read_is_made():
    paths = Inputs(grid_of()).data_paths()
    assert len(paths) == len(set(paths))
    made = {tuple(path.split("/")[3:]) for path in paths}
    assert ("nli", "fri", "train.parquet") in made  # in a mix
    assert ("nli", "nor", "train.parquet") not in made
    assert ("pos", "en", "train.parquet") in made and ("pos", "fri", "train.parquet") not in made
    assert ("text", "nor", "train.parquet") in made and ("parallel", "nor", "train.parquet") not in made
    development = {(task, language) for task, language, name in made if name == "dev.parquet"}
    assert development == {("nli", "en"), ("qa", "en"), ("pos", "en")}  # intermediates are chosen on it


def test_constraints_match_the_names_and_nothing_else():
    grid = grid_of({"grid": {"mixes": ["en", "en+rare", "en+r.re"]}, "mixes": {"en+r.re": {"weights": {"en": 1}}}})
    mix = grid.constraints()["mix"]
    assert all(re.fullmatch(mix, name) for name in ("none", "en", "en+rare", "en+r.re"))
    assert not any(re.fullmatch(mix, name) for name in ("enn", "en+rrre", "en/rare", ""))
    assert re.fullmatch(one_of([]), "") is None and re.fullmatch(one_of([]), "x") is None


def test_models_that_runs_start_from_and_that_are_evaluated():
    inputs = Inputs(grid_of())
    baseline = wildcards(intermediate="none", mix="none")
    assert inputs.started_from(baseline) == "results/encoders/world/manifest.json"
    assert inputs.started_from(wildcards()) == "results/intermediate/world/nli/en+rare/seed0/manifest.json"
    assert inputs.evaluated(wildcards()) == "results/target/world/nli/en+rare/seed0/pos/manifest.json"
    assert inputs.evaluated(wildcards(target="retrieval")) == inputs.started_from(wildcards())
    untouched = wildcards(intermediate="none", mix="none", seed="none", target="retrieval")
    assert inputs.evaluated(untouched) == "results/encoders/world/manifest.json"


@pytest.mark.slow
def test_specifications_are_canonical(specs):
    for name in (n for n in dir(specs) if n.startswith(("spec_", "code_")) and not n.endswith(("_import", "_prompt"))):
        where = wildcards(task="nli", language="fri", split="train", source="world")
        value = getattr(specs, name)(where)
        assert isinstance(value, str) and value == getattr(Specs(grid_of(WITH_MULTI)), name)(where)
        if name.startswith("spec_"):
            assert json.dumps(json.loads(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False) == value


def test_an_intermediate_names_its_languages_and_budget(specs):
    spec = json.loads(specs.spec_intermediate(wildcards(intermediate="multi", seed="1")))
    assert [task["name"] for task in spec["tasks"]] == ["nli", "qa"]
    assert spec["tasks"][0]["examples"] == 6000 and spec["seed"] == 1
    rare = dict.fromkeys(["fri", "mor", "qul", "sul", "wab"], pytest.approx(0.25 / 5))  # those with training examples
    assert shares(spec["tasks"][0]["portions"]) == {"en": 0.75} | rare
    assert json.loads(specs.spec_intermediate(wildcards(mix="en")))["tasks"][0]["portions"] == [["en", 1.0, ["en"]]]


def test_groups_are_resolved_per_task_to_where_there_is_data(tmp_path, monkeypatch):
    monkeypatch.setenv("INTERMEZZO_REAL_DATA", str(tmp_path))
    files = {
        "data": {"source": "files", "rows": {"train": None}},
        "grid": {"intermediates": ["nli"], "targets": ["pos"]},
    }
    specs = Specs(grid_of(files))
    weights = shares(json.loads(specs.spec_intermediate(wildcards()))["tasks"][0]["portions"])
    assert sum(weights.values()) == pytest.approx(1)
    assert weights["en"] == 0.75 and set(weights) == {"en", "qu", "gn", "ay", "nah"}


CHANGES = {
    "targets.pos": ({"targets": {"pos": {"training": {"learning_rate": 0.5}}}}, {"target/pos"}),
    "target phase": ({"training": {"target": {"epochs": 9}}}, {"target/pos", "target/qa"}),
    "intermediate": ({"intermediates": {"nli": {"training": {"epochs": 9}}}}, {"intermediate/nli"}),
    "one task": ({"training": {"tasks": {"qa": {"target": {"epochs": 9}}}}}, {"target/qa"}),
    "mix": ({"mixes": {"en+rare": {"weights": {"en": 0.5}}}}, {"intermediate/nli", "intermediate/qa"}),
    "language": ({"languages": {"evaluation": ["en", "fri"]}}, {"evaluate/pos", "evaluate/retrieval", "summary"}),
    "layer": ({"targets": {"retrieval": {"retrieval": {"layer": 1}}}}, {"evaluate/retrieval"}),
    "encoder": ({"encoders": {"world": {"mask_rate": 0.2}}}, {"pretrain"}),
    "its fine-tuning": (
        {"encoders": {"world": {"finetuning": {"target": {"epochs": 9}}}}},
        {"target/pos", "target/qa"},
    ),
    "seeds": ({"grid": {"seeds": [0, 1, 2, 3]}}, {"summary"}),
    "world": ({"world": {"seed": 5}}, {"data"}),
    "rows": ({"data": {"rows": {"test": 500}}}, {"data test"}),
    "unused": ({"targets": {"other": {"task": "ner"}}}, set()),
}


def all_specs(*overlays) -> dict[str, str]:
    specs = Specs(grid_of(*overlays))
    data = {"source": "world", "task": "nli", "language": "fri"}
    return {
        "data": specs.spec_data(wildcards(**data, split="train")),
        "data test": specs.spec_data(wildcards(**data, split="test")),
        "pretrain": specs.spec_pretrain(wildcards()),
        "intermediate/nli": specs.spec_intermediate(wildcards()),
        "intermediate/qa": specs.spec_intermediate(wildcards(intermediate="qa")),
        "target/pos": specs.spec_target(wildcards()),
        "target/qa": specs.spec_target(wildcards(training="qa")),
        "evaluate/pos": specs.spec_evaluate(wildcards()),
        "evaluate/retrieval": specs.spec_evaluate(wildcards(target="retrieval")),
        "summary": specs.spec_summary(),
    }


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_key_changes_the_specifications_that_depend_on_it(change):
    overlay, expected = CHANGES[change]
    if change == "world":
        expected = {"data", "data test"}
    before, after = all_specs(), all_specs(overlay)
    assert {name for name in before if before[name] != after[name]} == expected


def test_the_longest_jobs_come_first_within_their_stage():
    scheduling = Scheduling(grid_of(WITH_MULTI))
    multi, nli = (scheduling.intermediate_priority(wildcards(intermediate=name)) for name in ("multi", "nli"))
    text, labelled = (scheduling.data_priority(wildcards(task=name)) for name in ("text", "nli"))
    assert labelled <= scheduling.encoder_priority(wildcards()) < text, "labelled data are prepared beside pretraining"
    assert 400 <= scheduling.encoder_priority(wildcards()) < 500
    assert 300 <= nli < multi < 400
    assert 200 <= scheduling.target_priority(wildcards()) < 300
    assert scheduling.evaluation_priority(wildcards()) == 100


def test_where_weights_go_a_model_is_used_before_the_next_is_trained(tmp_path):
    (tmp_path / "keep.yaml").write_text("keep: {intermediate: none, target: none}")
    scheduling = Scheduling(grid_of(tmp_path / "keep.yaml"))
    assert 100 <= scheduling.intermediate_priority(wildcards()) < 200 <= scheduling.target_priority(wildcards()) < 300
    assert scheduling.evaluation_priority(wildcards()) == 300


def test_what_is_memoized_of_a_job_is_what_is_worked_out_anew(tmp_path):
    """A key that `memoize_by` leaves out would give one job another's specification."""
    (tmp_path / "two.yaml").write_text("{encoders: {other: {languages: [en, fri]}}, grid: {encoders: [world, other]}}")
    grid = grid_of(tmp_path / "two.yaml")
    specs, inputs, scheduling = Specs(grid), Inputs(grid), Scheduling(grid)
    jobs = [
        wildcards(encoder=run.encoder, intermediate=run.intermediate, mix=run.mix, seed=str(run.seed), target=target)
        for target in grid.targets
        for run in grid.runs_of(target)
    ]
    trained = [job for job in jobs if grid.is_trained(job.target)]
    intermediate = [job for job in jobs if job.intermediate != "none"]
    data = []
    for path in inputs.data_paths():
        source, task, language, split = path.removeprefix("results/data/").removesuffix(".parquet").split("/")
        data.append(SimpleNamespace(source=source, task=task, language=language, split=split))
    asked = {
        specs: {
            "spec_evaluate": jobs, "code_evaluate": jobs, "spec_target": trained, "code_target": trained,
            "spec_intermediate": intermediate, "code_intermediate": intermediate, "spec_data": data, "code_data": data,
        },
        scheduling: {"target_priority": trained, "intermediate_priority": intermediate},
    }  # fmt: skip
    for owner, methods in asked.items():
        for name, of in methods.items():
            memoized = getattr(owner, name)
            assert of and [memoized(job) for job in of] == [memoized.__wrapped__(owner, job) for job in of], name
