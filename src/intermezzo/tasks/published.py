"""Published results on tasks of the catalogue (`resources/published.yaml`), to set beside ours."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import yaml

from intermezzo.tasks import RESOURCES

FILE = RESOURCES / "published.yaml"


class PublishedScore(NamedTuple):
    """A score of a system on a task, in points: the mean over languages."""

    system: str
    source: str
    metric: str
    languages: tuple[str, ...]
    value: float


@cache
def published_scores() -> dict[str, tuple[PublishedScore, ...]]:
    """Task -> its published scores, in the order of the file."""
    scores: dict[str, list[PublishedScore]] = {}
    for entry in yaml.safe_load(FILE.read_text(encoding="utf-8")):
        benchmark = yaml.safe_load(
            (RESOURCES / "benchmarks" / f"{entry['benchmark']}.yaml").read_text(encoding="utf-8")
        )
        for task, values in entry["scores"].items():
            languages = tuple(benchmark["tasks"][task]["languages"])
            for metric, value in values.items():
                score = PublishedScore(entry["system"], entry["source"], metric, languages, float(value))
                scores.setdefault(task, []).append(score)
    return {task: tuple(of_task) for task, of_task in scores.items()}
