"""Configurations: what is accepted, how files merge, and that every problem is named at once."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from snakemake.utils import update_config

from checkout import skip_without_packages
from intermezzo import world
from intermezzo.cli.main import main
from intermezzo.config import Config, load, merge, parse
from intermezzo.config.docs import outdated
from intermezzo.config.settings import examples_of, resolve
from intermezzo.core.errors import UserError
from intermezzo.dag.experiment import Grid
from intermezzo.dag.trainings import target_spec

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENTS = sorted((ROOT / "config" / "experiments").glob("*.yaml"))


def problems(raw) -> list[str]:
    with pytest.raises(UserError) as caught:
        parse(raw)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


# -- files ---------------------------------------------------------------------------------------------------------


def test_generated_files_are_what_the_models_say():
    assert outdated() == [], "run `intermezzo config docs --write`"


def test_the_default_file_says_what_the_models_say():
    assert load() == Config() == parse({})


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_shipped_experiments_are_valid(path, monkeypatch, tmp_path):
    monkeypatch.setenv("INTERMEZZO_REAL_DATA", str(tmp_path))
    skip_without_packages(path)
    load(path)


def test_the_pilot_of_real_languages_is_a_part_of_it(monkeypatch, tmp_path):
    """The same jobs with the same specifications, but for the encoder that it adds: the study goes on from it."""
    monkeypatch.setenv("INTERMEZZO_REAL_DATA", str(tmp_path))
    study = ROOT / "config/experiments/real_languages.yaml"
    pilot = ROOT / "config/experiments/parts/real_languages_pilot.yaml"
    skip_without_packages(study)
    whole, part = Grid(load(study)), Grid(load(study, pilot))
    assert {*part.targets} < {*whole.targets} and {*part.seeds} < {*whole.seeds}
    assert all(part.config.mixes_of(name) == ["en", "en+rare"] for name in part.config.grid.intermediates)
    for target in part.trained_targets:
        ours, theirs = (target_spec(grid, "e5", target, 0).canonical() for grid in (part, whole))
        assert ours == theirs
    names = {target: name for name, targets in whole.trainings.items() for target in targets}
    assert all(names[target] == name for name, targets in part.trainings.items() for target in targets)


def test_real_languages_from_files_and_from_the_hub_are_one_design():
    files, hub = (
        yaml.safe_load((ROOT / f"config/experiments/{name}.yaml").read_text())
        for name in ("real_languages", "real_languages_hub")
    )
    for section in ("question", "languages", "intermediates", "mixes", "keep"):
        assert files[section] == hub[section], section
    for key in ("intermediates", "mixes", "seeds"):
        assert files["grid"][key] == hub["grid"][key]
    assert [*hub["grid"]["targets"], "udhr"] == files["grid"]["targets"]
    assert files["encoders"]["e5"]["finetuning"] == hub["encoders"]["e5"]["finetuning"]
    (ours,), (theirs,) = ([d["training"]["tasks"].pop(key)] for d, key in ((files, "multiple_choice"), (hub, "xcopa")))
    assert ours == theirs and files["training"] == hub["training"]


@pytest.mark.parametrize("path", [ROOT / "config" / "config.yaml", *EXPERIMENTS], ids=lambda path: path.stem)
def test_shipped_files_fit_the_json_schema(path):
    schema = json.loads((ROOT / "config" / "schema.json").read_text())
    jsonschema.validate(yaml.safe_load(path.read_text()), schema)


def test_the_world_knows_the_settings_that_are_passed_to_it():
    assert Config().world.model_dump() == world.DEFAULTS


def test_files_that_are_not_there_or_no_configuration(tmp_path):
    broken, listed = tmp_path / "broken.yaml", tmp_path / "listed.yaml"
    broken.write_text("grid: [unclosed")
    listed.write_text("- a\n- b\n")
    for path, message in (
        (tmp_path / "absent.yaml", "cannot read"),
        (broken, "not valid YAML"),
        (listed, "found list"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            load(path)
        assert str(path) in str(caught.value)


# -- merging -------------------------------------------------------------------------------------------------------


def test_files_merge_as_snakemake_merges_them():
    below = {"a": {"b": 1, "c": [1, 2]}, "d": 1, "e": {"f": 1}}
    above = {"a": {"c": [3], "x": {"y": 1}}, "d": {"z": 1}, "e": None}
    expected = json.loads(json.dumps(below))
    update_config(expected, above)
    assert merge(below, above) == expected
    assert below == {"a": {"b": 1, "c": [1, 2]}, "d": 1, "e": {"f": 1}}


def test_lists_are_replaced_and_definitions_merged():
    config = load({"grid": {"mixes": ["half"]}, "mixes": {"half": {"weights": {"en": 0.5, "@rare": 0.5}}}})
    assert config.grid.mixes == ["half"]
    assert set(config.mixes) == {"en", "en+rare", "half"}


def test_null_takes_an_entry_away():
    config = load({"mixes": {"en+rare": {"weights": {"@rare": None, "fri": 0.25}}}, "targets": {"qa": None}})
    assert config.mixes["en+rare"].weights == {"en": 0.75, "fri": 0.25}
    assert "qa" not in config.targets


def test_a_task_needs_no_definition():
    config = load({"grid": {"targets": ["ner"], "intermediates": ["pos"]}})
    assert config.target("ner").task == "ner"
    assert config.intermediate("pos").tasks == ["pos"]


# -- problems ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"gird": {}}, "gird: unknown key; did you mean 'grid'?"),
        ({"encoders": {"world": {"modle": {}}}}, "encoders.world.modle: unknown key; did you mean 'model'?"),
        (
            {"encoders": {"a": {"from": "x", "steps": 1}}},
            "encoders.a.steps: unknown key; allowed: baseline_only, finetuning, from,",
        ),
        ({"training": {"tasks": {"pos": {"targte": {}}}}}, "training.tasks.pos.targte: unknown key; did you mean"),
        ({"threads": "two"}, "threads: must be a whole number; found 'two' (str)"),
        ({"threads": True}, "threads: must be a whole number; found True (bool)"),
        ({"threads": 0}, "threads: must be greater than or equal to 1; found 0 (int)"),
        ({"grid": {"seeds": ["a"]}}, "grid.seeds.0: must be a whole number; found 'a' (str)"),
        ({"grid": {"targets": "nli"}}, "grid.targets: must be a list; found 'nli' (str)"),
        ({"data": {"source": "word"}}, "data.source: allowed: 'world', 'files' or 'hub'; found 'word' (str)"),
        ({"languages": {"evaluation": "en"}}, "languages.evaluation: must be a list, or 'all'; found 'en' (str)"),
        ({"encoders": {"a b": {}}}, "encoders.a b: not a usable name"),
        ({"targets": {"pos": {"training": {"epochs": None}}}}, "targets.pos.training.epochs: must be a whole number"),
        ({"training": {"target": {"learning_rate": "fast"}}}, "training.target.learning_rate: must be a number"),
        ({"training": {"target": {"learning_rate": float("nan")}}}, "training.target.learning_rate: must be"),
        ({"mixes": {"empty": {}}}, "mixes.empty.weights: missing"),
        ({"encoders": {"world": {"model": {"heads": 5}}}}, "encoders.world.model.heads: 5 heads do not divide"),
        ({"grid": {"encoders": ["wrld"]}}, "grid.encoders: unknown name 'wrld'; did you mean 'world'?"),
        ({"grid": {"targets": ["pso"]}}, "grid.targets: unknown name 'pso'; did you mean 'pos'?"),
        ({"grid": {"mixes": ["en", "en+raer"]}}, "grid.mixes: unknown name 'en+raer'; did you mean 'en+rare'?"),
        ({"grid": {"intermediates": ["mutli"]}}, "grid.intermediates: unknown name 'mutli'; did you mean 'multi'?"),
        ({"grid": {"seeds": [1, 1]}}, "grid.seeds: 1 is listed more than once"),
        ({"grid": {"targets": []}}, "grid.targets: the list is empty"),
        ({"grid": {"mixes": []}}, "grid.mixes: the list is empty"),
        ({"targets": {"none": {"task": "pos"}}}, "targets: the name 'none' is reserved"),
        ({"targets": {"x": {"task": "nil"}}}, "targets.x.task: unknown task 'nil'; did you mean 'nli'?"),
        ({"grid": {"targets": ["x"]}, "targets": {"x": {}}}, "targets.x.task: missing, and there is no task of"),
        ({"intermediates": {"multi": {"tasks": ["nli", "qq"]}}}, "intermediates.multi.tasks: unknown task 'qq'"),
        ({"intermediates": {"nli": {"tasks": ["retrieval"]}}}, "'retrieval' (retrieval) cannot be trained on"),
        ({"targets": {"pos": {"task": "text"}}}, "targets.pos.task: 'text' is text to pretrain on"),
        ({"grid": {"targets": ["udhr"]}}, "targets.udhr: task 'udhr' has no test data"),
        ({"targets": {"retrieval": {"shuffle_labels": True}}}, "targets.retrieval: retrieval is not trained"),
        ({"targets": {"retrieval": {"retrieval": {"layer": 3}}}}, "targets.retrieval.retrieval.layer: 3, but encoder"),
        ({"languages": {"evaluation": ["en", "nro"]}}, "languages.evaluation: unknown language 'nro'; did you mean"),
        ({"languages": {"rare": ["frii"]}}, "languages.rare: unknown language 'frii'; did you mean 'fri'?"),
        ({"encoders": {"world": {"languages": ["zz"]}}}, "encoders.world.languages: unknown language 'zz'"),
        ({"training": {"tasks": {"ps": {}}}}, "training.tasks: unknown task 'ps'; did you mean 'pos'?"),
        ({"data": {"rows": {"tasks": {"ps": {}}}}}, "data.rows.tasks: unknown task 'ps'"),
        ({"data": {"rows": {"train": 300}}}, "500 examples asked for, 300 there (en 300)"),
    ],
)
def test_each_problem_names_its_key(raw, message):
    found = problems(merge(yaml.safe_load((ROOT / "config" / "config.yaml").read_text()), raw))
    assert any(message in line for line in found), found


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"en": 0}, "mixes.m.weights: the weights sum to nothing"),
        ({}, "mixes.m.weights: the weights sum to nothing"),
        ({"en": 1, "fri": -1}, "mixes.m.weights.fri: a weight cannot be negative; found -1.0"),
        ({"frii": 1}, "mixes.m.weights.frii: unknown language or group; did you mean 'fri'?"),
        ({"@rrae": 1}, "mixes.m.weights.@rrae: unknown language or group; did you mean '@rare'?"),
    ],
)
def test_impossible_mixes(weights, message):
    found = problems({"grid": {"mixes": ["m"]}, "mixes": {"m": {"weights": weights}}})
    assert any(message in line for line in found), found


def test_a_budget_in_tokens_is_that_of_english():
    mixes = {"m": {"weights": {"@rare": 1}, "unit": "tokens"}}
    found = problems({"grid": {"mixes": ["m"]}, "mixes": mixes})
    assert any("mixes.m.unit: 'tokens' needs a weight of 'en' above 0" in line for line in found), found


def test_a_mix_must_have_training_data_in_the_task(tmp_path, monkeypatch):
    monkeypatch.setenv("INTERMEZZO_REAL_DATA", str(tmp_path))
    raw = {
        "grid": {"intermediates": ["nli"], "mixes": ["some"], "targets": ["pos"]},
        "data": {"source": "files", "rows": {"train": None}},
        "mixes": {"some": {"weights": {"en": 1, "de": 1}}},
    }
    found = problems(raw)
    assert found == [
        "mixes.some.weights.de: task 'nli' has no training data there (source 'files'); "
        "it has some in: en, qu, gn, ay, nah"
    ]


def test_all_problems_come_at_once():
    found = problems(
        {
            "thread": 1,
            "encoders": {"world": {"model": {"layers": "two"}}},
            "grid": {"targets": ["nil"], "seeds": [0, -1]},
            "languages": {"evaluation": ["xx"]},
        }
    )
    for key in ("thread:", "encoders.world.model.layers:", "grid.targets:", "grid.seeds.1:", "languages.evaluation:"):
        assert sum(line.startswith(key) for line in found) == 1, (key, found)


def test_an_intermediate_takes_the_mixes_that_it_names():
    config = load({"intermediates": {"qa": {"mixes": ["en"]}}, "grid": {"mixes": ["en+rare", "en"]}})
    assert config.mixes_of("qa") == ["en"] and config.mixes_of("nli") == ["en+rare", "en"]
    # a part of the grid: mixes that it has not are none of its own
    part = load({"intermediates": {"qa": {"mixes": ["en+rare", "en"]}}, "grid": {"mixes": ["en"]}})
    assert part.mixes_of("qa") == ["en"]


@pytest.mark.parametrize(
    ("mixes", "message"),
    [
        (["en", "enn"], "intermediates.qa.mixes: unknown mix 'enn'; did you mean 'en'? allowed: en, en+rare, left"),
        (["en", "en"], "intermediates.qa.mixes: 'en' is listed more than once"),
        (["left"], "intermediates.qa.mixes: left: none of grid.mixes; name some of en, en+rare, or write null"),
        ([], "intermediates.qa.mixes: an empty list: none of grid.mixes; name some of en, en+rare, or write null"),
    ],
    ids=["unknown", "twice", "not in the grid", "empty"],
)
def test_bad_mixes_of_an_intermediate(mixes, message):
    with pytest.raises(UserError) as caught:
        load({"intermediates": {"qa": {"mixes": mixes}}, "mixes": {"left": {"weights": {"en": 1}}}})
    assert [line.strip() for line in str(caught.value).splitlines()[1:]] == [message]


def test_a_mix_need_only_suit_the_intermediates_that_are_trained_in_it():
    """A tagging task cannot be translated by a model, a mix may have no data in a task, and so on."""
    hub = {"data": {"source": "hub"}, "encoders": {"world": {"from": "a/b", "revision": "c"}}}
    hub["translation"] = {"backend": "hub", "model": "d/e", "revision": "f", "languages": {"sw": "swh_Latn"}}
    hub["mixes"] = {"en": {"weights": {"en": 1}}, "sw": {"weights": {"sw": 1}, "translated": True}}
    hub["targets"] = {name: None for name in ("nli", "qa", "pos", "retrieval")}
    hub["grid"] = {"intermediates": ["mnli", "udpos"], "mixes": ["en", "sw"], "targets": ["xnli"]}
    (tagging,) = [line for line in problems(hub) if "udpos" in line and "translate" in line]
    assert tagging.endswith("leave mix 'sw' out of intermediates.udpos.mixes, or 'udpos' out of the grid")
    parse(hub | {"intermediates": {"udpos": {"mixes": ["en"]}}})


def test_data_that_must_be_there_is_named_with_what_to_do_without(monkeypatch):
    monkeypatch.delenv("INTERMEZZO_REAL_DATA", raising=False)
    with pytest.raises(UserError) as caught:
        load(ROOT / "config/experiments/phang2020.yaml")
    (line,) = str(caught.value).splitlines()[1:]
    assert "data.root: not set" in line and "takes ccg from files" in line and "or take ccg out of the grid" in line


def test_the_data_root(tmp_path, monkeypatch):
    raw = {"data": {"source": "files"}, "grid": {"intermediates": [], "targets": ["pos"]}}
    monkeypatch.delenv("INTERMEZZO_REAL_DATA", raising=False)
    assert problems(raw) == [
        "data.root: not set; name the folder of the published files here or in INTERMEZZO_REAL_DATA"
    ]
    monkeypatch.setenv("INTERMEZZO_REAL_DATA", str(tmp_path / "absent"))
    (line,) = problems(raw)
    assert line.startswith(f"data.root: no such folder: {tmp_path / 'absent'} (from INTERMEZZO_REAL_DATA)")
    monkeypatch.setenv("INTERMEZZO_REAL_DATA", str(tmp_path))
    parse(raw)


def test_encoders_from_elsewhere(tmp_path):
    folder = tmp_path / "encoder"
    folder.mkdir()

    def found(place, revision=None):
        return problems({"grid": {"encoders": ["e"]}, "encoders": {"e": {"from": place, "revision": revision}}})

    assert found(str(tmp_path / "absent")) == [f"encoders.e.from: no such folder: {tmp_path / 'absent'}"]
    assert found(str(folder)) == [
        f"encoders.e.from: {folder} has no config.json; name a folder in Hugging Face format",
        f"encoders.e.from: {folder} has no weights (*.safetensors)",
        f"encoders.e.from: {folder} has no tokenizer (tokenizer.json, sentencepiece.bpe.model, vocab.txt or the like); "
        "copy the files of the model's own tokenizer into it, tokenizer_config.json too",
    ]
    assert "is not installed (pip install no_such_package)" in found("package:no_such_package/model")[0]
    assert found("xlm-roberta-base")[0].startswith("encoders.e.revision: missing")


# -- values --------------------------------------------------------------------------------------------------------


def test_numbers_that_yaml_takes_for_text():
    config = load(yaml.safe_load("training: {target: {learning_rate: 1e-5}}"))
    assert config.training.target.learning_rate == 1e-5


def test_the_more_special_setting_wins():
    config = load(
        {
            "encoders": {
                "small": {"finetuning": {"target": {"epochs": 3}, "tasks": {"qa": {"target": {"epochs": 4}}}}},
                "world": {},
            },
            "training": {
                "target": {"epochs": 1, "learning_rate": 0.5},
                "tasks": {"pos": {"target": {"epochs": 2, "examples": None}}, "qa": {"intermediate": {"examples": 7}}},
            },
            "targets": {"nli": {"training": {"epochs": 5}}},
        }
    )
    epochs = {
        (encoder, target): resolve(config, encoder, "target", target, [target]).epochs
        for encoder in ("world", "small")
        for target in ("retrieval", "pos", "qa", "nli")
    }
    assert epochs == {
        ("world", "retrieval"): 1,
        ("world", "pos"): 2,
        ("world", "qa"): 1,
        ("world", "nli"): 5,
        ("small", "retrieval"): 3,
        ("small", "pos"): 3,
        ("small", "qa"): 4,
        ("small", "nli"): 5,
    }
    assert resolve(config, "world", "target", "pos", ["pos"]).learning_rate == 0.5
    assert examples_of(config, "world", "target", "pos", "pos") is None
    assert [examples_of(config, "world", "intermediate", "multi", task) for task in ("nli", "qa")] == [6000, 7]


def test_budgets_must_be_numbers_when_mixes_are_compared():
    raw = {"training": {"intermediate": {"examples": None}}, "grid": {"intermediates": ["nli"]}}
    assert problems(raw) == ["intermediates.nli: examples null gives each mix another budget; write a number"]


# -- the command line ----------------------------------------------------------------------------------------------


def run(capsys, *arguments) -> tuple[int, str, str]:
    status = main(arguments)
    return status, *capsys.readouterr()


def test_checking_from_the_command_line(capsys, tmp_path):
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("grid: {seeds: [7]}")
    bad.write_text("gird: {seeds: [7]}\nthreads: two")
    assert run(capsys, "config", "check", str(good)) == (0, "the configuration is valid\n", "")
    status, out, error = run(capsys, "config", "check", str(good), str(bad))
    assert (status, out) == (2, "")
    assert error.startswith("error: the configuration has 2 problems:\n") and "did you mean 'grid'?" in error


def test_the_plan_from_the_command_line(capsys):
    status, out, error = run(capsys, "grid", str(ROOT / "config/experiments/tiny.yaml"))
    assert (status, error) == (0, "")
    assert "6  target trainings        nli, pos" in out
    assert "defined but not in grid.encoders: world" in out


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"mixes": ["en+rar"]}, "question.mixes: 'en+rar' is no mix of grid.mixes; did you mean 'en+rare'"),
        ({"mixes": []}, "question.mixes: the list is empty, so nothing would be asked"),
        ({"against": "other"}, "question.against: 'other' is no mix of grid.mixes"),
        ({"mixes": ["en"], "against": "en"}, "question.mixes: 'en' is in question.against too"),
        ({"mixes": ["en"]}, "question.mixes: 'en' is English-only, which the others are compared with"),
        ({"groups": ["rare", "rare"]}, "question.groups: 'rare' is listed more than once"),
        ({"groups": ["seen"]}, "question.groups"),
        ({"pairs": ["zero-shot"]}, "question.pairs"),
        ({"smallest": -1}, "question.smallest"),
        ({"smallest": float("nan")}, "question.smallest"),
    ],
)
def test_a_question_that_cannot_be_asked(question, message):
    with pytest.raises(UserError) as error:
        load({"question": question})
    assert message in str(error.value)


def test_a_question_needs_something_to_compare_with():
    with pytest.raises(UserError, match=r"question\.against: missing, and grid\.mixes has no English-only mix"):
        load({"grid": {"mixes": ["en+rare"]}, "question": {"mixes": ["en+rare"]}})
    assert load({"question": {"mixes": ["en+rare"], "groups": ["rare"], "smallest": 2}}).question.smallest == 2
