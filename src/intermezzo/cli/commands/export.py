"""The command that hands on a model."""

from __future__ import annotations

from argparse import Namespace


def export(options: Namespace) -> None:
    """Write a model folder with its card."""
    from intermezzo.report.export import export

    export(options.model, options.folder)
