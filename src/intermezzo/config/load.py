"""From YAML files to a checked `Config`: merge, validate, and report every problem at once.

Overlays merge over `config/config.yaml` exactly as Snakemake's `--configfile` and `--config` do: dictionaries
are merged key by key, all other values (lists too) are replaced. In the dictionaries of definitions (encoders,
intermediates, mixes and their weights, targets, tasks), `null` removes an entry of an earlier file.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from intermezzo.config import checks
from intermezzo.config.models import Config
from intermezzo.config.sections.base import is_null
from intermezzo.core.errors import UserError
from intermezzo.core.excerpt import one_line
from intermezzo.core.plain_data import plain_data
from intermezzo.core.validation import describe, keys_of
from intermezzo.core.yaml_files import read_yaml

DEFAULT = Path(__file__).resolve().parents[3] / "config" / "config.yaml"
_DEFINITIONS = ("encoders", "intermediates", "mixes", "targets", "prompted")
_SHOWN = 100
"""Problems that are told at once."""


def load(*overlays: str | Path | Mapping[str, Any], whole: bool = True) -> Config:
    """Read `config/config.yaml`, merge `overlays` (files or dictionaries) over it in order, and check the result.

    whole: see `parse`. Raises UserError with every problem, each with its key path.
    """
    merged = read(DEFAULT)
    for overlay in overlays:
        merged = merge(merged, overlay if isinstance(overlay, Mapping) else read(overlay))
    return parse(merged, whole=whole)


def read(path: str | Path) -> dict[str, Any]:
    """The keys of a configuration file.

    Raises UserError for a file that cannot be read (`core.yaml_files`), that gives a key twice, or that holds no
    dictionary. Snakemake refuses a file without keys, and so does this.
    """
    content = read_yaml(path, "configuration file")
    if content is None:
        raise UserError(f"{path}: holds no keys; write some, or leave the file out ({{}} is an empty configuration)")
    if not isinstance(content, dict):
        raise UserError(f"{path}: a configuration is a dictionary of keys, found {type(content).__name__}")
    if "__use_yte__" in content:
        raise UserError(f"{path}: __use_yte__: templates are not supported; write the values out")
    return content


def merge(below: Any, above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `above` over `below` as Snakemake merges configurations; returns a new dictionary."""
    merged = copy.deepcopy(dict(below)) if isinstance(below, Mapping) else {}
    for key, value in above.items():
        merged[key] = merge(merged.get(key), value) if isinstance(value, Mapping) else copy.deepcopy(value)
    return merged


def parse(raw: Mapping[str, Any], *, whole: bool = True) -> Config:
    """Validate a merged configuration: first types and keys, then the relations between keys (`checks`).

    whole: whether the experiment is checked, or its names and the sources of its data alone. Raises UserError with
    every problem, each with its key path.
    """
    values, problems = plain_data(raw)
    refused = {line.partition(": ")[0] for line in problems}
    if not isinstance(values, dict):
        raise UserError(listed(problems))
    values, config = _without_removed(values), None
    for _ in range(3):  # remove bad values and validate the rest again, so that one run reports all problems
        try:
            config = Config.model_validate(values)
            break
        except ValidationError as error:
            details = error.errors()
            lines = [line for line in describe(details, Config) if line.partition(": ")[0] not in refused]
            problems += [line for line in lines if line not in problems]
            for detail in details:
                _remove(values, keys_of(detail["loc"], Config))
    if config is not None:
        problems += checks.problems(config, whole=whole)
    if problems or config is None:
        raise UserError(listed(problems))
    return config


def listed(problems: Sequence[str]) -> str:
    """All problems of a configuration as one message."""
    number = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    lines = [f"  {one_line(line)}" for line in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(f"  ... and {len(problems) - _SHOWN} more")
    return "\n".join([f"the configuration has {number}:", *lines])


def _without_removed(values: dict[str, Any]) -> dict[str, Any]:
    """`values` without the entries that an overlay has set to null, which are deleted."""
    dictionaries = [values.get(key) for key in _DEFINITIONS]
    if isinstance(mixes := values.get("mixes"), dict):
        dictionaries += [mix.get("weights") for mix in mixes.values() if isinstance(mix, dict)]
    for path in (("training", "tasks"), ("data", "rows", "tasks"), ("data", "sources")):
        value: Any = values
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        dictionaries.append(value)
    for dictionary in dictionaries:
        if isinstance(dictionary, dict):
            for name in [name for name, value in dictionary.items() if is_null(value)]:
                del dictionary[name]
    return values


def _remove(values: Any, keys: list[str]) -> None:
    """Delete the value at a key path, or else the nearest existing value above it; changes `values` in place."""
    for key in keys[:-1]:
        child = values.get(key) if isinstance(values, dict) else None
        if not isinstance(child, dict):
            keys = [key]
            break
        values = child
    if isinstance(values, dict) and keys:
        values.pop(keys[-1], None)
