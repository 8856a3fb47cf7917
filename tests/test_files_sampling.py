"""Samples of large Parquet files: read batch by batch, the same rows and the same messages as of all rows at once."""

import logging

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from intermezzo import sources
from intermezzo.core.errors import UserError
from intermezzo.sources import files
from intermezzo.sources.files import parquet, records
from intermezzo.sources.files.reading import File
from intermezzo.tasks import Task

FIELDS = {"id": "id", "text": "premise", "text_pair": "hypothesis", "label": "label"}


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(parquet, "BATCH_ROWS", 4)


def write(path, rows, names=("no", "yes")):
    features = {"id": Value("string"), "premise": Value("string"), "hypothesis": Value("string")}
    Dataset.from_list(rows, features=Features(features | {"label": ClassLabel(names=list(names))})).to_parquet(path)


def pairs(count, **changes):
    rows = [{"id": f"r{i}", "premise": f"P{i}.", "hypothesis": f"H{i}.", "label": i % 2} for i in range(count)]
    for key, values in changes.items():
        for number, value in values.items():
            rows[number][key] = value
    return rows


def task(part, fmt="classification"):
    labels = ("no", "yes") if fmt == "classification" else ()
    published = {"files": {"data": {"sw": {"train": [part]}}}}
    return Task(name="toy", description="toy", format=fmt, labels=labels, licence="none", sources=published)


def both(tmp_path, part, limit, fmt="classification"):
    """What the sample is and what it is to be; each is rows and their number, or a message."""
    part = {"reader": "parquet", "fields": FIELDS} | part
    found = [File(tmp_path, path.name) for path in sorted(tmp_path.glob("*.parquet"))]

    def outcome(read):
        try:
            return read()
        except UserError as error:
            return str(error)

    def whole():
        rows = files.read_part(task(part, fmt), part, found, "here")
        return sources.sample(rows, limit), len(rows)

    return outcome(lambda: files.read_sample(task(part, fmt), part, found, "here", limit)), outcome(whole)


@pytest.mark.parametrize("limit", [1, 5, 19, 40])
@pytest.mark.parametrize(
    "part",
    [
        {},
        {"map": {0: "no", 1: "yes"}, "rows": 38},
        {"drop": ["empty"], "only": {"id": "[^7]$"}},
        {"hash": {"field": "text", "from": 0, "to": 50}, "strip": ["text"], "drop": "empty", "unverified_rows": 9},
    ],
)
def test_the_sample_is_that_of_all_rows(part, limit, tmp_path, monkeypatch):
    write(tmp_path / "a.parquet", pairs(19, premise={3: "", 9: " "}))
    write(tmp_path / "b.parquet", [row | {"id": f"s{row['id']}"} for row in pairs(19, premise={0: "P\u0301"})])
    if "drop" not in part:
        part = part | {"replace": {"text": {"": "P.", " ": "P."}}, "map": {0: "no", 1: "yes"}}
    sampled, expected = both(tmp_path, part, limit)
    assert isinstance(expected, tuple), expected
    assert sampled == expected

    def whole(*_):
        raise AssertionError("all rows were there at once")

    monkeypatch.setitem(files.READERS, "parquet", records.parquet)
    monkeypatch.setattr(files, "read_part", whole)
    part = {"reader": "parquet", "fields": FIELDS} | part
    found = [File(tmp_path, "a.parquet"), File(tmp_path, "b.parquet")]
    assert files.read_sample(task(part), part, found, "here", limit) == expected


@pytest.mark.parametrize(
    ("rows", "part", "message"),
    [
        (pairs(19, id={17: "r2"}), {}, "id 'r2' occurs more than once"),
        (pairs(19, premise={17: ""}), {}, r"row 17 \(id 'r17'\): text is empty"),
        (pairs(19, premise=dict.fromkeys(range(4, 8), "")), {}, r"row 4 \(id 'r4'\): text is empty"),
        (pairs(19), {"rows": 20}, "19 rows, expected 20"),
        (pairs(19), {"map": {0: "yes", 1: "no"}}, "its labels are 0 = no, 1 = yes, but the task says 0 = yes"),
        (pairs(19), {"fields": FIELDS | {"text": "none"}}, "row 0 has no field 'none'"),
        (pairs(19, label={18: -1}), {}, r"row 18 \(id 'r18'\): label is -1"),
    ],
)
def test_faults_are_told_as_of_all_rows(rows, part, message, tmp_path):
    write(tmp_path / "a.parquet", rows)
    sampled, expected = both(tmp_path, part, 3)
    assert sampled == expected
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(expected)


def test_what_all_rows_lack_may_be_lacking_in_a_batch_alone_too(tmp_path):
    """Questions that are empty in every row are left out of the input; in some rows they are a fault."""
    choices = {"id": "id", "context": "text", "question": "question", "choices": "choices", "label": "label"}
    rows = [{"id": f"r{i}", "text": "C.", "question": "", "choices": ["a", "b"], "label": 0} for i in range(12)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    sampled, expected = both(tmp_path, {"fields": choices}, 3, "multiple_choice")
    assert sampled == expected
    assert expected[1] == 12
    rows[6]["question"] = "Why?"
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    for part in ({}, {"drop": ["empty"]}):
        sampled, expected = both(tmp_path, part | {"fields": choices}, 3, "multiple_choice")
        assert sampled == expected
    assert expected[1] == 1


def test_the_log_counts_what_was_left_out_of_all_batches(tmp_path, caplog):
    write(tmp_path / "a.parquet", pairs(19, premise={3: "", 9: "", 17: ""}))
    with caplog.at_level(logging.WARNING):
        both(tmp_path, {"drop": ["empty"]}, 5)
    first, second = caplog.messages
    assert first == second
    assert first.endswith("a.parquet: 3 of 19 rows left out (empty)")
