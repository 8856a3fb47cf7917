"""Metrics per task format: one module per format, found by its name.

A format names its metrics and their ranges (`Format.metrics`); its module here computes all of them, by two functions:

    score(predictions, gold, task, language) -> {metric: value}
    majority(rows, task, language) -> {metric: value}    what a guess without a model gets on the same rows

(a module with `SELECTS = True` takes the names of metrics as a last argument, and computes no costly others)

and, where a benchmark's files are scored in another way, `official_scores(predictions, gold, seqeval=version)`.

Modules are imported by name, so that a job's code fingerprint (which follows static imports) holds the
metrics of its own format and not those of the others.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from intermezzo.core.errors import UserError, suggestion
from intermezzo.specs.tasks import TaskSpec
from intermezzo.tasks.formats import load_format


def score(
    task: TaskSpec, predictions: list[Any], gold: list[Any], language: str, metrics: Sequence[str] = ()
) -> dict[str, float]:
    """Score one language's predictions with the metrics of these names (none: all that the format has).

    Predictions and gold, one per row: label (classification), index of the choice (multiple_choice) or of the
    sentence (retrieval), list of tags (tagging), answer against the list of right answers (span), id of the English
    sentence or None (mining), ranked ids against the list of relevant ones (ranking).

    Raises UserError for an unknown format or metric, no rows, or predictions and gold of different lengths.
    """
    module = scorer(task.format)
    values = module.score(_same_length(predictions, gold), gold, task, language, *_selection(module, metrics))
    return _chosen(values, task, metrics)


def item_scores(
    task: TaskSpec, predictions: list[Any], gold: list[Any], language: str, metrics: Sequence[str] = ()
) -> list[float]:
    """The main metric of every row by itself, for the error that comes from test items.

    Their mean is the metric itself where that is a mean over rows, and near it where not (F1 over all spans).
    """
    main, of_format = (metrics or [load_format(task.format).metrics[0].name])[0], scorer(task.format)
    pairs, selection = zip(predictions, gold, strict=True), _selection(of_format, [main])
    scores = (of_format.score([ours], [theirs], task, language, *selection) for ours, theirs in pairs)
    return [float(values.get(main, 0.0)) for values in scores]


def majority(
    task: TaskSpec, rows: list[dict[str, Any]], language: str = "", metrics: Sequence[str] = ()
) -> dict[str, float]:
    """Score an uninformed guess on `rows` (rows of the format's Parquet schema): chance level, as a reader needs it.

    The language matters to MLQA's metrics alone.
    """
    if not rows:
        raise UserError("no rows to score")
    module = scorer(task.format)
    return _chosen(module.majority(rows, task, language, *_selection(module, metrics)), task, metrics)


def scorer(fmt: str) -> ModuleType:
    """The module that scores a format; raises UserError for an unknown format, and for one without metrics."""
    if not load_format(fmt).metrics:
        raise UserError(f"no metrics for task format '{fmt}'")
    return importlib.import_module(f"{__name__}.{fmt}")


def _same_length(predictions: list[Any], gold: list[Any]) -> list[Any]:
    if not gold or len(predictions) != len(gold):
        raise UserError(
            f"{len(predictions)} predictions for {len(gold)} rows; one per row, and at least one, is needed"
        )
    return predictions


def _selection(module: ModuleType, names: Sequence[str]) -> list[Sequence[str]]:
    return [names] if getattr(module, "SELECTS", False) else []


def _chosen(values: dict[str, float], task: TaskSpec, metrics: Sequence[str]) -> dict[str, float]:
    names = metrics or list(values)
    for name in names:
        if name not in values:
            raise UserError(f"task '{task.name}' ({task.format}): metric '{name}'; {suggestion(name, values)}")
    return {name: values[name] for name in names}
