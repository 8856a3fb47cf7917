"""Environment variables that libraries read when they are imported; so they are set before that."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TQDM_DISABLE": "1",  # libraries' progress bars garble logs; stages print lines of their own
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",  # jobs run side by side, each with its own threads
}
"""Of libraries that talk too much. The command line and the fork server set them; an import of intermezzo does not."""
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


_BY_USER = "INTERMEZZO_OFFLINE"
"""Whether the user wants no network at all: said by HF_HUB_OFFLINE before any of our processes set it."""


def settle(threads: int, *, online: bool = False) -> None:
    """Pin the number of threads and keep libraries off the network.

    `online` lets them, for data and models on the hub, unless the user has set HF_HUB_OFFLINE.
    """
    os.environ.setdefault(_BY_USER, os.environ.get("HF_HUB_OFFLINE", "0"))
    os.environ.update(QUIET | dict.fromkeys(_THREADS, str(threads)))
    if online and os.environ[_BY_USER].lower() in ("0", "", "false", "no", "off"):
        for name in _OFFLINE:
            os.environ.pop(name, None)
    else:
        os.environ.update(_OFFLINE)


@contextmanager
def bulk_import() -> Iterator[None]:
    """Import many modules within it without garbage collection, which is enabled afterwards if it was before.

    Importing torch and transformers allocates a million objects that all stay: collecting in between takes a tenth of
    the time, and looking at them again in every later collection is waste, too. For programs, not for libraries.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
