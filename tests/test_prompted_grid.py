"""Prompted language models in the grid, and in the analysis beside the trained encoders."""

import json
from types import SimpleNamespace

import pytest

from intermezzo.analysis import prompted_text, summary
from intermezzo.analysis.pairing import Comparisons
from intermezzo.analysis.verdict import significant
from intermezzo.config import load
from intermezzo.core.errors import UserError
from intermezzo.dag.experiment import Grid
from intermezzo.dag.inputs import Inputs
from intermezzo.dag.jobs import Tracked, jobs_of
from intermezzo.specs.prompting import PromptSpec
from prompted_models import serving
from test_answer import LANGUAGES, SEEN, UNSEEN, design, families, scores

SERVER = {"server": "http://localhost:1/v1", "model": "m", "key": "LM_KEY"}


def grid(**entry):
    return Grid(load({"grid": {"prompted": ["lm"]}, "prompted": {"lm": SERVER | entry}}))


def keys(seed="none", target="nli"):
    return SimpleNamespace(encoder="lm", intermediate="none", mix="none", seed=seed, target=target)


def test_a_prompted_model_is_a_row_without_intermediate_in_the_place_of_an_encoder():
    jobs = jobs_of(grid())
    asked = {path: job for path, job in jobs.items() if job.stage == "prompt"}
    assert set(asked) == {"eval/lm/none/none/seednone/nli", "eval/lm/none/none/seednone/qa"}
    job = asked["eval/lm/none/none/seednone/nli"]
    assert "results/eval/lm/none/none/seednone/nli/en.json" in job.outputs
    assert all(need.startswith("data/world/nli/") and need.endswith("/test") for need in job.needs)
    assert set(asked) <= set(jobs["summary"].needs)


def test_shots_are_drawn_by_seed_from_the_english_training_data():
    shown = grid(shots=4, targets=["nli"])
    jobs = [job for job in jobs_of(shown).values() if job.stage == "prompt"]
    assert [job.path for job in jobs] == [f"eval/lm/none/none/seed{seed}/nli" for seed in (0, 1, 2)]
    assert all("data/world/nli/en/train" in job.needs for job in jobs)
    specs = [PromptSpec.read(Tracked(shown).of(job)["spec"]) for job in jobs]
    assert [(spec.seed, spec.shots, spec.shots_task) for spec in specs] == [(seed, 4, "nli") for seed in (0, 1, 2)]


def test_what_a_prompted_job_is_tracked_by():
    def tracked(**entry):
        found = grid(**entry)
        return Tracked(found).of(jobs_of(found)["eval/lm/none/none/seednone/nli"])

    plain, other = tracked(), tracked(normalise="length")
    assert plain["spec"] != other["spec"]
    assert plain["inputs"] == other["inputs"]
    assert json.loads(plain["run"])["encoder"] == "lm"
    assert tracked(languages=["en"])["inputs"] != plain["inputs"]


def test_encoders_and_their_jobs_are_the_same_beside_a_prompted_model():
    alone, beside = Grid(load({})), grid()
    before, after = jobs_of(alone), jobs_of(beside)
    assert [path for path, job in after.items() if job.stage != "prompt"] == list(before)
    path = next(path for path, job in before.items() if job.stage == "evaluation")
    assert Tracked(alone).of(before[path]) == Tracked(beside).of(after[path])


def test_a_chosen_language_is_answered_alone():
    files = Inputs(grid(languages=["en"])).prompted_data(keys())
    assert files == ["results/data/world/nli/en/test.parquet"]


def test_a_target_with_translated_test_data_is_answered_on_these():
    settings = {"grid": {"prompted": ["lm"], "targets": ["nli", "nli_translated"]}}
    settings |= {"prompted": {"lm": SERVER}, "targets": {"nli_translated": {"task": "nli", "translate_test": True}}}
    translated = Grid(load(settings))
    job = jobs_of(translated)["eval/lm/none/none/seednone/nli_translated"]
    assert PromptSpec.read(Tracked(translated).of(job)["spec"]).translated
    assert "data/in_english/nli/fri/test" in job.needs and "data/world/nli/en/test" in job.needs


def test_a_stage_asks_and_scores(tmp_path, monkeypatch):
    """The command line of a job, with the model that the configuration names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from intermezzo.cli.main import main

    monkeypatch.chdir(tmp_path)
    rows = [{"id": "1", "text": "a b", "text_pair": "a", "label": "entailment"}]
    pq.write_table(pa.Table.from_pylist(rows), "test.parquet")
    with serving() as server:
        named = grid(server=server.address, key=None, languages=["en"])
        tracked = Tracked(named).of(jobs_of(named)["eval/lm/none/none/seednone/nli"])
        line = ["stage", "prompt", "--spec", tracked["spec"], "--code", tracked["code"], "--run", tracked["run"]]
        line += ["--data", "nli/en=test.parquet", "--out", "out", "--cache", "cache"]
        assert main(line) == 0
        assert json.loads((tmp_path / "out/en.json").read_text())["metrics"]["accuracy"] == 1
        server.fails += [404]
        pq.write_table(pa.Table.from_pylist([rows[0] | {"text": "other"}]), "test.parquet")
        assert main(line) == 2


# -- analysis --------------------------------------------------------------------------------------------------------


def with_prompted(seeded=False, languages=None, **changes):
    targets = {"xnli": languages or LANGUAGES, "xquad": languages or LANGUAGES}
    return design(prompted={"lm": {"targets": targets, "seeded": seeded}}, **changes)


def test_a_prompted_model_has_a_cell_per_language_and_no_seed():
    cells = [cell for cell in with_prompted().cells() if cell.encoder == "lm"]
    assert {(c.intermediate, c.mix, c.seed) for c in cells} == {("none", "none", None)}
    assert len(cells) == 2 * len(LANGUAGES)
    assert {c.seed for c in with_prompted(seeded=True).cells() if c.encoder == "lm"} == {0, 1, 2}


def gain(cell):
    return (-20 if cell.language in SEEN + UNSEEN else 20) if cell.encoder == "lm" else 0


def test_a_prompted_model_is_compared_with_each_encoder_in_a_family_of_its_own():
    intermediates = {name: entry for name, entry in design().model_dump()["intermediates"].items() if name != "squad"}
    targets = {name: entry for name, entry in design().model_dump()["targets"].items() if name != "pairs"}
    small = {"intermediates": intermediates, "targets": targets, "seeds": [0, 1]}
    plain, found = families(design(**small)), families(with_prompted(**small), gain)
    lines = {(line["against"], line["group"]): line for line in found.prompted.to_dict("records")}
    assert set(lines) == {(against, group) for against in ("none", "mix") for group in ("english", "rare", "other")}
    assert lines["none", "rare"]["mean"] == pytest.approx(-20, abs=1)
    assert lines["none", "other"]["mean"] == pytest.approx(20, abs=2)
    assert significant(lines["none", "rare"])
    assert lines["none", "rare"]["targets"] == "xnli xquad"
    for frame in ("primary", "secondary", "single", "from_baseline"):  # no other family has changed
        assert getattr(plain, frame).equals(getattr(found, frame))
    (section, *rest) = prompted_text.blocks(found)
    assert section == "## Prompted language models"
    assert "`lm`" in rest[1] and "0 of 9" in rest[1]  # rare languages above the guess
    assert prompted_text.blocks(plain) == []


@pytest.mark.parametrize("seeded", [False, True])
def test_answers_without_a_seed_are_paired_with_every_seed(seeded):
    plan = with_prompted(seeded)
    found = Comparisons(scores(plan, gain, noise=0.0), plan)
    delta = found.from_prompted(
        ("lm", "none", "none", "xnli", "accuracy"), found.values(("small", "none", "none", "xnli", "accuracy"))
    )
    assert delta.shape == (3, len(LANGUAGES))
    assert delta["sa"].tolist() == pytest.approx([-20] * 3) and delta["oa"].tolist() == pytest.approx([20] * 3)


def test_its_own_languages_alone_are_summarised():
    plan = with_prompted(languages=["en", "sa", "ua"])
    found = Comparisons(scores(plan), plan)
    rows = [line for line in summary._lines(found, plan) if (line["encoder"], line["target"]) == ("lm", "xnli")]
    assert {row["language_group"] for row in rows} == {"all", "english", "rare", "rare_seen", "rare_unseen"}
    assert max(row["n_languages"] for row in rows) == 3
    assert list(found.values(("lm", "none", "none", "xnli", "accuracy")).columns) == ["en", "sa", "ua"]


def test_results_of_a_prompted_model_that_are_missing_are_named(tmp_path):
    from intermezzo.analysis.scores import read_table

    plan = with_prompted()
    frame = scores(plan)
    frame[~((frame["encoder"] == "lm") & (frame["language"] == "sa"))].to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(UserError, match="results missing:\n  encoder lm, intermediate none"):
        read_table(tmp_path / "s.csv", plan)


def test_a_prompted_model_stands_in_the_frame_that_figures_and_tables_are_made_from():
    from intermezzo.report.differences import against_baseline

    plan = with_prompted(languages=["en", "sa"])
    found = families(plan, lambda cell: 7 * (cell.encoder == "lm"), noise=0.0)
    results = SimpleNamespace(design=plan, comparisons=found.comparisons, corrected={})
    frame = against_baseline(results)
    rows = frame[frame["intermediate"] == "lm"]
    assert set(zip(rows["languages"], rows["target"], strict=True)) == {
        (group, target) for group in ("all", "rare", "english") for target in ("xnli", "xquad", "mean")
    }
    assert set(rows["encoder"]) == {"small"} and set(rows["mix"]) == {"prompted"}
    assert rows["value"].tolist() == pytest.approx([7] * len(rows))


def test_a_model_folder_is_an_input_of_its_jobs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "model" / name).write_text("{}")
    named = Grid(load({"grid": {"prompted": ["lm"]}, "prompted": {"lm": {"from": "model", "targets": ["nli"]}}}))
    assert "model/model.safetensors" in Inputs(named).prompted_model(keys())
    spec = PromptSpec.read(Tracked(named).of(jobs_of(named)["eval/lm/none/none/seednone/nli"])["spec"])
    assert (spec.model.source, spec.online) == ("model", False)
