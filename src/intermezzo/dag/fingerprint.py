"""A fingerprint of the code that a job runs: jobs rerun when it changes, and only then.

Snakemake does not see edits of imported modules. So each job carries, as a tracked parameter, a hash of the syntax
trees of the modules that its stage can reach by static imports inside this package. Comments, docstrings and layout
are no part of it, so editing them reruns nothing, and it is the same for every version of Python. Modules that are
imported by name at run time (task formats, metrics, sources) are invisible to this and are passed as further roots by
the caller.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from intermezzo.core.artifacts import canonical
from intermezzo.tasks.formats.base import Format

PACKAGE = Path(__file__).resolve().parents[1]
_EXEMPT = frozenset(
    {
        "intermezzo.core.errors",
        "intermezzo.core.logs",
        "intermezzo.core.validation",
        "intermezzo.tasks.submission_files",
    }
)
"""Modules that cannot change a result: they only word what is said when there is none, or write submissions."""
COMPONENTS: dict[str, dict[str, str]] = {}
"""Fingerprint -> hash of each module and resource and version of each library behind it, so that changes have names."""


@cache
def fingerprint(
    roots: tuple[str, ...], resources: tuple[Path, ...] = (), package: Path = PACKAGE, *, versions: bool = False
) -> str:
    """16 hexadecimal digits over the import closure of `roots` (dotted module names) and over YAML files.

    A root without a module (a format without a metric of its own) adds its name alone. `package` is the folder of
    the top-level package. A resource counts by its content as data, so comments in it do not matter.
    versions: whether the versions of the libraries that the closure imports count too.
    """
    files = {name: _file(name, package) for name in sorted(closure(roots, package))}
    parts = [(name, _read(path)[1] if path else "no module") for name, path in files.items()]
    parts += [(f"resource {path.name}", _data_hash(path)) for path in sorted(resources)]
    parts += [(f"library {name}", version) for name, version in libraries(roots, package).items()] if versions else []
    stamp = hashlib.sha256(canonical(parts).encode()).hexdigest()[:16]
    COMPONENTS[stamp] = dict(parts)
    return stamp


def libraries(roots: Iterable[str], package: Path = PACKAGE) -> dict[str, str]:
    """Distribution -> version of what the import closure of `roots` imports from outside (standard library aside)."""
    owners = _distributions()
    names = {name for module in closure(roots, package) for name in _foreign(module, package)}
    imported = sorted({distribution for name in names for distribution in owners.get(name, ())})
    return {distribution: metadata.version(distribution) for distribution in imported}


def closure(roots: Iterable[str], package: Path = PACKAGE) -> set[str]:
    """Names of all modules of the package that `roots` import, directly or not; `roots` and parents included."""
    modules: set[str] = set()
    queue = list(roots)
    while queue:
        name = queue.pop()
        if name in modules or name in _EXEMPT:
            continue
        modules.add(name)
        if "." in name:
            queue.append(name.rpartition(".")[0])  # importing a.b.c runs a and a.b first
        queue += _imports(name, package) - modules
    return modules


@cache
def _imports(name: str, package: Path) -> set[str]:
    """Modules of the package that one module imports, also inside functions, but not for type checking alone."""
    path = _file(name, package)
    if path is None:
        return set()
    is_package = path.name == "__init__.py"
    top, modules = package.name, set()
    for node in _read(path)[0]:
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names if alias.name.split(".")[0] == top}
        else:
            base = node.module or ""
            if node.level:
                parts = name.split(".")
                parts = parts[: len(parts) - node.level + is_package]
                base = ".".join([*parts, base] if base else parts)
            if base.split(".")[0] == top:
                submodules = {f"{base}.{alias.name}" for alias in node.names}
                modules |= {base} | {module for module in submodules if _file(module, package)}
    return modules


@cache
def _foreign(name: str, package: Path) -> set[str]:
    """Top-level modules that one module imports from outside the package and the standard library."""
    path = _file(name, package)
    if path is None:
        return set()
    modules: set[str] = set()
    for node in _read(path)[0]:
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif not node.level and node.module:
            modules.add(node.module.split(".")[0])
    return modules - sys.stdlib_module_names - {package.name}


@cache
def _distributions() -> dict[str, list[str]]:
    """Top-level module -> distributions that install it."""
    return dict(metadata.packages_distributions())


def _walk(node: ast.AST) -> Iterable[ast.AST]:
    """All nodes of a tree but those that only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _walk(child)


def _file(name: str, package: Path) -> Path | None:
    """The file of a dotted module name, None if there is no such module."""
    parts = name.split(".")
    if parts[0] != package.name:
        return None
    base = package.joinpath(*parts[1:])
    for path in (base / "__init__.py", base.with_suffix(".py") if parts[1:] else base / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _read(path: Path) -> tuple[list[ast.Import | ast.ImportFrom], str]:
    """The imports of a module, and the hash of its syntax tree."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    imports = [node for node in _walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return imports, hashlib.sha256(repr(_canonical(tree)).encode()).hexdigest()


def _data_hash(path: Path) -> str:
    """The hash of a YAML file's content, whatever its comments and layout."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return hashlib.sha256(repr(content).encode()).hexdigest()


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
