"""Configuration and task files as people write them by mistake: one short message with file and line."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from intermezzo import tasks
from intermezzo.cli.main import main
from intermezzo.config import load
from intermezzo.core.errors import UserError

CACHES = (tasks.task_names, tasks.load_task, tasks._files)


@pytest.fixture
def complaint(tmp_path):
    """What `load` says against a file of that content."""

    def of(content: str | bytes) -> str:
        path = tmp_path / "my.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(UserError) as caught:
            load(path)
        message = str(caught.value)
        assert len(message) < 1500 and "Traceback" not in message
        return message

    return of


ALIASES = "a: &a [x,x]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1 or str()}'] * 9)}]\n" for n in range(1, 9))
FILES = {
    "a section twice": ("grid: {seeds: [7]}\nthreads: 2\ngrid: {mixes: [en]}",
    "line 3: the key 'grid' is given twice, first in line 1"),
    "a key twice": ("grid:\n  seeds: [1]\n  'seeds': [2]", "line 3: the key 'seeds' is given twice, first in line 2"),
    "two mixes of one name": ("mixes: {a: {weights: {en: 1}}, a: {weights: {nor: 1}}}",
    "line 1: the key 'a' is given twice"),
    "a key twice in JSON": ('{"threads": 1, "threads": 2}', "the key 'threads' is given twice"),
    "nothing": ("", "holds no keys"),
    "comments": ("# nothing\n# at all\n", "holds no keys"),
    "a list": ("- a", "a configuration is a dictionary of keys, found list"),
    "unclosed": ("grid: [1,\nthreads: 2",
    "line 3, column 1: not valid YAML: while parsing a flow sequence (line 1), did not find expected"),
    "a tab": ("grid:\n\tseeds: [1]", "line 2, column 1: not valid YAML"),
    "latin-1": ("data: {root: caf\xe9}".encode("latin-1"), "line 1: not UTF-8 (byte 0xe9); save the file as UTF-8"),
    "UTF-16": ("threads: 1".encode("utf-16"), "UTF-16; save the file as UTF-8"),
    "binary": (b"a: 1\nb: \x00\x01", "line 2: a control character (U+0000); is it a text file?"),
    "NUL by its escape": ('data: {root: "a\\0b"}', "data.root: a control character (U+0000) in 'a\\x00b'; remove it"),
    "half a surrogate pair": ('{"data": {"root": "\\ud800"}}', "data.root: half a surrogate pair (U+D800)"),
    "no such day": ("grid: {seeds: [2024-13-45]}",
    "line 1, column 16: '2024-13-45' cannot be read as timestamp; if text is meant, quote it"),
    "a date": ("grid: {seeds: [2024-01-05]}",
    "grid.seeds.0: found 2024-01-05 (date); if text is meant, quote it: '2024-01-05'"),
    "a tag that does not fit": ("threads: !!int foo", "line 1, column 10: 'foo' cannot be read as int"),
    "a truth value that is none": ("track_versions: !!bool maybe", "'maybe' cannot be read as bool"),
    "a Python object": ("threads: !!python/object/apply:os.getcwd []", "could not determine a constructor for the tag"),
    "5,000 digits": (f"threads: {'9' * 5000}", "line 1, column 10: '9999"),
    "40 digits": (f"threads: {'9' * 40}",
    "threads: must be less than or equal to 1024; found a number of about 41 digits (int)"),
    "octal": ("grid: {seeds: [010]}", "line 1: YAML reads 010 as another number"),
    "sixties": ("threads: 1:30", "line 1: YAML reads 1:30 as another number"),
    "an anchor within itself": ("grid: &a {seeds: *a}", "line 1: an anchor that is used within itself"),
    "aliases that double": (ALIASES, "more than 200,000 values (an alias counts as what it stands for)"),
    "1,000 levels": ("threads: " + "[" * 1000 + "]" * 1000, "line 1: nested deeper than 40 levels"),
    "a million levels": ("threads: " + "[" * 1_000_000, "line 1: nested deeper than 40 levels"),
    "5 MB": ("# " + "x" * 5_000_000, "larger than 4 MB; is it a configuration file?"),
    "a template": ("__use_yte__: true\nthreads: 1", "__use_yte__: templates are not supported"),
    "Norwegian": ("languages: {evaluation: [en, no]}",
    "languages.evaluation.1: must be text; found False (bool); if a word is meant, quote it: 'no'"),
    "Norwegian as a key": ("mixes: {m: {weights: {en: 1, no: 1}}}",
    "mixes.m.weights: a key must be text; found False (bool); if a word is meant, quote it: 'no'"),
    "a number as a name": ("grid: {targets: [1]}",
    "grid.targets.0: must be text; found 1 (int); if text is meant, quote it: '1'"),
    "mixes: 5": ("mixes: 5", "mixes: must be a dictionary; found 5 (int)"),
    "mixes: [a]": ("mixes: [a]", "mixes: must be a dictionary; found ['a'] (list)"),
    "a million letters": (f"grid: {{targets: [{'x' * 1_000_000}]}}",
    "grid.targets.0: a text of 1,000,000 characters ('xxx"),
    "10,000 letters": (f"grid: {{targets: [{'x' * 10_000}]}}",
    "grid.targets.0: must have at most 100 characters; found 'xxx"),
    "50,000 seeds": ("grid: {seeds: [" + "7," * 50_000 + "]}",
    "grid.seeds: 50,000 entries; at most 10,000 are allowed"),
    "2,000 unknown languages": (
        "grid: {mixes: [m]}\nmixes: {m: {weights: {" + ",".join(f"l{n}: 1" for n in range(2000)) + "}}}",
        "unknown language or group"
    ),
    "somebody's home": ("grid: {encoders: [e]}\nencoders: {e: {from: ~nouser/x}}",
    "encoders.e.from: ~nouser/x: no such user"),
    "a root in somebody's home": ("data: {source: files, root: ~nouser}", "data.root: ~nouser: no such user"),
    "a folder of 300 letters": (f"data: {{source: files, root: {'x' * 300}}}", "data.root: "),
    "a name of 300 letters": (f"targets: {{{'x' * 300}: {{task: pos}}}}", "targets: a text of 300 characters ('xxx"),
    "a name of 101 letters": (f"targets: {{{'x' * 101}: {{task: pos}}}}", "not a usable name"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_configuration(complaint, case):
    content, message = FILES[case]
    assert message in complaint(content)


def test_an_unreadable_place_for_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in (".", "absent.yaml", "x" * 300):
        with pytest.raises(UserError, match=re.escape(f"{place}: cannot read the configuration file (")):
            load(place)


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "\ufeffthreads: 2",
        "threads: 2\r\ngrid:\r\n  seeds: [7]\r\n",
        '{\n\t"threads": 2,\n\t"training": {"target": {"learning_rate": 1e-5}}\n}',
        "training: {target: &a {epochs: 2}, intermediate: *a}",
        "training: {target: &a {epochs: 2, dropout: 0.1}, intermediate: {<<: *a, epochs: 3}}",
        "# Ọ̀rọ̀\nthreads: 1_0",
        "grid: {seeds: [007, 0x10]}",
    ],
)
def test_what_a_file_may_be(tmp_path, content):
    path = tmp_path / "my.yaml"
    path.write_bytes(content.encode())
    load(path)


# -- values --------------------------------------------------------------------------------------------------------


def test_text_stands_for_numbers_truth_values_and_null():
    """Snakemake hands on everything within a `--config` value as text."""
    config = load(
        {
            "grid": {"seeds": ["0", "1"], "targets": ["pos"]},
            "training": {"target": {"epochs": "2", "freeze_embeddings": "true", "micro_tokens": "null",
            "dropout": "1e-1"}},
            "data": {"rows": {"test": "null", "train": "7000"}, "root": "null"},
            "world": {"names_shared": "no"},
            "mixes": {"en": {"weights": {"en": "1"}}, "left": "null"},
            "targets": {"qa": "null"},
            "track_versions": "True",
        }
    )  # fmt: skip
    target = config.training.target
    assert (target.epochs, target.freeze_embeddings, target.micro_tokens, target.dropout) == (2, True, None, 0.1)
    assert (config.data.rows.test, config.data.rows.train, config.data.root) == (None, 7000, None)
    assert config.track_versions and not config.world.names_shared
    assert "left" not in config.mixes and "qa" not in config.targets


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("threads", 10**9),
        ("processes", 2000),
        ("grid.seeds", [2**31]),
        ("grid.seeds", list(range(1001))),
        ("data.rows.train", 10**12),
        ("world.documents_scale", 1e-300),
        ("world.documents_scale", 1e18),
        ("encoders.world.tokenizer.vocab_size", 10**12),
        ("encoders.world.model.hidden_size", 10**18),
        ("encoders.world.model.layers", 10**6),
        ("encoders.world.model.max_length", 10**7),
        ("encoders.world.mask_rate", 1e-300),
        ("encoders.world.training.steps", 1e30),
        ("encoders.world.training.steps", 10**12),
        ("encoders.world.training.batch_size", 10**9),
        ("encoders.world.training.betas", [0.9, 1]),
        ("intermediates.multi.temperature", 1e-300),
        ("intermediates.multi.mlm.share", 0.9999999999),
        ("mixes.en.repeats", 10**6),
        ("mixes.en.temperature", 1e-300),
        ("mixes.en.weights.en", 1e300),
        ("translation.beams", 10**6),
        ("training.target.epochs", 10**18),
        ("training.target.max_length", 1),
        ("training.target.learning_rate", 1e38),
        ("training.target.weight_decay", 1e300),
        ("training.target.dropout", 1),
        ("training.target.micro_tokens", 10**12),
        ("training.intermediate.examples", 10**10),
    ],
)
def test_numbers_that_no_machine_takes(key, value):
    raw: dict = {}
    inner = raw
    *above, last = key.split(".")
    for name in above:
        inner = inner.setdefault(name, {})
    inner[last] = value
    with pytest.raises(UserError) as caught:
        load(raw)
    line = str(caught.value).splitlines()[1].strip()
    assert line.startswith((f"{key}: must ", f"{key}.0: must", f"{key}.1: must"))


def test_an_encoder_that_fits_no_machine():
    with pytest.raises(
        UserError, match=r"encoders\.world\.model: .* parameters; at most 100,000,000,000 can be trained"
    ):
        load({"encoders": {"world": {"model": {"hidden_size": 65_536, "layers": 1000}}}})


def test_a_grid_that_nobody_can_plan():
    raw = {"grid": {"seeds": list(range(1000)), "mixes": ["en"]}, "mixes": {"en": {"weights": {"en": 1}}}}
    raw["intermediates"] = {f"i{n}": {"tasks": ["nli"]} for n in range(400)}
    raw["grid"]["intermediates"] = list(raw["intermediates"])
    with pytest.raises(UserError, match="grid: 2,005,000 models would be trained; at most 1,000,000 can be planned"):
        load(raw)


# -- task files ----------------------------------------------------------------------------------------------------

TASK = {
    "description": "Is a review good or bad?",
    "format": "classification",
    "skill": "sentiment",
    "labels": ["good", "bad"],
    "metrics": ["accuracy"],
    "licence": "reviews: CC0 1.0",
    "sources": {
        "files": {
            "each": [
                {
                    "languages": {"en": "eng_Latn", "yo": "yor_Latn"},
                    "splits": {"train": "train", "test": "test"},
                    "part": {"reader": "jsonl", "path": "{code}/{split}.jsonl"},
                }
            ]
        }
    },
}


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Write a task file of one's own; gives what `config check` says, and its status."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config/tasks").mkdir(parents=True)

    def check(content: str | bytes, capsys, *overlays: str) -> tuple[int, str]:
        for cache in CACHES:
            cache.cache_clear()
        path = tmp_path / "config/tasks/reviews.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        status = main(["config", "check", *overlays])
        return status, capsys.readouterr().err

    yield check
    for cache in CACHES:
        cache.cache_clear()


TEXT = yaml.safe_dump(TASK, sort_keys=False)
TASKS = {
    "labels twice": (TEXT + "labels: [a, b]\n", "line 22: the key 'labels' is given twice, first in line 4"),
    "nothing": ("", "must be a dictionary of keys; found an empty file"),
    "latin-1": ("description: caf\xe9".encode("latin-1"), "line 1: not UTF-8"),
    "unquoted labels": (TEXT.replace("- good\n- bad", "- yes\n- no"),
    "labels.0: must be text; found True (bool); if a word is meant, quote it: 'yes'"),
    "numbers as labels": (TEXT.replace("- good\n- bad", "- 0\n- 1"),
    "labels.0: must be text; found 0 (int); if text is meant, quote it: '0'"),
    "Norwegian": (TEXT.replace("en: eng_Latn", "en: no"),
    "sources.files: each.0.languages.en: must be text; found False (bool); if a word is meant"),
    "Norwegian as a key": (TEXT.replace("en: eng_Latn", "no: nob_Latn"), "a key must be text; found False (bool)"),
    "blocks that are none": (yaml.safe_dump({**TASK, "sources": {"files": {"each": 5}}}),
    "sources.files: each: must be a list; found 5 (int)"),
    "a split that no format has": (TEXT.replace("test: test", "tset: test"),
    "sources.files.data.en: unknown split 'tset' of format classification; did you mean 'test'?"),
    "a name in braces": (TEXT.replace("{code}/", "{cod}/"),
    "path: {cod}/train.jsonl: in braces there may be {code}, {split} and {language}"),
    "an unknown metric": (TEXT.replace("- accuracy", "- acuracy"),
    "metrics: unknown metric 'acuracy' of format classification; did you mean 'accuracy'?"),
    "its own name": (TEXT + "name: x\n", "name: unknown key; the name of a task is that of its file"),
}  # fmt: skip


@pytest.mark.parametrize("case", TASKS)
def test_a_task_file_that_is_none(own, capsys, case):
    content, message = TASKS[case]
    status, error = own(content, capsys)
    assert status == 2 and message in error and "config/tasks/reviews.yaml" in error and len(error) < 1000


@pytest.mark.slow
def test_a_language_without_a_line_in_the_table(own, capsys, tmp_path):
    """It breaks nothing where it is not used, and is named with its file where it is."""
    task = json.loads(json.dumps(TASK))
    task["sources"]["files"]["each"][0]["languages"]["nup"] = "nup_Latn"
    text = yaml.safe_dump(task)
    for code in ("eng_Latn", "yor_Latn", "nup_Latn"):
        (tmp_path / code).mkdir()
        for split in ("train", "test"):
            (tmp_path / code / f"{split}.jsonl").write_text("")
    base = {
        "data": {"source": "files", "root": str(tmp_path), "rows": {"train": None}},
        "encoders": {"e": {"from": "a/b", "revision": "c"}},
        "grid": {"encoders": ["e"], "targets": ["reviews"], "intermediates": [], "mixes": ["en"]},
    }

    def status(changes: dict) -> tuple[int, str]:
        (tmp_path / "base.yaml").write_text(yaml.safe_dump(base))
        (tmp_path / "changes.yaml").write_text(yaml.safe_dump(changes))
        return own(text, capsys, "base.yaml", "changes.yaml")

    assert own(text, capsys)[0] == 0, "an experiment that does not use the task"
    assert status({"languages": {"evaluation": ["en", "yo"]}})[0] == 0
    message = "config/tasks/reviews.yaml: language 'nup' is not defined"
    assert status({"threads": 1}) == (2, status({"threads": 1})[1]) and message in status({"threads": 1})[1]
    trained = {"languages": {"evaluation": ["en"]}, "grid": {"intermediates": ["reviews"], "mixes": ["en", "m"]}}
    for weights, expected in (({"en": 1, "yo": 1}, 0), ({"en": 1, "nup": 1}, 2), ({"en": 1, "rest": 1}, 2)):
        ending, error = status(trained | {"mixes": {"m": {"weights": weights}}})
        assert ending == expected and (message in error) == bool(expected), (weights, error)


def test_the_data_of_one_task_is_checked_whatever_the_grid_is(own, capsys, tmp_path):
    """The default experiment is of the world, which the source `files` does not have."""
    own(TEXT, capsys)
    (tmp_path / "yor_Latn").mkdir()
    (tmp_path / "yor_Latn/test.jsonl").write_text('{"id": "1", "text": "fine", "label": "good"}\n')
    (tmp_path / "root.yaml").write_text(f"data: {{root: {tmp_path}}}")
    arguments = ["tasks", "check", "reviews", "--source", "files", "--languages", "yo", "--configfile", "root.yaml"]
    main(arguments)
    output = capsys.readouterr()
    assert "the configuration has" not in output.err
    assert re.search(r"reviews +yo +test", output.out + output.err)
