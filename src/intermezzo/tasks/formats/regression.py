"""Regression: a number for a text or a pair of texts, such as how alike two sentences are (STS, SICK)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from intermezzo.tasks.formats.base import NUMBER, TEXT, Format, Labels, Metric, Row


class Regression(Format):
    """`label` is the number, on whatever scale the data has; `text_pair` is null for single texts."""

    columns = {"id": TEXT, "text": TEXT, "text_pair": TEXT, "label": NUMBER}
    removable = ("premise",)
    metrics = (Metric("pearson", low=-1.0), Metric("spearman", low=-1.0))

    def problems(self, row: Row, labels: Labels) -> Iterator[str]:
        """A finite number."""
        yield from super().problems(row, labels)
        if not math.isfinite(row["label"]):
            yield f"label {row['label']}; a finite number is needed"


FORMAT = Regression()
