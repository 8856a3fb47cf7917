"""Do models trained in bfloat16 score as those trained in float32?

    python benchmarks/precision.py RESULTS_FLOAT32 RESULTS_BFLOAT16 [--json FILE]

Reads the scores of two finished runs of one configuration that differ in `precision` only. A unit is one trained model:
the mean of its scores over languages. Per target: the mean in float32, the mean difference between the precisions of
the same model (same seed) with its 95 % interval (t, over models), the typical (root mean square) difference between
the precisions, and that between two seeds of one model in float32. Points are percent of the main metric. Rounding
makes another model, as another seed does: the precisions are equal in quality if the interval holds 0 and the third
number is not above the fourth.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

MODEL = ["encoder", "intermediate", "mix", "seed", "target"]
OTHER_SEEDS = ["encoder", "intermediate", "mix", "target"]


def models(results: Path) -> pd.Series:
    """Mean score (percent) of each trained model over its languages, by MODEL."""
    scores = pd.read_parquet(results / "scores.parquet")
    main = scores.drop_duplicates([*MODEL, "language"])  # the first metric of a target is its main one
    return main.groupby(MODEL)["value"].mean() * 100


def between_seeds(values: pd.Series) -> pd.Series:
    """Differences between two seeds of one model, for all pairs of seeds."""
    differences = [a - b for _, group in values.groupby(OTHER_SEEDS) for a, b in itertools.combinations(group, 2)]
    return pd.Series(differences)


def row(reference: pd.Series, other: pd.Series) -> dict[str, Any]:
    """One line of the table for the models of one target (or of all)."""
    differences = (other - reference).dropna()
    interval = stats.t.interval(0.95, len(differences) - 1, differences.mean(), differences.sem())
    return {
        "models": len(differences),
        "float32": round(reference.mean(), 1),
        "difference": round(differences.mean(), 2),
        "low": round(interval[0], 2),
        "high": round(interval[1], 2),
        "between precisions": round(float(np.sqrt((differences**2).mean())), 2),
        "between seeds": round(float(np.sqrt((between_seeds(reference) ** 2).mean())), 2),
    }


def main() -> None:
    """Print the table, and write it as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("float32", type=Path, help="results folder of the run in float32")
    parser.add_argument("bfloat16", type=Path, help="results folder of the run in bfloat16")
    parser.add_argument("--json", type=Path, help="write the table here")
    arguments = parser.parse_args()
    reference, other = models(arguments.float32), models(arguments.bfloat16)
    table = pd.DataFrame(
        {name: row(group, other.reindex(group.index)) for name, group in reference.groupby("target")}
        | {"all": row(reference, other.reindex(reference.index))}
    ).T
    print(table.to_string())
    if arguments.json:
        arguments.json.write_text(json.dumps(table.to_dict("index"), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
