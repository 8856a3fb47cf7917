"""The command line: what each help says and costs, where configurations may stand, JSON, `init`, completion."""

from __future__ import annotations

import argparse
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from intermezzo.cli import reference
from intermezzo.cli.main import main
from intermezzo.cli.parser import build, parse
from intermezzo.config import load
from intermezzo.core.terminal import ERROR, say

ROOT = Path(__file__).resolve().parents[1]
TINY = str(ROOT / "config/experiments/tiny.yaml")


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """All commands below a parser, those of a level before the next level's."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()
            for command in action.choices.values():
                yield from commands(command)


COMMANDS = {command.prog.removeprefix("intermezzo "): command for command in commands(build())}
WITH_CONFIGURATIONS = [name for name, command in COMMANDS.items() if command.get_default("overlays") is not None]


# -- help ----------------------------------------------------------------------------------------------------------


def test_a_help_loads_nothing_heavy():
    """Those who complete a command, or look something up, wait for it."""
    code = (
        "import sys; from intermezzo.cli.main import main\n"
        "for words in ([], ['plan'], ['stage', 'finetune']):\n"
        "    try: main([*words, '--help'])\n"
        "    except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'pandas', 'pyarrow', 'numpy', 'pydantic', 'yaml', 'snakemake', 'shtab'}\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & heavy), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"


def test_peoples_commands_come_before_the_stages():
    names = list(COMMANDS)
    assert names[0] == "init" and names.index("stage") == names.index("completion") + 1
    assert "finetune" not in names and "stage finetune" in names


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_a_description_and_an_example_that_is_understood(name):
    command = COMMANDS[name]
    text = command.format_help()
    assert command.description and " ".join(command.description.split()[:4]) in " ".join(text.split())
    lines = [line.strip() for line in (command.epilog or "").splitlines()[1:]]
    assert lines or name.startswith("stage ")
    for line in lines:
        words = line.partition(" > ")[0].split()
        assert f"  {line}" in text and words[0] == "intermezzo"
        if "--help" not in words:
            parse(words[1:])


def test_the_reference_page_says_what_the_parser_says():
    for path, text in reference.files().items():
        assert path.read_text(encoding="utf-8") == text, "run `intermezzo config docs --write`"


# -- configurations ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITH_CONFIGURATIONS)
def test_configurations_stand_anywhere_and_after_the_option(name):
    words = name.split()
    expected = [Path("a.yaml"), Path("b.yml")]
    forms = [
        ["a.yaml", "b.yml"],
        ["--configfile", "a.yaml", "b.yml"],
        ["--configfile=a.yaml", "b.yml"],
        ["--configfile", "a.yaml", "-q", "b.yml"],
        ["a.yaml", "--configfile", "b.yml"],
        ["a.yaml", "-v", "--configfile", "b.yml"],
        ["--configfile", "a.yaml", "--configfile", "b.yml"],
        ["-q", "a.yaml", "b.yml"],
    ]
    for form in forms:
        assert parse([*words, *form]).overlays == expected, form


def test_all_commands_that_read_a_configuration_take_it_alike():
    names = {"config check", "grid", "plan", "progress", "why", "tasks check", "tables", "distances"}
    assert set(WITH_CONFIGURATIONS) == names


@pytest.mark.parametrize(("command", "option"), [("why", "targets"), ("tasks check", "names")])
def test_names_and_configurations_are_told_apart(command, option):
    for words in (["topics", "own.yaml"], ["--configfile", "own.yaml", "topics"], ["own.yaml", "topics"]):
        options = parse([*command.split(), *words])
        assert (getattr(options, option), options.overlays) == (["topics"], [Path("own.yaml")])
    options = parse([*command.split(), "--configfile", "settings", "results/a.json"])
    assert (getattr(options, option), options.overlays) == (["results/a.json"], [Path("settings")])


@pytest.mark.parametrize("words", [["plan", "--nothing"], ["grid", "a.yaml", "--jsn", "-"], ["export", "a", "b", "c"]])
def test_what_is_not_understood_ends_with_the_commands_usage(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"usage: intermezzo {words[0]} ") and "unrecognized arguments" in said


@pytest.mark.parametrize("words", [["finetune", "--spec", "{}"], ["-v", "summarize"]])
def test_a_stage_without_the_word_stage_is_told_where_it_is(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert f"intermezzo stage {words[-1] if words[0] == '-v' else words[0]}" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_and_changes_no_words(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = "error: [red]results/[/red] " + "long " * 40
    plain, coloured = io.StringIO(), Terminal()
    for stream in (plain, coloured):
        say(text, ERROR, stream)
    assert plain.getvalue() == f"{text}\n"
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured.getvalue()) == f"{text}\n" != coloured.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    say(text, ERROR, uncoloured := Terminal())
    assert "31m" not in uncoloured.getvalue()


def test_progress_counts_what_is_done_by_stage(elsewhere, capsys):
    """In an empty folder nothing is done, and the time left is that of the plan."""
    assert main(["progress", TINY, "--workers", "1", "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["done"] == 0 and told["stages"]["target"] == {"jobs": 6, "done": 0}
    assert sum(stage["jobs"] for stage in told["stages"].values()) == told["jobs"]
    assert main(["plan", TINY, "--workers", "1", "--json", "-"]) == 0
    assert told["seconds_left"] == pytest.approx(json.loads(capsys.readouterr().out)["wall_seconds"])
    assert main(["progress", TINY, "-q"]) == 0
    assert capsys.readouterr().out.startswith(f"0 of {told['jobs']} jobs are done, about ")
    assert main(["progress", TINY, "--watch", "--json", "-"]) == 2


# -- for programs --------------------------------------------------------------------------------------------------


def test_what_a_program_reads_is_json_alone(capsys, tmp_path):
    assert main(["grid", TINY, "--json", "-"]) == 0
    grid = json.loads(capsys.readouterr().out)
    assert (grid["encoders"], grid["results"], grid["grid"]["mixes"]) == (1, 33, ["en", "en+rare"])
    assert main(["config", "check", TINY, "--json", str(tmp_path / "check.json")]) == 0
    assert capsys.readouterr().out == "the configuration is valid\n"
    assert json.loads((tmp_path / "check.json").read_text())["valid"] is True
    assert main(["tasks", "show", "xnli", "--json", "-"]) == 0
    task = json.loads(capsys.readouterr().out)
    assert task["labels"] == ["entailment", "neutral", "contradiction"] and "en" in task["sources"]["hub"]["test"]


def test_a_configuration_is_never_taken_for_the_file_to_write(tmp_path, capsys):
    (tmp_path / "my.yaml").write_text("threads: 2\n")
    with pytest.raises(SystemExit):
        main(["plan", "--json", str(tmp_path / "my.yaml")])
    assert "does not end in .json" in capsys.readouterr().err
    assert (tmp_path / "my.yaml").read_text() == "threads: 2\n"


def test_the_traceback_of_an_error_is_shown_on_demand(capsys):
    assert main(["config", "check", "nowhere.yaml"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert main(["config", "check", "nowhere.yaml", "-v"]) == 2
    said = capsys.readouterr().err
    assert "Traceback" in said and said.splitlines()[-1].startswith("error: nowhere.yaml")


# -- a first configuration -----------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_init_writes_a_configuration_that_says_what_was_asked_for(elsewhere, capsys):
    grid = ["--intermediates", "nli", "--targets", "nli", "pos", "--mixes", "en", "en+fri+mor", "--seeds", "2"]
    assert main(["init", "my.yaml", *grid, "--rare", "fri", "mor"]) == 0
    config = load("my.yaml")
    assert (config.grid.intermediates, config.grid.targets, config.grid.seeds) == (["nli"], ["nli", "pos"], [0, 1])
    assert config.mixes["en+fri+mor"].weights == {"en": 1, "fri": 1, "mor": 1}
    assert config.languages.rare == ["fri", "mor"]
    assert "intermezzo plan my.yaml" in capsys.readouterr().out


def test_init_without_options_is_the_default_experiment(elsewhere):
    assert main(["init", "my.yaml"]) == 0
    assert load("my.yaml") == load()


def test_init_takes_encoders_from_folders_and_the_hub(elsewhere):
    commit = "0" * 40
    assert main(["init", "hub.yaml", "--encoder", f"FacebookAI/xlm-roberta-base@{commit}"]) == 0
    assert yaml.safe_load(Path("hub.yaml").read_text())["encoders"] == {
        "xlm-roberta-base": {"from": "FacebookAI/xlm-roberta-base", "revision": commit}
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--targets", "xnly"], "did you mean 'xnli'"),
        (["--mixes", "english"], "is no mix of config.yaml"),
        (["--mixes", "en+xx"], "xx"),
        (["--encoder", "nowhere"], "is no name of config.yaml (world)"),
        (["--encoder", "empty"], "empty"),
        (["--source", "files"], "data.root"),
        (["--rare", "nor", "nor"], "languages.rare"),
    ],
)
def test_init_writes_nothing_that_does_not_run(words, message, elsewhere, capsys, monkeypatch):
    monkeypatch.delenv("INTERMEZZO_REAL_DATA", raising=False)
    (elsewhere / "empty").mkdir()
    assert main(["init", "my.yaml", *words]) == 2
    said = capsys.readouterr().err
    assert message in said and "Traceback" not in said
    assert not Path("my.yaml").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("there.yaml", "exists already"),
        ("link.yaml", "exists already"),
        ("my.txt", "end in .yaml"),
        ("no/my.yaml", "no folder"),
    ],
)
def test_init_overwrites_nothing(name, message, elsewhere, capsys):
    Path("there.yaml").write_text("threads: 3\n")
    Path("link.yaml").symlink_to("nowhere")
    assert main(["init", name]) == 2
    assert message in capsys.readouterr().err
    assert Path("there.yaml").read_text() == "threads: 3\n" and not Path("nowhere").exists()


def test_init_asks_on_a_terminal_and_an_end_of_input_writes_nothing(elsewhere, monkeypatch, capsys):
    answers = iter(["", "", "nli", "nli qa", "", "", "1"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: next(answers))
    assert main(["init", "my.yaml"]) == 0
    config = load("my.yaml")
    assert (config.grid.intermediates, config.grid.targets, config.grid.seeds) == (["nli"], ["nli", "qa"], [0])

    def nobody(question):
        raise EOFError

    monkeypatch.setattr("builtins.input", nobody)
    assert main(["init", "other.yaml"]) == 2
    assert "nothing is written" in capsys.readouterr().err and not Path("other.yaml").exists()


# -- completion ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_commands_are_completed(shell, capsys):
    pytest.importorskip("shtab", reason="the optional package for completion is not installed")
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(word in script for word in ("intermezzo", "--budget-gpu-hours", "import-encoder"))


def test_without_the_package_completion_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert "pip install 'intermezzo[completion]'" in capsys.readouterr().err
