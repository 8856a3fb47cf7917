"""The command that writes a first configuration, from options or from answers to questions.

What is written is checked like any configuration before the file is made: a file that `init` wrote runs.
"""

from __future__ import annotations

import re
import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from intermezzo.core.errors import UserError

_OPTIONS = ("source", "root", "encoder", "intermediates", "targets", "mixes", "rare", "seeds")
_QUESTIONS = (
    ("source", "Where do data come from: world (generated, no download), files (your own), hub (downloads)?"),
    ("root", "Folder of the data files"),
    ("encoder", "Encoder: a name of config.yaml, a model folder, or OWNER/NAME@COMMIT of the hub"),
    ("intermediates", "Intermediate tasks (`intermezzo tasks` lists all)"),
    ("targets", "Target tasks"),
    ("mixes", "Mixes to compare: names of config.yaml, or en+CODE+CODE"),
    ("rare", "Languages that count as rare (auto: Joshi classes 0-2)"),
    ("seeds", "Number of seeds"),
)
_REMARKS = {
    "grid": "What runs: every intermediate in every mix, evaluated on every target; the baseline without intermediate "
    "training always runs.",
    "languages": "Languages that count as rare in the answer.",
    "data": "Where examples come from.",
    "encoders": "Encoders that config.yaml does not have.",
    "mixes": "Weights per language; they are normalised.",
}


def init(options: Namespace) -> None:
    """Write `options.file`.

    Raises UserError for a file that exists, for a value that is not understood, and for whatever `config check` would
    refuse but for missing data files, which are warnings. Nothing is written then.
    """
    from intermezzo.config import load, read
    from intermezzo.config.load import DEFAULT
    from intermezzo.dag.experiment import Grid
    from intermezzo.dag.preflight import missing_files, print_remarks

    _check_place(options.file)
    default = read(DEFAULT)
    given = {name: value for name in _OPTIONS if (value := getattr(options, name)) is not None}
    if not given and sys.stdin.isatty() and sys.stdout.isatty():
        given = _answers(default)
    content = overlay(given, default)
    config = load(content)
    try:
        with open(options.file, "x", encoding="utf-8") as file:
            file.write(_text(content, str(options.file)))
    except FileExistsError:
        raise UserError(f"{options.file}: exists already; choose another name, or delete it") from None
    except OSError as error:
        raise UserError(f"{options.file}: cannot be written ({error.strerror})") from None
    print(f"{options.file} is written. Next:")
    print(f"  intermezzo grid {options.file}                 what would run")
    print(f"  intermezzo plan {options.file}                 what it costs")
    print(f"  snakemake --cores all --configfile {options.file}   run it; the answer is in results/answer.md")
    print_remarks(config, missing_files(Grid(config)))


def _check_place(path: Path) -> None:
    if path.suffix not in (".yaml", ".yml"):
        raise UserError(f"{path}: configuration files end in .yaml")
    if path.exists() or path.is_symlink():
        raise UserError(f"{path}: exists already; choose another name, or delete it")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}; make it first")


def _answers(default: Mapping[str, Any]) -> dict[str, Any]:
    """The options as somebody at a terminal answers them; an empty answer is the default in brackets."""
    grid = default["grid"]
    usual = {"source": "world", "encoder": grid["encoders"][0], "rare": "auto", "seeds": str(len(grid["seeds"]))}
    usual |= {name: " ".join(grid[name]) for name in ("intermediates", "targets", "mixes")}
    answers: dict[str, Any] = {}
    print("Press Enter for the value in brackets.")
    for name, question in _QUESTIONS:
        if name == "root" and answers.get("source") != "files":
            continue
        try:
            answer = input(f"{question} [{usual.get(name, 'data')}] ").strip()
        except (EOFError, KeyboardInterrupt):
            raise UserError("init: no answer; nothing is written") from None
        if name == "root":
            answers[name] = answer or "data"
        elif answer and answer != usual[name]:
            answers[name] = answer.split() if name in ("intermediates", "targets", "mixes", "rare") else answer
    return answers


def overlay(given: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a configuration for options. default: config/config.yaml.

    Raises UserError for an encoder, a mix or a number that is not understood; names of tasks are checked later.
    """
    grid: dict[str, Any] = {}
    content: dict[str, Any] = {"grid": grid}
    if "encoder" in given:
        name, entry = _encoder(given["encoder"], default["encoders"])
        grid["encoders"] = [name]
        if entry:
            content["encoders"] = {name: entry}
    for name in ("intermediates", "mixes", "targets"):
        grid[name] = list(given.get(name, default["grid"][name]))
    grid["seeds"] = list(range(_number(given.get("seeds", len(default["grid"]["seeds"])))))
    data = {key: given[key] for key in ("source", "root") if key in given}
    if "root" in data:
        data.setdefault("source", "files")
    if data:
        content["data"] = data
    if "rare" in given:
        content["languages"] = {"rare": list(given["rare"])}
    mixes = {name: {"weights": _weights(name)} for name in grid["mixes"] if name not in default["mixes"]}
    if mixes:
        content["mixes"] = mixes
    return content


def _number(text: int | str) -> int:
    if not str(text).isdecimal() or not 0 < int(str(text)[:9]) <= 1000:
        raise UserError(f"seeds: '{text}' is no whole number from 1 to 1000")
    return int(text)


def _encoder(text: str, defined: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Name and entry of an encoder; no entry for one that is defined."""
    if text in defined:
        return text, {}
    source, _, revision = text.partition("@")
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(source).name).strip("-.")
    if Path(text).is_dir() and name:
        return name, {"from": text}
    if revision and name:
        return name, {"from": source, "revision": revision}
    raise UserError(
        f"encoder: '{text}' is no name of config.yaml ({', '.join(defined)}), no folder here, and has no commit; "
        "encoders of the hub are OWNER/NAME@COMMIT"
    )


def _weights(mix: str) -> dict[str, float]:
    """The weights of a mix that is called CODE+CODE: equal ones."""
    parts = mix.split("+")
    if len(parts) < 2 or not all(parts):
        raise UserError(f"mixes: '{mix}' is no mix of config.yaml; write en+CODE+CODE for one in equal parts")
    return dict.fromkeys(parts, 1.0)


def _text(content: Mapping[str, Any], name: str) -> str:
    """The file: a remark above each section, lists on one line."""
    lines = [
        "# An experiment of your own. Other keys have the values of config/config.yaml, which explains each of them.",
        f"# Check it with: intermezzo config check {name}",
    ]
    for key, value in content.items():
        lines += ["", f"# {_REMARKS[key]}"]
        dumped = yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
        lines += dumped.rstrip().splitlines()
    return "\n".join(lines) + "\n"
