"""docs/command-line.md: every command with its options, from the parser itself.

The formatting of argparse differs between versions of Python, so tables are made here from its actions.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from intermezzo.cli.parser import build
from intermezzo.core.places import PROJECT

_HEAD = """\
# Command line

<!-- Generated from src/intermezzo/cli/parser.py by `intermezzo config docs --write`. -->

`intermezzo` is on the path of the environment (`. .venv/bin/activate`); `python -m intermezzo` is the same. Experiments
are run by `snakemake`, which [reruns](reruns.md) and [clusters](cluster.md) explain.

- **Configuration files** stand anywhere in the command, or after `--configfile`. They are merged over
  `config/config.yaml`; later ones win.
- **`--json FILE`** writes what a command has to say as JSON; `--json -` prints it alone.
- **`-q`** leaves out progress messages, **`-v`** shows more, with the traceback behind an error.
- **Colour** is for terminals alone. `NO_COLOR=1` turns it off.
- **Exit status**: 0, or 2 for a problem that you can mend, which is one message on stderr.
- **Completion**: `intermezzo completion bash` (or `zsh`, `tcsh`) prints a script for the shell.
"""
_SHARED = ("help", "quiet", "verbose", "version")


def files() -> dict[Path, str]:
    """The generated page: its path and content."""
    return {PROJECT / "docs" / "command-line.md": "\n".join([_HEAD, *_commands(build(), 2)])}


def _commands(parser: argparse.ArgumentParser, level: int) -> Iterator[str]:
    """The commands below a parser, in their order."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _command(command, level)


def _command(parser: argparse.ArgumentParser, level: int) -> Iterator[str]:
    yield f"{'#' * level} {parser.prog}\n"
    yield f"{' '.join((parser.description or '').split())}\n"
    if rows := [_row(action) for action in parser._actions if _is_listed(action)]:
        yield "\n".join(["| argument | meaning |", "|---|---|", *rows]) + "\n"
    if parser.epilog:
        lines = [line.strip() for line in parser.epilog.splitlines()[1:]]
        yield "\n".join(["```sh", *lines, "```"]) + "\n"
    yield from _commands(parser, level + 1)


def _is_listed(action: argparse.Action) -> bool:
    return not isinstance(action, argparse._SubParsersAction) and action.dest not in _SHARED


def _row(action: argparse.Action) -> str:
    form = action.metavar or (f"{{{','.join(map(str, action.choices))}}}" if action.choices else action.dest.upper())
    form = str(form) if action.nargs != 0 else ""
    form += " ..." if action.nargs in ("+", "*") else ""
    name = " ".join([*action.option_strings[-1:], form]).strip()
    needed = "; required" if action.option_strings and action.required else ""
    return f"| `{name}` | {action.help}{needed} |"
