"""The cache of tokenised rows: the same features as without it, whatever happens to its files."""

import os
import random
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import processors

from intermezzo.core.errors import UserError
from intermezzo.modeling import stored, tokens
from intermezzo.modeling.heads import Feature, format_module
from intermezzo.modeling.packing import pack
from intermezzo.modeling.tokenizer import load_tokenizer, train_tokenizer
from intermezzo.modeling.tokens import Tokens
from intermezzo.training.finetune import finetune
from specifications import encoding, head_spec
from toy_training import TASKS, inputs, rows, spec, toy_data, toy_encoder, weights

SETTINGS = {"max_length": 16, "stride": 4}
ENCODE = format_module("classification").encode
FORMATS = {name: TASKS[name]["format"] for name in ("colour", "choice", "tags", "where", "text", "find")}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """The tokenizer of a model, with token types as BERT has them."""
    folder = tmp_path_factory.mktemp("model")
    train_tokenizer([" ".join(map(str, row.values())) for name in FORMATS for row in rows(name, 40, 0)], folder,
                    vocab_size=90)  # fmt: skip
    tokenizer = load_tokenizer(folder)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(autouse=True)
def everything(monkeypatch):
    """Small data are cached too, in several parts."""
    monkeypatch.setattr(tokens, "LEAST", 0)
    monkeypatch.setattr(tokens, "ROWS", 7)


@pytest.fixture
def asked(monkeypatch) -> list[int]:
    """How many rows were tokenised, per call."""
    seen = []

    def spy(rows, **given):
        seen.append(len(rows))
        return ENCODE(rows, **given)

    spy.__module__ = ENCODE.__module__
    monkeypatch.setattr(format_module("classification"), "encode", spy)
    return seen


def plain(features) -> list[tuple]:
    """What a feature holds, in Python's own numbers."""
    numbers = [[[[*map(int, part)] for part in kind] for kind in (f.sequences, f.types)] for f in features]
    return [(f.row, *own, f.target, f.extra) for own, f in zip(numbers, features, strict=True)]


def colours(tokens_: Tokens, given: list[dict], **settings):
    task = TASKS["colour"] | {"name": "x"}
    return tokens_.encode(format_module("classification"), given, encoding(task, SETTINGS | settings))


def expected(model: Path, given: list[dict], **settings) -> list[tuple]:
    task = TASKS["colour"] | {"name": "x"}
    return plain(ENCODE(given, load_tokenizer(model), encoding(task, SETTINGS | settings)))


def cases() -> dict[str, tuple[str, list, dict]]:
    """name -> format, rows, task."""
    drawn = random.Random(0)
    found = {name: (fmt, rows(name, 30, 1), TASKS[name] | {"name": name}) for name, fmt in FORMATS.items()}
    long_ = [row | {"context": " ".join(drawn.sample(row["context"].split() * 9, 30))} for row in rows("where", 9, 1)]
    text = [row | {"text": row["text"] * 5} for row in rows("text", 9, 1)]
    unlabelled = [row | {"label": row["label"] if i % 3 else None} for i, row in enumerate(rows("colour", 20, 1))]
    pairs = [row | {"text_pair": row["text"] if i % 2 else None} for i, row in enumerate(rows("colour", 20, 1))]
    return found | {
        "windows": ("span", long_, {}),
        "pieces": ("mlm", [*text, text[0] | {"text": ""}, text[1]], {}),
        "alone": ("tagging", rows("tags", 9, 1), TASKS["tags"] | {"name": "x", "alone": True}),
        "untagged": ("tagging", [row | {"tags": None} for row in rows("tags", 9, 1)], TASKS["tags"]),
        "unlabelled": ("classification", unlabelled, TASKS["colour"] | {"name": "x"}),
        "types": ("classification", pairs, TASKS["colour"] | {"name": "x"}),
        "queries": ("ranking", [row | {"text_pair": None} for row in rows("find", 9, 1)], {}),
        "retrieval": ("retrieval", ["the cat", "a dog", "the cat", "a red bird sees it"], {}),
        "mining": ("mining", ["the cat", "a dog"], {}),
    }


@pytest.mark.parametrize("name", cases())
def test_features_are_those_of_encode_made_anew_or_read(model, tmp_path, name):
    fmt, given, task = cases()[name]
    module = format_module(fmt)
    right = module.encode(given, load_tokenizer(model), encoding(task, SETTINGS))
    if name in ("windows", "pieces", "alone"):
        assert len(right) > len(given) + 5
    for _ in range(2):  # made, then read by another job
        made = Tokens(model, tmp_path).encode(module, given, encoding(task, SETTINGS))
        assert plain(made) == plain(right)
        assert all(type(part) is np.ndarray for f in made for part in [*f.sequences, *f.types])
        assert stored.sizes(made).tolist() == stored.sizes(right).tolist() == [f.tokens for f in right]
        assert stored.occurring(made) == stored.occurring(right) == {t for f in right for s in f.sequences for t in s}
        assert [f.row for f in made[2:5]] == [f.row for f in right[2:5]] and made[-1].row == right[-1].row
        with pytest.raises(IndexError):
            made[len(made)]
        one, other = (pack([s for f in fs for s in f.sequences], [t for f in fs for t in f.types])
                      for fs in (made, right))  # fmt: skip
        for part in ("tokens", "types", "positions", "starts", "lengths", "owners"):
            assert torch.equal(getattr(one, part), getattr(other, part)) and getattr(one, part).dtype == torch.int64


def test_other_seeds_and_mixes_tokenise_only_what_is_new(model, tmp_path, asked):
    data = [row | {"id": str(i), "text": f"{row['text']} {i}"} for i, row in enumerate(rows("colour", 30, 1))]
    drawn = random.Random(0)
    for take, new in (
        (range(20), [7, 7, 6]),
        (drawn.sample(range(20), 20), []),  # another order
        ([*drawn.sample(range(20), 9), 3, 3, 25, 3, 25], [1]),  # some of them, some twice, one new
        ([29, 25, *range(20), 28, 29], [2]),
        (range(30), [7]),
    ):
        given = [data[i] for i in take]
        assert plain(colours(Tokens(model, tmp_path), given)) == expected(model, given)
        assert asked == new
        asked.clear()
    changed = [data[0] | {"label": None}]  # rows count by their content
    assert plain(colours(Tokens(model, tmp_path), changed)) == expected(model, changed) and asked == [1]


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


BREAK = {
    "truncated": lambda content: content[: len(content) // 2],
    "without its end": lambda content: content[:-1],
    "another token": lambda content: content.replace(np.array([0, 14], np.int32), np.array([0, 15], np.int32), 1),
    "empty": lambda content: b"",
    "something else": lambda content: b"not Arrow" * 99,
}


@pytest.mark.parametrize("how", BREAK)
@pytest.mark.parametrize("take", [slice(30), slice(3, 9)])  # the very file, and one that rows are looked up in
def test_a_broken_file_is_made_again_and_never_trusted(model, tmp_path, asked, how, take):
    given = rows("colour", 30, 1)
    colours(Tokens(model, tmp_path), given)
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(BREAK[how](whole))
    asked.clear()
    assert plain(colours(Tokens(model, tmp_path), given[take])) == expected(model, given[take])
    assert sum(asked) == len({str(row) for row in given[take]})
    assert path.read_bytes() == whole if take == slice(30) else not path.exists()


def test_a_file_of_other_rows_under_a_name_is_not_taken_for_them(model, tmp_path):
    given, other = rows("colour", 30, 1), rows("colour", 30, 2)
    colours(Tokens(model, tmp_path), other)
    (path,) = files(tmp_path)
    right = path.read_bytes()
    path.unlink()
    colours(Tokens(model, tmp_path), given)
    files(tmp_path)[0].write_bytes(right)
    assert plain(colours(Tokens(model, tmp_path), given)) == expected(model, given)


def test_two_jobs_at_once_make_the_same_files(model, tmp_path):
    given = rows("colour", 30, 1)
    children = []
    for _ in range(4):
        children.append(os.fork())
        if not children[-1]:
            right = plain(colours(Tokens(model, tmp_path), given)) == expected(model, given)
            os._exit(0 if right else 1)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert len(files(tmp_path)) == 1
    assert plain(colours(Tokens(model, tmp_path), given)) == expected(model, given)


def test_the_cache_may_go_away_at_any_time(model, tmp_path, asked, monkeypatch):
    given, cache = rows("colour", 30, 1), tmp_path / "cache"
    job = Tokens(model, cache)
    read = colours(job, given)
    shutil.rmtree(cache)
    assert plain(read) == expected(model, given)  # what is open stays readable
    assert plain(colours(job, given[::-1])) == expected(model, given[::-1])
    shutil.rmtree(cache)
    monkeypatch.setattr(stored, "write", lambda path, batch: (_ for _ in ()).throw(FileNotFoundError(path)))
    assert plain(colours(Tokens(model, cache), given)) == expected(model, given)
    assert not cache.exists()
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    assert plain(colours(Tokens(model, blocked), given)) == expected(model, given)


def test_a_killed_job_leaves_nothing_that_is_read(model, tmp_path, monkeypatch):
    given = rows("colour", 30, 1)
    child = os.fork()
    if not child:
        os.replace = lambda *_: os._exit(9)
        colours(Tokens(model, tmp_path), given)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert [path.suffix for path in files(tmp_path)] == [".part"]
    assert plain(colours(Tokens(model, tmp_path), given)) == expected(model, given)


def test_what_encode_reads_decides_which_files_are_read(model, tmp_path, asked):
    given, other = rows("colour", 30, 1), tmp_path / "other"
    colours(Tokens(model, tmp_path / "cache"), given)
    shutil.copytree(model, other)
    tokenizer = load_tokenizer(other)
    tokenizer.add_tokens(["sees"])
    tokenizer.save(str(other / "tokenizer.json"))
    for folder, settings in ((model, {"max_length": 9}), (other, {})):
        asked.clear()
        assert plain(colours(Tokens(folder, tmp_path / "cache"), given, **settings)) == expected(
            folder, given, **settings
        )
        assert len(asked) > 1


def test_code_that_encode_runs_decides_too(model, tmp_path, monkeypatch):
    paths = []
    monkeypatch.setattr(tokens, "sha256", lambda path: paths.append(path) or str(path))
    colours(Tokens(model, tmp_path), rows("colour", 30, 1))
    assert {Path(ENCODE.__code__.co_filename), Path(tokens.__file__), model / "tokenizer.json"} <= {*paths}


def test_a_label_that_the_task_does_not_have_is_refused(model, tmp_path):
    with pytest.raises(UserError, match="row '0': label 'pink'"):
        colours(Tokens(model, tmp_path), [rows("colour", 1, 1)[0] | {"label": "pink"}])


def test_few_rows_are_not_stored(model, tmp_path, monkeypatch):
    given = rows("colour", 30, 1)
    monkeypatch.setattr(tokens, "LEAST", 30 * 1000)
    assert type(colours(Tokens(model, tmp_path), given)) is list and not files(tmp_path)
    monkeypatch.setattr(tokens, "LEAST", 30 * 10)
    assert type(colours(Tokens(model, tmp_path), given)) is stored.Features and files(tmp_path)
    assert type(colours(Tokens(model), given)) is list


def test_masks_are_the_same_from_views(model, tmp_path):
    module, given = format_module("mlm"), rows("text", 30, 1)
    encode = partial(Tokens(model, tmp_path).encode, module, given, encoding({}, SETTINGS))
    results: list[list[Feature]] = []
    for features in (module.encode(given, load_tokenizer(model), encoding({}, SETTINGS)), encode(), encode()):
        torch.manual_seed(3)
        results.append(module.Head(4, head_spec({}, {})).corrupt(features))
    assert plain(results[0]) == plain(results[1]) == plain(results[2])
    assert any(f.target for f in results[0]) and plain(encode()) == plain(encode())  # nothing wrote into the views


@pytest.mark.slow
def test_a_training_is_the_same_with_and_without_stored_tokens(tmp_path, monkeypatch):
    data = toy_data(tmp_path)
    encoder = toy_encoder(data, tmp_path / "encoder")
    names = ("colour", "choice", "tags", "where", "text", "find")
    job = spec(*names).replace(phase="intermediate")
    finetune(job, encoder, inputs(data, *names), tmp_path / "plain", tmp_path / "state")
    monkeypatch.setattr(tokens, "LEAST", 0)
    for out in (tmp_path / "stored", tmp_path / "read"):
        finetune(job, encoder, inputs(data, *names), out, tmp_path / "state", tokens=tmp_path / "tokens")
        assert weights(out) == weights(tmp_path / "plain")
    assert list((tmp_path / "tokens").rglob("*.arrow"))


def test_encode_sees_nothing_that_the_cache_does_not_know(model, tmp_path, monkeypatch):
    monkeypatch.setattr(format_module("classification"), "encode", lambda rows, tokenizer, spec: spec.pooling)
    for cache in (None, tmp_path):
        with pytest.raises(AttributeError, match="pooling"):
            colours(Tokens(model, cache), rows("colour", 3, 1))
