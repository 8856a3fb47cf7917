"""What is wrong with a value that does not fit its pydantic model: one line per key, in the words of its writer.

epochs: must be a whole number; found 1.5 (float)
lerning_rate: unknown key; did you mean 'learning_rate'? allowed: ...
sampling: allowed: 'proportional', 'uniform' or 'temperature'; found 'proportionl' (str)
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Tag
from pydantic_core import ErrorDetails

from intermezzo.core.errors import suggestion
from intermezzo.core.excerpt import excerpt
from intermezzo.core.plain_data import quoting

_WORDS = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "frozen_set_type": "must be a list",
    "dict_type": "must be a dictionary",
    "model_type": "must be a dictionary",
    "model_attributes_type": "must be a dictionary",
    "call_type": "must be a list",
    "arguments_type": "must be a list",
    "string_pattern_mismatch": "not a usable name: letters, digits and _ . + - only",
    "missing": "missing; this key has no default",
    "missing_argument": "missing; this key has no default",
}


def describe(details: Iterable[ErrorDetails], kind: Any) -> list[str]:
    """One line per problem of `ValidationError.errors()`: key path, value, what is allowed. kind: the model."""
    lines: dict[str, str] = {}
    for detail in details:
        keys = keys_of(detail["loc"], kind)
        path = ".".join(keys)
        line = _line(detail, keys, kind)
        if path in lines and detail["type"] in ("list_type", "tuple_type"):  # one word or a list, and this is neither
            line = f"must be a list, or {lines[path].removeprefix('allowed: ')}"
        elif path in lines and lines[path].startswith("must be a list; "):
            line = f"must be a list, or {line.removeprefix('allowed: ')}"
        lines[path] = line
    return [f"{path}: {line}" if path else line for path, line in lines.items() if not _is_shadowed(path, lines)]


def keys_of(location: Sequence[Any], kind: Any) -> list[str]:
    """The key path of pydantic's location of an error, without the names of branches of unions. kind: the model."""
    return _place(location, [kind])[0]


def _line(detail: ErrorDetails, keys: Sequence[str], kind: Any) -> str:
    value, code = detail.get("input"), detail["type"]
    actual = f"found {excerpt(value)} ({type(value).__name__})"
    if code == "extra_forbidden":
        models = filter(_is_model, _place(detail["loc"][:-1], [kind])[1])
        allowed = [field.alias or name for model in models for name, field in model.model_fields.items()]
        return f"unknown key; {suggestion(keys[-1], allowed)}"
    if code in ("missing", "missing_argument"):
        return _WORDS[code]
    if detail["loc"] and detail["loc"][-1] == "[key]" and code == "string_type":
        return f"a key must be text; {actual}{quoting(value)}"
    if detail["loc"] and detail["loc"][-1] == "[key]":
        return f"not a usable name: letters, digits and _ . + - only, starting with a letter or digit; {actual}"
    if code == "json_invalid":
        return f"not valid JSON ({detail['msg'].removeprefix('Invalid JSON: ')})"
    if code == "literal_error":
        return f"allowed: {detail['ctx']['expected']}; {actual}"
    if code in ("union_tag_invalid", "union_tag_not_found"):
        key = detail["ctx"]["discriminator"].strip("'")
        if code == "union_tag_not_found":
            return f"{key}: missing; this key has no default"
        return f"{key}: allowed: {detail['ctx']['expected_tags']}; found {excerpt(detail['ctx']['tag'])} (str)"
    if code == "value_error":
        return detail["msg"].removeprefix("Value error, ")
    message = detail["msg"].replace("Input should be", "must be").replace("List should", "must")
    if code == "string_too_long":
        message = message.replace("String should", "must")
    hint = quoting(value) if code == "string_type" else ""
    return f"{_WORDS.get(code, message[:1].lower() + message[1:])}; {actual}{hint}"


def _is_shadowed(path: str, lines: Mapping[str, str]) -> bool:
    """Of a key that takes one word or a list, and has a list with a problem further down, that one is worth telling."""
    is_word = lines[path].startswith(("allowed: ", "must be a list, or "))
    return is_word and any(key.startswith(f"{path}.") for key in lines)


def _place(location: Sequence[Any], kinds: list[Any]) -> tuple[list[str], list[Any]]:
    """The keys of pydantic's location of an error, without the names of branches, and the types that are there."""
    keys, here = [], [option for kind in kinds for option in _options(kind)]
    for number, part in enumerate(location):
        if part == "[key]":
            continue
        inner = [option for label, kind in here for option in _step(kind, part)]
        branch = [(label, kind) for label, kind in here if label == part] if len(here) > 1 else []
        is_last = number == len(location) - 1
        if branch or (not inner and not is_last and isinstance(part, str)) or _is_branch(part):
            here = branch or here
            continue
        keys.append(str(part))
        here = [option for kind in inner for option in _options(kind)]
    return keys, [kind for _, kind in here]


def _is_branch(part: Any) -> bool:
    """Is it pydantic's name for a branch of a union of plain types?"""
    names = ("literal[", "list[", "tuple[", "dict[", "constrained-")
    return isinstance(part, str) and (part.startswith(names) or part in ("int", "str", "float", "bool"))


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _options(kind: Any) -> Iterator[tuple[str, Any]]:
    """(what pydantic calls it in a location, type) of each branch of a union; the type itself of anything else."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        tags = [part.tag for part in arguments[1:] if isinstance(part, Tag)]
        for label, option in _options(arguments[0]):
            yield (tags[0] if tags else label), option
    elif origin in (typing.Union, types.UnionType):
        for argument in arguments:
            yield from _options(argument)
    elif _is_model(kind):
        annotations = [field.annotation for field in kind.model_fields.values()]
        literals = [typing.get_args(annotation) for annotation in annotations]
        yield (
            next((words[0] for words in literals if len(words) == 1 and isinstance(words[0], str)), kind.__name__),
            kind,
        )
    else:
        yield "", kind


def _step(kind: Any, part: Any) -> list[Any]:
    """The types of what lies under a key or an index of a value of type `kind`; none where there is no such key."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if _is_model(kind):
        return [field.annotation for name, field in kind.model_fields.items() if part in (name, field.alias)]
    if origin in (list, tuple, frozenset) and isinstance(part, int):
        return [arguments[0]]
    if origin is dict and isinstance(part, str):
        return [arguments[1]]
    return []
