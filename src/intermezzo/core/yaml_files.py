"""YAML files that users write: what is wrong with one is one message with the file and, where there is one, the line.

Stricter than YAML where YAML guesses: a key that is given twice is refused (YAML takes the last one), and so are 010
(which is 8) and 1:30 (which is 90). A file that is JSON is read as JSON, as Snakemake does.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from intermezzo.core.errors import UserError
from intermezzo.core.excerpt import excerpt, one_line
from intermezzo.core.plain_data import DEPTH, VALUES

SIZE = 4 * 2**20
"""Bytes of a file."""
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Reads plain data; the one in C where PyYAML has it."""
_NESTED = 2 * DEPTH
"""Levels at which reading stops."""
_SMALL = 10_000
"""Characters that cannot nest deep enough for the parser in C to overflow its stack."""
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_SIXTIES = re.compile(r"[-+]?\d[\d_]*(:[0-5]?\d)+(\.[\d_]*)?")


def read_yaml(path: str | Path, kind: str) -> Any:
    """The content of a YAML or JSON file; None for an empty one. kind: what it is called in messages.

    Raises UserError for a file that cannot be read, is not UTF-8, too large or too deep, is not valid YAML, or gives a
    key twice.
    """
    try:
        with open(path, "rb") as handle:
            data = handle.read(SIZE + 1)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot read the {kind} ({getattr(error, 'strerror', None) or error})") from None
    if len(data) > SIZE:
        raise UserError(f"{path}: larger than {SIZE / 2**20:.0f} MB; is it a {kind}?")
    text = _decode(path, data)
    try:
        if text.lstrip().startswith("{"):
            return json.loads(text, object_pairs_hook=_unique)
    except _DoubledKey as error:
        raise UserError(f"{path}: the key '{error}' is given twice in one object; remove one of the two") from None
    except (ValueError, RecursionError):
        pass  # YAML then, or a fault that YAML says with its line
    try:
        return _read(path, text)
    except yaml.YAMLError as error:
        raise UserError(_said(path, error)) from None


def _decode(path: str | Path, data: bytes) -> str:
    """The text of a file. A byte order mark of UTF-8 is skipped."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UserError(f"{path}: UTF-16; save the file as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        raise UserError(f"{path}, line {line}: not UTF-8 (byte 0x{byte:02x}); save the file as UTF-8") from None
    if match := _CONTROL.search(text):
        line = text.count("\n", 0, match.start()) + 1
        raise UserError(f"{path}, line {line}: a control character (U+{ord(match[0]):04X}); is it a text file?")
    return text


def _read(path: str | Path, text: str) -> Any:
    depth = 0
    for number, event in enumerate(yaml.parse(text, LOADER) if len(text) > _SMALL else ()):
        if number > 2 * VALUES:
            raise UserError(f"{path}, line {_line(event)}: more than {VALUES:,} values")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _NESTED:
            raise UserError(f"{path}, line {_line(event)}: nested deeper than {_NESTED} levels")
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _Checks(path).size(node, ())
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _line(part: Any) -> int:
    """The line of an event or a node."""
    return int(part.start_mark.line) + 1


class _Loader(LOADER):
    """PyYAML's safe loader; a value that does not fit its tag is an error with a line."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            kind = node.tag.rpartition(":")[2]
            value = excerpt(node.value) if isinstance(node, yaml.ScalarNode) else "this"
            problem = f"{value} cannot be read as {kind}; if text is meant, quote it"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None


class _Checks:
    """What YAML allows and nobody means, looked for in the nodes of a file."""

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self.sizes: dict[int, int] = {}

    def size(self, node: yaml.Node, above: tuple[int, ...]) -> int:
        """The number of values that a node stands for. above: the nodes around it."""
        if id(node) in self.sizes:
            return self.sizes[id(node)]
        if id(node) in above:
            raise self._fault(node, "an anchor that is used within itself")
        if len(above) > _NESTED:
            raise self._fault(node, f"nested deeper than {_NESTED} levels")
        inner: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            self._keys(node)
            inner = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            inner = node.value
        elif _is_disguised(node):
            raise self._fault(node, f"YAML reads {node.value} as another number; write it in decimals, or quote it")
        total = 1 + sum(self.size(part, (*above, id(node))) for part in inner)
        if total > VALUES:
            raise self._fault(node, f"more than {VALUES:,} values (an alias counts as what it stands for)")
        self.sizes[id(node)] = total
        return total

    def _keys(self, node: yaml.MappingNode) -> None:
        """Raise UserError for a key that a dictionary has twice."""
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                name, line = (key.tag, key.value), _line(key)
                if name in lines:
                    raise self._fault(key, f"the key {excerpt(key.value)} is given twice, first in line {lines[name]}")
                lines[name] = line

    def _fault(self, node: yaml.Node, problem: str) -> UserError:
        return UserError(f"{self.path}, line {_line(node)}: {problem}")


def _is_disguised(node: yaml.Node) -> bool:
    """Is it a number that is not what it looks like: 010 is 8, and 1:30 is 90?"""
    text = node.value
    if not node.tag.endswith((":int", ":float")) or len(text) > 40:
        return False
    digits = text.replace("_", "")
    return bool(_SIXTIES.fullmatch(text) or (_OCTAL.fullmatch(text) and int(digits, 8) != int(digits)))


class _DoubledKey(Exception):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys differ."""
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise _DoubledKey(one_line(key))
        content[key] = value
    return content


def _said(path: str | Path, error: Any) -> str:
    """PyYAML's message in one line."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    context, problem = getattr(error, "context", None), getattr(error, "problem", None)
    if context and getattr(error, "context_mark", None):
        context += f" (line {error.context_mark.line + 1})"
    words = [part for part in (context, problem) if part]
    kind = "" if isinstance(error, yaml.constructor.ConstructorError) else "not valid YAML: "
    return one_line(f"{path}{place}: {kind}{', '.join(words) or ' '.join(str(error).split())}")
