"""README and docs: links lead somewhere, the site has every page, marked commands run and print what is shown."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import yaml

import intermezzo
from checkout import ROOT, Checkout
from intermezzo.core.errors import UserError
from test_your_data import is_shown

sys.path.insert(0, str(ROOT / "benchmarks"))

import readme

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "config/README.md"])
_MARK = re.compile(r"<!-- (?:(run)|file: (\S+)) -->$")


@dataclass
class Block:
    """A fenced block. kind: the word after its fence; mark: `run`, or the name of the file that it is."""

    kind: str
    mark: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found: list[Block] = []
    before, block = "", None
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("```") and block is None:
            mark = _MARK.match(before)
            block = Block(line.removeprefix("```"), (mark[1] or mark[2]) if mark else "", "")
        elif line == "```" and block is not None:
            found.append(block)
            block, before = None, ""
        elif block is not None:
            block.text += line + "\n"
        else:
            before = line
    return found


# -- links ---------------------------------------------------------------------------------------------------------


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), target
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path), target


def test_the_site_has_every_page_once():
    def names(entries) -> list[str]:
        values = [value for entry in entries for value in entry.values()]
        return [name for value in values for name in (names(value) if isinstance(value, list) else [value])]

    listed = names(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    outside = {"index.md", "changelog.md", "contributing.md", "config-files.md"}
    assert sorted(listed) == sorted({path.name for path in (ROOT / "docs").glob("*.md")} | outside)


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("material", reason="the optional packages for the documentation are not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path / "site")]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    assert (tmp_path / "site/tutorial.html").is_file()


# -- what the README says ------------------------------------------------------------------------------------------


def test_the_readme_shows_the_results_that_are_stored():
    stored = json.loads(readme.STORED.read_text(encoding="utf-8"))
    assert readme.part(readme.README.read_text(encoding="utf-8")) == readme.render(stored), "run `make readme`"


def test_the_readme_says_what_the_package_is():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    python = project["requires-python"].removeprefix(">=")
    line = f"Python {python} or newer · Linux · {project['license']} · version {intermezzo.__version__}"
    assert line in readme.README.read_text(encoding="utf-8")


def test_what_is_stored_is_read_from_a_run(tmp_path):
    names = ("intermediate", "mix", "target", "language_group", "metric")
    columns = (*names, "n_languages", "n_seeds", "mean", "majority")
    lines = [
        ("none", "none", "qa", "rare", "squad_f1", "2", "3", "12.34", "5.00"),
        ("none", "none", "qa", "rare", "squad_em", "2", "3", "1.00", "5.00"),
        ("nli", "en", "qa", "rare", "squad_f1", "2", "3", "22.00", "5.00"),
        ("nli", "en", "qa", "english", "squad_f1", "1", "3", "80.00", "5.00"),
    ]
    (tmp_path / "summary.tsv").write_text("\n".join("\t".join(line) for line in (columns, *lines)) + "\n")
    (tmp_path / "answer.md").write_text("# The answer\n\n- Undecided: so it is.\n\nMore.\n")
    assert readme.render(readme.read(tmp_path)).splitlines() == [
        "- Undecided: so it is.",
        "",
        "Means over 2 rare languages and 3 seeds, in points:",
        "",
        "| target | guess | baseline | nli, `en` |",
        "|---|--:|--:|--:|",
        "| qa (squad_f1) | 5.0 | 12.3 | 22.0 |",
    ]


# -- marked commands -----------------------------------------------------------------------------------------------


def run_marked(page: Path, folder: Path) -> int:
    """Run the marked commands of a page in a folder, compare what they print; returns their number."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("INTERMEZZO")}
    environment |= {"PYTHONPATH": str(folder / "src"), "MPLBACKEND": "agg"}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    commands, parts = 0, blocks(page)
    for block, following in zip(parts, [*parts[1:], None], strict=True):
        if block.mark != "run":
            if block.mark:
                (folder / block.mark).write_text(block.text, encoding="utf-8")
            continue
        printed = ""
        for command in block.text.strip().splitlines():
            program = ["bash", "-c", command]
            done = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, input="")
            assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])
            printed += done.stdout
            commands += 1
        if following and following.kind == "":
            assert is_shown(following.text, printed), printed
    return commands


@pytest.mark.slow
def test_the_commands_of_readme_and_quick_start_run(tmp_path):
    folder = Checkout.fresh(tmp_path / "project").folder
    assert run_marked(ROOT / "README.md", folder) == 2
    assert run_marked(ROOT / "docs/quick-start.md", folder) == 3
    assert (folder / "my.yaml").is_file()


@pytest.mark.workflow
def test_the_tutorial_prints_what_it_shows(tiny, tmp_path):
    """On a copy of the finished run, so that its third step finds nothing to do."""
    folder = tiny.copy(tmp_path / "project").folder
    assert run_marked(ROOT / "docs/tutorial.md", folder) == 7
    assert (folder / "languages.pdf").stat().st_size > 1000
    run = intermezzo.results(str(folder / "results"))
    shown = run.groups[(run.groups["target"] == "mean") & (run.groups["languages"] == "rare_seen")].iloc[0]
    first = run.verdicts.iloc[0]
    assert list(first[["mean", "low", "high"]]) == pytest.approx(list(shown[["value", "low", "high"]]))
    text = f"{first['mean']:+.1f} [{first['low']:.1f}, {first['high']:.1f}]"
    assert text in (folder / "results/answer.md").read_text(), "notebook, figure and answer differ"


def test_a_folder_without_a_run_is_one_message(tmp_path):
    with pytest.raises(UserError, match=r"summary.json: no such file; name the folder of a finished run"):
        intermezzo.results(str(tmp_path))
    (tmp_path / "design.json").write_text("{")
    with pytest.raises(UserError, match=r"design.json: not JSON"):
        intermezzo.results(str(tmp_path), str(tmp_path / "design.json"))
