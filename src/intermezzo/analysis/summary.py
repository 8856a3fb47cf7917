"""The summary table: per encoder, intermediate, mix, target, language group and metric, one line.

| column | meaning (values in points, 0..100) |
|---|---|
| mean, sd | over seeds, of the mean over the group's languages; sd is the sample standard deviation |
| majority | what an uninformed guess gets, mean over the languages |
| delta_baseline | mean difference from no intermediate training, paired by seed and language |
| delta_english | mean difference from the same intermediate in the English-only mix, paired likewise |
| ci_of, ci_low, ci_high | 95 % interval of the difference that ci_of names: delta_english if any, else delta_baseline |
| p | of no difference, two-sided, from the same model as the interval: below 0.05 where that leaves out zero |
| p_holm | p after Holm's correction: over all pairs (`Families.single`, `from_baseline`), or, where the same comparison
is in another family of the answer, the value there |
| seen_in | for rare_seen and rare_unseen: the mix (or intermediate/mix) whose languages split the group, see `design` |
| n_languages, n_seeds | how many of each stand behind the line |

An empty field means that there is no such value: no reference on the grid, one seed alone, and for p_holm a line that
belongs to no family (a control, a further metric).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from intermezzo.analysis.design import BASELINE, Design, Group
from intermezzo.analysis.effects import statistics
from intermezzo.analysis.families import Families
from intermezzo.analysis.pairing import Comparisons
from intermezzo.core.artifacts import write_text

COLUMNS = (
    *("encoder", "intermediate", "mix", "target", "language_group", "seen_in", "metric", "n_languages", "n_seeds"),
    *("mean", "sd", "majority", "delta_baseline", "delta_english", "ci_of", "ci_low", "ci_high"),
    *("p", "p_holm"),
)


def table(families: Families) -> pd.DataFrame:
    """Every line of the summary, in the order: encoder, target, metric, intermediate, mix, language group."""
    averaged = families.design
    lines = list(_lines(families.comparisons, families.comparisons.design))
    _ = families.single, families.from_baseline  # corrected first
    for ci_of in ("delta_english", "delta_baseline"):
        family = [
            line
            for line in lines
            if line["ci_of"] == ci_of
            and line["encoder"] in averaged.encoders
            and line["intermediate"] in averaged.intermediates
            and line["target"] in averaged.targets
            and line["metric"] == averaged.targets[str(line["target"])].metrics[0]
        ]
        for line, p_holm in zip(family, families.corrected(family), strict=True):
            line["p_holm"] = p_holm
    return pd.DataFrame(lines, columns=COLUMNS)


def write(frame: pd.DataFrame, path: str | Path) -> None:
    """Write tab-separated text with two decimals, for p three significant digits."""
    lines = ["\t".join(COLUMNS)]
    lines += ["\t".join(map(_text, COLUMNS, row)) for row in frame.itertuples(index=False)]
    write_text(path, "\n".join(lines) + "\n")


def _lines(comparisons: Comparisons, design: Design) -> Iterator[dict[str, object]]:
    for encoder in design.encoders:
        for target, entry in design.targets.items():
            for metric in entry.metrics:
                for intermediate, mix in design.trained(encoder, target):
                    for group in design.groups(intermediate, mix, target):
                        yield _line(comparisons, (encoder, intermediate, mix, target, metric), group)
    for model, prompted in design.prompted.items():
        for target in prompted.targets:
            for metric in design.targets[target].metrics:
                for group in design.groups_of_prompted(model, target):
                    yield _line(comparisons, (model, BASELINE, BASELINE, target, metric), group)


def _line(comparisons: Comparisons, key: tuple[str, str, str, str, str], group: Group) -> dict[str, object]:
    names = dict(zip(("encoder", "intermediate", "mix", "target", "metric"), key, strict=True))
    return names | _numbers(comparisons, key, group)


def _numbers(comparisons: Comparisons, key: tuple[str, str, str, str, str], group: Group) -> dict[str, object]:
    languages = list(group.languages)
    means = comparisons.values(key)[languages].mean(axis=1)
    line: dict[str, object] = {
        "language_group": group.name,
        "seen_in": group.seen_in,
        "n_languages": len(languages),
        "n_seeds": len(means),
        "mean": means.mean(),
        "sd": means.std(ddof=1),
        "majority": comparisons.majority(key)[languages].mean(),
        "delta_baseline": math.nan,
        "delta_english": math.nan,
        "ci_of": "",
        "ci_low": math.nan,
        "ci_high": math.nan,
        "p": math.nan,
        "p_holm": math.nan,
    }
    deltas = {"delta_baseline": comparisons.delta_baseline(key), "delta_english": comparisons.delta_english(key)}
    for name, delta in deltas.items():  # the English one comes last and so has the interval
        if delta is not None:
            of_group = delta[languages]
            result = statistics(of_group, comparisons.design)
            line |= {name: result["mean"], "ci_of": name, "ci_low": result["low"], "ci_high": result["high"]}
            line |= {"p": result["p"], "delta": of_group}
    return line


def _text(column: str, value: object) -> str:
    if isinstance(value, float):
        if column.startswith("p"):
            return "" if math.isnan(value) else f"{value:.3g}"
        return "" if math.isnan(value) else f"{value:.2f}".replace("-0.00", "0.00")
    return str(value)
