"""Title and caption of each figure: how to read it, and what it leaves out."""

from __future__ import annotations

MOST_LANGUAGES = 40
"""Rows of a panel."""
MOST_CURVES = 24
"""Trainings in a panel; where there are more, those of the first seed."""

_INTERVALS = (
    "Lines are 95 % intervals; an arrow says that one goes on beyond the scale. An interval that crosses zero can show "
    "neither that there is a difference nor that there is none."
)
TITLES = {
    "rare": "Rare languages against others",
    "heatmap": "Every intermediate on every target",
    "languages": "Language by language",
    "learning": "Learning curves",
    "allocation": "What the mixes were made of",
    "costs": "What it cost",
}
CAPTIONS = {
    "rare": (
        "Difference between a mix and English-only intermediate training in points of the target's main metric, paired "
        f"by seed and language, mean over intermediates. {_INTERVALS} They allow for other seeds and other languages, "
        "before any correction for their number. Rare: low-resource languages; seen: those that are in the mix."
    ),
    "heatmap": (
        "Difference from the same target without intermediate training, in points of its main metric: green is higher, "
        "purple lower, on one scale for all tables of an encoder, beyond whose ends the colour stays. Bold: the 95 % "
        "interval over seeds and languages leaves out zero, before any correction for the number of cells. The "
        "baseline's row holds its scores. The mean is over a row's targets; controls are in none."
    ),
    "languages": (
        "The difference between a mix and English-only intermediate training for every language: the mark is the mean "
        "over intermediates and seeds, thin strokes are single intermediates, on the right are the scores with "
        f"English-only and with the mix. {_INTERVALS} They are over seeds alone, so wide where there are few, and "
        f"absent where there is one. A panel has at most {MOST_LANGUAGES} languages, rare ones first; all are in the "
        "table."
    ),
    "learning": (
        "Training loss as it was logged, each value a mean over some steps. A line is one training, its colour the mix "
        f"and its style the intermediate that it started from; with more than {MOST_CURVES} in a panel, those of the "
        "first seed."
    ),
    "allocation": (
        "Training examples per task and language: grey is English, orange rare languages, blue others. A factor says "
        "how often rows are repeated. An intermediate of several tasks has the block of each."
    ),
    "costs": (
        "Time in the training loops, on whatever machine they ran; evaluation and the preparation of data are not in "
        "it. Examples are those of one pass, tokens as many as were trained on."
    ),
}
NO_DATA = {
    "rare": "No mix to set against an English-only one.",
    "heatmap": "Nothing to compare with a baseline.",
    "languages": "No mix to set against an English-only one.",
    "learning": "No training log (log.jsonl) with more than one line.",
    "allocation": "No allocation.tsv of an intermediate model.",
    "costs": "No training log (log.jsonl) beside the models.",
}
"""In place of a figure that has no data."""
