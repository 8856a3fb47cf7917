"""Results are of the configuration that asks for them: without Snakemake's records, with some, and after any change."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from checkout import TINY, Checkout
from intermezzo.core import provenance
from intermezzo.core.errors import UserError
from planner import Planner

SMALL = {
    "grid": {"mixes": ["en"], "targets": ["pos", "retrieval"]},
    "languages": {"evaluation": ["en", "fri"]},
    "encoders": {"tiny": {"training": {"steps": 10}}},
}
OTHER = SMALL | {"training": {"target": {"learning_rate": 0.01}}}
MODEL, EVALUATION = "results/target/tiny/nli/en/seed0/pos", "results/eval/tiny/nli/en/seed0/pos"
TRAIN = "Train target pos from tiny/nli/en, seed 0"
EVALUATE, SUMMARY = "Evaluate pos on tiny/nli/en/seed0", "Summarize all scores"
TARGETS = {
    f"{job} tiny/{run}" for run in ("none/none", "nli/en") for job in ("Train target pos from", "Evaluate pos on")
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Checkout:
    checkout = Checkout.fresh(tmp_path_factory.mktemp("finished") / "checkout")
    run(checkout, SMALL)
    return checkout


@pytest.fixture(scope="module")
def planner() -> Iterator[Planner]:
    planner = Planner()
    yield planner
    planner.process.stdin.close()
    planner.process.wait()


@pytest.fixture
def checkout(finished, tmp_path) -> Iterator[Checkout]:
    copy = finished.copy(tmp_path / "checkout")
    yield copy
    shutil.rmtree(copy.folder)


def run(checkout: Checkout, settings: dict, *targets: str) -> str:
    (checkout.folder / "changes.yaml").write_text(yaml.safe_dump(settings))
    return checkout.run(*targets, overlays=("changes.yaml",))


def command(checkout: Checkout, name: str, settings: dict, **variables: str) -> subprocess.CompletedProcess:
    """A command of the package, or a dry run, as they are typed in a folder with a Snakefile."""
    (checkout.folder / "changes.yaml").write_text(yaml.safe_dump(settings))
    program = ["snakemake", "-n", "--cores", "1"] if name == "snakemake" else ["intermezzo", name]
    arguments = [sys.executable, "-m", *program, "--configfile", TINY, "changes.yaml"]
    environment = os.environ | {"PYTHONPATH": str(checkout.folder / "src")} | variables
    return subprocess.run(arguments, cwd=checkout.folder, env=environment, capture_output=True, text=True)


def forget(checkout: Checkout) -> None:
    shutil.rmtree(checkout.folder / ".snakemake")


def forget_some(checkout: Checkout) -> None:
    """Every second record goes."""
    for path in sorted((checkout.folder / ".snakemake/metadata").iterdir())[::2]:
        path.unlink()


def copy_without_times(checkout: Checkout) -> None:
    """As `cp -r` and `git` copy."""
    other = checkout.folder.with_name("other")
    shutil.copytree(checkout.folder, other, copy_function=shutil.copyfile)
    shutil.rmtree(checkout.folder)
    other.rename(checkout.folder)


def copy_without_times_and_records(checkout: Checkout) -> None:
    copy_without_times(checkout)
    forget(checkout)


LOSSES = [forget, forget_some, copy_without_times, copy_without_times_and_records]


# -- no records ----------------------------------------------------------------------------------------------------


@pytest.mark.workflow
@pytest.mark.parametrize("lose", LOSSES)
def test_equal_results_are_taken_over(lose, checkout, planner):
    lose(checkout)
    assert planner(checkout, SMALL) == set()


@pytest.mark.workflow
@pytest.mark.parametrize("lose", LOSSES)
def test_results_of_other_settings_are_planned_again(lose, checkout, planner):
    """As many as with all records."""
    expected = planner(checkout, OTHER)
    assert {job.partition(",")[0].removesuffix("/seed0") for job in expected} == {*TARGETS, SUMMARY}
    lose(checkout)
    assert planner(checkout, OTHER) == expected
    world = SMALL | {"world": {"seed": 99}}
    assert "Pretrain encoder tiny" in planner(checkout, world), "settings of the data, which no model's own names"


@pytest.mark.workflow
def test_results_of_other_settings_are_refused_without_snakemakes_internals(checkout):
    plain = {"INTERMEZZO_PLAIN_SNAKEMAKE": "1"}
    done = command(checkout, "snakemake", OTHER, **plain)
    assert done.returncode == 0 and TRAIN in done.stdout, "Snakemake has records, and compares them itself"
    forget(checkout)
    done = command(checkout, "snakemake", SMALL, **plain)
    assert done.returncode == 0 and "Nothing to be done" in done.stdout + done.stderr
    done = command(checkout, "snakemake", OTHER, **plain)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "5 files are not results of this configuration" in done.stderr
    name = "results/target/tiny/none/none/seed0/pos/manifest.json"
    assert f"{name} was made with other settings (training.learning_rate is 0.01, was 0.001)" in done.stderr
    assert "... and 2 more\ndelete them to make them again" in done.stderr


@pytest.mark.workflow
def test_why_and_plan_say_the_same_without_records(checkout):
    forget(checkout)
    assert command(checkout, "why", SMALL).stdout == "the experiment: nothing would run, everything is up to date\n"
    said = command(checkout, "why", OTHER).stdout
    assert "2 jobs, because training.target.learning_rate is 0.01, was 0.001:" in said and TRAIN in said
    for settings, to_do in ((SMALL, 0), (OTHER, 5)):
        for variables in ({}, {"INTERMEZZO_PLAIN_SNAKEMAKE": "1"}):
            words = command(checkout, "plan", settings, **variables).stdout
            jobs, done = map(int, re.search(r"^all +(\d+) +(\d+)", words, flags=re.MULTILINE).groups())
            assert jobs - done == to_do


@pytest.mark.workflow
def test_a_result_of_another_run_is_not_taken_for_this_one(checkout, planner):
    """Whole folders that were exchanged, records and times kept."""
    first, second = (checkout.folder / f"results/target/tiny/{name}/seed0/pos" for name in ("none/none", "nli/en"))
    first.rename(first.with_name("aside"))
    second.rename(first)
    first.with_name("aside").rename(second)
    assert {job.partition(",")[0].removesuffix("/seed0") for job in planner(checkout, SMALL)} == {*TARGETS, SUMMARY}


# -- deleted and edited files ----------------------------------------------------------------------------------------


def delete(path: Path) -> None:
    path.unlink()


def edit(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])


def nonsense(path: Path) -> None:
    path.write_text("[]")


CHANGES: dict[str, tuple[Callable[[Path], None], set[str]]] = {
    "results/answer.md": (delete, {SUMMARY}),
    "results/scores.parquet": (edit, {SUMMARY}),
    "results/summary.tsv": (edit, {SUMMARY}),
    "results/summary.json": (delete, set()),
    f"{EVALUATION}/fri.json": (delete, {EVALUATE, SUMMARY}),
    f"{EVALUATION}/en.json": (edit, {EVALUATE, SUMMARY}),
    f"{EVALUATION}/en.dev.json": (edit, {EVALUATE, SUMMARY}),
    f"{EVALUATION}/predictions.parquet": (delete, {EVALUATE, SUMMARY}),
    f"{EVALUATION}/manifest.json": (nonsense, {EVALUATE, SUMMARY}),
    f"{MODEL}/manifest.json": (nonsense, {TRAIN, EVALUATE, SUMMARY}),
    f"{MODEL}/config.json": (delete, {TRAIN, EVALUATE, SUMMARY}),
}


BY_DEFAULT = ("results/answer.md", f"{EVALUATION}/fri.json", f"{MODEL}/config.json")


@pytest.mark.workflow
def test_what_was_deleted_or_edited_is_made_again(checkout, planner):
    """By both the default target and the summary alone."""
    for name, (change, jobs) in CHANGES.items():
        path = checkout.folder / name
        status, content = path.stat(), path.read_bytes()
        change(path)
        assert planner(checkout, SMALL, "results/summary.tsv") == jobs, name
        if name in BY_DEFAULT:
            assert planner(checkout, SMALL) == jobs, name
        path.write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    for name in CHANGES:
        (checkout.folder / name).write_bytes((checkout.folder / name).read_bytes())
    assert planner(checkout, SMALL) == set(), "written again with the same content"


@pytest.mark.workflow
def test_why_names_the_file(checkout):
    edit(checkout.folder / "results/summary.tsv")
    (checkout.folder / f"{EVALUATION}/fri.json").unlink()
    said = command(checkout, "why", SMALL).stdout
    assert f"1 job, because {EVALUATION}/fri.json is missing:\n  {EVALUATE}" in said
    assert f"because results/summary.tsv was changed after it was made:\n  {SUMMARY}" in said


@pytest.mark.workflow
def test_a_run_mends_what_was_damaged(checkout):
    """A data file, a result and a prediction in the cache: the same bytes again, and one line for the cache."""
    top = [checkout.folder / "results" / name for name in ("summary.tsv", "scores.parquet", "answer.md")]
    before = [path.read_bytes() for path in top]
    edit(checkout.folder / "results/data/world/pos/fri/test.parquet")
    nonsense(checkout.folder / EVALUATION / "manifest.json")
    caches = sorted((checkout.folder / "results/.cache").glob("*.parquet"))
    first, second = caches[0].read_bytes(), caches[1].read_bytes()
    caches[0].write_bytes(second)
    caches[1].write_bytes(first)
    for path in caches[2:]:
        path.write_bytes(path.read_bytes()[:100])
    said = run(checkout, SMALL)
    assert "damaged, or not written for this key" in said
    assert [path.read_bytes() for path in top] == before
    assert "Nothing to be done" in run(checkout, SMALL)


@pytest.mark.workflow
def test_a_metric_of_a_task_file_predicts_nothing(checkout):
    path = checkout.folder / "resources/tasks/pos.yaml"
    text = path.read_text()
    assert "[accuracy, pos_f1]" in text
    path.write_text(text.replace("[accuracy, pos_f1]", "[pos_f1]"))
    run(checkout, SMALL)
    logs = [path.read_text() for path in checkout.folder.glob("logs/eval/**/pos.log")]
    assert len(logs) == 2 and all("predicted: none; from the cache: en, fri, en.dev" in log for log in logs)
    assert list(json.loads((checkout.folder / EVALUATION / "en.json").read_text())["metrics"]) == ["pos_f1"]


# -- files that are read ---------------------------------------------------------------------------------------------


@pytest.mark.workflow
def test_a_changed_data_file_is_refused_by_the_job_that_reads_it(checkout, tmp_path):
    """Also where times tell nothing."""
    path = checkout.folder / "results/data/world/pos/fri/test.parquet"
    status = path.stat()
    shutil.copyfile(path.parents[1] / "en/test.parquet", path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    (checkout.folder / "changes.yaml").write_text(
        yaml.safe_dump(SMALL | {"languages": {"evaluation": ["en", "fri", "mor"]}})
    )
    done = checkout.snakemake(overlays=("changes.yaml",))
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    assert "error: results/data/world/pos/fri/test.parquet: was changed after it was made" in done.stdout + done.stderr


def test_a_file_without_a_record_passes_and_one_that_the_record_lacks_does_not(tmp_path):
    path = tmp_path / "train.parquet"
    path.write_text("rows")
    provenance.check(path)
    provenance.write_record(path.with_suffix(".json"), {"files": {"train.parquet": provenance.sha256(path)}})
    provenance.check(path)
    path.write_text("other rows")
    with pytest.raises(UserError, match="was changed after it was made"):
        provenance.check(path)
    for text in ("[]", "{}", "{", '{"files": []}', '{"files": {}}'):
        path.with_suffix(".json").write_text(text)
        with pytest.raises(UserError, match=r"train\.json"):
            provenance.check(path)


def test_a_record_that_was_edited_is_none(tmp_path):
    path = tmp_path / "manifest.json"
    provenance.write_record(path, {"loss": 1.25, "spec": {"seed": 3, "parts": [{1: "a", 10: "b", 9: "c"}]}})
    content = path.read_text()
    assert provenance.read(path)["loss"] == 1.25
    for old, new in (("1.25", "1.35"), ("3", "4"), ("1.25", "NaN"), ('"a"', '"\\ud800"'), ("digest", "digost")):
        path.write_text(content.replace(old, new, 1))
        assert provenance.read(path) == {}, new
