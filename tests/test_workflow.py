"""The workflow end to end on a tiny grid: what reruns after a change, what does not, and what bad input leads to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from checkout import ROOT, Checkout, skip_without_packages
from intermezzo.config import load
from intermezzo.dag.experiment import Grid
from intermezzo.dag.preflight import absent_files
from test_answer_words import screen_lines

pytestmark = pytest.mark.workflow

MODELS = ("none/none", "nli/en", "nli/en+rare")
"""The runs of the tiny grid: baseline, and the intermediate in both mixes."""


@pytest.fixture
def checkout(tiny, tmp_path) -> Checkout:
    return tiny.copy(tmp_path / "checkout")


def jobs_of(target: str) -> set[str]:
    train = {f"Train target {target} from tiny/{model}, seed 0" for model in MODELS}
    return train | {f"Evaluate {target} on tiny/{model}/seed0" for model in MODELS}


def predictions(path: Path) -> dict[str, list[dict]]:
    """name (a language, or its development data) -> rows."""
    rows = pq.read_table(path).to_pylist()
    return {name: [row for row in rows if row["name"] == name] for name in {row["name"] for row in rows}}


SUMMARY = "Summarize all scores"


# -- a finished run ------------------------------------------------------------------------------------------------


def test_results_are_there(tiny):
    results = tiny.folder / "results"
    header = (results / "summary.tsv").read_text().splitlines()[0].split("\t")
    wanted = "encoder intermediate mix target language_group metric n_languages n_seeds mean sd delta_baseline"
    assert set(f"{wanted} delta_english ci_low ci_high".split()) <= set(header)
    assert (results / "scores.parquet").is_file() and (results / "answer.md").is_file()
    beside = 1 + 1  # English development data, the manifest
    assert len(list(results.glob("eval/**/*.json"))) == 2 * 3 * (4 + beside) + 3 * (3 + 1)
    assert not list((results / ".state").iterdir()), "a state for resuming was left behind"
    for model in results.glob("target/tiny/*/*/*/*/"):
        assert {"manifest.json", "model.safetensors", "allocation.tsv"} <= {path.name for path in model.iterdir()}


def test_the_answer_begins_with_one_screen(tiny):
    """45 lines of 120 characters; then the evidence, whose intervals allow for test items (predictions.parquet)."""
    text = (tiny.folder / "results" / "answer.md").read_text()
    assert screen_lines(text) <= 45
    assert "Intervals allow for other test items" in text and text.count("<details>") == text.count("</details>")


def test_a_second_run_has_nothing_to_do(tiny):
    assert tiny.planned() == set()


def test_the_same_configuration_elsewhere_gives_the_same_bytes(tiny, tmp_path, monkeypatch):
    """A longer path, another locale, umask, hash seed, number of cores; no home; a TMPDIR too long for a socket."""
    for name, value in {"LC_ALL": "C", "PYTHONHASHSEED": "77", "TMPDIR": str(tmp_path / ("t" * 90))}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("HOME", raising=False)
    Path(os.environ["TMPDIR"]).mkdir()
    other = Checkout.fresh(tmp_path / "a folder, élsewhere" / "and below")
    before = os.umask(0o077)
    try:
        said = other.run("results/summary.tsv", "--cores", "1").strip().splitlines()
    finally:
        os.umask(before)
    assert not list(Path(os.environ["TMPDIR"]).glob("intermezzo*"))
    assert "The answer of this experiment is in results/answer.md" in said[-6:]
    weights = sorted(path.relative_to(other.folder / "results") for path in other.folder.rglob("*.safetensors"))
    assert len(weights) > 10
    for name in ("summary.tsv", "answer.md", "scores.parquet", *weights):
        assert (other.folder / "results" / name).read_bytes() == (tiny.folder / "results" / name).read_bytes()


# -- what reruns ---------------------------------------------------------------------------------------------------


def test_a_targets_learning_rate_reruns_that_target(checkout):
    assert checkout.planned(targets__pos__training__learning_rate=0.002) == {*jobs_of("pos"), SUMMARY}


def test_an_intermediates_setting_reruns_what_follows_from_it(checkout):
    planned = checkout.planned(intermediates__nli__training__epochs=2)
    assert planned == {
        *(f"Train tiny on intermediate nli, mix {mix}, seed 0" for mix in ("en", "en+rare")),
        *(job for target in ("nli", "pos") for job in jobs_of(target) if "none" not in job),
        *(f"Evaluate retrieval on tiny/{model}/seed0" for model in MODELS if "none" not in model),
        SUMMARY,
    }


def test_what_failed_after_a_change_is_not_taken_for_done(checkout):
    """The model of a failed job is gone, but evaluations of its predecessor are there: they must be made again."""
    fails = 'if "none/none" in str(getattr(options, "out", "")) and "states" in options:\n        return 3'
    parse = "options = parse(sys.argv[1:] if arguments is None else arguments)"
    checkout.edit("cli/main.py", parse, f"{parse}\n    {fails}")
    changed = {"targets__pos__training__learning_rate": 0.002}
    assert checkout.snakemake("results/summary.tsv", **changed).returncode != 0
    checkout.edit("cli/main.py", fails, "")
    assert {job for job in jobs_of("pos") if "none/none" in job} <= checkout.planned(**changed)
    other = checkout.planned("results/summary.tsv", **changed)
    assert {job for job in jobs_of("pos") if "none/none" in job} <= other
    assert SUMMARY in other


def test_whatever_is_deleted_is_made_again(checkout):
    for path in ("results/eval/tiny/nli/en/seed0/pos/fri.json", "results/target/tiny/nli/en/seed0/nli/manifest.json"):
        (checkout.folder / path).unlink()
    assert checkout.planned() == {
        "Evaluate pos on tiny/nli/en/seed0",
        "Train target nli from tiny/nli/en, seed 0",
        "Evaluate nli on tiny/nli/en/seed0",
        SUMMARY,
    }


def test_another_seed_keeps_the_first(checkout):
    planned = checkout.planned(grid__seeds=[0, 1])
    assert SUMMARY in planned and not any(job.endswith(("seed 0", "seed0")) for job in planned)


def test_another_language_is_the_only_one_predicted(checkout):
    languages = {"languages__evaluation": ["en", "nor", "fri", "mor", "qul"]}
    planned = checkout.planned(**languages)
    assert planned == checkout.planned("results/summary.tsv", **languages)
    evaluations = {f"Evaluate {target} on tiny/{model}/seed0" for target in ("nli", "pos") for model in MODELS}
    evaluations |= {f"Evaluate retrieval on tiny/{model}" for model in ("nli/en/seed0", "nli/en+rare/seed0")}
    evaluations |= {"Evaluate retrieval on tiny/none/none/seednone"}
    data = {f"Prepare {task}, qul, test (world)" for task in ("nli", "pos", "retrieval")}
    assert planned == {*evaluations, *data, "Look for test data in training data", SUMMARY}
    old = {path: predictions(path) for path in checkout.folder.glob("results/eval/**/predictions.parquet")}
    checkout.run(**languages)
    logs = [path.read_text() for path in checkout.folder.glob("logs/eval/**/*.log")]
    assert len(logs) == 9
    kept = r"predicted: qul; from the cache: (en, )?nor, fri, mor(, en\.dev)?$"
    assert all(re.search(kept, log.strip()) for log in logs), logs
    assert len(old) == 9
    for path, before in old.items():
        now = predictions(path)
        assert all(now[name] == rows for name, rows in before.items())
        assert set(now) - set(before) == {"qul"}
    assert checkout.planned(**languages) == set()


def test_a_result_that_is_gone_is_made_again_and_an_edited_one_is_not_summarized(checkout):
    result = checkout.folder / "results/eval/tiny/nli/en/seed0/pos/fri.json"
    kept, written = result.read_text(), result.stat().st_mtime_ns
    result.unlink()
    assert "Evaluate pos on tiny/nli/en/seed0" in checkout.planned()
    result.write_text(kept.replace('"n": ', '"n": 1'))
    assert "Evaluate pos on tiny/nli/en/seed0" in checkout.planned("results/summary.tsv")
    os.utime(result, ns=(written, written))  # as if nothing had happened
    done = checkout.snakemake("--forcerun", "summarize_scores")
    assert done.returncode and f"{result.relative_to(checkout.folder)} was changed after its evaluation" in done.stdout
    result.write_text(kept)
    assert checkout.snakemake("--forcerun", "summarize_scores").returncode == 0


def test_docstrings_and_comments_rerun_nothing(checkout):
    checkout.edit("modeling/heads/tagging.py", '"""', '"""An edited docstring. ')
    checkout.edit("training/loop.py", "\nfrom __future__", "\n# an edited comment\nfrom __future__")
    assert checkout.planned() == set()


def test_the_tagging_head_reruns_what_uses_it(checkout):
    checkout.edit("modeling/heads/tagging.py", "class Head(", "EDITED = True\n\n\nclass Head(")
    assert checkout.planned() == {*jobs_of("pos"), SUMMARY}


def test_a_metric_reruns_scoring_and_predicts_nothing(checkout):
    path = "evaluation/metrics/tagging.py"
    checkout.edit(path, "\ndef ", "\nEDITED = True\n\n\ndef ")
    assert checkout.planned() == {job for job in jobs_of("pos") if job.startswith("Evaluate")} | {SUMMARY}
    checkout.run()
    logs = [path.read_text() for path in checkout.folder.glob("logs/eval/**/pos.log")]
    assert len(logs) == 3 and all("predicted: none; from the cache: en, nor, fri, mor" in log for log in logs)


# -- bad input -----------------------------------------------------------------------------------------------------


def fails(checkout: Checkout, *arguments: str, **settings) -> str:
    done = checkout.snakemake(*arguments, **settings)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoders__tiny__modle": {}}, "encoders.tiny.modle: unknown key; did you mean 'model'?"),
        ({"threads": "two"}, "threads: must be a whole number"),
        ({"grid__targets": ["nli", "pso"]}, "grid.targets: unknown name 'pso'; did you mean 'pos'?"),
        ({"languages__evaluation": ["en", "nro"]}, "unknown language 'nro'; did you mean 'nor'?"),
        ({"mixes__en": {"weights": {"en": 0}}}, "mixes.en.weights: the weights sum to nothing"),
        ({"data__source": "files", "data__root": "/no/such/folder"}, "data.root: no such folder: /no/such/folder"),
    ],
    ids=["key", "type", "target", "language", "mix", "root"],
)
def test_a_bad_configuration_stops_before_anything_runs(tmp_path, settings, message):
    checkout = Checkout.fresh(tmp_path / "checkout")
    done = checkout.snakemake(**settings)
    assert done.returncode == 2
    output = done.stdout + done.stderr
    assert output.count(message) == 1 and "Traceback" not in output, output
    assert not (checkout.folder / "results").exists()


def test_an_unusable_data_file_is_named_and_leaves_no_result(checkout):
    path = checkout.folder / "results/data/world/pos/en/train.parquet"
    written = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes()[:200])
    os.utime(path, ns=(written, written))  # a changed time would have it made again
    output = fails(checkout, targets__pos__training__learning_rate=0.002)
    assert output.count("error: results/data/world/pos/en/train.parquet: not a readable Parquet file") == 3
    assert not list(checkout.folder.glob("results/target/*/*/*/*/pos/manifest.json"))


def test_an_encoder_folder_without_weights(checkout):
    folder = checkout.folder / "encoder"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    output = fails(checkout, grid__encoders=["mine"], encoders__mine={"from": str(folder)})
    assert f"encoders.mine.from: {folder} has no weights" in output


# -- the files themselves ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A folder to plan in, for several plans."""
    folder = tmp_path_factory.mktemp("empty")
    (folder / "results").mkdir()
    return folder


@pytest.mark.parametrize("experiment", sorted(path.stem for path in (ROOT / "config/experiments").glob("*.yaml")))
def test_every_shipped_experiment_has_a_plan(experiment, empty, tmp_path, monkeypatch):
    skip_without_packages(ROOT / f"config/experiments/{experiment}.yaml")
    environment = os.environ | {"INTERMEZZO_REAL_DATA": os.environ.get("INTERMEZZO_REAL_DATA", str(tmp_path))}
    if experiment == "phang2020":  # CCGbank is not published
        environment["INTERMEZZO_REAL_DATA"] = str(tmp_path)
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "-s", str(ROOT / "Snakefile")]
    path = ROOT / f"config/experiments/{experiment}.yaml"
    chosen = yaml.safe_load(path.read_text()).get("grid", {})
    # of the largest a part is enough
    small = {"grid": {"seeds": [0], "encoders": chosen.get("encoders", ["world"])[:1]}}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(small))
    command += ["--directory", str(empty), "--configfile", str(path), str(tmp_path / "small.yaml")]
    monkeypatch.setenv("INTERMEZZO_REAL_DATA", environment["INTERMEZZO_REAL_DATA"])
    if environment["INTERMEZZO_REAL_DATA"] == str(tmp_path):
        for name in chain(*absent_files(Grid(load(path, small))).values()):  # stand-ins for published files
            stand_in = tmp_path / re.sub(r"\[(.).*?\]", r"\1", name).replace("*", "x")
            stand_in.parent.mkdir(parents=True, exist_ok=True)
            stand_in.touch()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_snakemakes_linter_is_content():
    command = [sys.executable, "-m", "snakemake", "--lint", "-s", str(ROOT / "Snakefile")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
