"""Methods that are asked the same thing for thousands of jobs, and work it out once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any


def remembered(method: Callable[..., Any]) -> Callable[..., Any]:
    """Keep, in the object, what a method returned for the same arguments (names, or tuples of them)."""
    home = f"_remembered_{method.__name__}"

    @wraps(method)
    def ask(self: Any, *arguments: Any) -> Any:
        known = self.__dict__.setdefault(home, {})
        if arguments not in known:
            known[arguments] = method(self, *arguments)
        return known[arguments]

    return ask


def remembered_by(*keys: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The same for a method of a job's wildcards: `keys` are those that its result depends on."""

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        home = f"_remembered_{method.__name__}"

        @wraps(method)
        def ask(self: Any, wildcards: Any) -> Any:
            known = self.__dict__.setdefault(home, {})
            key = tuple(getattr(wildcards, name) for name in keys)
            if key not in known:
                known[key] = method(self, wildcards)
            return known[key]

        return ask

    return decorate
