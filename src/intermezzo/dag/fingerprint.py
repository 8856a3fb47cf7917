"""A fingerprint of the code that a job runs: jobs rerun when it changes, and only then.

Snakemake does not see edits of imported modules. So each job carries, as a tracked parameter, a hash of the syntax
trees of the modules that its stage can reach by static imports inside this package. Comments, docstrings and layout
are no part of it, so editing them reruns nothing, and it is the same for every version of Python. Modules that are
imported by name at run time (task formats, metrics, sources) are invisible to this and are passed as further roots by
the caller.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

import yaml

from intermezzo.core.artifacts import canonical
from intermezzo.core.yaml_files import LOADER
from intermezzo.dag import syntax

PACKAGE = Path(__file__).resolve().parents[1]
_EXEMPT = frozenset(
    {
        "intermezzo.core.errors",
        "intermezzo.core.logs",
        "intermezzo.core.validation",
        "intermezzo.execution.trackers",
        "intermezzo.tasks.submission_files",
    }
)
"""Modules that cannot change a result: they word what is said without one, write submissions, or tell trackers."""
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
    parts = [(name, syntax.read(path).code if path else "no module") for name, path in files.items()]
    parts += [(f"resource {path.name}", _data_hash(path)) for path in sorted(resources)]
    parts += [(f"library {name}", version) for name, version in libraries(roots, package).items()] if versions else []
    stamp = hashlib.sha256(canonical(parts).encode()).hexdigest()[:16]
    COMPONENTS[stamp] = dict(parts)
    syntax.remember()
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
    for base, names, level in syntax.read(path).imports:
        if level:
            parts = name.split(".")
            parts = parts[: len(parts) - level + is_package]
            base = ".".join([*parts, base] if base else parts)
        if base.split(".")[0] == top:
            submodules = {f"{base}.{imported}" for imported in names}
            modules |= {base} | {module for module in submodules if _file(module, package)}
    return modules


@cache
def _foreign(name: str, package: Path) -> set[str]:
    """Top-level modules that one module imports from outside the package and the standard library."""
    path = _file(name, package)
    if path is None:
        return set()
    modules = {base.split(".")[0] for base, _, level in syntax.read(path).imports if base and not level}
    return modules - sys.stdlib_module_names - {package.name}


@cache
def _distributions() -> dict[str, list[str]]:
    """Top-level module -> distributions that install it."""
    return dict(metadata.packages_distributions())


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


def _data_hash(path: Path) -> str:
    """The hash of a YAML file's content, whatever its comments and layout."""
    content = yaml.load(path.read_text(encoding="utf-8"), LOADER)
    return hashlib.sha256(repr(content).encode()).hexdigest()
