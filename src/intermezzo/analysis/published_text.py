"""Published scores beside ours, as Markdown."""

from __future__ import annotations

import numpy as np

from intermezzo.analysis.design import BASELINE
from intermezzo.analysis.families import Families
from intermezzo.core.markdown import long_table
from intermezzo.core.numerals import count


def blocks(families: Families) -> list[str]:
    """Markdown paragraphs; none where no target has all languages of a published score."""
    comparisons, rows = families.comparisons, []
    design = families.design
    for target, scores in design.published.items():
        if target not in design.targets:
            continue
        for metric in dict.fromkeys(score.metric for score in scores):
            of_metric = [score for score in scores if score.metric == metric]
            languages = list(of_metric[0].languages)
            where = [target, metric, count(len(languages), "language")]
            for encoder in design.encoders:
                means = {
                    (intermediate, mix): comparisons.values((encoder, intermediate, mix, target, metric))[languages]
                    for intermediate, mix in design.trained(encoder, target)
                }
                baselines = [matrix for (name, _), matrix in means.items() if name == BASELINE]
                trained = [float(np.mean(matrix)) for (name, _), matrix in means.items() if name != BASELINE]
                for matrix in baselines:
                    rows.append([*where, f"ours: `{encoder}`, no intermediate training", f"{np.mean(matrix):.1f}", ""])
                if trained:
                    ends = f"{min(trained):.1f} to {max(trained):.1f}"
                    rows.append([*where, f"ours: `{encoder}`, intermediates and mixes, lowest to highest", ends, ""])
            rows += [[*where, score.system, f"{score.value:.1f}", score.source] for score in of_metric]
    if not rows:
        return []
    return [
        "## Published numbers",
        "Means over the same languages, English among them, zero-shot from English, in points. Systems differ in more "
        "than the method: encoders, checkpoints that were chosen on development data, settings.",
        long_table("Published numbers", ["target", "metric", "over", "system", "score", "source"], rows),
    ]
