"""The Markdown tables of scores per language."""

import pandas as pd
import pytest

from intermezzo.analysis.per_language import tables
from intermezzo.core.errors import UserError


def row(target: str, language: str, seed: int, value: float, mix: str = "en", metric: str = "accuracy") -> dict:
    names = {"encoder": "e", "intermediate": "nli", "mix": mix, "seed": seed, "target": target, "language": language}
    return names | {"metric": metric, "value": value, "majority": 0.25}


def test_a_table_shows_mean_and_spread_with_controls_and_majority_below(tmp_path):
    rows = [row("nli", "en", 0, 0.7), row("nli", "en", 1, 0.8), row("nli", "xx", 0, 0.5)]
    rows += [row("nli", "en", 0, 0.1, metric="other"), row("nli_hypothesis", "en", 0, 0.3)]
    pd.DataFrame(rows[:3]).to_parquet(tmp_path / "one.parquet")
    pd.DataFrame(rows[3:]).to_parquet(tmp_path / "two.parquet")
    shown = tables(
        [tmp_path / "one.parquet", tmp_path / "two.parquet"],
        {"nli": "accuracy", "nli_hypothesis": "accuracy"},
        {"nli_hypothesis": "nli"},
        ["xx", "en"],
    )
    lines = shown.splitlines()
    assert lines[0] == "**nli** (accuracy, points)"
    assert lines[2] == "| encoder | intermediate | mix | xx | en |"
    assert lines[4] == "| e | nli | en | 50 | 75±7 |"
    assert lines[5] == "| e (nli_hypothesis) | nli | en |  | 30 |"
    assert lines[6] == "| majority |  |  | 25 | 25 |"


def test_missing_scores_say_how_to_make_them(tmp_path):
    with pytest.raises(UserError, match=r"no such file; run the workflow first"):
        tables([tmp_path / "scores.parquet"], {}, {})
