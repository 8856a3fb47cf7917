"""Which rows a run trains on under each budget, and what goes beside the tasks."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from intermezzo.core.errors import UserError
from intermezzo.specs.finetuning import FinetuneSpec
from intermezzo.specs.mixes import MATCHED, MixSettings
from intermezzo.tasks.controls import as_text
from intermezzo.tasks.formats import table
from intermezzo.training.finetune import plan
from intermezzo.training.selection import select
from intermezzo.training.selection import table as allocation_table
from specifications import finetuning, task

SIZES = {"en": 60, "xx": 20, "yy": 10}
PORTIONS = [["en", 0.5, ["en"]], ["@rare", 0.5, ["xx", "yy"]]]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder, paths = tmp_path_factory.mktemp("data"), {}
    for language, size in SIZES.items():
        rows = [
            {"id": f"{language}{i}", "text": f"{language} {i}", "text_pair": None, "label": "ab"[i % 2]}
            for i in range(size)
        ]
        paths[f"t/{language}"] = folder / f"{language}.parquet"
        pq.write_table(table(rows, "classification", ["a", "b"]), paths[f"t/{language}"])
    return paths


def spec(**changes) -> FinetuneSpec:
    mix = MATCHED.replace(**{key: changes.pop(key) for key in list(changes) if key in MixSettings.model_fields})
    entry = task("t", "classification", **{"portions": PORTIONS, "examples": 20} | changes)
    return finetuning(entry, seed=0, mix=mix)


def chosen(data, **changes) -> dict[str, list[str]]:
    """Language -> ids of the rows, in their order."""
    rows, _ = select(spec(**changes), data)
    found: dict[str, list[str]] = {}
    for row in rows["t"]:
        found.setdefault(row["id"][:2], []).append(row["id"])
    return found


def test_a_matched_mix_takes_its_english_rows_from_those_of_english_only(data):
    english, mixed = chosen(data, portions=[["en", 1, ["en"]]]), chosen(data)
    assert {code: len(ids) for code, ids in mixed.items()} == {"en": 10, "xx": 5, "yy": 5}
    assert mixed["en"] == english["en"][:10] and len(set(english["en"])) == 20


def test_an_additive_mix_keeps_english_whole_and_its_twin_repeats_it(data):
    english, added = chosen(data, portions=[["en", 1, ["en"]]]), chosen(data, budget="additive")
    assert added["en"] == english["en"] and len(added["xx"]) == len(added["yy"]) == 10
    twin = chosen(data, budget="english_repeated")
    assert twin == {"en": english["en"] * 2}


def test_rows_are_repeated_only_where_they_are_too_few_and_allowed_to(data):
    with pytest.raises(UserError, match=r"task 't': 80 examples asked for.*yy 10"):
        chosen(data, portions=[["@rare", 1, ["xx", "yy"]]], examples=80)
    ids = chosen(data, portions=[["@rare", 1, ["xx", "yy"]]], examples=50, repeats=3)
    assert sorted(set(map(ids["yy"].count, ids["yy"]))) in ([2], [2, 3]) and len(ids["xx"]) + len(ids["yy"]) == 50


def test_temperature_gives_larger_languages_more(data):
    even, by_size = chosen(data, examples=24), chosen(data, examples=24, temperature=1.0)
    assert len(even["xx"]) == len(even["yy"]) == 6 and (len(by_size["xx"]), len(by_size["yy"])) == (8, 4)


def test_copies_of_a_row_have_one_label_when_labels_are_shuffled(data):
    rows, _ = select(spec(portions=[["yy", 1, ["yy"]]], repeats=2, shuffle_labels=True), data)
    labels: dict[str, set[str]] = {}
    for row in rows["t"]:
        labels.setdefault(row["id"], set()).add(row["label"])
    assert len(rows["t"]) == 20 and all(len(found) == 1 for found in labels.values())
    assert any(row["label"] != "ab"[int(row["id"][2:]) % 2] for row in rows["t"])


def test_the_allocation_is_a_table(data):
    _, allocation = select(spec(), data)
    lines = [line.split("\t") for line in allocation_table(allocation).splitlines()]
    assert lines[0] == ["task", "language", "weight", "asked", "examples", "rows", "supply"]
    assert lines[1:] == [
        ["t", "en", "0.5", "10", "10", "10", "60"],
        ["t", "xx", "0.25", "5", "5", "5", "20"],
        ["t", "yy", "0.25", "5", "5", "5", "10"],
    ]


def test_masked_text_is_put_between_the_batches_of_the_tasks_which_stay():
    job = spec()
    alone = plan({"t": 80}, job)
    beside = plan({"t": 80, "text": 30}, job.replace(continued_mlm={"text": 0.2}))
    assert len(alone) == 20 and len(beside) == 25
    ours = [batch for name, batch in beside if name == "t"]
    assert sorted(np.concatenate(ours).tolist()) == sorted(np.concatenate([b for _, b in alone]).tolist())
    assert [name for name, _ in beside] != sorted(name for name, _ in beside)


def test_inputs_become_text_without_their_labels():
    span = {"id": "1", "context": "c", "question": "q", "answers": ["c"], "answer_starts": [0]}
    choice = {"id": "1", "context": "c", "question": "q", "choices": ["x", "y"], "label": 1}
    assert [(row["text"], row["text_pair"]) for row in as_text([span], "span")] == [("q", "c")]
    assert [row["text_pair"] for row in as_text([choice], "multiple_choice")] == ["x", "y"]
    tagged = {"id": "1", "tokens": ["a", "b"], "tags": ["X", "Y"]}
    assert as_text([tagged], "tagging") == [{"id": "0", "text": "a b", "text_pair": None}]


def test_few_shots_come_on_top_of_english_and_are_drawn_by_seed(data):
    english, few = (
        chosen(data, portions=[["en", 1, ["en"]]]),
        chosen(data, portions=[["en", 1, ["en"]]], shots={"yy": 3}),
    )
    assert few["en"] == english["en"] and len(set(few["yy"])) == 3
    mixed = chosen(data, portions=[["en", 1, ["en"]]], shots={"yy": 5})
    assert mixed["yy"][:3] == few["yy"], "more shots keep those that there were"
    with pytest.raises(UserError, match="task 't': shots ask for 11 examples of 'yy', and there are 10"):
        chosen(data, shots={"yy": 11}, portions=[["en", 1, ["en"]]])


# -- tokens ------------------------------------------------------------------------------------------------------------

TOKENS = {"en": 4, "xx": 8, "yy": 2}
"""Tokens of a row, and one more in every third."""


def counted(_, rows) -> list[int]:
    return [TOKENS[row["id"][:2]] + (int(row["id"][2:]) % 3 == 0) for row in rows]


def by_tokens(data, **changes):
    """Ids of the rows, their tokens by language, and the allocation."""
    rows, allocation = select(spec(unit="tokens", **changes), data, counted)
    tokens: dict[str, int] = {}
    for row, number in zip(rows["t"], counted(None, rows["t"]), strict=True):
        tokens[row["id"][:2]] = tokens.get(row["id"][:2], 0) + number
    return [row["id"] for row in rows["t"]], tokens, allocation["t"]


def test_a_mix_of_tokens_has_as_many_as_english_only_training(data):
    only = [["en", 1, ["en"]]]
    english, tokens, _ = by_tokens(data, portions=only)
    assert english == chosen(data, portions=only)["en"]  # the same examples
    budget = tokens["en"]
    ids, tokens, cells = by_tokens(data)
    assert sum(tokens.values()) == pytest.approx(budget, abs=len(tokens) * 9 / 2)
    assert tokens["en"] == pytest.approx(budget / 2, abs=5) and tokens["xx"] == pytest.approx(budget / 4, abs=9)
    assert [row for row in ids if row.startswith("en")] == english[: cells["en"].examples]
    assert {code: cell.tokens for code, cell in cells.items()} == tokens
    assert cells["xx"].examples < cells["en"].examples and cells["xx"].supply == SIZES["xx"]
    header, *lines = allocation_table({"t": cells}).splitlines()
    assert header.endswith("supply\ttokens") and len({line.count("\t") for line in (header, *lines)}) == 1


def test_budgets_of_tokens(data):
    english, tokens, _ = by_tokens(data, portions=[["en", 1, ["en"]]])
    ids, added, _ = by_tokens(data, budget="additive")
    assert [row for row in ids if row.startswith("en")] == english
    assert added["xx"] + added["yy"] == pytest.approx(tokens["en"], abs=8)
    ids, repeated, cells = by_tokens(data, budget="english_repeated")
    assert ids == english * 2 and repeated["en"] == 2 * tokens["en"] and cells["en"].supply == SIZES["en"]


def test_languages_with_too_few_tokens_give_all_or_are_repeated(data):
    _, tokens, cells = by_tokens(data, examples=40)
    assert cells["yy"].examples == SIZES["yy"] and sum(tokens.values()) == pytest.approx(40 * 4.33, rel=0.1)
    assert cells["yy"].asked > cells["yy"].examples
    _, _, cells = by_tokens(data, examples=40, repeats=3)
    assert SIZES["yy"] < cells["yy"].examples <= 3 * SIZES["yy"] and cells["yy"].rows == SIZES["yy"]


def test_a_budget_of_more_english_than_there_is(data):
    with pytest.raises(UserError, match=r"that of 61 examples in 'en', which has 60 rows; lower `examples`"):
        by_tokens(data, examples=61)
