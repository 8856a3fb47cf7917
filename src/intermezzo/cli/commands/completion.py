"""The command that completes commands in a shell."""

from __future__ import annotations

import argparse
from argparse import Namespace
from pathlib import Path

from intermezzo.core.errors import UserError


def completion(options: Namespace) -> None:
    """Print a script for the shell `options.shell`. Raises UserError where shtab is not installed."""
    from intermezzo.cli.parser import build

    try:
        import shtab
    except ImportError:
        raise UserError("completion needs the package shtab: pip install 'intermezzo[completion]'") from None
    parser = build()
    _complete_files(parser, shtab.FILE)
    print(shtab.complete(parser, options.shell))


def _complete_files(parser: argparse.ArgumentParser, file: object) -> None:
    """Let arguments that are paths or configuration files be completed as files, in all commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _complete_files(command, file)
        elif action.type is Path or action.dest in ("words", "files", "json"):
            action.complete = file  # type: ignore[attr-defined]
