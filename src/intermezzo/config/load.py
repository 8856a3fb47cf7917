"""From YAML files to a checked `Config`: merge, validate, and report every problem at once.

Overlays merge over `config/config.yaml` exactly as Snakemake's `--configfile` and `--config` do: dictionaries
are merged key by key, all other values (lists too) are replaced. In the dictionaries of definitions (encoders,
intermediates, mixes and their weights, targets, tasks), `null` removes an entry of an earlier file.
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
_DEFINITIONS = ("encoders", "intermediates", "mixes", "targets")
_TAGS = {"scratch": ScratchEncoder, "imported": ImportedEncoder}


def load(*overlays: str | Path | Mapping[str, Any]) -> Config:
    """Read `config/config.yaml`, merge `overlays` (files or dictionaries) over it in order, and check the result.

    Raises UserError with every problem, each with its key path.
    """
    merged = _read(DEFAULT)
    for overlay in overlays:
        merged = merge(merged, overlay if isinstance(overlay, Mapping) else _read(Path(overlay)))
    return parse(merged)


def merge(below: Any, above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `above` over `below` as Snakemake merges configurations; returns a new dictionary."""
    merged = copy.deepcopy(dict(below)) if isinstance(below, Mapping) else {}
    for key, value in above.items():
        merged[key] = merge(merged.get(key), value) if isinstance(value, Mapping) else copy.deepcopy(value)
    return merged


def parse(raw: Mapping[str, Any]) -> Config:
    """Validate a merged configuration: first types and keys, then the relations between keys (`checks`).

    Raises UserError with every problem, each with its key path.
    """
    values = _without_removed(raw)
    problems: list[str] = []
    config = None
    for _ in range(3):  # remove bad values and validate the rest again, so that one run reports all problems
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
    """The content of a YAML file. Raises UserError if it cannot be read or holds no dictionary."""
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
    """A copy of `raw` without the entries that an overlay has set to null."""
    values = copy.deepcopy(dict(raw))
    dictionaries = [values.get(key) for key in _DEFINITIONS]
    dictionaries += [mix.get("weights") for mix in (values.get("mixes") or {}).values() if isinstance(mix, dict)]
    for path in (("training", "tasks"), ("data", "rows", "tasks"), ("data", "sources")):
        value: Any = values
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        dictionaries.append(value)
    for dictionary in dictionaries:
        if isinstance(dictionary, dict):
            for name in [name for name, value in dictionary.items() if value is None]:
                del dictionary[name]
    return values


def _lines(details: list[ErrorDetails]) -> list[str]:
    """One line per problem: key path, allowed values, actual value."""
    lines: dict[str, str] = {}
    for detail in details:
        loc, kind, value = detail["loc"], detail["type"], detail.get("input")
        keys = [str(part) for part in loc if part not in ("[key]", *_TAGS) and not _is_branch(part)]
        path, actual = ".".join(keys), f"found {value!r} ({type(value).__name__})"
        if kind == "extra_forbidden":
            line = f"unknown key; {suggestion(keys[-1], _keys_at(loc[:-1]))}"
        elif kind == "missing":
            line = "missing; this key has no default"
        elif loc[-1] == "[key]":
            line = f"not a usable name: letters, digits and _ . + - only, starting with a letter or digit; {actual}"
        elif kind == "literal_error":
            line = f"allowed: {detail['ctx']['expected']}; {actual}"
        else:
            line = f"{_plain(detail)}; {actual}"
        if path in lines and kind == "list_type":  # the key takes one word or a list; the value is neither
            line = f"must be a list, or {lines[path].removeprefix('allowed: ')}"
        lines[path] = line
    return [f"{path}: {line}" for path, line in lines.items() if not _is_shadowed(path, lines)]


def _is_shadowed(path: str, lines: Mapping[str, str]) -> bool:
    """Whether a line of a key that takes one word or a list only repeats a problem inside that list."""
    return lines[path].startswith("allowed: ") and any(line_path.startswith(f"{path}.") for line_path in lines)


def _is_branch(part: Any) -> bool:
    """Whether a part of pydantic's location names a member of a union and not a key."""
    return isinstance(part, str) and (part.startswith(("literal[", "list[", "constrained-")) or part in ("int", "str"))


def _plain(detail: ErrorDetails) -> str:
    """The problem in the terms of YAML instead of Python."""
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
    """The keys that are allowed at a location in the configuration."""
    model: Any = Config
    for part in loc:
        if part in _TAGS:
            model = _TAGS[part]
        elif isinstance(model, type) and issubclass(model, Section):
            annotations = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
            model = annotations.get(part)
        else:  # dict[name, value]
            model = typing.get_args(model)[-1]
    if not (isinstance(model, type) and issubclass(model, Section)):
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _remove(values: Any, loc: tuple[Any, ...]) -> None:
    """Delete the value at `loc`, or else the nearest existing value above it; changes `values` in place."""
    keys = [part for part in loc if part != "[key]" and part not in _TAGS and not _is_branch(part)]
    for key in keys[:-1]:
        child = values.get(key) if isinstance(values, dict) else None
        if not isinstance(child, dict):
            keys = [key]
            break
        values = child
    if isinstance(values, dict) and keys:
        values.pop(keys[-1], None)
