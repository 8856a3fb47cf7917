"""The gains of languages, what goes with them, and encoders as repetitions, as Markdown."""

from __future__ import annotations

from intermezzo.analysis import gains
from intermezzo.analysis.effects import GROUPS
from intermezzo.analysis.families import Families
from intermezzo.analysis.verdict import LANGUAGES, difference
from intermezzo.core.markdown import long_table, table


def blocks(families: Families) -> list[str]:
    """Markdown paragraphs; none where nothing is compared."""
    return [*_languages(families), *_regressions(families), *_encoders(families)]


def _languages(families: Families) -> list[str]:
    design, frame = families.design, gains.by_language(families)
    if frame.empty:
        return []
    family = dict(zip(frame["language"], design.families(frame["language"]), strict=True))
    rows = [
        [
            f"`{line['mix']}`, `{line['encoder']}`",
            line["language"],
            family[line["language"]],
            GROUPS[line["group"]],
            f"{line['before']:.1f} → {line['after']:.1f}",
            difference(line),
            str(line["n_pairs"]),
        ]
        for line in frame.to_dict("records")
    ]
    return [
        "Mean over the pairs that the question counts, reference and mix, and their difference. An interval is over "
        "seeds (and test items, where there are scores for each), so it speaks of this language alone; one language "
        "never gets a star.",
        long_table("Languages", ["mix, encoder", "language", "family", "group", "scores", "difference", "pairs"], rows),
    ]


def _regressions(families: Families) -> list[str]:
    frame = gains.regressions(families)
    if frame.empty:
        return []
    rows = []
    for (encoder, mix, predictor), part in frame.groupby(["encoder", "mix", "predictor"], sort=False):
        cells = {
            line["fit"]: f"{difference({**line, 'mean': line['slope']})} ({line['n_languages']} languages)"
            for line in part.to_dict("records")
        }
        name = gains.PREDICTORS[predictor]
        rows.append([f"`{mix}`, `{encoder}`", name, cells.get("alone", ""), cells.get("together", "")])
    return [
        "### What goes with a gain",
        "In points: slopes of least squares, each predictor by itself and, with "
        f"{gains.FEWEST} languages or more for each, all together. A description without correction: what goes "
        "together need not be the cause.",
        long_table("What goes with a gain", ["mix, encoder", "predictor", "by itself", "together"], rows),
    ]


def _encoders(families: Families) -> list[str]:
    frame = gains.over_encoders(families)
    if frame.empty:
        return []
    rows = [
        [
            f"`{line['mix']}`",
            LANGUAGES[line["group"]],
            difference(line),
            f"{line['above']} of {line['encoders']}",
        ]
        for line in frame.to_dict("records")
    ]
    return [
        "### Encoders",
        "Encoders as repetitions: the mean of the encoders' differences, with an interval over encoders (their seeds "
        "and languages taken as given), and how many are above zero. Encoders that were pretrained on the same text "
        "are alike, so the interval can be too short.",
        table(["mix", "languages", "difference", "encoders above zero"], rows),
    ]
