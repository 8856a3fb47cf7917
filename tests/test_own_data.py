"""Data of one's own: labels in a second file, offsets of test questions, first task files, rows as they are read."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
import yaml

from intermezzo import tasks
from intermezzo.cli.main import main
from intermezzo.core.errors import UserError
from toy_files import SQUAD, parquet_bytes, read

# -- readers ------------------------------------------------------------------------------------------------------

CHOICES = {"reader": "jsonl", "path": "p/*", "labels": "p/train-labels.lst", "replace": {"question": {None: ""}}}
CHOICES["fields"] = {"context": "goal", "question": None, "choices": ["sol1", "sol2"]}
GOALS = "".join(json.dumps({"goal": f"goal {i}", "sol1": "a", "sol2": "b"}) + "\n" for i in range(3))


def test_labels_may_lie_in_a_second_file(tmp_path, monkeypatch):
    contents = {"p/train.jsonl": GOALS, "p/train-labels.lst": "0\n1\n1"}
    rows = read(tmp_path, monkeypatch, "multiple_choice", [CHOICES], contents)
    assert [row["label"] for row in rows] == [0, 1, 1]
    part = {"reader": "lines", "path": "words.txt", "labels": "verdicts", "map": {"+": "entailment", "-": "neutral"}}
    contents = {"words.txt": "x\ny\n", "verdicts": "+ \r\n-\r\n"}
    rows = read(tmp_path, monkeypatch, "classification", [part], contents)
    assert [(row["text"], row["label"]) for row in rows] == [("x", "entailment"), ("y", "neutral")]
    part = {"reader": "jsonl", "path": "s.jsonl", "labels": "s.tags", "fields": {"tokens": "w"}}
    rows = read(tmp_path, monkeypatch, "tagging", [part], {"s.jsonl": '{"w": ["a", "b"]}\n', "s.tags": "O B-PER\n"})
    assert rows[0]["tags"] == ["O", "B-PER"]


@pytest.mark.parametrize(
    ("form", "changes", "labels", "message"),
    [
        ("multiple_choice", {}, "0\n1\n", r"train-labels\.lst: 2 lines, but .*train\.jsonl has 3 rows; each row"),
        ("multiple_choice", {}, "label\n0\n1\n1\n", r"4 lines, but .* without a header"),
        ("multiple_choice", {}, "0\n\n1\n", r"train-labels\.lst, line 2: an empty line, where the label"),
        ("multiple_choice", {}, "0\n1\nx\n", r"label is 'x', not whole numbers"),
        ("multiple_choice", {}, "0\n1\n2\n", r"label 2 with 2 choices"),
        ("multiple_choice", {"path": "p/train.jsonl", "labels": "p/no.lst"}, "0\n", r"p/no\.lst: no such file"),
        ("multiple_choice", {"labels": 3}, "0\n", r"step labels: 3 does not fit|labels"),
        ("mlm", {"reader": "lines", "fields": None, "replace": None}, "0\n1\n1\n", r"labels: format mlm has none"),
    ],
)
def test_labels_that_do_not_belong_to_the_rows_are_one_message(form, changes, labels, message, tmp_path, monkeypatch):
    part = {key: value for key, value in (CHOICES | changes).items() if value is not None}
    contents = {"p/train.jsonl": GOALS, "p/train-labels.lst": labels}
    with pytest.raises(UserError, match=message):
        read(tmp_path, monkeypatch, form, [part], contents)


def test_rows_with_labels_take_no_second_ones(tmp_path, monkeypatch):
    part = CHOICES | {"path": "t.jsonl", "fields": CHOICES["fields"] | {"label": "l"}}
    contents = {"t.jsonl": '{"goal": "x", "sol1": "a", "sol2": "b", "l": 1}\n', "p/train-labels.lst": "0\n"}
    with pytest.raises(UserError, match="the rows have a label already"):
        read(tmp_path, monkeypatch, "multiple_choice", [part], contents)


def test_quotes_of_a_tsv_are_text_unless_it_is_said(tmp_path, monkeypatch):
    part = {"reader": "tsv", "path": "t.tsv", "fields": {"text": "t", "text_pair": None, "label": "l"}}
    lines = 't\tl\n"To be\tneutral\nnot to be"\tneutral\nshe said "no"\tneutral\n'
    rows = read(tmp_path, monkeypatch, "classification", [part], {"t.tsv": lines})
    assert [row["text"] for row in rows] == ['"To be', 'not to be"', 'she said "no"']
    quoted = 't\tl\n"a\tb ""c"""\tneutral\n'
    rows = read(tmp_path, monkeypatch, "classification", [part | {"quoted": True}], {"t.tsv": quoted})
    assert [row["text"] for row in rows] == ['a\tb "c"']
    with pytest.raises(UserError, match=r"t\.tsv, line 2: 3 columns, expected 2"):
        read(tmp_path, monkeypatch, "classification", [part], {"t.tsv": quoted})


def test_whole_numbers_of_a_table_are_numbers(tmp_path, monkeypatch):
    fields = {"context": "c", "question": "q", "answers": ["a"], "answer_starts": ["s"]}
    part = {"reader": "csv", "path": "q.csv", "fields": fields}
    rows = read(tmp_path, monkeypatch, "span", [part], {"q.csv": "c,q,a,s\nAna lives in Lima.,Where?,Lima,13\n"})
    assert rows[0]["answers"] == ["Lima"] and rows[0]["answer_starts"] == [13]
    for number in ("1_3", "13.0", " 13", "thirteen", "9" * 30):
        with pytest.raises(UserError, match=r"answer_starts is .*not a list of whole numbers"):
            read(
                tmp_path, monkeypatch, "span", [part], {"q.csv": f"c,q,a,s\nAna lives in Lima.,Where?,Lima,{number}\n"}
            )


# -- offsets ------------------------------------------------------------------------------------------------------

ASKED = {"reader": "squad_json", "path": "q.json"}


def squad(**changes):
    """SQUAD, whose second answer is at another offset, with changes in that answer."""
    content = json.loads(json.dumps(SQUAD))
    answer = content["data"][0]["paragraphs"][0]["qas"][1]["answers"][0]
    answer |= changes
    return {"q.json": content}


@pytest.mark.parametrize("start", [1, -1, -5, 99, None, "missing"])
def test_wrong_offsets_matter_in_training_alone(start, tmp_path, monkeypatch):
    content = squad(answer_start=start)
    if start == "missing":
        del content["q.json"]["data"][0]["paragraphs"][0]["qas"][1]["answers"][0]["answer_start"]
    for split in ("test", "dev"):
        for part in (ASKED, ASKED | {"drop": ["unlocated"]}):
            rows = read(tmp_path, monkeypatch, "span", [part], content, split=split)
            assert [row["answers"] for row in rows] == [["Lima"], ["Ana"]]
    with pytest.raises(UserError, match=r"'q2'\): answer 'Ana' (is not at|has no offset).*`drop: \[unlocated\]`"):
        read(tmp_path, monkeypatch, "span", [ASKED], content)
    rows = read(tmp_path, monkeypatch, "span", [ASKED | {"drop": ["unlocated"]}], content)
    assert [row["id"] for row in rows] == ["q1"]


def test_test_questions_without_an_answer_are_refused_or_left_out(tmp_path, monkeypatch):
    content = squad(text=" ")
    with pytest.raises(UserError, match=r"'q2'\): answers has an empty text"):
        read(tmp_path, monkeypatch, "span", [ASKED], content, split="test")
    rows = read(tmp_path, monkeypatch, "span", [ASKED | {"drop": ["unlocated"]}], content, split="test")
    assert [row["id"] for row in rows] == ["q1"]


def test_records_without_any_offsets_can_be_scored(tmp_path, monkeypatch):
    fields = {"context": "c", "question": "q", "answers": "a", "answer_starts": None}
    part = {"reader": "jsonl", "path": "f", "fields": fields}
    content = {"f": '{"c": "Ana lives.", "q": "Who?", "a": ["Ana", "She"]}\n'}
    assert read(tmp_path, monkeypatch, "span", [part], content, split="test")[0]["answer_starts"] == [-1, -1]
    with pytest.raises(UserError, match="answer 'Ana' has no offset"):
        read(tmp_path, monkeypatch, "span", [part], content)


# -- first task files ---------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory; what is known of task files is forgotten before and after."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INTERMEZZO_REAL_DATA", raising=False)
    forget()
    yield tmp_path
    forget()


def forget():
    """Forget what is known of task files."""
    for cached in (tasks.task_names, tasks.load_task, tasks._files):
        cached.cache_clear()


def new(capsys, files, first, *options, name="own"):
    """The exit status of `tasks new`, what it printed, and the task file (None where there is none)."""
    for path, content in files.items():
        Path("data", path).parent.mkdir(parents=True, exist_ok=True)
        Path("data", path).write_bytes(content if isinstance(content, bytes) else content.encode())
    status = main(["tasks", "new", name, "--from", f"data/{first}", *options])
    printed = capsys.readouterr()
    path = f"config/tasks/{name}.yaml"
    content = yaml.safe_load(Path(path).read_text(encoding="utf-8")) if os.path.exists(path) else None
    forget()
    return status, printed.out + printed.err, content


MANY = "".join(f"the text {i},{'xy'[i % 2]}\n" for i in range(40))
PAIRS = "".join(f'{{"premise": "a", "hypothesis": "b", "label": {i}, "id": {i + 7}}}\n' for i in range(2))
TABLE = "text,label\na b,x\nc d,y\n"
CONLL = "Ana B-PER\nsings O\n\nBo B-PER\n\n"
GUESSES = {  # files, the one that is named, options, format, and what the file has (key path -> value)
    "csv": (
        {"r/eng.train.csv": TABLE, "r/swa.test.csv": TABLE, "r/readme.csv": "x"},
        "r/swa.test.csv",
        [],
        "classification",
        {
            "labels": ["x", "y"],
            "0.languages": {"en": "eng"},
            "1.languages": {"sw": "swa"},
            "1.splits": {"test": "test"},
            "0.part": {
                "reader": "csv",
                "path": "r/{code}.{split}.csv",
                "fields": {"text": "text", "text_pair": None, "label": "label"},
            },
        },
    ),
    "one file": (
        {"all_yo.csv": f"text,label\n{MANY}"},
        "all_yo.csv",
        [],
        "classification",
        {"0.part.hash": {"field": "text", "from": 0, "to": 80}, "2.splits": {"test": "test"}},
    ),
    "semicolons": (
        {"en/test.csv": 'text;label\n"a; b";x\nc;y\n'},
        "en/test.csv",
        [],
        "classification",
        {"0.part.delimiter": ";", "0.part.path": "{code}/{split}.csv"},
    ),
    "raw tsv": (
        {"eng_Latn/test.tsv": 'text\tlabel\n"a\tx\nb" c\ty\n'},
        "eng_Latn/test.tsv",
        [],
        "classification",
        {"0.part.reader": "tsv", "0.languages": {"en": "eng_Latn"}},
    ),
    "quoted tsv": (
        {"en.test.tsv": 'text\tlabel\n"a ""b"" c"\tx\nd\ty\n'},
        "en.test.tsv",
        [],
        "classification",
        {"0.part.quoted": True},
    ),
    "pairs": (
        {"en.test.jsonl": PAIRS},
        "en.test.jsonl",
        [],
        "classification",
        {
            "labels": ["0", "1"],
            "0.part.map": {0: "0", 1: "1"},
            "0.part.fields": {"id": "id", "text": "premise", "text_pair": "hypothesis", "label": "label"},
        },
    ),
    "other names": (
        {"en.test.jsonl": "".join(f'{{"a": "text number {i}", "b": "{"uv"[i % 2]}"}}\n' for i in range(8))},
        "en.test.jsonl",
        [],
        "classification",
        {"labels": ["u", "v"], "0.part.fields": {"text": "a", "text_pair": None, "label": "b"}},
    ),
    "several labels": (
        {"en.test.jsonl": '{"text": "a", "labels": ["x", "y"]}\n{"text": "b", "labels": []}\n'},
        "en.test.jsonl",
        [],
        "multi_label",
        {"labels": ["x", "y"]},
    ),
    "a scale": (
        {"en.test.csv": "sentence1,sentence2,score\na,b,1.5\nc,d,2\n"},
        "en.test.csv",
        [],
        "regression",
        {"metrics": ["pearson", "spearman"]},
    ),
    "choices from 1": (
        {"en.test.csv": "question,choice1,choice2,answer\nq,a,b,1\nr,c,d,2\n"},
        "en.test.csv",
        [],
        "multiple_choice",
        {"0.part.map": {"1": 0, "2": 1}, "0.part.replace": {"context": {None: ""}}},
    ),
    "letters": (
        {"en.test.jsonl": '{"question": "q", "choices": ["a", "b"], "answer": "B"}\n'},
        "en.test.jsonl",
        [],
        "multiple_choice",
        {"0.part.map": {"B": 1}},
    ),
    "labels beside": (
        {f"p/{s}": c for s, c in (("train.jsonl", GOALS), ("train-labels.lst", "0\n1\n0\n"), ("valid.jsonl", GOALS),
                                  ("valid-labels.lst", "0\n1\n1\n"))},
        "p/train.jsonl",
        ["--language", "en"],
        "multiple_choice",
        {"0.part.labels": "p/{split}-labels.lst", "0.splits": {"train": "train", "dev": "valid"}},
    ),
    "conll": (
        {"ner/yor/test.txt": CONLL},
        "ner/yor/test.txt",
        [],
        "tagging",
        {"labels": ["B-PER", "O"], "metrics": ["span_f1"], "0.part.columns": [0, 1]},
    ),
    "iob1": ({"en.test.conll": "Ana I-PER\nsings O\n\n"}, "en.test.conll", [], "tagging", {"0.part.repair": True}),
    "bare tags": (
        {"en.test.tsv": "Dogs\tNOUN\nbark\tVERB\n\nCats\tNOUN\n"},
        "en.test.tsv",
        [],
        "tagging",
        {"0.part.reader": "two_column", "metrics": ["accuracy"]},
    ),
    "conllu": (
        {"bm_crb-ud-test.conllu": "1\ta\ta\tNOUN\t_\t_\t_\t_\t_\t_\n2\tb\tb\tVERB\t_\t_\t_\t_\t_\t_\n\n"},
        "bm_crb-ud-test.conllu",
        [],
        "tagging",
        {"0.languages": {"bm": "bm"}, "0.part.path": "{code}_crb-ud-{split}.conllu"},
    ),
    "squad": (
        {"dev.ja.json": json.dumps(squad(answer_start=0)["q.json"])},
        "dev.ja.json",
        [],
        "span",
        {"metrics": ["jsquad_f1", "jsquad_em", "squad_f1", "squad_em"]},
    ),
    "squad 2": (
        {"test.en.json": json.dumps(SQUAD).replace('[{"text": "Lima", "answer_start": 13}]', "[]")},
        "test.en.json",
        [],
        "span",
        {"unanswerable": True},
    ),
    "nested answers": (
        {"en.test.jsonl": '{"context": "a b", "question": "q", "answers": {"text": ["a"], "answer_start": [0]}}\n'},
        "en.test.jsonl",
        [],
        "span",
        {"0.part.fields.answers": "answers.text", "0.part.fields.answer_starts": "answers.answer_start"},
    ),
    "parallel": (
        {"t/x.en": "a\nb\n", "t/x.sw": "c\nd\n", "t/x.yo": "e\nf\n"},
        "t/x.yo",
        [],
        "retrieval",
        {"0.languages": {"sw": "sw", "yo": "yo"}, "0.part.english": "t/x.en", "0.splits": {"test": "test"}},
    ),
    "translations in columns": (
        {"talks.csv": "id,en,sw\n1,Hi,Jambo\n"},
        "talks.csv",
        [],
        "retrieval",
        {"0.part.fields": {"text": "{code}", "text_pair": "en"}, "0.languages": {"sw": "sw"}},
    ),
    "plain text": ({"swahili.txt": "a b\nc d\n"}, "swahili.txt", [], "mlm", {"0.languages": {"sw": "swahili"}}),
    "parquet": (
        {"en/test.parquet": parquet_bytes([{"text": "a b", "label": "x"}, {"text": "c", "label": "y"}])},
        "en/test.parquet",
        [],
        "classification",
        {"0.part.reader": "parquet"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", GUESSES)
def test_a_first_task_file_is_written_by_looking_at_the_data(case, folder, capsys):
    files, first, options, form, expected = GUESSES[case]
    status, printed, content = new(capsys, files, first, *options)
    assert status == 0, printed
    assert content["format"] == form and f"config/tasks/own.yaml: {form}" in printed
    for path, value in expected.items():
        here = content
        blocks = content["sources"]["files"]["each"]
        for step in path.split("."):
            here = blocks[int(step)] if step.isdigit() else here[step]
        assert here == value, (path, here)
    assert tasks.load_task("own").format == form


REFUSED = {  # files, the one that is named, options, message
    "no file": ({}, "en.csv", [], r"data/en\.csv: no such file"),
    "a folder": ({"r/en.csv": TABLE}, "r", [], r"data/r: is a folder; name a file in it"),
    "empty": ({"en.csv": ""}, "en.csv", [], "the file is empty"),
    "no rows": ({"en.csv": "text,label\n"}, "en.csv", [], "a table without rows"),
    "no language": ({"r.csv": TABLE}, "r.csv", [], r"r\.csv: which language is it\? .*--language CODE"),
    "a word": ({"my.csv": TABLE}, "my.csv", [], r"which language is it\? 'my' may be a word"),
    "two languages": ({"en-fr.csv": TABLE}, "en-fr.csv", [], "which language is it.*'en' or 'fr'"),
    "no code": ({"r.csv": TABLE}, "r.csv", ["--language", "x y"], "--language: 'x y' is no code"),
    "another root": ({"en.csv": TABLE}, "en.csv", ["--root", "config"], r"--root: data/en\.csv does not lie below"),
    "foreign columns": (
        {"en.csv": "foo,bar\n1,2\n"},
        "en.csv",
        [],
        "its fields are foo, bar; name them text and label",
    ),
    "a list": ({"en.json": "[1, 2]"}, "en.json", [], r"JSON that is a list; write one object per line"),
    "cut json": ({"en.json": '{"a": '}, "en.json", [], "not valid JSON"),
    "xml": ({"en.xml": "<a/>"}, "en.xml", [], r"a file that ends in \.xml"),
    "numbers as tags": (
        {"en.test.jsonl": '{"tokens": ["a"], "ner_tags": [3]}\n'},
        "en.test.jsonl",
        [],
        "'ner_tags' are numbers without names",
    ),
    "one label": ({"en.test.csv": "text,label\na,x\nb,x\n"}, "en.test.csv", [], "its label is always 'x'"),
    "too few": ({"en.csv": TABLE}, "en.csv", [], "too few rows to be split"),
    "a web page": ({"en.csv": "<!doctype html><html></html>"}, "en.csv", [], "a web page"),
    "ragged": ({"en.csv": "text,label\na,b,c\n"}, "en.csv", [], r"en\.csv, line 2: 3 columns, expected 2"),
    "binary": ({"en.dat": b"\0\1"}, "en.dat", [], "NUL byte"),
    "no parquet": ({"en.parquet": "PAR1"}, "en.parquet", [], "not a readable Parquet file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_likely_is_one_message_and_no_file(case, folder, capsys):
    files, first, options, message = REFUSED[case]
    status, printed, content = new(capsys, files, first, *options)
    assert status == 2 and content is None and not os.path.exists("config/tasks")
    assert re.match(f"error: .*{message}", printed) and len(printed.strip().splitlines()) == 1, printed


def test_nothing_is_overwritten_and_names_are_checked(folder, capsys):
    files = {"en.test.csv": TABLE}
    assert new(capsys, files, "en.test.csv")[0] == 0
    before = (folder / "config/tasks/own.yaml").read_bytes()
    status, printed, _ = new(capsys, {"en.test.csv": CONLL}, "en.test.csv")
    assert status == 2 and "config/tasks/own.yaml: is there already" in printed
    assert (folder / "config/tasks/own.yaml").read_bytes() == before
    status, printed, _ = new(capsys, files, "en.test.csv", name="xnli")
    assert status == 2 and "xnli.yaml: is there already" in printed
    for name in ("../x", "a b", ".x", "", "x" * 200):
        status, printed, content = new(capsys, files, "en.test.csv", name=name)
        assert status == 2 and content is None and "cannot be the name of a task" in printed


def test_rows_that_do_not_fit_are_told_with_the_task_file_to_mend_them_in(folder, capsys):
    status, printed, content = new(capsys, {"en.test.csv": "text,label\na,x\n,y\n"}, "en.test.csv")
    assert status == 2 and content["format"] == "classification"
    assert "own.yaml is written, but does not fit all data yet" in printed and "`drop: [empty]`" in printed


def test_a_language_that_nobody_defined_is_said(folder, capsys):
    status, printed, content = new(capsys, {"r.test.csv": TABLE}, "r.test.csv", "--language", "xyz")
    assert status == 0 and "language 'xyz' is not defined yet: add it" in printed
    assert content["sources"]["files"]["each"][0]["languages"] == {"xyz": "xyz"}


# -- rows as they are read ------------------------------------------------------------------------------------------


def test_rows_are_shown_as_an_encoder_reads_them(folder, capsys):
    new(capsys, {"en.train.json": json.dumps(squad(answer_start=0)["q.json"])}, "en.train.json")
    status = main(["tasks", "check", "own", "--root", "data", "--show", "1"])
    printed = capsys.readouterr().out
    assert status == 0 and "tokenizer: none yet" in printed
    assert "<s> Where ? </s> </s> Ana lives in [[ Lima ]] . </s>" in printed
    assert "answers: 'Lima' at character 13" in printed and "q2" not in printed
    command = ["tasks", "check", "own", "--root", "data", "--show", "1", "--encoder"]
    assert main([*command, "nowhere"]) == 2
    assert "--encoder: 'nowhere' is no encoder and no folder with tokenizer.json" in capsys.readouterr().err
    assert main([*command, "world"]) == 2
    assert "'world' has no tokenizer yet" in capsys.readouterr().err


def test_windows_and_tags_and_wrong_offsets_are_shown():
    from intermezzo.modeling.transcript import transcript, word_tokenizer
    from intermezzo.tasks.formats import load_format
    from specifications import task_spec

    row = {"id": "1", "context": "a b c d e f g h i", "question": "q", "answers": ["e"], "answer_starts": [8]}
    spec = task_spec({"name": "qa", "format": "span", "labels": []})
    tokenizer = word_tokenizer([row], load_format("span"))
    assert transcript([row], spec, tokenizer, 9, 1) == [
        "id 1",
        "  <s> q </s> </s> a b c d </s>",
        "  <s> q </s> </s> d [[ e ]] f g </s>",
        "  <s> q </s> </s> g h i </s>",
        "  answers: 'e' at character 8",
    ]
    wrong = row | {"answer_starts": [0]}
    lines = transcript([wrong], spec, tokenizer, 32, 1)
    assert lines[-1] == "  answers: 'e' (no right offset)" and "[[" not in "".join(lines)
    row = {"id": "2", "tokens": ["Ana", "sings"], "tags": ["B-PER", "O"]}
    spec = task_spec({"name": "ner", "format": "tagging", "labels": ["O", "B-PER"]})
    lines = transcript([row], spec, word_tokenizer([row], load_format("tagging")), 32, 1)
    assert lines == ["id 2", "  <s> Ana/B-PER sings/O </s>"]
