"""Methods that are asked the same thing for thousands of jobs, and work it out once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

Method = TypeVar("Method", bound=Callable[..., Any])


def memoize(method: Method) -> Method:
    """Keep, in the object, what a method returned for the same arguments (names, or tuples of them)."""
    attribute = f"_memoized_{method.__name__}"

    @wraps(method)
    def memoized(self: Any, *arguments: Any) -> Any:
        cache = self.__dict__.setdefault(attribute, {})
        if arguments not in cache:
            cache[arguments] = method(self, *arguments)
        return cache[arguments]

    return cast(Method, memoized)


def memoize_by(*keys: str) -> Callable[[Method], Method]:
    """The same for a method of a job's wildcards: `keys` are those that its result depends on."""

    def decorate(method: Method) -> Method:
        attribute = f"_memoized_{method.__name__}"

        @wraps(method)
        def memoized(self: Any, wildcards: Any) -> Any:
            cache = self.__dict__.setdefault(attribute, {})
            key = tuple(getattr(wildcards, name) for name in keys)
            if key not in cache:
                cache[key] = method(self, wildcards)
            return cache[key]

        return cast(Method, memoized)

    return decorate
