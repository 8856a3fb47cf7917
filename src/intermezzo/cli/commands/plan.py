"""The command `plan`: what an experiment costs before it runs, and which part of it a budget buys."""

from __future__ import annotations

import sys
from argparse import Namespace
from operator import contains

from intermezzo.cli.output import show
from intermezzo.core.errors import UserError


def plan(options: Namespace) -> None:
    """Print the price list of an experiment and how good the last one was; with a budget, the part to run instead."""
    from intermezzo.config import load
    from intermezzo.dag.preflight import missing_files, print_remarks
    from intermezzo.planning.estimate import make
    from intermezzo.planning.review import remember, review
    from intermezzo.planning.show import as_json, render, render_review

    if options.workers is not None and options.workers < 1:
        raise UserError(f"--workers: {options.workers}; at least 1")
    config = load(*options.overlays)
    if options.measure:
        from intermezzo.planning.measure import measure

        measure(config)
    made = make(config, workers=options.workers, device=options.device)
    last = review(made)
    show(options, [render(made), *([f"\n{render_review(last)}"] if last is not None else [])], as_json(made, last))
    remember(made)
    if options.budget is not None:
        _choose(made, options)
    print_remarks(config, missing_files(made.grid))


def _choose(made: object, options: Namespace) -> None:
    from intermezzo.planning.candidates import candidates_of, overlay
    from intermezzo.planning.choice import choose

    candidates = candidates_of(made, dict(map(_value, options.values)))
    choice = choose(candidates, options.budget * 3600)
    parts = (choice.encoders, choice.intermediates, choice.mixes)
    comparisons = sum(all(map(contains, parts, key)) for key in candidates.comparisons)
    print(
        f"\n{comparisons} of {len(candidates.comparisons)} comparisons for {choice.seconds / 3600:.3g} of "
        f"{options.budget:g} hours (value {choice.value:g}), each with its baseline and its English-only twin. "
        "This overlay runs them:"
    )
    left_out = [name for name in candidates.encoders if name not in choice.encoders]
    if left_out:
        print(f"encoders that are left out: {', '.join(left_out)}", file=sys.stderr)
    print(f"\n{overlay(choice)}", end="")


def _value(text: str) -> tuple[str, float]:
    name, _, value = text.rpartition("=")
    try:
        return name, float(value)
    except ValueError:
        raise UserError(f"--value: NAME=NUMBER is needed, found '{text}'") from None
