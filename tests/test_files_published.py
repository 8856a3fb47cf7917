"""The files part of the task catalogue, and all published data that it names when INTERMEZZO_REAL_DATA says where."""

import os
import re
from pathlib import Path

import pytest

from intermezzo import sources
from intermezzo.sources import files
from intermezzo.tasks import formats, load_task, task_names
from specifications import data

PARTS = [
    (task, language, split, part)
    for task in task_names()
    if load_task(task).sources.files
    for language, splits in load_task(task).sources.files.data.items()
    for split, parts in splits.items()
    for part in parts
]
LICENSED = {"ccg"}
"""Tasks whose files nobody may pass on: their users bring them."""
REPEATED = {("afrisenti", "om"), ("afrisenti", "pcm"), ("masakhanews", "am"), ("masakhanews", "ig")}
"""Data that were published with a few training rows in the test set, as their task files say."""


def test_task_files_name_readers_and_row_counts():
    for task, language, split, part in PARTS:
        assert part["reader"] in files.READERS, (task, language, split)
        assert part.get("rows", 0) > 0 or task in LICENSED, (task, language, split)
        assert split in ("train", "dev", "test", "candidates")


@pytest.fixture(scope="module")
def root():
    path = os.environ.get("INTERMEZZO_REAL_DATA")
    if not path:
        pytest.skip("INTERMEZZO_REAL_DATA is not set: no published data to read")
    return path


@pytest.mark.slow
@pytest.mark.parametrize(("task", "language"), sorted({(task, language) for task, language, *_ in PARTS}))
def test_published_data_of_every_task_and_language(root, task, language):
    if task in LICENSED and not list(Path(root).glob(load_task(task).sources.files.data[language]["test"][0]["path"])):
        pytest.skip(f"{task}: the data are under licence and not below INTERMEZZO_REAL_DATA")
    entry = load_task(task)
    seen: dict[str, set[str]] = {}
    for split in entry.sources.files.data[language]:
        spec = data("files", task, language, split, root=root)
        rows = sources.read(spec)
        origin, training = f"{task}/{language}/{split}", split == "train"
        formats.table(rows, entry.format, entry.labels, origin=origin, training=training)
        content = ("text", "text_pair", "context", "question", "choices", "tokens")
        seen[split] = {"\n".join(str(row.get(key)) for key in content) for row in rows if len(str(row)) > 250}
        if len(rows) > 100:
            size = len(rows) if split == "candidates" else 100  # a pool is whole
            assert len(sources.read(spec.replace(rows=100))) == size
    test = seen.pop("test", set())
    shared = sum(len(test & other) for other in seen.values())
    most = 0.1 if (task, language) in REPEATED else 0.01
    assert shared <= most * max(len(test), 1), "training rows in the test set"


def test_row_counts_are_those_of_the_datasets_own_tables(root):
    """`rows` counts what is in a file (what is read is checked against it), so it must be the README's number."""
    checked = 0
    for task, *_, part in PARTS:
        if task in LICENSED or part.get("kind") == "candidates":
            continue  # candidates are sentences, the table counts questions
        if "english" in part and part["reader"] != "parallel_lines":
            continue  # counts aligned verses and paragraphs
        folder, _, name = part["path"].partition("/")
        table = dict(re.findall(r"^\| (\S+) \| (\d+) \|$", Path(root, folder, "README.md").read_text(), flags=re.M))
        if name in table:
            assert int(table[name]) == part["rows"], part["path"]
            checked += 1
    assert checked > 100


@pytest.mark.slow
def test_published_splits_do_not_share_what_they_must_not(root):
    def field(task, language, split, name):
        return {row[name] for row in sources.read(data("files", task, language, split, root=root))}

    premises = [field("nli", "en", split, "text") for split in ("train", "dev", "test")]
    assert sum(map(len, premises)) == len(set.union(*premises))
    trained = set.union(*(field("qa", code, "train", "context") for code in ("en", "ha", "ig", "rw")))
    for code in ("en", "ha", "ig", "rw", "sw"):
        assert not trained & field("qa", code, "test", "context")
    assert field("qa", "de", "test", "id") == field("qa", "en", "test", "id")
