"""Other versions of Snakemake, and none of its internals: slower or with less to say, never broken and never silent."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from checkout import ROOT, TINY, Checkout
from intermezzo.config import load
from intermezzo.dag.experiment import Grid
from intermezzo.execution import snakemake_internals
from intermezzo.execution.snakemake_internals import support
from intermezzo.execution.snakemake_internals.job_lines import install_progress, short_list, short_reason
from intermezzo.planning.jobs import Completion, jobs_of

DATA = "results/data/world/pos/en/train.parquet"
EDITED = """
import sys
import snakemake
from snakemake import cli, dag, io, persistence, workflow
from snakemake.persistence import file
exec(sys.argv[1])
sys.exit(cli.main(sys.argv[2:]))
"""
LACKING = """
value, include = vars({owner})[{name!r}], workflow.Workflow.include

def without(self, *arguments, **keywords):
    if {name!r} not in vars({owner}):  # in an included file
        return include(self, *arguments, **keywords)
    delattr({owner}, {name!r})
    try:
        return include(self, *arguments, **keywords)
    finally:
        setattr({owner}, {name!r}, value)

workflow.Workflow.include = without
"""
"""A name is missing while the Snakefile is read, and there again for Snakemake itself."""


def edited(folder: Path, change: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """A run of a Snakemake that a statement has changed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "INTERMEZZO"))}
    command = [sys.executable, "-c", EDITED, change, "--cores", "1", *arguments, "--configfile", TINY]
    environment = clean | {"PYTHONPATH": f"{folder}/src"} | variables
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Checkout:
    return Checkout.fresh(tmp_path_factory.mktemp("internals") / "checkout")


SLOWER, UNLOCK = "large grids are planned in twice the time", "after a kill -9 Snakemake asks for"
REFUSED = "results without a record of Snakemake's are refused"


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("name", "warnings"),
    [
        ("persistence.PersistenceBase.cleanup_locks", [UNLOCK]),
        ("persistence.PersistenceBase", [UNLOCK, SLOWER, REFUSED]),
        ("io._IOFile._local_inventory", [SLOWER]),
        ("dag.DAG.check_directory_outputs", [SLOWER]),
        ("file.FilePersistence", [SLOWER]),
    ],
)
def test_a_snakemake_that_lacks_a_name_reads_the_snakefile(checkout, name, warnings):
    owner, _, name = name.rpartition(".")
    done = edited(checkout.folder, LACKING.format(owner=owner, name=name), "-n", DATA)
    assert done.returncode == 0 and "Prepare pos, en, train (world)" in done.stdout, done.stdout + done.stderr
    assert done.stderr.count("is not as expected") == len(warnings), done.stderr
    assert all(done.stderr.count(warning) == 1 for warning in warnings), done.stderr


@pytest.mark.workflow
@pytest.mark.parametrize("version", ["9.28.0", "10.0", None])
def test_a_snakemake_of_another_version_reads_the_snakefile_and_is_told_so(checkout, version):
    change = f"snakemake.__version__ = {version!r}" if version else ""
    done = edited(checkout.folder, change, "-n", DATA)
    assert done.returncode == 0 and "Prepare pos, en, train (world)" in done.stdout, done.stdout + done.stderr
    assert done.stderr.count("not one of the versions that intermezzo knows (9.20 to 9.27)") == 3 * bool(version)


@pytest.mark.workflow
def test_a_run_without_internals_gives_the_same_files(checkout, tmp_path):
    """The switch, and a version that is not known: no fork server, Snakemake's own lock, files as always."""
    ways = [("", {}), ("", {snakemake_internals.PLAIN: "1"}), ("snakemake.__version__ = '9.99'", {})]
    files = []
    for number, (change, variables) in enumerate(ways):
        folder = checkout.copy(tmp_path / str(number)).folder
        done = edited(folder, change, DATA, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("intermezzo knows" in done.stderr) == bool(change)
        files.append((folder / DATA).read_bytes())
    assert files[0] == files[1] == files[2]


# -- records -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["file", "db"])
def prepared(request, checkout, tmp_path, monkeypatch) -> Path:
    """The folder of a run that has prepared one file, with its records in files or in a database."""
    folder = checkout.copy(tmp_path / "checkout").folder
    shutil.rmtree(folder / ".snakemake", ignore_errors=True)
    done = edited(folder, "", "--persistence-backend", request.param, DATA)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / ".snakemake/metadata.db").is_file() == (request.param == "db")
    monkeypatch.chdir(folder)
    return folder


def made_jobs(**changes) -> set[str]:
    """Jobs that `plan` takes for made with the present settings."""
    grid = Grid(load(Path(TINY), *([changes] if changes else [])))
    return Completion(grid, jobs_of(grid)).current


@pytest.mark.workflow
def test_plan_reads_the_records_of_both_backends(prepared, caplog):
    assert made_jobs() == {"data/world/pos/en/train"}
    assert made_jobs(world={"seed": 77}) == set(), "made with other settings"
    assert not caplog.records


@pytest.mark.workflow
def test_plan_reads_what_the_files_say_where_there_are_no_records(prepared):
    shutil.rmtree(".snakemake")  # as with a database elsewhere
    assert made_jobs() == {"data/world/pos/en/train"}
    assert made_jobs(world={"seed": 77}) == set()
    Path(DATA).with_suffix(".json").unlink()
    assert made_jobs() == set(), "nothing says how it was made"


@pytest.mark.workflow
def test_why_says_what_it_cannot_see(checkout):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), snakemake_internals.PLAIN: "1"}
    command = [sys.executable, "-m", "intermezzo", "why", DATA, "--configfile", TINY]
    done = subprocess.run(command, cwd=checkout.folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "Snakemake's plan cannot be read (INTERMEZZO_PLAIN_SNAKEMAKE is set); snakemake -n says" in done.stderr


# -- one warning ---------------------------------------------------------------------------------------------------


def test_a_feature_warns_once_and_returns_its_fallback(caplog, monkeypatch):
    monkeypatch.setattr(support, "_warned", set())
    monkeypatch.delenv(support.PLAIN, raising=False)

    @support.feature("it is slower", fallback=None)
    def broken() -> bool:
        raise AttributeError("no such name")

    assert broken() is None and broken() is None
    assert [record.getMessage().partition(" (")[2] for record in caplog.records] == ["no such name): it is slower"]
    monkeypatch.setattr(support, "_warned", set())
    monkeypatch.setenv(support.PLAIN, "1")
    caplog.clear()
    assert broken() is None and not caplog.records, "it was switched off on purpose"


@pytest.mark.parametrize(
    ("version", "supported"),
    [("9.20.0", True), ("9.27.10", True), ("9.27.1+4.gabc", True), ("9.2", False), ("9.28.0", False), ("10.20", False)],
)
def test_the_range_of_versions(version, supported, monkeypatch):
    import snakemake

    monkeypatch.delenv(support.PLAIN, raising=False)
    monkeypatch.setattr(snakemake, "__version__", version, raising=False)
    assert bool(support.unsupported()) != supported


def test_a_reason_is_a_line_and_not_a_page():
    files = [f"results/eval/{number:03}.json" for number in reversed(range(900))]
    missing, others = ", ".join(files), ", ".join(files[-2:])
    assert short_reason(f"Missing output files: {missing}; Input files updated by another job: {others}") == (
        "Missing output files: results/eval/000.json, results/eval/001.json, results/eval/002.json, and 897 more; "
        "Input files updated by another job: results/eval/000.json, results/eval/001.json"
    )
    changed = 'Params have changed since last execution: before: {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}'
    assert short_reason(changed) == changed and len(short_reason(changed * 100)) < 400
    assert short_list(files[:4]) == files[:4] and short_list(files)[3:] == ["and 897 more"]


def test_the_progress_line_ends_in_the_words_of_the_last_who_asked(monkeypatch):
    from snakemake.logging import DefaultFormatter

    monkeypatch.setattr(DefaultFormatter, "format_progress", DefaultFormatter.format_progress)
    for name in ("first", "last"):
        assert install_progress(lambda done, total, name=name: f", {name}: {total - done}")
    assert DefaultFormatter().format_progress({"done": 42, "total": 120}) == "42 of 120 steps (35%) done, last: 78"
