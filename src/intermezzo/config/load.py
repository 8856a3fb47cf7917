"""From YAML files to a checked `Config`: merge, validate, and report every problem at once.

Overlays merge over `config/config.yaml` exactly as Snakemake's `--configfile` and `--config` do: dictionaries
are merged key by key, everything else (lists too) is replaced. In the dictionaries of names (encoders,
intermediates, mixes and their weights, targets, tasks) `null` removes an entry that a file below has made.
"""

from __future__ import annotations

import copy
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from intermezzo.config import checks
from intermezzo.config.models import Config
from intermezzo.config.sections.base import Section
from intermezzo.config.sections.encoders import ImportedEncoder, ScratchEncoder
from intermezzo.core.errors import UserError, suggestion

DEFAULT = Path(__file__).resolve().parents[3] / "config" / "config.yaml"
_NAMED = ("encoders", "intermediates", "mixes", "targets")
_TAGS = {"scratch": ScratchEncoder, "imported": ImportedEncoder}


def load(*overlays: str | Path | Mapping[str, Any]) -> Config:
    """Read `config/config.yaml`, merge `overlays` (files or dictionaries) over it, and check the whole.

    Raises UserError with every problem, each with its key path.
    """
    merged = _read(DEFAULT)
    for overlay in overlays:
        merged = merge(merged, overlay if isinstance(overlay, Mapping) else _read(Path(overlay)))
    return parse(merged)


def merge(below: Any, above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` over `below`, the way Snakemake merges configurations."""
    merged = copy.deepcopy(dict(below)) if isinstance(below, Mapping) else {}
    for key, value in above.items():
        merged[key] = merge(merged.get(key), value) if isinstance(value, Mapping) else copy.deepcopy(value)
    return merged


def parse(raw: Mapping[str, Any]) -> Config:
    """Validate an already merged configuration: types and keys first, then what the keys say about each other.

    Raises UserError with every problem, each with its key path.
    """
    values = _without_removed(raw)
    problems: list[str] = []
    config = None
    for _ in range(3):  # bad values are taken out and the rest is read again, so that one run shows all problems
        try:
            config = Config.model_validate(values)
            break
        except ValidationError as error:
            details = error.errors()
            problems += [line for line in _lines(details) if line not in problems]
            for detail in details:
                _remove(values, detail["loc"])
    if config is not None:
        problems += checks.problems(config)
    if problems or config is None:
        number = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise UserError(f"the configuration has {number}:\n" + "\n".join(f"  {line}" for line in problems))
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot read the configuration file ({error})") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    if content is not None and not isinstance(content, dict):
        raise UserError(f"{path}: a configuration is a dictionary of keys, found {type(content).__name__}")
    return content or {}


def _without_removed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `raw` in which the entries that an overlay has set to null are gone."""
    values = copy.deepcopy(dict(raw))
    homes = [values.get(key) for key in _NAMED]
    homes += [mix.get("weights") for mix in (values.get("mixes") or {}).values() if isinstance(mix, dict)]
    for section, key in (("training", "tasks"), ("data", "rows"), ("data", "sources")):
        home = values.get(section)
        home = home.get(key) if isinstance(home, dict) else None
        homes.append(home.get("tasks") if key == "rows" and isinstance(home, dict) else home)
    for home in homes:
        if isinstance(home, dict):
            for name in [name for name, value in home.items() if value is None]:
                del home[name]
    return values


def _lines(details: list[ErrorDetails]) -> list[str]:
    """One line per problem: key path, what was found, what is allowed."""
    lines: dict[str, str] = {}
    for detail in details:
        loc, kind, value = detail["loc"], detail["type"], detail.get("input")
        keys = [str(part) for part in loc if part not in ("[key]", *_TAGS) and not _is_branch(part)]
        path, found = ".".join(keys), f"found {value!r} ({type(value).__name__})"
        if kind == "extra_forbidden":
            line = f"unknown key; {suggestion(keys[-1], _keys_at(loc[:-1]))}"
        elif kind == "missing":
            line = "missing; this key has no default"
        elif loc[-1] == "[key]":
            line = f"not a usable name: letters, digits and _ . + - only, starting with a letter or digit; {found}"
        elif kind == "literal_error":
            line = f"allowed: {detail['ctx']['expected']}; {found}"
        else:
            line = f"{_plain(detail)}; {found}"
        if path in lines and kind == "list_type":  # the key takes one word or a list, and this is neither
            line = f"must be a list, or {lines[path].removeprefix('allowed: ')}"
        lines[path] = line
    return [f"{path}: {line}" for path, line in lines.items() if not _is_shadowed(path, lines)]


def _is_shadowed(path: str, lines: Mapping[str, str]) -> bool:
    """Of a key that takes one word or a list, and has a list with a problem further down, that one is worth telling."""
    return lines[path].startswith("allowed: ") and any(other.startswith(f"{path}.") for other in lines)


def _is_branch(part: Any) -> bool:
    return isinstance(part, str) and (part.startswith(("literal[", "list[", "constrained-")) or part in ("int", "str"))


def _plain(detail: ErrorDetails) -> str:
    """The problem in the words of a YAML file rather than of Python."""
    words = {
        "int_type": "must be a whole number",
        "float_type": "must be a number",
        "bool_type": "must be true or false",
        "string_type": "must be text",
        "list_type": "must be a list",
        "dict_type": "must be a dictionary",
        "model_type": "must be a dictionary",
        "model_attributes_type": "must be a dictionary",
        "string_pattern_mismatch": "not a usable name: letters, digits and _ . + - only",
    }
    message = detail["msg"].replace("Input should be", "must be").replace("List should", "must")
    return words.get(detail["type"], message[:1].lower() + message[1:])


def _keys_at(loc: tuple[Any, ...]) -> list[str]:
    """The keys that are allowed at a place in the configuration."""
    here: Any = Config
    for part in loc:
        if part in _TAGS:
            here = _TAGS[part]
        elif isinstance(here, type) and issubclass(here, Section):
            names = {field.alias or name: field.annotation for name, field in here.model_fields.items()}
            here = names.get(part)
        else:  # dict[name, value]
            here = typing.get_args(here)[-1]
    if not (isinstance(here, type) and issubclass(here, Section)):
        return []
    return [field.alias or name for name, field in here.model_fields.items()]


def _remove(values: Any, loc: tuple[Any, ...]) -> None:
    """Take out the value at `loc` (or the nearest one that exists above it)."""
    keys = [part for part in loc if part != "[key]" and part not in _TAGS and not _is_branch(part)]
    for key in keys[:-1]:
        below = values.get(key) if isinstance(values, dict) else None
        if not isinstance(below, dict):
            keys = [key]
            break
        values = below
    if isinstance(values, dict) and keys:
        values.pop(keys[-1], None)
