"""A fingerprint of the code that a job runs: jobs rerun when it changes, and only then.

Snakemake does not see edits of imported modules. So each job carries, as a tracked parameter, a hash of the syntax
trees of the modules that its stage can reach by static imports inside this package. Comments, docstrings and layout
are no part of a syntax tree (docstrings are taken out), so editing them reruns nothing. Modules that are imported by
name at run time (task formats, metrics, sources) are invisible to this and are passed as further roots by the caller.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

import yaml

from intermezzo.core.artifacts import canonical
from intermezzo.tasks.formats.base import Format

PACKAGE = Path(__file__).resolve().parents[1]
_EXEMPT = frozenset({"intermezzo.core.errors", "intermezzo.core.logs", "intermezzo.tasks.submission_files"})
"""Modules that cannot change a result: they only word what is said when there is none, or write submissions."""
MADE_OF: dict[str, dict[str, str]] = {}
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
    found = hashlib.sha256(canonical(parts).encode()).hexdigest()[:16]
    MADE_OF[found] = dict(parts)
    return found


def libraries(roots: Iterable[str], package: Path = PACKAGE) -> dict[str, str]:
    """Distribution -> version of what the import closure of `roots` imports from outside (standard library aside)."""
    carried = _distributions()
    names = {name for module in closure(roots, package) for name in _foreign(module, package)}
    found = sorted({distribution for name in names for distribution in carried.get(name, ())})
    return {distribution: metadata.version(distribution) for distribution in found}


def closure(roots: Iterable[str], package: Path = PACKAGE) -> set[str]:
    """Names of all modules of the package that `roots` import, directly or not; `roots` and parents included."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found or name in _EXEMPT:
            continue
        found.add(name)
        if "." in name:
            waiting.append(name.rpartition(".")[0])  # importing a.b.c runs a and a.b first
        waiting += _imports(name, package) - found
    return found


@cache
def _imports(name: str, package: Path) -> set[str]:
    """Modules of the package that one module imports, also inside functions, but not for type checking alone."""
    path = _file(name, package)
    if path is None:
        return set()
    is_package = path.name == "__init__.py"
    top, found = package.name, set()
    for node in _read(path)[0]:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == top}
        else:
            base = node.module or ""
            if node.level:
                parts = name.split(".")
                parts = parts[: len(parts) - node.level + is_package]
                base = ".".join([*parts, base] if base else parts)
            if base.split(".")[0] == top:
                submodules = {f"{base}.{alias.name}" for alias in node.names}
                found |= {base} | {module for module in submodules if _file(module, package)}
    return found


@cache
def _foreign(name: str, package: Path) -> set[str]:
    """Top-level modules that one module imports from outside the package and the standard library."""
    path = _file(name, package)
    if path is None:
        return set()
    found: set[str] = set()
    for node in _read(path)[0]:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif not node.level and node.module:
            found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {package.name}


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


def _walk(node: ast.AST) -> Iterable[ast.AST]:
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
    dumped = ast.dump(_WithoutWords().visit(tree), annotate_fields=False)
    return imports, hashlib.sha256(dumped.encode()).hexdigest()


def _data_hash(path: Path) -> str:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return hashlib.sha256(repr(content).encode()).hexdigest()


class _WithoutWords(ast.NodeTransformer):
    """Takes out what cannot change a result: docstrings, the version number, and `Format.OUTSIDE_JOBS`."""

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
        if Format.__name__ in {node.name, *bases}:
            node.body = [member for member in node.body if not _names(member) & Format.OUTSIDE_JOBS] or [ast.Pass()]
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return ast.Pass() if is_text else self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        return ast.Pass() if _names(node) == {"__version__"} else self.generic_visit(node)


def _names(node: ast.stmt) -> set[str]:
    """The names that a definition or an assignment binds."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}
