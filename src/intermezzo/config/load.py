"""From YAML files to a checked `Config`: merge, validate, and report every problem at once.

Overlays merge over `config/config.yaml` exactly as Snakemake's `--configfile` and `--config` do: dictionaries
are merged key by key, all other values (lists too) are replaced. In the dictionaries of definitions (encoders,
intermediates, mixes and their weights, targets, tasks), `null` removes an entry of an earlier file.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from intermezzo.config import checks
from intermezzo.config.models import Config
from intermezzo.core.errors import UserError
from intermezzo.core.validation import describe, keys_of

DEFAULT = Path(__file__).resolve().parents[3] / "config" / "config.yaml"
_DEFINITIONS = ("encoders", "intermediates", "mixes", "targets")


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
            problems += [line for line in describe(details, Config) if line not in problems]
            for detail in details:
                _remove(values, keys_of(detail["loc"], Config))
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
