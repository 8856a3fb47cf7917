"""Title and caption of each figure: how to read it, and what it leaves out."""

from __future__ import annotations

MOST_LANGUAGES = 40
"""Rows of a panel."""
MOST_CURVES = 24
"""Trainings in a panel; where there are more, those of the first seed."""

_INTERVALS = (
    "Lines are 95 % intervals; an arrow marks an interval that extends beyond the scale. An interval that crosses zero "
    "shows neither a difference nor its absence."
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
        "by seed and language, mean over intermediates. Counted pairs: the pairs of intermediate and target that the "
        f"question counts (zero-shot transfer, by default). {_INTERVALS} The intervals generalise to new seeds and new "
        "languages and are not corrected for their number. Rare: low-resource languages; seen: languages in the mix."
    ),
    "heatmap": (
        "Difference from the same target without intermediate training, in points of its main metric: green is higher, "
        "purple lower. All tables of an encoder share one colour scale; values beyond its ends have the colour of the "
        "end. Bold: shown after correction for the number of cells, in languages of four families or more, as in "
        "summary.tsv. The baseline's row shows its scores. The mean is over a row's targets, without controls."
    ),
    "languages": (
        "Difference between a mix and English-only intermediate training for every language. The mark is the mean over "
        "intermediates and seeds; thin strokes are single intermediates; the numbers on the right are the scores with "
        f"English-only training and with the mix. {_INTERVALS} The intervals are over seeds only: they are wide with "
        f"few seeds and absent with one. A panel shows at most {MOST_LANGUAGES} languages, rare ones first; the table "
        "lists all."
    ),
    "learning": (
        "Logged training loss; each value is a mean over several steps. A line is one training; its colour is the mix, "
        "its line style the intermediate. A panel with more than "
        f"{MOST_CURVES} trainings shows those of the first seed."
    ),
    "allocation": (
        "Training examples per task and language: English is grey, rare languages are orange, all others blue. A "
        "factor is the number of repetitions of rows. An intermediate of several tasks has one block per task."
    ),
    "costs": (
        "Time in the training loops on the machines of the run, without evaluation and data preparation. Examples are "
        "counted for one pass, tokens over the whole training."
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
