"""Independent random streams: each is named, so that no result depends on the order of calls."""

from __future__ import annotations

import random
import zlib


def stream(*names: object) -> random.Random:
    """A generator that depends on `names` alone (seed, generator, language, split, ...)."""
    return random.Random(zlib.crc32("\x1f".join(map(str, names)).encode()))


def share(*names: object) -> float:
    """A fixed pseudo-random number in [0, 1) for `names`."""
    return zlib.crc32("\x1f".join(map(str, names)).encode()) / 2**32


PARTS = {"train": (0.0, 0.7), "dev": (0.7, 0.85), "test": (0.85, 1.0)}
"""Share of all facts, and of all names, that each split owns: an interval of [0, 1)."""


def owner(*names: object) -> str:
    """The split that owns a fact."""
    position = share(*names)
    return next(split for split, (low, high) in PARTS.items() if low <= position < high)
