"""Source `files` on bad input: one message that names the file or key, the place, and what was expected."""

import json

import pytest

from intermezzo import sources
from intermezzo.core.errors import UserError
from intermezzo.specs import base as specs
from intermezzo.specs.data import DataSpec
from specifications import data
from toy_files import CONLLU, COPA, SQUAD, XCOPA, parquet_bytes, read

NLI = {"reader": "nli_csv", "path": "f"}
HEAD = "premise,hypothesis,label\n"
RECORD = {"reader": "jsonl", "path": "f", "fields": {"text": "a", "text_pair": None}}
BAD = {
    "missing file": (
        "mlm",
        {"reader": "lines", "path": "g"},
        "x",
        r"g: no such file; put the dataset below data\.root",
    ),
    "empty file": ("mlm", {"reader": "lines", "path": "f"}, " \n", r"f: the file is empty"),
    "not utf-8": ("mlm", {"reader": "lines", "path": "f"}, b"caf\xe9 noir", r"f: not UTF-8 text \(byte 3\)"),
    "blank line": ("mlm", {"reader": "lines", "path": "f"}, "a\n\nb\n", r"row 1 \(id 'f:2'\): text is empty"),
    "csv header": ("classification", NLI, "premise,label\na,neutral\n", r"f, line 1: no column hypothesis; the header"),
    "csv columns": ("classification", NLI, HEAD + "a,b,neutral\nc,d\n", r"f, line 3: 2 columns, expected 3 \(premise"),
    "csv cut": ("classification", NLI, HEAD + 'a,"b', r"f, line 2: not a valid table .* cut off"),
    "csv label": (
        "classification",
        NLI,
        HEAD + "a,b,maybe\n",
        r"f: not usable.*\n.*\(id 'f:2'\): label 'maybe'; allowed",
    ),
    "csv no rows": ("classification", NLI, HEAD, r"f: no rows"),
    "row count": (
        "classification",
        {**NLI, "rows": 2},
        HEAD + "a,b,neutral\n",
        r"f: 1 rows, expected 2; it is cut off",
    ),
    "conllu cut": ("tagging", {"reader": "conllu", "path": "f"}, CONLLU[:-1], r"f, line 9: the last sentence is not"),
    "conllu columns": (
        "tagging",
        {"reader": "conllu", "path": "f"},
        CONLLU.replace("\t_\t_\n\n1", "\n\n1"),
        r"f, line 7: 8 columns, expected the 10 of CoNLL-U",
    ),
    "conllu lost line": (
        "tagging",
        {"reader": "conllu", "path": "f"},
        CONLLU.replace("2\tdo\tdo\tVERB\t_\t_\t_\t_\t_\t_\n", ""),
        r"f, line 5: word id '3', expected 2",
    ),
    "conllu tag": (
        "tagging",
        {"reader": "conllu", "path": "f"},
        CONLLU.replace("VERB", "VB"),
        r"f: .*\n.*\(id 'doc-1'\): tags VB; allowed",
    ),
    "two columns": (
        "tagging",
        {"reader": "two_column", "path": "f"},
        "a NOUN\nb\n",
        r"f, line 2: 1 columns in 'b', exp",
    ),
    "iob2 columns": (
        "tagging",
        {"reader": "iob2", "path": "f"},
        "1\ta\n",
        r"f, line 1: 2 columns .* expected 3 or more",
    ),
    "squad cut": ("span", {"reader": "squad_json", "path": "f"}, json.dumps(SQUAD)[:80], r"f, line 1: not valid JSON"),
    "squad shape": (
        "span",
        {"reader": "squad_json", "path": "f"},
        json.dumps(SQUAD).replace("answer_start", "start"),
        r"f: not usable as span data:\n.*answer 'Lima' has no offset \(answer_start\), .*`drop: \[unlocated\]`",
    ),
    "squad list": ("span", {"reader": "squad_json", "path": "f"}, "[]", r"f: not SQuAD JSON at its start"),
    "squad types": (
        "span",
        {"reader": "squad_json", "path": "f"},
        json.dumps(SQUAD).replace("13", '"13th"'),
        r"f: row 0 \(id 'q1'\): answer_starts is \['13th'\], not a list of whole numbers",
    ),
    "copa cut": ("multiple_choice", {"reader": "copa_xml", "path": "f"}, COPA[:120], r"f, line 1: not valid XML"),
    "copa label": (
        "multiple_choice",
        {"reader": "copa_xml", "path": "f"},
        COPA.replace('alternative="2"', 'alternative="3"'),
        r"f: item 1 \(id 1, most-plausible-alternative 3\) needs",
    ),
    "xcopa field": (
        "multiple_choice",
        {"reader": "xcopa_jsonl", "path": "f"},
        XCOPA.replace("choice2", "choice"),
        r"f, line 1: no field choice2",
    ),
    "xcopa label": (
        "multiple_choice",
        {"reader": "xcopa_jsonl", "path": "f"},
        XCOPA.replace("1, ", "2, "),
        r"f: .*\n.*label 2 with 2 choices",
    ),
    "xcopa question": (
        "multiple_choice",
        {"reader": "xcopa_jsonl", "path": "f"},
        XCOPA.replace("effect", "why"),
        r"f, line 1: question is 'why', expected cause or effect",
    ),
    "parallel lengths": (
        "retrieval",
        {"reader": "parallel_lines", "path": "f", "english": "f2"},
        "a\nb\n",
        r"f: 2 lines, but .*f2 has 1; one of them is cut off",
    ),
    "udhr shape": ("mlm", {"reader": "udhr_xml", "path": "f"}, "<udhr/>", r"f: no <preamble> or <article>"),
    "bible shape": ("mlm", {"reader": "bible_xml", "path": "f"}, "<a><seg/></a>", r"f: expected verses as <seg"),
    "jsonl cut": ("mlm", RECORD, '{"a": "x"}\n{"a": "', r"f, line 2: not valid JSON"),
    "jsonl list": ("mlm", RECORD, "[1]\n", r"f, line 1: expected one JSON object per line, found list"),
    "jsonl field": ("mlm", RECORD, '{"b": "x"}\n', r"f: line 1 has no field 'a' \(wanted as text\); found b"),
    "jsonl type": ("mlm", RECORD, '{"a": 5}\n', r"f: row 0 \(id 'f:1'\): text is 5, not text"),
    "jsonl null": ("mlm", RECORD, '{"a": null}\n', r"f: row 0 \(id 'f:1'\): text is None, not text"),
    "parquet cut": (
        "mlm",
        {**RECORD, "reader": "parquet"},
        parquet_bytes([{"a": "x"}])[:-20],
        r"f: not a readable Parquet file",
    ),
    "parquet columns": (
        "mlm",
        {**RECORD, "reader": "parquet"},
        parquet_bytes([{"b": "x"}]),
        r"f: row 0 has no field 'a'",
    ),
    "unknown reader": (
        "mlm",
        {"reader": "line", "path": "f"},
        "x",
        r"toy\.yaml: .*en\.train\[0\]: unknown reader 'line'; did",
    ),
    "unknown option": (
        "mlm",
        {"reader": "lines", "path": "f", "drops": []},
        "x",
        r"lines has no option 'drops'; did you",
    ),
    "missing option": (
        "mlm",
        {"reader": "jsonl", "path": "f"},
        "{}",
        r"train\[0\]: reader jsonl needs the option fields",
    ),
    "parallel alone": (
        "retrieval",
        {"reader": "parallel_lines", "path": "f"},
        "x",
        r"f: found f; expected one file and the option english, or two",
    ),
    "no answer": (
        "span",
        {"reader": "squad_json", "path": "f"},
        json.dumps(SQUAD).replace('[{"text": "Lima", "answer_start": 13}]', "[]"),
        r"f: 1 questions have no answer \(the first: 'q1'\); set `unanswerable: true`",
    ),
    "no tab": (
        "retrieval",
        {"reader": "nli_tsv", "path": "f"},
        "id\tpremise\thypothesis\tlabel\n1\ta\n",
        r"f, line 2: 2 columns, expected 4",
    ),
    "pattern": ("mlm", {"reader": "lines", "path": "*.txt"}, "x", r"\*\.txt: no such file"),
    "unknown fault": (
        "mlm",
        {"reader": "lines", "path": "f", "drop": ["blank"]},
        "x",
        r"unknown fault 'blank'.*allowed: ",
    ),
    "step misfit": (
        "mlm",
        {"reader": "lines", "path": "f", "drop": ["unlocated"]},
        "x",
        r"step drop: .* does not fit these",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_end_in_one_message(name, tmp_path, monkeypatch):
    fmt, part, content, message = BAD[name]
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path, monkeypatch, fmt, [part], {"f": content, "f2": "a\n"})
    assert str(tmp_path) in str(caught.value) or "toy.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "file"}, "source: allowed: 'world', 'files', 'hub'; found 'file'"),
        (
            {"rows": 2.5, "splitt": "test"},
            "2 problems:\n  rows: must be .*; found 2.5 .*\n  splitt: .*did you mean 'split'",
        ),
        ({"root": None}, "data.root: not set.*INTERMEZZO_REAL_DATA"),
        ({"root": "/no/such/folder"}, "data.root: no folder '/no/such/folder'; set data.root"),
        ({"task": "nly"}, "unknown task 'nly'; did you mean 'nli'"),
        ({"task": "paraphrase"}, "'paraphrase' has no data in source 'files'"),
        ({"language": "quy"}, "'nli' has no files for language 'quy'; did you mean 'qu'"),
        ({"language": "qu", "split": "dev"}, "has no files for split 'dev' of language 'qu'; allowed: test, train"),
    ],
)
def test_bad_specs(change, message, tmp_path):
    spec = data("files", "nli", "en", "test", root=str(tmp_path)).as_json()
    with pytest.raises(UserError, match=message):
        sources.read(specs.read(DataSpec, spec | change))
