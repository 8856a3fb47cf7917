"""Multi-label classification of a text or a pair of texts: any number of the task's labels, none included."""

from __future__ import annotations

from collections.abc import Iterator

from intermezzo.core.excerpt import excerpt
from intermezzo.tasks.formats.base import TEXT, TEXTS, Format, Labels, Metric, Row


class MultiLabel(Format):
    """`labels` are those that hold, in any order; `text_pair` is null for single texts."""

    columns = {"id": TEXT, "text": TEXT, "text_pair": TEXT, "labels": TEXTS}
    gold = label_column = "labels"
    removable = ("premise",)
    metrics = (Metric("micro_f1"), Metric("macro_f1"), Metric("weighted_f1"), Metric("accuracy"))

    def problems(self, row: Row, labels: Labels) -> Iterator[str]:
        """Labels of the task, each once."""
        yield from super().problems(row, labels)
        if len(set(row["labels"])) < len(row["labels"]):
            yield f"labels {excerpt(row['labels'])}: one is there more than once"


FORMAT = MultiLabel()
