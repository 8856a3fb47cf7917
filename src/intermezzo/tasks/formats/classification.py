"""Classification of a text or a pair of texts: one of the task's labels."""

from __future__ import annotations

from intermezzo.tasks.formats.base import TEXT, Format, Metric, Row


class Classification(Format):
    """`text_pair` is null for single texts. The premise of a pair is its first text."""

    columns = {"id": TEXT, "text": TEXT, "text_pair": TEXT, "label": TEXT}
    label_column = "label"
    removable = ("premise",)
    metrics = (Metric("accuracy"),)

    def without(self, row: Row, field: str) -> Row:
        """The second text alone: the hypothesis of inference, one side of a paraphrase."""
        return row | {"text": row["text_pair"], "text_pair": None}


FORMAT = Classification()
