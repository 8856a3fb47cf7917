"""intermezzo: intermediate-task training on language mixes, and what it does for rare languages.

import intermezzo

run = intermezzo.results("results")     # frames of a finished run: run.scores, run.summary, run.verdicts, ...
"""

from typing import Any

__version__ = "0.2.0"


def results(folder: str = "results", design: str | None = None) -> Any:
    """The frames of a finished run (`intermezzo.report.notebook.Results`).

    The module is imported by name: every job imports this package, and none depends on the report.
    """
    from importlib import import_module

    return import_module("intermezzo.report.notebook").Results(folder, design)
