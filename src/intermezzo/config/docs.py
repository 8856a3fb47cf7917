"""Files generated from the models: config/config.yaml, config/schema.json and the tables of docs/configuration.md.

The table of docs/catalogue.md is generated from the task files.

`intermezzo config docs --write` writes the files; `--check` and a test compare them.
"""

from __future__ import annotations

import json
import textwrap
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeGuard

from pydantic.fields import FieldInfo

from intermezzo.config.models import Config
from intermezzo.config.sections.base import Section
from intermezzo.config.sections.data import AddedLanguage, RareConfig
from intermezzo.config.sections.encoders import ImportedEncoder, ScratchEncoder
from intermezzo.config.sections.intermediates import IntermediateConfig, MixConfig, Realignment
from intermezzo.config.sections.targets import TargetConfig
from intermezzo.config.sections.training import Finetuning
from intermezzo.core import markdown
from intermezzo.core.artifacts import write_text
from intermezzo.tasks import overview

ROOT = Path(__file__).resolve().parents[3]
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"
_HEAD = """\
# The default experiment: every key with its default. Generated from src/intermezzo/config/models.py
# (`intermezzo config docs --write`). For an experiment of your own, write the keys that differ into a new
# file and run `snakemake --configfile my.yaml ...`; config/README.md explains how files are merged.
# yaml-language-server: $schema=schema.json
"""
_ENTRIES: dict[str, tuple[type[Section], ...]] = {
    "encoders": (ScratchEncoder, ImportedEncoder),
    "intermediates": (IntermediateConfig,),
    "mixes": (MixConfig,),
    "targets": (TargetConfig,),
}
"""Sections that are dictionaries of definitions -> the models of an entry."""
_INNER: dict[str, dict[str, type[Section]]] = {
    "intermediates": {"<name>.align": Realignment},
    "languages": {"rare": RareConfig, "add.<code>": AddedLanguage},
}
"""Section -> its keys that hold a section of their own -> that section's model."""
_PARTIAL = frozenset({"Overrides", "TaskRows", "TaskTraining"})
"""Sections in which all keys are optional and only the keys that are present count."""


def files() -> dict[Path, str]:
    """All generated files: path -> the content that the models require."""
    guide, catalogue = ROOT / "docs" / "configuration.md", ROOT / "docs" / "catalogue.md"
    return {
        ROOT / "config" / "config.yaml": config_yaml(),
        ROOT / "config" / "schema.json": schema_json(),
        guide: _with(guide, tables()),
        catalogue: _with(catalogue, overview.markdown()),
    }


def _with(page: Path, generated: str) -> str:
    """The text of a page with `generated` between its two markers."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n{generated}{END}{rest.partition(END)[2]}"


def outdated(generated: Mapping[Path, str] | None = None) -> list[str]:
    """The generated files (`files()`) that are missing or have other content, as paths relative to the repository."""
    return [
        str(path.relative_to(ROOT))
        for path, text in (files() if generated is None else generated).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]


def write(generated: Mapping[Path, str]) -> list[str]:
    """Write the files that are out of date and return their paths, as `outdated` does."""
    names = outdated(generated)
    for path, text in generated.items():
        if str(path.relative_to(ROOT)) in names:
            write_text(path, text)
    return names


def schema_json() -> str:
    """The JSON schema of the configuration, for editors."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Config.model_json_schema(by_alias=True)
    _allow_removal(schema)
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _allow_removal(schema: Any) -> None:
    """Allow null, which removes an entry, as a value in dictionaries of definitions; changes `schema` in place."""
    if isinstance(schema, dict):
        for key in ("additionalProperties", "patternProperties"):
            subschema = schema.get(key)
            if key == "patternProperties" and subschema:
                schema[key] = {name: {"anyOf": [entry, {"type": "null"}]} for name, entry in subschema.items()}
            elif isinstance(subschema, dict):
                schema[key] = {"anyOf": [subschema, {"type": "null"}]}
        for value in schema.values():
            _allow_removal(value)
    elif isinstance(schema, list):
        for value in schema:
            _allow_removal(value)


def config_yaml() -> str:
    """The default configuration as YAML, with a comment on the first occurrence of every key."""
    seen: set[str] = set()
    lines = [_HEAD]
    for name, field in Config.model_fields.items():
        lines += [f"\n{_comment(_words(field), 0)}"]
        lines += _key(name, getattr(Config(), name), field, 0, seen, comment=False)
    return "".join(lines)


def _key(
    name: str, value: Any, field: FieldInfo | None, depth: int, seen: set[str], comment: bool = True
) -> Iterator[str]:
    """Lines of one key; `seen` holds the descriptions that are already written."""
    indent = "  " * depth
    words = _words(field) if field else ""
    if comment and words and words not in seen:
        seen.add(words)
        yield _comment(words, depth)
    if isinstance(value, Section):
        lines = list(_section(value, depth + 1, seen, full=not isinstance(value, TargetConfig | IntermediateConfig)))
        yield f"{indent}{name}:\n" if lines else f"{indent}{name}: {{}}\n"
        yield from lines
    elif isinstance(value, dict) and value and isinstance(next(iter(value.values())), Section):
        yield f"{indent}{name}:\n"
        for key, entry in value.items():
            yield from _key(key, entry, None, depth + 1, seen)
    else:
        yield f"{indent}{name}: {_yaml(value)}\n"


def _section(section: Section, depth: int, seen: set[str], full: bool) -> Iterator[str]:
    """Lines of the keys of a section: of all keys if `full`, else of those that are set."""
    for name, field in type(section).model_fields.items():
        if full or name in section.model_fields_set:
            value = getattr(section, name)
            if type(section).__name__ in _PARTIAL and name not in section.model_fields_set:
                continue
            yield from _key(field.alias or name, value, field, depth, seen)


def _yaml(value: Any) -> str:
    """A value as YAML in one line. JSON is valid YAML; plain words need no quotes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_yaml(key)}: {_yaml(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    if isinstance(value, str) and value and all(c.isalnum() or c in "_+-." for c in value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _comment(words: str, depth: int) -> str:
    indent = "  " * depth
    return "".join(f"{indent}# {line}\n" for line in textwrap.wrap(words, 110 - len(indent)))


def _words(field: FieldInfo) -> str:
    return " ".join((field.description or "").split())


def tables() -> str:
    """The tables of docs/configuration.md, one per section: key, type, default, meaning."""
    parts = []
    for name, field in Config.model_fields.items():
        parts.append(f"\n### `{name}`\n\n{_words(field)}\n")
        if name in _ENTRIES:
            for model in _ENTRIES[name]:
                parts.append(f"\n`{name}.<name>`: {' '.join((model.__doc__ or '').split())}\n\n{_table(model)}")
        elif _is_section(field.annotation):
            parts.append(f"\n{_table(field.annotation)}")
        else:
            parts.append(f"\nType: {_type(field)}. Default: `{_yaml(field.default)}`.\n")
        for key, model in _INNER.get(name, {}).items():
            parts.append(f"\n`{name}.{key}`: {' '.join((model.__doc__ or '').split())}\n\n{_table(model)}")
    return "".join(parts) + "\n"


def _is_section(annotation: Any) -> TypeGuard[type[Section]]:
    return isinstance(annotation, type) and issubclass(annotation, Section)


def _table(model: type[Section]) -> str:
    rows = [(f"`{key}`", kind, default, words) for key, kind, default, words in _rows(model, "")]
    return markdown.table(("key", "type", "default", "meaning"), rows) + "\n"


def _rows(model: type[Section], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    """Key, type, default and meaning of every key of a section and of the sections in it."""
    for name, field in model.model_fields.items():
        key, kind = f"{prefix}{field.alias or name}", field.annotation
        if _is_section(kind) and kind.__name__ == "Overrides":
            yield key, "any of the keys of `training.<phase>`", "", _words(field)
        elif _is_section(kind):
            yield key, "", "", _words(field)
            for inner_key, inner_type, default, words in _rows(kind, f"{key}."):
                if kind is Finetuning:  # each phase has defaults of its own
                    default = f"`{_yaml(getattr(field.default, inner_key.removeprefix(f'{key}.'), None))}`"
                yield inner_key, inner_type, default, words
        elif field.is_required():
            yield key, _type(field), "required", _words(field)
        else:
            plain = not isinstance(field.default, dict) or not field.default
            default = _yaml(field.default) if plain else _yaml({k: _plain(v) for k, v in field.default.items()})
            yield key, _type(field), f"`{default}`", _words(field)


def _plain(value: Any) -> Any:
    return value.model_dump(exclude_unset=True) if isinstance(value, Section) else value


def _type(field: FieldInfo) -> str:
    """The type of a field in words, with its bounds."""
    bounds = []
    for mark in field.metadata:
        for sign, name in ((">=", "ge"), (">", "gt"), ("<=", "le"), ("<", "lt")):
            if getattr(mark, name, None) is not None:
                bounds.append(f"{sign} {getattr(mark, name):g}")
    return " ".join([_type_words(field.annotation), *dict.fromkeys(bounds)])


def _type_words(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (typing.Union, UnionType):
        return " or ".join(map(_type_words, arguments))
    if origin is typing.Annotated:
        return _type_words(arguments[0])
    if origin in (list, tuple):
        return f"list of {_type_words(arguments[0])}"
    if origin is dict:
        return "dictionary by name"
    names = {int: "whole number", float: "number", str: "text", bool: "true or false", type(None): "null"}
    return names.get(kind, "section")
