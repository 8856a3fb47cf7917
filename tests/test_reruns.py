"""docs/reruns.md, held to its word: each row of its table is a change of a finished tiny grid, and what reruns."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from checkout import ROOT, TINY, Checkout
from planner import Planner

AFTER_ENCODER = "Pretrain|Train|Evaluate|Summarize"
AFTER_INTERMEDIATE = "Train tiny|.*tiny/nli/|Summarize"
TARGETS = "Train target|Evaluate (nli|pos)|Summarize"


@dataclass(frozen=True)
class Row:
    """A change and, as regular expressions of messages, which jobs of the grid rerun and which are new.

    before: other settings that the grid has run with.
    """

    reruns: str = ""
    new: str = ""
    settings: dict[str, Any] | None = None
    edit: Callable[[Checkout], None] | None = None
    arguments: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    before: dict[str, Any] | None = None


def code(name: str, old: str = "from __future__ import annotations\n", new: str = "") -> Callable[[Checkout], None]:
    return lambda checkout: checkout.edit(name, old, new or f"{old}\nEDITED = True\n")


def file(name: str, old: str, new: str) -> Callable[[Checkout], None]:
    def edit(checkout: Checkout) -> None:
        path = checkout.folder / name
        text = path.read_text()
        assert old in text, f"{name} has no {old!r}"
        path.write_text(text.replace(old, new, 1))

    return edit


def several(*edits: Callable[[Checkout], None]) -> Callable[[Checkout], None]:
    def edit(checkout: Checkout) -> None:
        for one in edits:
            one(checkout)

    return edit


def rewrite(name: str) -> Callable[[Checkout], None]:
    """Another content of a data file: the same rows but the last."""

    def edit(checkout: Checkout) -> None:
        import pyarrow.parquet as pq

        path = checkout.folder / name
        table = pq.read_table(path)
        pq.write_table(table.slice(0, table.num_rows - 1), path)

    return edit


def touch(checkout: Checkout) -> None:
    for path in checkout.folder.glob("results/data/**/*.parquet"):
        path.touch()
    for path in checkout.folder.glob("results/**/manifest.json"):
        path.touch()


def delete(*names: str) -> Callable[[Checkout], None]:
    return lambda checkout: [(checkout.folder / name).unlink() for name in names] and None


def library(name: str, version: str) -> Callable[[Checkout], None]:
    """Another version of an installed library, as far as its metadata says."""

    def edit(checkout: Checkout) -> None:
        folder = checkout.folder / "libraries" / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (folder / "top_level.txt").write_text(f"{name}\n")

    return edit


def training(phase: str, **values: Any) -> dict[str, Any]:
    return {"training": {phase: values}}


CHANGES: dict[str, Row] = {
    # -- settings of the phases
    "a setting of pretraining": Row(
        AFTER_ENCODER, settings={"encoders": {"tiny": {"training": {"learning_rate": 0.01}}}}
    ),
    "a setting of the tokenizer": Row(
        AFTER_ENCODER, settings={"encoders": {"tiny": {"tokenizer": {"vocab_size": 620}}}}
    ),
    "a setting of intermediate training": Row(
        AFTER_INTERMEDIATE, settings=training("intermediate", learning_rate=0.01)
    ),
    "a setting of target training": Row(TARGETS, settings=training("target", learning_rate=0.01)),
    "a setting of one target": Row(
        "Train target pos|Evaluate pos|Summarize", settings={"targets": {"pos": {"training": {"learning_rate": 0.01}}}}
    ),
    "a setting of one task's targets": Row(
        "Train target nli|Evaluate nli|Summarize",
        settings={"training": {"tasks": {"nli": {"target": {"epochs": 3}}}}},
    ),
    "an encoder's own setting of target training": Row(
        TARGETS, settings={"encoders": {"tiny": {"finetuning": {"target": {"batch_size": 8}}}}}
    ),
    "how sentence vectors are read off": Row(
        "Evaluate retrieval|Summarize", settings={"targets": {"retrieval": {"retrieval": {"pooling": "cls"}}}}
    ),
    "threads": Row(AFTER_ENCODER, settings={"threads": 2}),
    "processes per training": Row(AFTER_ENCODER, settings={"processes": 2}),
    # -- the grid
    "a seed added": Row("Summarize", new=".*seed ?1$", settings={"grid": {"seeds": [0, 1]}}),
    "a seed taken away": Row("Summarize", before={"grid": {"seeds": [0, 1]}}),
    "a target added": Row(
        "Look|Summarize",
        new="Prepare ner|Train target ner|Evaluate ner",
        settings={"grid": {"targets": ["nli", "pos", "retrieval", "ner"]}},
    ),
    "a target taken away": Row("Look|Summarize", settings={"grid": {"targets": ["nli", "retrieval"]}}),
    "an intermediate added": Row(
        "Look|Summarize",
        new="Prepare pos, (fri|mor), train|.*(tiny/pos/|intermediate pos)",
        settings={"grid": {"intermediates": ["nli", "pos"]}},
    ),
    "an intermediate taken away": Row("Look|Summarize", settings={"grid": {"intermediates": []}}),
    "a mix added": Row(
        "Look|Summarize",
        new="Prepare nli, nor, train|.*(mix en_nor|tiny/nli/en_nor)",
        settings={
            "grid": {"mixes": ["en", "en+rare", "en_nor"]},
            "mixes": {"en_nor": {"weights": {"en": 1, "nor": 1}}},
        },
    ),
    "a mix taken away": Row("Look|Summarize", settings={"grid": {"mixes": ["en"]}}),
    "the weights of a mix": Row(
        r".*nli/en\+rare|.*mix en\+rare|Summarize", settings={"mixes": {"en+rare": {"weights": {"@rare": 0.5}}}}
    ),
    "which languages count as rare": Row(
        r"Look|.*nli/en\+rare|.*mix en\+rare|Summarize", settings={"languages": {"rare": ["fri"]}}
    ),
    "an evaluation language added": Row(
        "Look|Evaluate|Summarize",
        new="Prepare .*, qul, test",
        settings={"languages": {"evaluation": ["en", "nor", "fri", "mor", "qul"]}},
    ),
    "an evaluation language taken away": Row(
        "Look|Evaluate|Summarize", settings={"languages": {"evaluation": ["en", "nor", "fri"]}}
    ),
    "a language of selection added": Row(
        "Evaluate (nli|pos)|Summarize", new="Prepare .*, nor, dev", settings={"languages": {"selection": ["en", "nor"]}}
    ),
    "the n-grams that test data are searched with": Row("Look|Summarize", settings={"data": {"overlap": {"ngram": 8}}}),
    "something that is defined and not used": Row(
        settings={"intermediates": {"other": {"tasks": ["qa"]}}, "mixes": {"unused": {"weights": {"en": 1}}}}
    ),
    "comments and order of a configuration file": Row(
        edit=several(
            file("config/config.yaml", "\nthreads:", "\n# an edited comment\nthreads:"),
            file(TINY, "  encoders: [tiny]\n  intermediates: [nli]\n", "  intermediates: [nli]\n  encoders: [tiny]\n"),
        )
    ),
    # -- data
    "rows of the test data": Row("Look|Prepare .*, test|Evaluate|Summarize", settings={"data": {"rows": {"test": 41}}}),
    "another world": Row(".*", settings={"world": {"seed": 14}}),
    "labels of a task's file": Row(
        "Train target pos|Evaluate pos|Summarize", edit=file("resources/tasks/pos.yaml", "VERB, X]", "VERB, X, Y]")
    ),
    "metrics of a task's file": Row(
        "Evaluate pos|Summarize", edit=file("resources/tasks/pos.yaml", "[accuracy, pos_f1]", "[pos_f1, accuracy]")
    ),
    "the generator that a task's file names": Row(
        "Look|Prepare retrieval|Evaluate retrieval|Summarize",
        edit=file("resources/tasks/retrieval.yaml", "generator: ", "map: {a: a}\n    generator: "),
    ),
    "words, licence and other sources of a task's file": Row(
        edit=several(
            file("resources/tasks/pos.yaml", "Part-of-speech tagging", "Tagging"),
            file("resources/tasks/pos.yaml", "rows: 12544", "rows: 12543"),
            file("resources/tasks/pos.yaml", "format: tagging", "# an edited comment\nformat: tagging"),
        )
    ),
    "the world's grammar and words (world.yaml)": Row(
        ".*", edit=file("resources/world.yaml", "\nlanguages:", "\nedited: 1\nlanguages:")
    ),
    "a data file with other content": Row(
        "Look|Prepare pos, en, train|Train target pos|Evaluate pos|Summarize",
        edit=rewrite("results/data/world/pos/en/train.parquet"),
    ),
    "files written again with the same content": Row(edit=touch),
    "a data file that was deleted, with its models there": Row(edit=delete("results/data/world/pos/en/train.parquet")),
    "a result that was deleted": Row(
        r"Evaluate pos on tiny/nli/en/|Summarize", edit=delete("results/eval/tiny/nli/en/seed0/pos/fri.json")
    ),
    "a model that was deleted": Row(
        r"Train target nli from tiny/nli/en,|Evaluate nli on tiny/nli/en/|Summarize",
        edit=delete("results/target/tiny/nli/en/seed0/nli/manifest.json"),
    ),
    # -- code
    "docstrings, comments and layout of code": Row(
        edit=several(
            code("modeling/heads/tagging.py", '"""', '"""An edited docstring. '),
            code("training/loop.py", "\nfrom __future__", "\n\n\n# an edited comment\nfrom __future__"),
            code("analysis/answer.py", "\nfrom __future__", "\n\n\n# an edited comment\nfrom __future__"),
        )
    ),
    "code of the data (the world's grammar)": Row(".*", edit=code("world/grammar.py")),
    "code of pretraining": Row(AFTER_ENCODER, edit=code("training/pretrain.py")),
    "code of fine-tuning": Row(
        "Train|Evaluate (nli|pos)|Evaluate retrieval on tiny/nli|Summarize", edit=code("training/finetune.py")
    ),
    "code that all training imports (the loop's gradient)": Row(AFTER_ENCODER, edit=code("training/gradient.py")),
    "code of one format's head": Row("Train target pos|Evaluate pos|Summarize", edit=code("modeling/heads/tagging.py")),
    "code of one format (its columns, checks and controls)": Row(
        "Look|Prepare pos|Train target pos|Evaluate pos|Summarize", edit=code("tasks/formats/tagging.py")
    ),
    "a format's list of metrics, assumed lengths and submission files": Row(
        edit=several(
            code("tasks/formats/tagging.py", 'Metric("pos_f1"))', 'Metric("pos_f1"), Metric("other"))'),
            code("tasks/formats/tagging.py", "Lengths(27, 0", "Lengths(28, 0"),
            code("tasks/formats/tagging.py", 'return "\\n".join(', 'return "\\n\\n".join('),
            code("tasks/submission_files.py"),
        )
    ),
    "a format added": Row(
        edit=lambda checkout: (
            [
                (checkout.folder / "src" / "intermezzo" / home / "added.py").write_text("ADDED = True\n")
                for home in ("tasks/formats", "modeling/heads", "evaluation/metrics")
            ]
            and None
        )
    ),
    "code of prediction": Row("Evaluate|Summarize", edit=code("evaluation/predict.py")),
    "code of one format's metric": Row("Evaluate pos|Summarize", edit=code("evaluation/metrics/tagging.py")),
    "code of the analysis": Row("Summarize", edit=code("analysis/intervals.py")),
    "code that no stage computes with (command line, words of errors)": Row(
        edit=several(
            code("cli/main.py"),
            code("core/errors.py"),
            code("execution/forkserver.py"),
            code("cli/commands/experiment.py"),
        )
    ),
    "the command of a rule": Row(
        "Train target|Evaluate (nli|pos)|Summarize",
        edit=file(
            "workflow/rules/target.smk", "python -m intermezzo stage finetune", "python -I -m intermezzo stage finetune"
        ),
    ),
    # -- how it is run
    "resources, priority and message of a rule": Row(
        edit=several(
            file("workflow/rules/target.smk", 'requests.memory("target")', "5000"),
            file("workflow/rules/target.smk", "priority: scheduling.target_priority", "priority: 7"),
            file("workflow/rules/evaluate.smk", 'requests.time("evaluation")', "300"),
        )
    ),
    "paths of logs and benchmarks": Row(
        edit=several(
            file("workflow/rules/target.smk", '"logs/target/', '"logs/other/'),
            file("workflow/rules/target.smk", '"benchmarks/jobs/target/', '"benchmarks/jobs/other/'),
        )
    ),
    "environments (workflow/envs), unless conda is used": Row(
        edit=file("workflow/envs/train.yaml", "dependencies:", "# edited\ndependencies:\n  - tqdm")
    ),
    "profiles, cores, scheduler and resources on the command line": Row(
        edit=file("profiles/default/profile.yaml", "scheduler: greedy", "scheduler: ilp"),
        arguments=("--cores", "5", "--set-resources", "train_target:mem_mb=1", "--set-threads", "train_target=2"),
    ),
    "the folder moved": Row(),
    "another version of a library": Row(edit=library("torch", "99.0"), path=("libraries",)),
    "another version of a library, with track_versions": Row(
        AFTER_ENCODER,
        before={"track_versions": True},
        settings={"track_versions": True},
        edit=library("torch", "99.0"),
        path=("libraries",),
    ),
}
"""Rows of the table of docs/reruns.md, by its first column."""
PUBLISHED: dict[str, Row] = {
    "a published file with other content": Row(
        "Look|Prepare pos, en, train|Train|Evaluate|Summarize",
        edit=file("root/en-ewt-2col/train.txt", "rows", "other rows"),
    ),
    "a published file written again with the same content": Row(
        edit=file("root/en-ewt-2col/train.txt", "rows", "rows"),
    ),
    "parts of a task's file (path, reader, steps, rows)": Row(
        "Look|Prepare pos, en, train|Train|Evaluate|Summarize", edit=file("resources/tasks/pos.yaml", "12544", "12543")
    ),
    "the folder of the published files": Row(
        "Look|.*(?<!hub)(?<!mine)$",
        edit=lambda checkout: (checkout.folder / "root").rename(checkout.folder / "elsewhere"),
        settings={"data": {"root": "elsewhere"}},
    ),
    "the revision of an encoder from the hub": Row(
        ".*hub|Summarize", settings={"encoders": {"hub": {"from": "owner/encoder", "revision": "b" * 40}}}
    ),
    "the files of an encoder from a folder": Row(
        ".*mine|Summarize", edit=file("mine/model.safetensors", "{}", "other weights")
    ),
}
"""Rows of the same table, on a grid with published files and encoders."""
JOBS_PUBLISHED = {
    *(f"Prepare pos, en, {split} (files)" for split in ("train", "dev", "test")),
    *(f"Import encoder {encoder}" for encoder in ("hub", "mine")),
    *(f"Train target pos from {encoder}/none/none, seed 0" for encoder in ("hub", "mine")),
    *(f"Evaluate pos on {encoder}/none/none/seed0" for encoder in ("hub", "mine")),
    "Look for test data in training data",
    "Summarize all scores",
}


def table() -> dict[str, str]:
    """The documented table: change -> number of jobs that rerun or are new in the tiny grid."""
    lines = (ROOT / "docs/reruns.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return {row[0].replace("`", ""): row[-1] for row in rows if row[0] != "Change" and len(row) == 4}


@pytest.fixture(scope="module")
def planner() -> Iterator[Planner]:
    planner = Planner()
    yield planner
    planner.process.stdin.close()
    planner.process.wait()


@pytest.fixture(scope="module")
def jobs(planner, tmp_path_factory) -> set[str]:
    """All jobs of the tiny grid."""
    return planner(Checkout.fresh(tmp_path_factory.mktemp("fresh") / "checkout"), {})


@pytest.fixture
def checkout(tiny, tmp_path) -> Iterator[Checkout]:
    copy = tiny.copy(tmp_path / "checkout")
    yield copy
    shutil.rmtree(copy.folder)


def expected(row: Row, planned: set[str], jobs: set[str]) -> set[str]:
    again = {job for job in jobs if row.reruns and re.match(row.reruns, job)}
    return again | {job for job in planned - jobs if row.new and re.match(row.new, job)}


def test_the_table_and_this_test_have_the_same_rows():
    assert list(table()) == [*CHANGES, *PUBLISHED]
    assert len(table()) >= 25


@pytest.mark.workflow
@pytest.mark.parametrize("change", [name for name, row in CHANGES.items() if row.reruns or row.new])
def test_what_reruns(change, checkout, planner, jobs):
    row = CHANGES[change]
    if row.before:
        planner(checkout, row.before, record=True)
        assert planner(checkout, row.before) == set()
    if row.edit:
        row.edit(checkout)
    planned = planner(checkout, row.settings or {}, *row.arguments, path=row.path)
    assert planned == expected(row, planned, jobs)
    assert str(len(planned)) == table()[change]


@pytest.mark.workflow
def test_what_reruns_nothing(checkout, planner):
    """All changes at once: none can undo another."""
    settings: dict[str, Any] = {}
    arguments: list[str] = []
    path: list[str] = []
    for change, row in CHANGES.items():
        if not row.reruns and not row.new:
            assert table()[change] == "0"
            if row.edit:
                row.edit(checkout)
            settings |= row.settings or {}
            arguments += row.arguments
            path += row.path
    assert planner(checkout, settings, *arguments, path=path) == set()


# -- published data and encoders: jobs that are recorded as done, not run -------------------------------------------


@pytest.fixture(scope="module")
def published(planner, tmp_path_factory) -> tuple[Checkout, dict[str, Any]]:
    """One target on published files, with an encoder from the hub and one from a folder."""
    checkout = Checkout.fresh(tmp_path_factory.mktemp("published") / "checkout")
    for name in (
        "en-ewt-2col/train.txt",
        *(f"ud/UD_English-EWT/en_ewt-ud-{split}.conllu" for split in ("dev", "test")),
    ):
        path = checkout.folder / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("rows\n")
    folder = checkout.folder / "mine"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (folder / name).write_text("{}")
    encoders = {"tiny": None, "hub": {"from": "owner/encoder", "revision": "a" * 40}, "mine": {"from": "mine"}}
    grid = {"encoders": ["hub", "mine"], "intermediates": [], "mixes": ["en"], "targets": ["pos"]}
    rows = {"rows": {"train": None, "dev": None, "test": None}}
    settings = {
        "grid": grid,
        "encoders": encoders,
        "data": {"source": "files", "root": "root"} | rows,
        "languages": {"evaluation": ["en"], "rare": []},
        "mixes": {"en+rare": None},
    }
    planner(checkout, settings, record=True)
    assert planner(checkout, settings) == set()
    return checkout, settings


@pytest.mark.workflow
@pytest.mark.parametrize("change", PUBLISHED)
def test_published_data_and_encoders(change, published, planner, tmp_path):
    checkout, settings = published  # changed where it lies, as absolute paths of published files are tracked
    backup, row = checkout.copy(tmp_path / "backup"), PUBLISHED[change]
    if row.edit:
        row.edit(checkout)
    for section, values in (row.settings or {}).items():
        settings = settings | {section: settings[section] | values}
    planned = planner(checkout, settings)
    shutil.rmtree(checkout.folder)
    backup.folder.rename(checkout.folder)
    assert planned == {job for job in JOBS_PUBLISHED if row.reruns and re.match(row.reruns, job)}
    assert str(len(planned)) == table()[change]


# -- why -----------------------------------------------------------------------------------------------------------


def why(checkout: Checkout, settings: dict[str, Any], *targets: str) -> str:
    """What the command says, as it is typed in a folder with a Snakefile."""
    (checkout.folder / "changes.yaml").write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "intermezzo", "why", *targets, "--configfile", TINY, "changes.yaml"]
    path = {"PYTHONPATH": str(checkout.folder / "src")}
    done = subprocess.run(command, cwd=checkout.folder, env=os.environ | path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.workflow
def test_why_names_the_key_its_values_and_the_jobs(checkout):
    settings = {"training": {"target": {"learning_rate": 0.002}}, "languages": {"evaluation": ["en", "nor", "fri"]}}
    said = why(checkout, settings)
    assert said.startswith("the experiment: 17 jobs would run\n")
    cause = "6 jobs, because training.target.learning_rate is 0.002, was 0.001:"
    assert cause in said and "  Train target nli from tiny/none/none, seed 0" in said.split(cause)[1].split("\n\n")[0]
    assert "9 jobs, because languages.evaluation has lost mor:" in said
    only = why(checkout, settings, "results/eval/tiny/none/none/seed0/pos/en.json")
    assert only.startswith("results/eval/tiny/none/none/seed0/pos/en.json: 2 jobs would run\n")


@pytest.mark.workflow
def test_why_names_the_module_the_file_and_what_follows(checkout):
    code("evaluation/metrics/tagging.py")(checkout)
    rewrite("results/data/world/nli/en/train.parquet")(checkout)
    said = why(checkout, {})
    assert "3 jobs, because code has changed: evaluation.metrics.tagging:" in said
    assert "1 job, because results/data/world/nli/en/train.parquet was changed after it was made:" in said
    follows = said.split("because what it is made from is made again:")[1]
    assert "Evaluate nli on tiny/nli/en/seed0" in follows and follows.rstrip().endswith("... and 4 more")
    # the search for test data, two intermediates, their targets and retrieval, the baseline's nli, all evaluations but
    # those of pos, the summary
    assert "14 jobs, because what it is made from is made again:" in said


@pytest.mark.workflow
def test_why_says_when_there_is_nothing_and_when_there_is_no_such_target(checkout):
    assert why(checkout, {}) == "the experiment: nothing would run, everything is up to date\n"
    with pytest.raises(AssertionError, match="No rule to produce results/nothing"):
        why(checkout, {}, "results/nothing")
