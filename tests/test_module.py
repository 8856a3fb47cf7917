"""Another workflow imports this one with Snakemake's `module`, with rules and a configuration of its own beside it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import yaml

from checkout import ROOT, TINY
from intermezzo.config import load
from intermezzo.dag.experiment import Grid
from intermezzo.dag.jobs import jobs_of

DATA = "results/data/world/nli/en/dev.parquet"
WORKFLOW = """
configfile: "config.yaml"

module intermezzo:
    snakefile: {snakefile!r}
    config: config["intermezzo"]
    {more}

use rule * from intermezzo as intermezzo_*

onstart:
    intermezzo.onstart()

onsuccess:
    intermezzo.onsuccess()

onerror:
    intermezzo.onerror()

rule all:
    default_target: True
    input: "mine/lines.txt", "mine/model.txt"

rule lines:
    input: "results/summary.tsv"
    output: "mine/lines.txt"
    shell: "wc -l < {{input}} > {{output}}"

rule model:
    input: model="model.txt", data={data!r}
    output: "mine/model.txt"
    params: spec="of this workflow alone"
    shell: "cp {{input.model}} {{output}}"
"""

pytestmark = pytest.mark.workflow


@pytest.fixture
def importing(tmp_path):
    """snakemake(*arguments, more="") in the folder of a workflow that imports this one with the tiny experiment."""
    changes = yaml.safe_load((ROOT / TINY).read_text())
    changes |= {
        "mixes": {"mine": {"weights": {"en": 0.5, "fri": 0.5}}},
        "grid": changes["grid"] | {"mixes": ["en", "mine"]},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"of_the_other_workflow": [1], "intermezzo": changes}))
    (tmp_path / "model.txt").write_text("a model of the other workflow")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHONPATH", "INTERMEZZO"))}

    def snakemake(*arguments: str, more: str = "") -> subprocess.CompletedProcess:
        snakefile = os.path.relpath(ROOT / "Snakefile", tmp_path)
        (tmp_path / "Snakefile").write_text(WORKFLOW.format(snakefile=snakefile, more=more, data=DATA))
        command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    snakemake.folder, snakemake.grid = tmp_path, Grid(load(changes))
    return snakemake


def test_a_workflow_that_imports_this_one_plans_the_grid_of_its_section_beside_its_own_rules(importing):
    done = importing("--dry-run", "--quiet", "rules")
    assert done.returncode == 0, done.stdout + done.stderr
    counts = [line.split() for line in (done.stdout + done.stderr).splitlines()]
    rows = {row[0]: int(row[1]) for row in counts if len(row) == 2 and row[1].isdecimal()}
    stages = sum(count for name, count in rows.items() if name.startswith("intermezzo_"))
    assert stages == len(jobs_of(importing.grid)) and rows["total"] == stages + 3
    assert rows["intermezzo_train_intermediate"] == 2 and rows["lines"] == rows["model"] == 1


def test_it_runs_jobs_of_this_one_and_its_own_in_its_folder(importing):
    done = importing("mine/model.txt")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (importing.folder / "mine/model.txt").read_text() == "a model of the other workflow"
    assert (importing.folder / DATA).is_file() and (importing.folder / "results/question.json").is_file()


def test_results_in_another_place_are_refused_with_one_message(importing):
    done = importing("--dry-run", more='prefix: "study"')
    assert done.returncode == 2 and "error: module: prefix and replace_prefix are not supported" in done.stderr
    assert "Traceback" not in done.stderr
