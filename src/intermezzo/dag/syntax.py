"""What fingerprints need of each module: its imports, and a hash of its syntax tree that is the same in every Python.

Reading modules takes half of the time in which a small experiment is planned, and each job of a cluster plans. So what
was read is remembered in `results/.cache`: a file for each version of this module, with what each content says.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from intermezzo.core import sealed
from intermezzo.tasks.formats.base import Format

REMEMBERED = Path("results/.cache/code")
_MOST = 2_000
"""Modules that are remembered, of all versions of the package; where there are more, those of this process are."""


class Import(NamedTuple):
    """`import base`, or `from base import names` with `level` dots before the base."""

    base: str
    names: list[str]
    level: int


class Module(NamedTuple):
    """What a module imports, also inside functions, but not for type checking alone; and the hash of its tree."""

    imports: list[Import]
    code: str


@cache
def read(path: Path) -> Module:
    """What a file of Python says. Raises SyntaxError."""
    text = path.read_bytes()
    key = hashlib.sha256(text).hexdigest()
    if key not in _known():
        tree = ast.parse(text, filename=str(path))
        code = hashlib.sha256(repr(_canonical(tree)).encode()).hexdigest()
        _known()[key] = Module(list(_imports(tree)), code)
        _new.add(key)
    _used.add(key)
    return _known()[key]


_new: set[str] = set()
_used: set[str] = set()


def remember() -> None:
    """Write down what this process has read, if anything is new and there are results that it is kept beside."""
    if not _new or not REMEMBERED.parents[1].is_dir():
        return
    keys = _known() if len(_known()) <= _MOST else _used
    with suppress(OSError), sealed.write(_file()) as part:
        part.write_text(json.dumps({key: _known()[key] for key in keys}), encoding="utf-8")
    _new.clear()


@cache
def _known() -> dict[str, Module]:
    """Key -> module, of this process and those before it."""
    content = sealed.read(_file())
    known = json.loads(bytes(content)) if content is not None else {}
    return {key: Module([Import(*one) for one in imports], code) for key, (imports, code) in known.items()}


def _file() -> Path:
    reader = f"{Path(__file__).read_text(encoding='utf-8')}{sys.version}{sorted(Format.OUTSIDE_JOBS)}"
    return REMEMBERED / f"{hashlib.sha256(reader.encode()).hexdigest()[:16]}.json"


def _imports(tree: ast.Module) -> Iterable[Import]:
    for node in _walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, [], 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield Import(node.module or "", [alias.name for alias in node.names], node.level)


def _walk(node: ast.AST) -> Iterable[ast.AST]:
    """All nodes of a tree but those that only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _walk(child)


def _canonical(value: Any) -> Any:
    """A syntax tree as nested tuples, the same for every version of Python that reads the same code.

    Left out is what cannot change a result (docstrings, `pass`, the version number, `Format.OUTSIDE_JOBS`) and what
    versions differ in: fields that are empty (`type_params` came with 3.12), and `ctx`, which the place of a name says.
    """
    if isinstance(value, ast.AST):
        unused = _outside_jobs(value)
        fields = ((name, part) for name, part in ast.iter_fields(value) if name not in ("ctx", "kind"))
        parts = ((name, _canonical(_without(part, unused) if name == "body" else part)) for name, part in fields)
        return (type(value).__name__, *((name, part) for name, part in parts if part not in (None, ())))
    if isinstance(value, list):
        return tuple(_canonical(part) for part in value if not _is_without_effect(part))
    return repr(value) if value is not None else None


def _outside_jobs(node: ast.AST) -> frozenset[str]:
    """The members of a class that no job uses: those of formats that plans, checks and submissions need."""
    if not isinstance(node, ast.ClassDef):
        return frozenset()
    bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
    return Format.OUTSIDE_JOBS if Format.__name__ in {node.name, *bases} else frozenset()


def _without(body: Any, names: frozenset[str]) -> Any:
    """A class's body without the members of these names."""
    return [member for member in body if not _names(member) & names] if names else body


def _is_without_effect(node: Any) -> bool:
    """Is a statement a docstring, a `pass`, or the package's version number?"""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Assign) and _names(node) == {"__version__"})


def _names(node: ast.stmt) -> set[str]:
    """The names that a definition or an assignment binds."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}
