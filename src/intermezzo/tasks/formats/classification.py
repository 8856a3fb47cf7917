"""Classification of a text or a pair of texts: one of the task's labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from intermezzo.tasks.formats.base import TEXT, Format, Metric, Row


class Classification(Format):
    """`text_pair` is null for single texts. Without `premise`: the hypothesis, or one side of a paraphrase."""

    columns = {"id": TEXT, "text": TEXT, "text_pair": TEXT, "label": TEXT}
    label_column = "label"
    removable = ("premise",)
    scored_by_item = True
    metrics = (Metric("accuracy"), Metric("macro_f1"), Metric("micro_f1"), Metric("weighted_f1"))
    prompted = True

    def choices(self, row: Row, answers: Mapping[str, str]) -> list[str]:
        """The labels, as they are said."""
        return list(answers.values())

    def solution(self, row: Row, answers: Mapping[str, str]) -> str:
        """The row's label, as it is said."""
        return answers[row["label"]]

    def chosen(self, number: int, labels: Sequence[str]) -> str:
        """The label."""
        return labels[number]


FORMAT = Classification()
