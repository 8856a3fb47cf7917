"""The processor of this machine: its kind, and whether it has units for products in bfloat16."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path
from typing import NamedTuple

_UNITS = ("amx_bf16", "avx512_bf16", "bf16")
"""Flags of units for bfloat16, the fastest first: Intel's matrix units, vector units of Intel and AMD, those of ARM."""
_WIDTHS = ("avx512f", "avx2", "sve", "asimd")
"""Flags of vector units, the widest first."""


class Processor(NamedTuple):
    """A kind of processor: on one kind, the same computation in the same precision gives the same bytes.

    name: as the machine says it. bfloat16: the flag of the units for products in bfloat16; "" = it has none. vectors:
    the flag of the widest vector units.
    """

    name: str
    bfloat16: str = ""
    vectors: str = ""

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.name, self.vectors, self.bfloat16)))


@cache
def this() -> Processor:
    """The processor of this machine, from /proc/cpuinfo; elsewhere what Python knows of it, without units."""
    try:
        return parse(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return parse("")


def has_gpu() -> bool:
    """Whether this machine has a GPU that PyTorch may compute on, by its device files."""
    return any(Path(file).exists() for file in ("/dev/nvidiactl", "/dev/kfd"))


def parse(cpuinfo: str) -> Processor:
    """The processor that the text of /proc/cpuinfo describes; of several the first."""
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    flags = set(f"{fields.get('flags', '')} {fields.get('Features', '')}".split())
    name = fields.get("model name") or platform.processor() or platform.machine()
    first = [next((flag for flag in group if flag in flags), "") for group in (_UNITS, _WIDTHS)]
    return Processor(name, *first)
