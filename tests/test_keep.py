"""Weights that are not kept: deleted when nothing reads them any more, rebuilt bit for bit when something does."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from checkout import Checkout
from intermezzo.config import load
from intermezzo.core.errors import UserError
from intermezzo.core.provenance import write_record
from intermezzo.dag.experiment import Grid
from intermezzo.dag.scheduling import Scheduling
from intermezzo.execution import weight_leases

SMALL = {"grid__mixes": ["en"], "grid__targets": ["pos", "retrieval"], "mixes__en+rare": None}
NONE = {**SMALL, "keep__intermediate": "none", "keep__target": "none"}
SCORED = ("scores.parquet", "summary.tsv", "answer.md")


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Checkout:
    """A small run that keeps no weights."""
    checkout = Checkout.fresh(tmp_path_factory.mktemp("finished") / "checkout")
    checkout.run(**NONE)
    return checkout


@pytest.fixture
def checkout(finished, tmp_path) -> Checkout:
    return finished.copy(tmp_path / "checkout")


def stages_with_weights(checkout: Checkout) -> set[str]:
    """The stages of which weights are there."""
    return {path.relative_to(checkout.folder).parts[1] for path in checkout.folder.glob("results/**/model.safetensors")}


def rebuilt(checkout: Checkout) -> list[str]:
    """Logs of evaluations that have trained a model."""
    logs = checkout.folder.glob("logs/eval/**/*.log")
    return sorted(
        path.parent.parent.parent.name + "/" + path.stem for path in logs if "trained parameters" in path.read_text()
    )


@pytest.mark.workflow
def test_weights_go_and_manifests_stay(finished):
    assert stages_with_weights(finished) == {"encoders"}
    results = finished.folder / "results"
    manifests = [len(list(results.glob(f"{stage}/**/manifest.json"))) for stage in ("intermediate", "target")]
    assert manifests == [1, 2]
    assert (results / "summary.tsv").is_file() and list(results.glob("target/**/heads.safetensors"))
    assert not [path for path in (results / ".leases").iterdir() if path.is_dir()], "a lease was left behind"
    assert not rebuilt(finished), "nothing is deleted before its last reader is done"


@pytest.mark.workflow
def test_a_second_run_has_nothing_to_do_whatever_is_stages_with_weights(finished):
    assert finished.planned(**NONE) == set()
    assert finished.planned(**SMALL) == set()


@pytest.mark.workflow
def test_another_language_rebuilds_its_models_alone(checkout, tmp_path):
    """Every target model is read again, so its intermediate is too; no job but the evaluations is planned."""
    languages = {"languages__evaluation": ["en", "nor", "fri", "mor", "qul"]}
    planned = checkout.planned(**NONE, **languages)
    assert not [job for job in planned if job.startswith("Train")]
    models = [path for path in checkout.folder.glob("results/**/manifest.json") if path.parts[-7] != "eval"]
    before = {path: path.stat().st_mtime_ns for path in models}
    checkout.run(**NONE, **languages)
    assert {"nli/pos", "none/pos"} <= set(rebuilt(checkout)) <= {"nli/pos", "none/pos", "nli/retrieval"}
    assert stages_with_weights(checkout) == {"encoders"}
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert checkout.planned(**NONE, **languages) == set()
    undisturbed = Checkout.fresh(tmp_path / "undisturbed")
    undisturbed.run(**SMALL, **languages)
    assert stages_with_weights(undisturbed) == {"encoders", "intermediate", "target"}
    for name in SCORED:
        assert (undisturbed.folder / "results" / name).read_bytes() == (checkout.folder / "results" / name).read_bytes()


@pytest.mark.workflow
def test_one_more_target_leaves_the_others_alone(checkout):
    settings = {**NONE, "grid__targets": ["pos", "retrieval", "nli"]}
    planned = checkout.planned(**settings)
    assert {job for job in planned if job.startswith("Train")} == {
        f"Train target nli from tiny/{model}, seed 0" for model in ("none/none", "nli/en")
    }
    assert not [job for job in planned if "pos" in job or "retrieval" in job]
    checkout.run(**settings)
    assert stages_with_weights(checkout) == {"encoders"} and not rebuilt(checkout)
    log = checkout.folder / "logs/target/tiny/nli/en/seed0/nli.log"
    assert "intermediate: " in log.read_text(), "the intermediate was trained again by the job that reads it"


@pytest.mark.workflow
def test_a_metric_rebuilds_nothing(checkout):
    checkout.edit("evaluation/metrics/tagging.py", "\ndef ", "\nEDITED = True\n\n\ndef ")
    checkout.run(**NONE)
    assert not rebuilt(checkout) and stages_with_weights(checkout) == {"encoders"}


@pytest.mark.workflow
def test_a_model_that_cannot_be_rebuilt_is_one_message(checkout):
    path = checkout.folder / "results/target/tiny/none/none/seed0/pos/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["made_with"]["torch"] = "1.0"
    write_record(path, manifest)
    done = checkout.snakemake(**NONE, languages__evaluation=["en", "nor", "fri", "mor", "qul"])
    output = done.stdout + done.stderr
    assert done.returncode != 0 and "Traceback" not in output
    assert "weights were not kept (`keep`), and cannot be made again as they were: torch 1.0 is now" in output


# -- leases --------------------------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = Path("results/intermediate/e/i/m/seed0")
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / weight_leases.FILE).write_text("weights")
    return folder


def reader(name: str, model: Path) -> SimpleNamespace:
    return SimpleNamespace(input={"model": f"{model}/manifest.json"}, output=[f"results/target/{name}/manifest.json"])


def test_the_last_reader_deletes(model):
    weight_leases.lease([reader("a", model), reader("b", model)], {"intermediate"})
    weight_leases.release(model, Path("results/target/a"))
    weight_leases.release(model, Path("results/target/a"))
    assert (model / weight_leases.FILE).is_file()
    weight_leases.release(model, Path("results/target/b"))
    assert not (model / weight_leases.FILE).exists() and (model / "manifest.json").is_file()


def test_weights_that_are_kept_have_no_leases(model):
    weight_leases.lease([reader("a", model)], {"target"})
    weight_leases.release(model, Path("results/target/a"))
    assert (model / weight_leases.FILE).is_file()


def test_leases_of_a_killed_run_are_void(model):
    weight_leases.lease([reader("a", model), reader("b", model)], {"intermediate"})
    weight_leases.lease([reader("a", model)], {"intermediate"})
    weight_leases.release(model, Path("results/target/a"))
    assert not (model / weight_leases.FILE).exists()


def test_weights_whose_reader_is_no_longer_asked_for_go_when_the_next_run_starts(model):
    weight_leases.lease([reader("a", model)], {"intermediate"})
    weight_leases.lease([], {"intermediate"})
    assert not (model / weight_leases.FILE).exists()


def test_a_switch_to_keeping_deletes_nothing(model):
    weight_leases.lease([reader("a", model)], {"intermediate"})
    weight_leases.lease([reader("a", model)], set())
    assert (model / weight_leases.FILE).is_file()


def test_other_bits_are_refused(model, monkeypatch):
    from intermezzo.modeling.encoder import environment

    start = Path("results/encoders/e")
    files = {weight_leases.FILE: "0" * 64}
    manifest = {"spec": {}, "code": "", "made_with": environment(), "weights_sha256": "0" * 64, "data_sha256": {},
                "files": files, "made_from": {"model": str(start), "data": {}}}  # fmt: skip
    (model / "manifest.json").write_text(json.dumps(manifest))
    (model / weight_leases.FILE).unlink()

    def train(spec, start, data, out, state, code):
        out.mkdir(parents=True)
        (out / weight_leases.FILE).write_text("others")
        hashes = {"weights_sha256": "1" * 64, "files": {weight_leases.FILE: "1" * 64}}
        (out / "manifest.json").write_text(json.dumps(hashes))

    with pytest.raises(UserError, match=r"cannot be made again as they were: sha256 1+\.\.\., the manifest says 0+"):
        weight_leases.ensure_weights(model, Path("results/target/a"), Path("results/.state"), train)
    assert not (model / weight_leases.FILE).exists() and not list(Path("results/.state").glob("*"))


@pytest.mark.parametrize(
    ("settings", "unkept"),
    [
        ({}, set()),
        ({"keep": {"intermediate": "none", "target": "none"}}, {"intermediate", "target"}),
        ({"keep": {"intermediate": "final", "target": "final"}}, {"intermediate"}),
        ({"keep": {"intermediate": "final"}, "grid": {"targets": ["retrieval"]}}, set()),
    ],
    ids=["all", "none", "final", "final without target training"],
)
def test_what_is_kept(settings, unkept):
    assert Scheduling(Grid(load(settings))).unkept == unkept


@pytest.mark.parametrize(("keep", "threads", "gpus"), [("all", 3, {}), ("none", 6, {"gpu": 2})])
def test_an_evaluation_that_trains_again_has_what_the_training_had(keep, threads, gpus):
    scheduling = Scheduling(Grid(load({"keep": {"target": keep}, "threads": 3, "processes": 2})))
    assert scheduling.evaluation_threads == threads
    assert gpus.items() <= scheduling.evaluation_gpus.items()
    assert bool(scheduling.evaluation_gpus) == bool(gpus)
