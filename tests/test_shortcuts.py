"""Patches of Snakemake's planning: the same plans as without them, for the grid and for what it does not use."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from checkout import ROOT, TINY, Checkout

sys.path.insert(0, str(ROOT / "benchmarks"))

import dag

pytestmark = pytest.mark.workflow

SNAKEMAKE = """
import os, sys
from snakemake import cli
from intermezzo.execution import snakemake_internals
snakemake_internals.install_verification()  # with plain planning, too
snakemake_internals.install_short_lines = lambda: False  # what is compared is printed whole
if sys.argv[1] == "plain":
    os.environ[snakemake_internals.PLAIN] = "1"
assert snakemake_internals.install_patches() == (sys.argv[1] == "patched")
cli.main(sys.argv[2:])
"""
MAKERS = """
import sys
from snakemake import cli, dag

planned = dag.DAG.init

async def init(self, *arguments, **options):
    await planned(self, *arguments, **options)
    files = {str(file): job.rule for job in self.jobs for file in job.products()}
    for file, rule in files.items():
        makers = [other.name for other in self.workflow.rules if other.is_producer(file)]
        assert makers == [rule.name], f"{file} is made by {makers}"
    print(len(files), "files with one rule each")

dag.DAG.init = init
sys.exit(cli.main(sys.argv[1:]))
"""
TOY = """
from pathlib import Path

def read(wildcards):
    return ["source.txt", f"{wildcards.name}.txt"] if wildcards.name != "c" else "source.txt"

rule all:
    input: expand("out/{name}.done", name=["a", "b", "c"]), "report.html"

rule text:
    output: temp("{name}.txt")
    wildcard_constraints: name="[ab]"
    shell: "echo {wildcards.name} > {output}"

rule folder:
    input: ancient(read)
    output: directory("made/{name}"), one=protected("out/{name}.one"), two="out/{name}.two"
    log: "logs/{name}.log"
    benchmark: "benchmarks/{name}.tsv"
    params: name=lambda wildcards, input: len(input), seed=1.5
    priority: 5
    shell: "mkdir -p {output[0]}; touch {output[0]}/x; date > {output.one}; touch {output.two} {log}"

rule done:
    input: rules.folder.output.one, "out/{name}.two", folder="made/{name}", others=read
    output: touch("out/{name}.done")

rule report:
    input: expand("out/{name}.done", name=["a", "b", "c"])
    output: report("report.html", category="all")
    shell: "touch {output}"
"""


def plan(folder: Path, way: str, *arguments: str) -> list[str]:
    """What a run says that it would do (or does not want to), job by job, without numbers of jobs and times."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INTERMEZZO")}
    environment["PYTHONHASHSEED"] = "0"  # parameters are listed in the order of sets
    environment["PYTHONPATH"] = str(folder / "src" if (folder / "src").exists() else ROOT / "src")
    command = [sys.executable, "-c", SNAKEMAKE, way, "-n", "-p", "--nocolor", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    said = "\n".join(line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines())
    said = re.sub(r"(?m)^\[[^]]*\]( Group job .*)?$|^jobid: .*$|^rule .*line \d+|(?<=\bJob )\d+", "", said)
    # when a temporary file goes depends on the order of jobs that are ready at one time
    said = re.sub(r"(?m)^(Would remove temporary output .*)$", r"\n\1\n", said)
    # a reason lists files in no order
    said = re.sub(r"(?mi)^reason: .*$", lambda line: " ".join(sorted(re.split("[;,:]? ", line.group()))), said)
    blocks = [block.strip() for block in said.split("\n\n") if "Workflow ID" not in block]
    return [str(done.returncode), *sorted(filter(None, blocks))]


def same(folder: Path, *arguments: str) -> str:
    patched, plain = (plan(folder, way, *arguments) for way in ("patched", "plain"))
    assert patched == plain
    return "\n".join(patched)


def test_the_same_plans_of_the_grid_before_after_and_changed(tmp_path):
    checkout = Checkout.fresh(tmp_path / "grid")
    folder, tiny, target = checkout.folder, ["--configfile", TINY], ["--", "results/summary.tsv"]
    assert "evaluate_nli" in same(folder, *tiny, *target)
    assert "Everything is in results/" in same(folder, *tiny)
    dag.finish(folder, tiny)
    assert "Nothing to be done" in same(folder, *tiny)
    (folder / "more.yaml").write_text(json.dumps({"languages": {"evaluation": ["en", "nor", "kar", "zha"]}}))
    assert "Evaluate nli" in same(folder, *tiny, "more.yaml", *target)
    (folder / "seeds.yaml").write_text(json.dumps({"grid": {"seeds": [0, 5]}, "training": {"target": {"epochs": 3}}}))
    assert "Params" in same(folder, *tiny, "seeds.yaml", *target)
    for gone in ("results/intermediate/*/*/*/*", "results/eval/*/none/none/seed*/nli"):
        shutil.rmtree(next(folder.glob(gone)))
    next(folder.glob("results/data/world/nli/en/test.parquet")).chmod(0o444)
    assert "Missing" in same(folder, *tiny).split()


def test_the_same_plans_of_a_workflow_with_all_kinds_of_files(tmp_path):
    (tmp_path / "Snakefile").write_text(TOY)
    (tmp_path / "source.txt").write_text("source")
    said = same(tmp_path, "--cores", "1")
    assert "mkdir -p made/c" in said
    run = [sys.executable, "-m", "snakemake", "--cores", "1", "--quiet", "all"]
    subprocess.run(run, cwd=tmp_path, check=True, capture_output=True)
    assert "Nothing to be done" in same(tmp_path, "--cores", "1")
    (tmp_path / "source.txt").write_text("another")
    said = same(tmp_path, "--cores", "1")
    assert {"Updated", "source.txt"} <= set(said.split())
    assert "mkdir -p made/c" not in said  # there it counts as old
    said = same(tmp_path, "--cores", "1", "--forceall")
    assert "ProtectedOutputException" in said or os.geteuid() == 0
    (tmp_path / "Snakefile").write_text(TOY.replace('touch("out/{name}.done")', 'touch("made/{name}/y.done")'))
    assert "ChildIOException" in same(tmp_path, "--cores", "1", "made/a/y.done")


@pytest.mark.parametrize(
    "configuration",
    [TINY, "config/config.yaml", "config/experiments/world_study.yaml", "config/experiments/world_controls.yaml"],
)
def test_no_two_rules_share_a_product(tmp_path, configuration):
    """What the patches rely on: a known job's product is asked of no other rule."""
    checkout = Checkout.fresh(tmp_path / "grid")
    command = [sys.executable, "-c", MAKERS, "-n", "--quiet", "all", "--configfile", configuration]
    environment = os.environ | {"PYTHONPATH": str(checkout.folder / "src")}
    done = subprocess.run(command, cwd=checkout.folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"(\d+) files with one rule each", done.stdout)[1]) > 100
