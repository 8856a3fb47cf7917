"""Commands on scores: XTREME's submission layout, and the answer for scores of another program."""

from __future__ import annotations

import json
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


def analyse(options: Namespace) -> None:
    """Answer and report for scores that another program may have made."""
    from intermezzo.analysis.design import Design
    from intermezzo.analysis.run import analyse
    from intermezzo.report import build

    try:
        text = options.design.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{options.design}: cannot read the design ({error})") from None
    try:
        content = json.loads(text)
        whole = isinstance(content, dict) and "targets" not in content and isinstance(content.get("spec"), dict)
        design = Design.read(content["spec"] if whole else text)  # summary.json of a run has it as `spec`
    except ValueError as error:
        raise UserError(f"{options.design}: not JSON ({error})") from None
    except UserError as error:
        raise UserError(f"{options.design}: {error}") from None
    tasks = {task for entry in design.intermediates.values() for task in entry.tasks}
    tasks |= {task for entry in design.targets.values() for task in (entry.task, *entry.trained_on)}
    if lacking := sorted(tasks - design.skills.keys()):
        raise UserError(
            f"{options.design}: skills: no skill of {', '.join(lacking)}; say what each task asks for (nli, qa, ...): "
            "zero-shot means that the intermediate had no rows of the target's skill in the language"
        )
    out = options.out
    analyse(options.scores, design, out)
    build(design, out / "scores.parquet", out, out / "report.html", out / "figures", out / "tables")
    print(f"{out}/answer.md and {out}/report.html")
