"""The command line `intermezzo` (`python -m intermezzo`): parse, run one command, turn problems into messages.

Stages get their settings as a JSON specification (`--spec`), so that what Snakemake tracks is what runs; it is read
into the stage's model before anything heavy is imported. Progress is logged on stderr. A problem that the user can mend
is one message there and exit status 2.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from intermezzo.cli.parser import parse
from intermezzo.core.environment import QUIET, settle
from intermezzo.core.errors import UserError, machine_fault
from intermezzo.core.logs import configure
from intermezzo.core.terminal import ERROR, say
from intermezzo.execution.usage import recorded


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (0, or 2 for a problem that the user can mend)."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    verbose = "verbose" in options
    configure(logging.DEBUG if verbose else logging.WARNING if "quiet" in options else logging.INFO)
    os.environ.update(QUIET)
    try:
        if "spec" in options:
            options.spec = _spec(options)
            settle(getattr(options.spec, "threads", 1), online=options.spec.online)
        with _labelled(options), recorded(options):
            options.run(options)
    except UserError as error:
        if verbose:
            traceback.print_exc()
        say(f"error: {error}", ERROR)
        return 2
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:
        if (message := machine_fault(error, _inputs(options))) is None:
            raise
        say(f"error: {message}", ERROR)
        return 2
    return 0


def _spec(options: argparse.Namespace) -> Any:
    """The model of the stage's specification."""
    from intermezzo.cli.arguments import read_option  # pydantic takes a quarter of a second, and commands need none

    module, _, name = options.model_of_spec.partition(":")
    return read_option(f"--spec of {options.stage}", getattr(import_module(module), name), options.spec)


def _inputs(options: argparse.Namespace) -> list[Path]:
    """The files and folders that a command line gives to be read; of a model's manifest its whole folder."""
    given = {name: value for name, value in vars(options).items() if name not in ("out", "states", "cache")}
    values = [part for value in given.values() for part in (value if isinstance(value, list) else [value])]
    named = [value.partition("=")[2] for value in values if isinstance(value, str) and "=" in value]
    paths = [*(value for value in values if isinstance(value, Path)), *map(Path, filter(None, named))]
    return [path.parent if path.name == "manifest.json" else path for path in paths]


@contextmanager
def _labelled(options: argparse.Namespace) -> Iterator[None]:
    """Begin each line on stderr with the artefact that is made: the lines of parallel jobs share a terminal."""
    out = getattr(options, "out", None)
    with redirect_stderr(_Labelled(sys.stderr, "/".join(out.parts[-6:]))) if out else nullcontext():
        yield


class _Labelled:
    """A text stream that writes a label before every line."""

    def __init__(self, stream: TextIO, label: str) -> None:
        self._stream, self._label, self._at_start = stream, f"[{label.removeprefix('results/')}] ", True

    def write(self, text: str) -> int:
        for line in text.splitlines(keepends=True):
            self._stream.write(self._label + line if self._at_start else line)
            self._at_start = line.endswith("\n")
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
