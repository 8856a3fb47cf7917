"""Classification of a text or a pair of texts: one of the task's labels."""

from __future__ import annotations

from intermezzo.tasks.formats.base import TEXT, Format, Metric


class Classification(Format):
    """`text_pair` is null for single texts. Without `premise`: the hypothesis, or one side of a paraphrase."""

    columns = {"id": TEXT, "text": TEXT, "text_pair": TEXT, "label": TEXT}
    label_column = "label"
    removable = ("premise",)
    scored_by_item = True
    metrics = (Metric("accuracy"), Metric("macro_f1"), Metric("micro_f1"), Metric("weighted_f1"))


FORMAT = Classification()
