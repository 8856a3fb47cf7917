"""Every sentence of an answer against its numbers: parsed, and recomputed from scores.parquet without our frames."""

from __future__ import annotations

import json
import re
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from intermezzo.analysis import run
from test_answer import LANGUAGES, SEEN, UNSEEN, design, scores, supervised

MAIN = {"xnli": "accuracy", "xquad": "squad_f1", "pairs": "accuracy"}
GROUPS = {
    "rare languages": [*UNSEEN, *SEEN],
    "rare languages in the mix": SEEN,
    "rare languages outside the mix": UNSEEN,
}
NUMBER = r"([-+]?[\d.]+)"
INTERVAL = rf"\[{NUMBER}, {NUMBER}\]"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The answer of scores with a small gain in the languages of the mix and a large one by supervision, and them.

    Some results are guesses: `ud` on xquad.
    """
    folder, plan = tmp_path_factory.mktemp("answer"), design()

    def gain(cell):
        if (cell.target, cell.language) == ("xquad", "ud"):
            return -20.0
        return 25.0 * supervised(cell) or 4.0 * (cell.mix == "mix" and cell.language in SEEN)

    scores(plan, gain, noise=0.8).to_csv(folder / "table.csv", index=False)
    (folder / "design.json").write_text(plan.canonical())
    run.analyse(folder / "table.csv", plan, folder)
    return (folder / "answer.md").read_text(), pd.read_parquet(folder / "scores.parquet")


def zero_shot(intermediate: str, target: str, language: str) -> bool:
    """By hand: MNLI trains XNLI, and SQuAD XQuAD; both had the languages of the mix. Retrieval is not transfer."""
    return target != "pairs" and not (language in SEEN and (intermediate, target) in SAME)


SAME = {("mnli", "xnli"), ("squad", "xquad")}


def differences(frame: pd.DataFrame, languages: list[str], counts=zero_shot) -> tuple[np.ndarray, np.ndarray]:
    """Seeds x languages: the mean over pairs that count; and all single differences, in points."""
    values = frame[frame["metric"] == frame["target"].map(MAIN)].set_index(
        ["intermediate", "mix", "seed", "target", "language"]
    )["value"]
    matrix, singles = np.empty((3, len(languages))), []
    for (row, seed), (column, code) in product(enumerate(range(3)), enumerate(languages)):
        chosen = [pair for pair in product(("mnli", "squad"), MAIN) if counts(*pair, code)]
        parts = [100 * (values[i, "mix", seed, t, code] - values[i, "en", seed, t, code]) for i, t in chosen]
        matrix[row, column] = np.mean(parts)
        singles += parts
    return matrix, np.array(singles)


def half(matrix: np.ndarray, level: float = 0.95) -> float:
    """Half the width of the interval, written down from the formula of docs/statistics.md; no families in common."""
    s, n = matrix.shape
    rows, columns, mean = matrix.mean(1), matrix.mean(0), matrix.mean()
    ms_s = n * rows.var(ddof=1)
    ms_l = s * columns.var(ddof=1)
    ms_e = ((matrix - rows[:, None] - columns + mean) ** 2).sum() / ((s - 1) * (n - 1))

    def t2(df, at=level):
        return stats.t.ppf((1 + at) / 2, df) ** 2

    usual = t2((s - 1) * (n - 1), 0.95)
    wider = t2((s - 1) * (n - 1)) + usual * sum(6 / df**2 * t2(df) / t2(df, 0.95) for df in (s - 1, n - 1))
    total = t2(s - 1) * max(ms_s - ms_e, 0) + t2(n - 1) * max(ms_l - ms_e, 0) + wider * ms_e
    return float(np.sqrt(total / (s * n)))


def p_of(matrix: np.ndarray, distance: float) -> float:
    levels = 1 - np.geomspace(1e-9, 1, 4001)
    return float(1 - levels[int(np.argmin([abs(half(matrix, at) - distance) for at in levels[:-1]]))])


def holm(values: list[float]) -> list[float]:
    corrected, largest = [0.0] * len(values), 0.0
    for rank, i in enumerate(np.argsort(values)):
        largest = max(largest, (len(values) - rank) * values[i])
        corrected[i] = min(1.0, largest)
    return corrected


def p_text(p: float) -> float:
    return round(p, 3 if p < 0.1 else 2)


@pytest.mark.slow
def test_every_verdict(made):
    text, frame = made
    lines = [line for line in text.split("\n\n")[1].splitlines() if line.startswith("- ")]
    matrices = [differences(frame, codes)[0] for codes in GROUPS.values()]
    no_difference = holm([p_of(matrix, abs(matrix.mean())) for matrix in matrices])
    large = holm([p_of(m, 1 - abs(m.mean())) if abs(m.mean()) < 1 else 1.0 for m in matrices])
    assert len(lines) == len(GROUPS)
    for line, (name, codes), matrix, p, p_large in zip(
        lines, GROUPS.items(), matrices, no_difference, large, strict=True
    ):
        mean, width = matrix.mean(), half(matrix)
        word = "higher" if mean > 0 else "lower"
        word = word if p < 0.05 else "equivalent" if p_large < 0.05 else "undecided"
        assert re.match(rf"- (\*\*)?{word.capitalize()}(\*\*)?: in zero-shot transfer to {name}, `mix`", line), line
        low, high = map(float, re.search(INTERVAL, line).groups())
        assert (low, high) == pytest.approx((mean - width, mean + width), abs=0.0501)
        size = re.search(rf"scores {NUMBER} points" if word in ("higher", "lower") else rf"{NUMBER} \[", line)
        assert abs(float(size[1])) == pytest.approx(abs(mean), abs=0.0501)
        shown = re.search(r"corrected p(?: of a difference that large)? (= |= <)([\d.]+)", line)
        expected = p_large if word == "equivalent" else p
        assert float(shown[2]) == pytest.approx(max(expected, 0.001), rel=0.02, abs=0.0011)
        pairs = 2 if name.endswith("in the mix") else 4
        assert f"({len(codes)} languages of {len(codes)} families, 3 seeds, {pairs} pairs" in line
    words = [re.match(r"- \**(\w+)", line)[1] for line in lines]
    assert words[1] == "Higher" and words[2] != "Higher"


def screen_lines(text: str) -> int:
    """Lines of 120 characters before the first heading below the title."""
    return sum(max(1, -(-len(line) // 120)) for line in text.partition("\n## ")[0].splitlines())


def test_the_first_screen_has_the_means_behind_the_verdicts(made):
    text, frame = made
    first = text.partition("\n## ")[0]
    assert screen_lines(text) <= 45 and "Smallest difference that matters: 1 point." in first
    main = frame[frame["metric"] == frame["target"].map(MAIN)]
    means = 100 * main.groupby(["intermediate", "mix", "target", "language"])["value"].mean()
    for name, codes in GROUPS.items():
        (row,) = re.findall(
            rf"^\| {name} \| {len(codes)} \| {NUMBER} \| {NUMBER} \| {NUMBER} .* \|$", first, re.MULTILINE
        )
        counted = {
            code: [pair for pair in product(("mnli", "squad"), MAIN) if zero_shot(*pair, code)] for code in codes
        }
        before, after = (
            np.mean([np.mean([means[i, mix, t, code] for i, t in pairs]) for code, pairs in counted.items()])
            for mix in ("en", "mix")
        )
        assert tuple(map(float, row)) == pytest.approx((before, after, after - before), abs=0.0501)


@pytest.mark.slow
def test_what_is_no_part_of_the_verdict(made):
    text, frame = made
    (line,) = re.findall(r"- In-language supervision, not zero-shot: .*", text)
    matrix, _ = differences(frame, SEEN, lambda i, t, code: (i, t) in SAME)
    mean, low, high = map(float, re.search(rf"`en` {NUMBER} {INTERVAL}", line).groups())
    assert (mean, low, high) == pytest.approx(
        (matrix.mean(), matrix.mean() - half(matrix), matrix.mean() + half(matrix)), abs=0.0501
    )
    assert mean > 20 and "higher" not in line.lower()


@pytest.mark.slow
def test_every_sentence_below_a_mix(made):
    text, frame = made
    for name, codes in GROUPS.items():
        (line,) = re.findall(rf"- \*\*{name}\*\* \(.*\): .*\n  - (.*)", text)
        matrix, singles = differences(frame, codes)
        by_language = dict(zip(codes, matrix.mean(axis=0), strict=True))
        ends = re.search(
            rf"Languages range from {NUMBER} \((\w+)\) to {NUMBER} \((\w+)\); (\d+) of (\d+) improved", line
        )
        least, most = min(by_language, key=by_language.get), max(by_language, key=by_language.get)
        assert (ends[2], ends[4]) == (least, most)
        assert (float(ends[1]), float(ends[3])) == pytest.approx((by_language[least], by_language[most]), abs=0.0501)
        assert (int(ends[5]), int(ends[6])) == (sum(v > 0 for v in by_language.values()), len(codes))
        size = re.search(rf"The mean is {NUMBER} standard deviations .* language: {NUMBER} points", line)
        assert float(size[2]) == pytest.approx(singles.std(ddof=1), abs=0.0501)
        assert float(size[1]) == pytest.approx(matrix.mean() / singles.std(ddof=1), abs=0.0051)
        uncorrected = re.search(r"p of no difference (<?[\d.]+), of one that matters ([\d.]+)", line)
        assert float(uncorrected[1].strip("<")) == pytest.approx(
            max(p_of(matrix, abs(matrix.mean())), 0.001), rel=0.03, abs=0.0011
        )
        flips = re.search(r"of (\d+) languages p = ([\d.]+)", line)
        values = np.array(list(by_language.values()))
        signs = np.array(list(product((1, -1), repeat=len(values))))
        exact = np.mean(abs(signs @ values) >= abs(values.sum()) - 1e-9)
        assert int(flips[1]) == len(codes) and float(flips[2]) == pytest.approx(exact, rel=0.01, abs=0.0005)


def test_every_pair_and_language_in_the_tables(made):
    text, frame = made
    main = frame[frame["metric"] == frame["target"].map(MAIN)]
    means = 100 * main.groupby(["intermediate", "mix", "target", "language"])["value"].mean()
    table = text.split("## `mix` against `en`")[1].split("## ")[0]
    for intermediate, target in product(("mnli", "squad"), MAIN):
        (row,) = re.findall(rf"^\| {intermediate} \| {target} \({MAIN[target]}\) \| (.*) \|$", table, re.MULTILINE)
        for cell, codes in zip(row.split(" | ")[:2], (SEEN, UNSEEN), strict=True):
            before, after, difference = map(float, re.match(rf"{NUMBER} → {NUMBER}, {NUMBER}", cell).groups())
            expected = [np.mean([means[intermediate, mix, target, code] for code in codes]) for mix in ("en", "mix")]
            assert (before, after) == pytest.approx(expected, abs=0.0501)
            assert difference == pytest.approx(expected[1] - expected[0], abs=0.0501)
            assert ("(same data)" in cell) == ((intermediate, target) in SAME and codes == SEEN)
    section = text.split("## Language by language")[1].split("## ")[0]
    for code in [code for code in LANGUAGES if code != "en"]:
        (row,) = re.findall(rf"^\| `mix`, `small` \| {code} \| (.*) \|$", section, re.MULTILINE)
        matrix, _ = differences(frame, [code])
        *_, shown, pairs = row.split(" | ")
        mean, low, high = map(float, re.match(rf"{NUMBER} {INTERVAL}", shown).groups())
        width = stats.t.ppf(0.975, 2) * matrix.std(ddof=1) / np.sqrt(3)
        assert (mean, low, high) == pytest.approx(
            (matrix.mean(), matrix.mean() - width, matrix.mean() + width), abs=0.0501
        )
        assert int(pairs) == (2 if code in SEEN else 4)
    assert "*" not in section


def test_every_sentence_about_guesses(made):
    """A score is above the guess by two binomial standard errors of 400 rows; `ud` is not, on xquad, with any model."""
    text, frame = made
    section = text.split("## Which results are above a guess")[1].split("## ")[0]
    main = frame[frame["metric"] == frame["target"].map(MAIN)]
    score = main.groupby(["target", "language", "intermediate", "mix"])["value"].mean()
    guess, rows = 0.3, 400
    error = np.sqrt(np.maximum(score * (1 - score), guess * (1 - guess)) / rows)
    above = (score - guess > 2 * error).groupby(level=[0, 1]).agg(["sum", "count"])
    never = {key for key, line in above.iterrows() if line["sum"] == 0}
    assert never == {("xquad", "ud")}
    lines = re.findall(
        r"^- `(\w+)`, ([\w ]+): (\d+) of (\d+) languages above .*; at chance .*: (.*)\.$", section, re.MULTILINE
    )
    assert lines == [("xquad", "rare languages", "8", "9", "ud")]
    assert len(re.findall("^- ", section, re.MULTILINE)) == 1


def test_the_design_of_an_answer_can_be_read_again(made):
    text, _ = made
    asked = design().asked_question()
    assert f"`{design().question_id}`" in text and json.loads(json.dumps(asked)) == asked
