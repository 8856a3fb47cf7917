"""Two JSON values compared: which keys differ, and the difference in words."""

from __future__ import annotations

from typing import Any

MISSING = object()
"""Of a key that only one of the two has."""

Change = tuple[str, Any, Any]
"""Key path, value before, value now."""


def differences(before: Any, now: Any, path: str = "") -> list[Change]:
    """Where two JSON values differ. Dictionaries are compared by key, lists of named things by name."""
    before, now = _by_name(before), _by_name(now)
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [*now, *(key for key in before if key not in now)]
        parts = [
            differences(before.get(key, MISSING), now.get(key, MISSING), f"{path}.{key}".strip(".")) for key in keys
        ]
        return [change for part in parts for change in part]
    return [] if before == now else [(path, before, now)]


def _by_name(value: Any) -> Any:
    named = isinstance(value, list) and value and all(isinstance(entry, dict) and "name" in entry for entry in value)
    return {entry["name"]: entry for entry in value} if named else value


def sentence(before: Any, now: Any) -> str:
    """What has become of a value."""
    if before is MISSING:
        return f"is new ({short(now)})"
    if now is MISSING:
        return f"is gone (was {short(before)})"
    if _names(before) and _names(now):
        gained, lost = [name for name in now if name not in before], [name for name in before if name not in now]
        words = [f"{word} {short(names)}" for word, names in (("gained", gained), ("lost", lost)) if names]
        return f"has {' and '.join(words)}" if words else f"has another order: {short(now)}"
    return f"is {short(now)}, was {short(before)}"


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def short(value: Any) -> str:
    """A value in at most 80 characters."""
    text = (
        ", ".join(value) if _names(value) and value else str(value).lower() if isinstance(value, bool) else str(value)
    )
    return text if len(text) <= 80 else f"{text[:77]}..."
