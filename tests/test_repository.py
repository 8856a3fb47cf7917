"""Files that other programs read (pip, conda, pre-commit, catalogues, citation tools) say what is true of the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import intermezzo
from intermezzo.dag.fingerprint import _distributions, libraries
from intermezzo.tasks.formats import format_names

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
"""Packages that PyPI has under another name."""
EVERY_STAGE = ("intermezzo.cli.main", "intermezzo.execution.locks")
SOURCES = ("intermezzo.sources", "intermezzo.sources.files", "intermezzo.sources.hub", "intermezzo.sources.world")
STAGES = {
    "data": SOURCES,
    "train": (
        *SOURCES,
        *(f"intermezzo.translation.{backend}" for backend in ("files", "hub", "world")),
        *("intermezzo.training.pretrain", "intermezzo.training.finetune"),
        *("intermezzo.evaluation.predict", "intermezzo.evaluation.evaluate"),
        *(f"intermezzo.modeling.heads.{name}" for name in format_names()),
        *(f"intermezzo.evaluation.metrics.{name}" for name in format_names()),
    ),
    "analysis": ("intermezzo.analysis.run", "intermezzo.report"),
}
"""Environment -> modules that its rules run."""


def load(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def canonical(name: str) -> str:
    """A distribution's name as PyPI compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(lines: list[str]) -> dict[str, str]:
    """Distribution -> range of versions."""
    matches = [re.fullmatch(r"([\w.-]+)(?:\[\w+\])? ?([<>=].*)", line) for line in lines]
    assert all(matches), lines
    return {canonical(CONDA_NAMES.get(match[1], match[1])): match[2] for match in matches if match}


def distributions(roots: tuple[str, ...]) -> set[str]:
    return {canonical(name) for name in libraries(roots)} - {"pydantic-core"}  # a part of pydantic


def imports(folder: Path) -> set[str]:
    """Top-level modules that the files below a folder import, but for their own."""
    files = list(folder.rglob("*.py"))
    trees = [ast.walk(ast.parse(path.read_text())) for path in files]
    nodes = [node for tree in trees for node in tree]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names - {path.stem for path in files}


@pytest.mark.slow
@pytest.mark.parametrize("name", STAGES)
def test_an_environment_of_rules_has_what_its_stages_import(name):
    environment = load(f"workflow/envs/{name}.yaml")
    assert environment["channels"] == ["conda-forge"]
    python, *packages = environment["dependencies"]
    formats = tuple(f"intermezzo.tasks.formats.{name}" for name in format_names())
    of_others = {"protobuf"} if name == "train" else set()  # transformers imports it
    assert requirements(packages).keys() == distributions((*STAGES[name], *EVERY_STAGE, *formats)) | of_others
    assert requirements(packages).items() <= requirements(PROJECT["dependencies"]).items()
    assert python == f"python {PROJECT['requires-python']}"


def test_every_environment_is_some_rules_and_there():
    rules = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    assert set(re.findall(r'"\.\./envs/(\w+)\.yaml"', rules)) == STAGES.keys()
    assert {path.stem for path in (ROOT / "workflow/envs").iterdir()} == STAGES.keys()


@pytest.mark.slow
def test_the_package_depends_on_what_it_imports():
    modules = [path.relative_to(ROOT / "src").with_suffix("") for path in (ROOT / "src").rglob("*.py")]
    names = tuple(".".join(path.parts).removesuffix(".__init__") for path in modules)
    optional = {"tensorboard", "mlflow", "mlflow-skinny", "wandb", "shtab"}
    of_others = {"highspy", "protobuf"}  # pulp and transformers import these
    assert distributions(names) - optional == requirements(PROJECT["dependencies"]).keys() - of_others


@pytest.mark.slow
def test_tests_and_benchmarks_import_only_what_their_extras_install():
    declared = requirements(PROJECT["dependencies"]).keys() | {
        "pydantic-core",
        "annotated-types",
        "intermezzo",
    }  # parts of pydantic
    owners = _distributions()
    for folder, extras in (("tests", ("test", "cluster", "tensorboard")), ("benchmarks", ("test", "benchmarks"))):
        lines = [line for extra in extras for line in PROJECT["optional-dependencies"][extra]]
        allowed = declared | requirements(lines).keys()
        own = {path.stem for name in ("tests", "benchmarks") for path in (ROOT / name).rglob("*.py")}
        for module in imports(ROOT / folder) - own - {"faiss", "lm_eval"}:  # compared with where they are there
            assert {canonical(name) for name in owners.get(module, [module])} & allowed, f"{folder}: {module}"


def test_hooks_have_the_versions_that_are_tested():
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
    hooks = [hook for repository in load(".pre-commit-config.yaml")["repos"] for hook in repository["hooks"]]
    assert {hook["id"] for hook in hooks} >= {"ruff", "ruff-format", "snakefmt", "end-of-file-fixer"}
    for hook in hooks:
        for name, version in (package.split("==") for package in hook["additional_dependencies"]):
            assert pinned.get(name, version) == version, hook["id"]


def test_constraints_pin_every_direct_dependency():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = requirements(lines)
    extras = PROJECT["optional-dependencies"]
    assert requirements([*PROJECT["dependencies"], *extras["test"], *extras["real"]]).keys() <= pinned.keys()
    assert all(version.startswith("==") for version in pinned.values())


def test_the_citation_is_of_this_version_and_names_what_is_reproduced():
    """The keys that version 1.2.0 of the format requires, of the work and of each reference."""
    citation = load("CITATION.cff")
    assert citation.keys() >= {"cff-version", "message", "title", "authors"}
    assert (citation["cff-version"], citation["type"]) == ("1.2.0", "software")
    assert (str(citation["version"]), citation["license"]) == (intermezzo.__version__, PROJECT["license"])
    for work in (citation, *citation["references"]):
        assert work.keys() >= {"type", "title", "authors"}
        assert all(author.keys() in ({"name"}, {"family-names", "given-names"}) for author in work["authors"])
    addresses = {work["url"].removeprefix("https://arxiv.org/abs/") for work in citation["references"]}
    assert addresses == {"2005.13013", "2003.11080", "2104.07412"}


def test_the_catalogue_entry_says_how_the_workflow_is_run():
    usage = load(".snakemake-workflow-catalog.yml")["usage"]
    assert usage.keys() == {"mandatory-flags", "software-stack-deployment", "report"}
    assert usage["mandatory-flags"].keys() == {"desc", "flags"}
    assert usage["software-stack-deployment"] == {"conda": True, "apptainer": True}
    assert usage["report"] is True
    assert (ROOT / "config/README.md").is_file()


def test_make_help_lists_every_command():
    makefile = (ROOT / "Makefile").read_text()
    commands = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE)) - {"help"}
    shown = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True).stdout
    assert set(re.findall(r"^make ([a-z-]+)  ", shown, flags=re.MULTILINE)) == commands
    phony = re.search(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    assert phony and commands <= set(phony[1].split())
