"""The cluster profiles without a cluster: what they say, and what a user sees who lacks what they need."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from checkout import ROOT, Checkout

PROFILES = sorted(path.parent.name for path in (ROOT / "workflow/profiles").glob("*/profile.yaml"))
HIDING = """
import pkgutil
_all = pkgutil.iter_modules
pkgutil.iter_modules = lambda *a, **k: (m for m in _all(*a, **k) if not m.name.startswith("snakemake_executor_plugin"))
"""


def snakemake(checkout: Checkout, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHONPATH", "INTERMEZZO"))}
    command = [sys.executable, "-m", "snakemake", *arguments]
    return subprocess.run(command, cwd=checkout.folder, env=kept | environment, capture_output=True, text=True)


@pytest.fixture
def checkout(tmp_path):
    return Checkout.fresh(tmp_path / "checkout")


@pytest.mark.parametrize("profile", PROFILES)
def test_every_entry_is_commented(profile):
    text = (ROOT / f"workflow/profiles/{profile}/profile.yaml").read_text()
    for entry in text.strip().split("\n\n"):
        assert any(line.lstrip().startswith("#") for line in entry.splitlines()), f"{profile}: no comment at {entry!r}"


@pytest.mark.parametrize("profile", PROFILES)
def test_groups_and_rules_that_a_profile_names_are_there(profile):
    content = yaml.safe_load((ROOT / f"workflow/profiles/{profile}/profile.yaml").read_text())
    rules = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    for group in content["group-components"]:
        assert f'"{group}"' in rules
    for rule in content["set-resources"]:
        assert f"rule {rule}:" in rules


@pytest.mark.workflow
def test_the_slurm_profile_plans_the_tiny_experiment(checkout):
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="the executor for Slurm is not installed")
    arguments = ["--profile", "workflow/profiles/slurm", "--dry-run", "--configfile", "config/experiments/tiny.yaml"]
    done = snakemake(checkout, *arguments)
    assert done.returncode == 0, done.stderr
    assert "summarize_scores" in done.stdout


@pytest.mark.workflow
@pytest.mark.parametrize("profile", PROFILES)
def test_without_the_executor_the_last_line_says_so(profile, checkout, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(HIDING)
    done = snakemake(checkout, "--profile", f"workflow/profiles/{profile}", "--dry-run", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert f"--executor/-e: invalid choice: '{profile}'" in done.stderr.splitlines()[-1]


SINFO = """#!/bin/sh
case "$*" in
    *config*) exit 1;;
    *) printf 'cpu\\ngpu\\n';;
esac
"""


def commands(folder: Path, script: str) -> str:
    """A PATH on which `sinfo` is this script."""
    folder.mkdir()
    for name in ("sinfo", "scontrol"):
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("script", "message"),
    [
        (SINFO, "partitions.yaml: the cluster has no partition 'gpus'; it has cpu, gpu (sinfo shows them)"),
        ("#!/bin/sh\necho sinfo: no answer >&2; exit 1\n", "sinfo does not answer (sinfo: no answer); run snakemake"),
    ],
    ids=["unknown partition", "no Slurm here"],
)
def test_a_bad_profile_is_one_message_before_anything_is_submitted(checkout, tmp_path, script, message):
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="the executor for Slurm is not installed")
    partitions = checkout.folder / "workflow/profiles/slurm/partitions.yaml"
    partitions.write_text(partitions.read_text().replace("\n  gpu:", "\n  gpus:"))
    files = ["--configfile", "config/experiments/tiny.yaml"]
    done = snakemake(checkout, "--profile", "workflow/profiles/slurm", *files, PATH=commands(tmp_path / "bin", script))
    output = done.stdout + done.stderr
    assert done.returncode == 2 and "Traceback" not in output, output
    assert output.count("error:") == 1 and message in output, output
    assert not (checkout.folder / "results").exists()
    assert not list((checkout.folder / ".snakemake/locks").glob("*"))
