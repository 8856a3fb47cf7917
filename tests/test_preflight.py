"""What is said before the first job, by all commands alike: remarks, missing files, lengths, relative paths."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from checkout import ROOT, TINY, Checkout
from intermezzo.cli.main import main
from intermezzo.config import load
from intermezzo.core import processor
from intermezzo.core.errors import UserError

EXPERIMENTS = sorted((ROOT / "config" / "experiments").glob("*.yaml"))
DATA = {"source": "files", "rows": {"train": None}}
ENCODER = {"e": {"from": "a/b", "revision": "c"}}
GRID = {"encoders": ["e"], "targets": ["pos"], "intermediates": [], "mixes": ["en"]}


def problems(*overlays) -> list[str]:
    with pytest.raises(UserError) as caught:
        load(*overlays)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


def checked(capsys, tmp_path, raw: dict, command: str = "check") -> tuple[int, str]:
    """Status and stderr of `config check` or `grid`."""
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(raw))
    arguments = ["config", "check"] if command == "check" else [command]
    status = main([*arguments, str(tmp_path / "my.yaml")])
    return status, capsys.readouterr().err


# -- remarks -------------------------------------------------------------------------------------------------------

REMARKS = {
    "zero for all but English": (
        {"grid": {"mixes": ["en", "half"]}, "mixes": {"half": {"weights": {"en": 1, "@rare": 0}}}},
        [
            "mixes.half.weights: all are 0 but that of English, so that it trains on English alone",
            "mixes: en and half differ in name only, so that the same runs 2 times",
        ],
    ),
    "no English-only mix": (
        {"grid": {"mixes": ["en+rare"]}},
        ["grid.mixes: no mix is English only, so that no result says what the languages of the others add; name one"],
    ),
    "an intermediate without it": (
        {"intermediates": {"qa": {"mixes": ["en+rare"]}}},
        ["intermediates.qa.mixes: 'en' is not among them, so that no result of 'qa' says what the languages"],
    ),
    "mixes of one content": (
        {"grid": {"mixes": ["en", "a", "b"]}, "mixes": {"a": {"weights": {"en": 1, "fri": 1}},
        "b": {"weights": {"fri": 2, "en": 2}}}},
        ["mixes: a and b differ in name only"],
    ),
    "a group and its languages": (
        {"grid": {"mixes": ["en", "a", "en+rare"]},
         "mixes": {"a": {"weights": {"en": 0.75, **dict.fromkeys(["fri", "mor", "qul", "sul", "wab"], 0.05)}}}},
        ["mixes: a and en+rare differ in name only"],
    ),
    "intermediates of one content": (
        {"grid": {"intermediates": ["nli", "x"]}, "intermediates": {"x": {"tasks": ["nli"]}}},
        ["intermediates: nli and x differ in name only"],
    ),
    "targets of one content": ({"grid": {"targets": ["pos", "x"]}, "targets": {"x": {"task": "pos"}}},
    ["targets: pos and x differ in name only"]),
    "encoders of one content": ({"grid": {"encoders": ["world", "x"]}, "encoders": {"x": {}}},
    ["encoders: world and x differ in name only"]),
}  # fmt: skip


@pytest.mark.parametrize("case", REMARKS)
def test_what_is_most_likely_not_meant(capsys, tmp_path, case):
    raw, remarks = REMARKS[case]
    for command in ("check", "grid"):
        status, error = checked(capsys, tmp_path, raw, command)
        assert status == 0
        lines = error.splitlines()
        assert len(lines) == len(remarks)
        for line, remark in zip(lines, remarks, strict=True):
            assert line.startswith(f"warning: {remark}")


@pytest.mark.parametrize("units", ["", "avx512_bf16"])
def test_bfloat16_is_remarked_on_once_where_the_processor_has_no_units(capsys, tmp_path, monkeypatch, units):
    monkeypatch.setattr(processor, "this", lambda: processor.Processor("A processor", units, "avx2"))
    monkeypatch.setattr(processor, "has_gpu", lambda: False)
    low = {"precision": "bfloat16"}
    raw = {"training": {"target": low, "tasks": {"nli": {"target": low}}}, "encoders": {"world": {"training": low}}}
    _, error = checked(capsys, tmp_path, raw)
    lines = error.splitlines()
    assert len(lines) == (0 if units else 1)
    for line in lines:
        assert line.startswith("warning: encoders.world.training.precision: bfloat16 (and 2 more), but the processor")
        assert "(A processor, avx2) has no units" in line and "as long as with float32" in line


def test_shipped_experiments_have_none(capsys, tmp_path, monkeypatch):
    from intermezzo.config.remarks import remarks

    monkeypatch.setenv("INTERMEZZO_REAL_DATA", str(tmp_path))
    for path in EXPERIMENTS:
        if "package:" not in path.read_text():
            assert remarks(load(path)) == [], path.stem


# -- lengths -------------------------------------------------------------------------------------------------------


def test_inputs_longer_than_an_encoder_pretrained_here_reads():
    raw = {"encoders": {"world": {"model": {"max_length": 64}}}, "training": {"intermediate": {"max_length": 64}}}
    (line,) = problems(raw)
    assert line.startswith(
        "training.target.max_length: 128 (nli, qa, pos, retrieval), but encoder 'world' reads at most 64 tokens; "
    )
    load(raw, {"encoders": {"world": {"finetuning": {"target": {"max_length": 64}}}}})


@pytest.mark.parametrize(
    ("config", "longest"),
    [
        ({"model_type": "bert", "max_position_embeddings": 512, "pad_token_id": 0}, 512),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "modernbert", "max_position_embeddings": 8192}, 8192),
        ({"model_type": "deberta-v2", "max_position_embeddings": 512}, None),
        ({"model_type": "bert", "max_position_embeddings": "many"}, None),
        ([], None),
    ],
)
def test_inputs_longer_than_an_encoder_of_a_folder_reads(tmp_path, config, longest):
    (tmp_path / "config.json").write_text(json.dumps(config))
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_text("")
    raw = {"grid": {"encoders": ["e"]}, "encoders": {"e": {"from": str(tmp_path)}}}
    fitting = {"training": {"target": {"max_length": 512}}}
    load(raw, fitting)
    if longest is None:
        load(raw, {"training": {"target": {"max_length": 9999}}})
    else:
        lines = problems(raw, {"training": {"target": {"max_length": longest + 1}}})
        assert len(lines) == 1 and f"encoder 'e' reads at most {longest} tokens" in lines[0]


# -- names of protocols, weights -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            {"training": {"protocol": "xtrem"}},
            "training.protocol: no task has a protocol 'xtrem'; did you mean 'xtreme'?",
        ),
        ({"targets": {"pos": {"protocol": "xtreme"}}}, "targets.pos.protocol: 'xtreme' is no protocol of task 'pos'"),
        (
            {"grid": {"mixes": ["en", "m"]}, "mixes": {"m": {"weights": {"en": 1, "fri": 1e-12}}}},
            "mixes.m.weights.fri: 1e-12 of 1 gives no example; write 0, or a larger weight",
        ),
    ],
)
def test_what_would_be_ignored(raw, message):
    assert any(line.startswith(message) for line in problems(raw)), problems(raw)


# -- local files ---------------------------------------------------------------------------------------------------


@pytest.fixture
def topics(tmp_path, monkeypatch) -> Path:
    """A folder with a task of one's own, data of two languages and an overlay; the working directory."""
    from intermezzo import tasks

    caches = (tasks.task_names, tasks.load_task, tasks._files)
    for cache in caches:
        cache.cache_clear()
    write_topics(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for cache in caches:
        cache.cache_clear()


def write_topics(folder: Path) -> None:
    part = {"reader": "delimited", "path": "{code}/{split}.tsv", "fields": {"text": "text", "label": "label"}}
    block = {"languages": {"en": "eng", "yo": "yor"}, "splits": {"train": "train", "test": "test"}, "part": part}
    task = {
        "description": "Which topic?",
        "format": "classification",
        "skill": "topic",
        "labels": ["a", "b"],
        "metrics": ["accuracy"],
    }
    task |= {"licence": "topics: CC0", "sources": {"files": {"each": [block]}}}
    (folder / "config/tasks").mkdir(parents=True, exist_ok=True)
    (folder / "config/tasks/topics.yaml").write_text(yaml.safe_dump(task))
    for code in ("eng", "yor"):
        (folder / f"data/{code}").mkdir(parents=True)
        for split in ("train", "test"):
            rows = "".join(f"{code} {split} {number}\t{'ab'[number % 2]}\n" for number in range(8))
            (folder / f"data/{code}/{split}.tsv").write_text(f"text\tlabel\n{rows}")
    overlay = {"data": DATA | {"root": "data"}, "encoders": ENCODER, "grid": GRID | {"targets": ["topics"]}}
    (folder / "my.yaml").write_text(yaml.safe_dump(overlay))


def test_missing_files_are_named_before_the_first_job(topics, capsys):
    for command in (["config", "check"], ["grid"]):
        assert main([*command, "my.yaml"]) == 0
    capsys.readouterr()
    for name in ("eng/train.tsv", "yor/test.tsv"):
        (topics / "data" / name).unlink()
    expected = (
        f"error: the configuration has 1 problem:\n  data.root: {topics}/data has no eng/train.tsv, yor/test.tsv "
        "(config/tasks/topics.yaml); put the data of task 'topics' there, or leave it out\n"
    )
    for command in (["config", "check", "my.yaml"], ["grid", "my.yaml"]):
        assert main(command) == 2
        assert capsys.readouterr().err == expected
    # what is not read need not be there
    (topics / "english.yaml").write_text("languages: {evaluation: [en]}\n")
    (topics / "data/eng/train.tsv").write_text("text\tlabel\nx\ta\n")
    assert main(["config", "check", "my.yaml", "english.yaml"]) == 0


@pytest.mark.slow
def test_folders_that_are_not_there_say_where_was_looked(topics):
    (line,) = problems("my.yaml", {"data": {"root": "absent"}})
    assert line.startswith(f"data.root: no such folder: {topics}/absent or {ROOT}/absent; name")
    (line,) = problems("my.yaml", {"encoders": {"e": {"from": "./absent", "revision": None}}})
    assert line == f"encoders.e.from: no such folder: {topics}/absent or {ROOT}/absent"
    (line,) = problems("my.yaml", {"encoders": {"e": {"revision": None}}})
    assert line.startswith("encoders.e.revision: missing") and f"there is no folder {topics}/a/b or {ROOT}/a/b" in line


def test_braces_in_the_path_of_data(topics):
    (topics / "a{y}").mkdir()
    (line,) = problems("my.yaml", {"data": {"root": "a{y}"}})
    assert line == f"data.root: {topics}/a{{y}}: Snakemake takes braces in a path for wildcards; rename it without them"


# -- through Snakemake ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Checkout:
    """A workflow to plan with; tests leave it as it is."""
    return Checkout.fresh(tmp_path_factory.mktemp("planned") / "checkout")


def dry_run(checkout: Checkout, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "snakemake", "-n", *arguments]
    done = subprocess.run(command, cwd=checkout.folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.workflow
def test_snakemake_overlooks_no_key_that_is_given_twice(checkout, tmp_path):
    twice = tmp_path / "twice.yaml"
    twice.write_text("grid: {seeds: [7]}\ngrid: {mixes: [en]}\n")
    status, output = dry_run(checkout, "--configfile", TINY, str(twice))
    assert status == 2 and f"error: {twice}, line 2: the key 'grid' is given twice, first in line 1" in output


@pytest.mark.workflow
def test_values_within_config_on_the_command_line(checkout):
    values = ["grid={seeds: [3]}", "training={target: {epochs: 2, freeze_embeddings: true, micro_tokens: null}}"]
    status, output = dry_run(checkout, "--configfile", TINY, "--config", *values, "targets={qa: null}")
    assert status == 0 and "seed 3" in output, output
    status, output = dry_run(checkout, "--configfile", TINY, "--config", "grid={seeds: [x]}")
    assert status == 2 and "grid.seeds.0: must be a whole number; found 'x' (str)" in output


@pytest.mark.workflow
def test_remarks_are_in_the_log_of_a_run(checkout, tmp_path):
    (tmp_path / "rare.yaml").write_text("grid: {mixes: [en+rare]}")
    status, output = dry_run(checkout, "--configfile", TINY, str(tmp_path / "rare.yaml"))
    assert status == 0 and output.count("warning: grid.mixes: no mix is English only") == 1
    log = re.search(r"Complete log\(s\): (\S+)", output)
    assert log is None or "no mix is English only" in (checkout.folder / log[1]).read_text()


@pytest.mark.workflow
def test_a_run_in_a_folder_of_its_own_finds_tasks_and_data_of_the_project(tmp_path):
    checkout = Checkout.fresh(tmp_path / "checkout")
    write_topics(checkout.folder)
    encoder = checkout.folder / "myenc"
    encoder.mkdir()
    (encoder / "config.json").write_text("{}")
    for name in ("model.safetensors", "tokenizer.json"):
        (encoder / name).write_text("")
    (checkout.folder / "local.yaml").write_text("encoders: {e: {from: myenc, revision: null}}\n")
    arguments = ["--directory", "runs/mine", "--configfile", "my.yaml", "local.yaml"]
    status, output = dry_run(checkout, "--printshellcmds", *arguments)
    assert status == 0, output
    for name in ("data", "myenc"):
        assert f'"{checkout.folder / name}"' in output
    # the folder of the run comes first
    own = checkout.folder / "runs/mine/data"
    own.mkdir(parents=True)
    status, output = dry_run(checkout, *arguments)
    assert status == 2 and f"data.root: {own} has no eng/train.tsv" in output


@pytest.mark.workflow
def test_a_project_in_a_folder_with_braces(tmp_path):
    checkout = Checkout.fresh(tmp_path / "a{y}")
    status, output = dry_run(checkout, "--configfile", TINY)
    assert status == 2 and f"error: the project's folder {checkout.folder}: Snakemake takes braces" in output
