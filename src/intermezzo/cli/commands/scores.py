"""Commands on XTREME's submission layout: score it, and write it from our predictions."""

from __future__ import annotations

import sys
from argparse import Namespace

from intermezzo.core.errors import UserError


def score(options: Namespace) -> None:
    """Score predictions as the benchmark's own evaluator does, write the JSON and print the tables."""
    from intermezzo.core.artifacts import write_json
    from intermezzo.evaluation.benchmark import render, score_benchmark

    result = score_benchmark(options.benchmark, options.predictions, options.labels, seqeval=options.seqeval)
    write_json(options.output, result)
    print(render(result))


def submission(options: Namespace) -> None:
    """Write the predictions of one run, and its gold labels if they are asked for."""
    from intermezzo.evaluation.submission import write_labels, write_submission

    targets = dict(_pair(text) for text in options.targets) or None
    notes = write_submission(options.benchmark, options.results, options.chosen, options.predictions, targets=targets)
    if options.labels:
        write_labels(options.benchmark, options.results, options.chosen, options.labels, targets=targets)
    for note in notes:
        print(note, file=sys.stderr)


def _pair(text: str) -> tuple[str, str]:
    task, _, target = text.partition("=")
    if not task or not target:
        raise UserError(f"--target: TASK=TARGET is needed, found '{text}'")
    return task, target
