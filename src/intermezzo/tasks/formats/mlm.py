"""Text for masked language modelling: what encoders are pretrained on, and an intermediate task without labels."""

from __future__ import annotations

from intermezzo.tasks.formats.base import TEXT, Format, Lengths


class MaskedText(Format):
    """`text_pair` is a second segment, null where there is one alone."""

    columns = {"id": TEXT, "text": TEXT, "text_pair": TEXT}
    skill = "text"
    gold = None
    trained = False
    masked = True
    lengths = Lengths(40, 0, 1, 10000)


FORMAT = MaskedText()
