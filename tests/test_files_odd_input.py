"""Source `files` on data that is odd, blanked or damaged: nothing wrong passes, and what is right is read."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from intermezzo.core.errors import UserError
from intermezzo.sources.files import reading
from toy_files import BIBLE, CONLLU, COPA, SQUAD, UDHR, VERSES, XCOPA, read, xquad_r

JSONL = {"reader": "jsonl", "path": "f", "fields": {"text": "a", "text_pair": None}}
PAIR = {"reader": "jsonl", "path": "f", "fields": {"text": "a", "text_pair": "b", "label": "c"}}
NLI = {"reader": "nli_csv", "path": "f"}
LINES = {"reader": "lines", "path": "f"}
CONLL = {"reader": "conllu", "path": "f"}
TWO = {"reader": "two_column", "path": "f"}
QUAD = {"reader": "squad_json", "path": "f"}
HEAD = "premise,hypothesis,label\n"
BLANK_ANSWER = {"text": "", "answer_start": 0}


def squad(
    text: str = "Lima", start: object = 13, context: str = "Ana lives in Lima.", question: str = "Where?", **more
):
    answers = [{"text": text, "answer_start": start}]
    qas = [{"id": "q1", "question": question, "answers": answers, **more}]
    return {"data": [{"title": "A", "paragraphs": [{"context": context, "qas": qas}]}]}


def parquet(column: pa.Array) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": column}), sink)
    return sink.getvalue().to_pybytes()


def words(*forms: str) -> str:
    rest = "\t_" * 6
    return "".join(f"{number}\t{form}\t_\tNOUN{rest}\n" for number, form in enumerate(forms, start=1)) + "\n"


BAD = {
    # -- answers
    "all answers blanked": (
        "span",
        QUAD,
        squad("", 0),
        r"f: all answers are blank: .*XTREME's scripts .* get the file",
    ),
    "one answer blanked": (
        "span",
        QUAD,
        {"data": squad()["data"] + json.loads(json.dumps(squad("", 0)).replace("q1", "q2"))["data"]},
        r"\(id 'q2'\): answers has an empty text; was it taken out .* `drop: \[unlocated\]`",
    ),
    "blanked retrieval": (
        "ranking",
        {"reader": "xquad_r_json", "path": "*.json", "kind": "pairs"},
        squad("", 0),
        r"question q1: its answer '' is not at character 0",
    ),
    "offset below 0": ("span", QUAD, squad(start=-5), r"'Lima' is not at character -5 .* `drop: \[unlocated\]`"),
    "offset beyond": (
        "span",
        QUAD,
        squad(start=9999),
        r"character 9999 of its context: that has the characters 0 to 17",
    ),
    "another place": ("span", QUAD, squad(start=12), r"'Lima' is not at character 12 of its context: ' Lim' is there"),
    "empty answer beyond": ("span", QUAD, squad("", 9999), r"all answers are blank"),
    "huge offset": ("span", QUAD, squad(start=10**30), r"not at character a number of about 31 digits"),
    "offset true": ("span", QUAD, squad(start=True), r"answer_starts is \[True\], not a list of whole numbers"),
    "impossible as text": ("span", QUAD, squad(is_impossible="false"), r"is_impossible is 'false', not true or false"),
    # -- blank texts, in any field of any format
    "blank context": ("span", QUAD, squad(" ", 0, " "), r"f: "),
    "blank question": ("span", QUAD, squad(question=" "), r"question is empty; `drop: \[empty\]`"),
    "empty question": ("span", QUAD, squad(question=""), r"all questions are empty"),
    "blank premise": ("classification", NLI, f'{HEAD}" ",b,neutral\n', r"text is empty; `drop: \[empty\]`"),
    "empty hypothesis": ("classification", NLI, f"{HEAD}a,,neutral\n", r"text_pair is empty; `drop: \[empty\]`"),
    "blank choice": (
        "multiple_choice",
        {"reader": "xcopa_jsonl", "path": "f"},
        XCOPA.replace('"A"', '" "'),
        r"choices has an empty text; `drop: \[empty\]`",
    ),
    "one of two contexts empty": (
        "multiple_choice",
        {"reader": "xcopa_jsonl", "path": "f"},
        XCOPA + XCOPA.replace('"P"', '""').replace("7", "8"),
        r"\(id '8'\): context is empty",
    ),
    "blank token": ("tagging", TWO, "a NOUN\n\u3000 NOUN\n", r"tokens has an empty text"),
    "white space alone": ("mlm", JSONL, '{"a": " \\u3000\\t"}\n', r"text is empty"),
    "mark alone in a text": ("mlm", JSONL, '{"a": "\\ufeff"}\n', r"text is empty"),
    "blank id": (
        "mlm",
        JSONL | {"fields": {"id": "n", "text": "a", "text_pair": None}},
        '{"n": " ", "a": "x"}\n',
        "id must",
    ),
    "blank verse": (
        "mlm",
        {"reader": "bible_csv", "path": "f"},
        BIBLE.replace("One.", " "),
        r"'MAT.1.1'\): text is empty",
    ),
    # -- JSON
    "NaN": ("mlm", JSONL, '{"a": NaN}\n', r"text is None, not text; `drop: \[empty\]`"),
    "half a character": (
        "mlm",
        JSONL,
        '{"a": "x"}\n{"a": "bad \\ud83d end"}\n',
        r"f, line 2: half a surrogate pair \(\\ud83d\)",
    ),
    "other half": ("mlm", JSONL, '{"a": "\\\\\\udc00"}\n', r"f, line 1: half a surrogate pair \(\\udc00\)"),
    "half in squad": (
        "span",
        QUAD,
        json.dumps(squad(question="Q\ud800"), indent=1),
        r"f, line \d+: half a surrogate pair",
    ),
    "deep": (
        "mlm",
        JSONL,
        '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}\n",
        r"f, line 1: not usable JSON: .* too deeply",
    ),
    "rather deep": ("mlm", JSONL, '{"a": ' + "[" * 900 + "]" * 900 + "}\n", r"f"),
    "deep squad": ("span", QUAD, "[" * 100_000, r"f: not usable JSON: .* too deeply"),
    "5,000 digits": ("mlm", JSONL, '{"a": ' + "9" * 5000 + "}\n", r"f, line 1: .* thousands of digits"),
    "4,000 digits": (
        "mlm",
        JSONL,
        '{"a": ' + "9" * 4000 + "}\n",
        r"is a number of about 400[01] digits, not text",
    ),
    "label true": (
        "classification",
        PAIR | {"map": {1: "neutral"}},
        '{"a": "x", "b": "y", "c": true}\n',
        r"label is True, not",
    ),
    "a key twice": ("mlm", JSONL, '{"a": "x", "a": "y"}\n', r"f, line 1: .* the key 'a' twice"),
    "id of no kind": (
        "mlm",
        JSONL | {"fields": {"id": "n", "text": "a", "text_pair": None}},
        '{"n": {}, "a": "x"}',
        r"id is \{\}",
    ),
    "withheld label": (
        "classification",
        PAIR,
        '{"a": "x", "b": "y", "c": -1}\n',
        r"label is -1, not text; -1 stands for",
    ),
    "NUL escape": ("mlm", JSONL, '{"a": "x\\u0000y"}\n', r"text has a NUL character"),
    # -- encodings and bytes
    "NUL": ("mlm", LINES, b"a\nb\0c\n", r"f, line 2: a NUL byte"),
    "UTF-16": ("mlm", LINES, "abc\n".encode("utf-16-le"), r"f, line 1: a NUL byte"),
    "mark alone": ("classification", NLI, b"\xef\xbb\xbf", r"f: the file is empty"),
    "mark and line": (
        "mlm",
        {"reader": "delimited", "path": "f", "fields": {}},
        b"\xef\xbb\xbf\n",
        r"f: the file is empty",
    ),
    "lines end in CR": ("mlm", LINES, b"a\rb\rc\r", r"f: its lines end in \\r alone"),
    **{
        f"xml in {name}": (
            "multiple_choice",
            {"reader": "copa_xml", "path": "f"},
            COPA.replace('"1.0"', f'"1.0" encoding="{name}"', 1),
            rf"f, line 1: the encoding '{name}' is not one that is read; convert",
        )
        for name in ("utf-32", "utf-7", "x-none", "idna", "hex")
    },
    "no text of its encoding": (
        "multiple_choice",
        {"reader": "copa_xml", "path": "f"},
        COPA.replace('"1.0"', '"1.0" encoding="big5"', 1).replace("fell", "\xff").encode("latin-1"),
        r"f, line 1: not text in the encoding 'big5' that it declares",
    ),
    "parquet bytes": (
        "mlm",
        JSONL | {"reader": "parquet"},
        parquet(pa.array([b"x", b"\xff\xfe"], pa.binary()).view(pa.string())),
        r"f: row 1: a text is not UTF-8",
    ),
    # -- no data
    "page": ("mlm", LINES, "\n<!DOCTYPE html>\n<html><body>Log in</body></html>\n", r"f: a web page \(HTML\) instead"),
    "page after a comment": ("mlm", LINES, "\ufeff<!-- x --><HTML lang='en'>", r"f: a web page \(HTML\) instead"),
    "pointer": (
        "mlm",
        LINES,
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d\n",
        r"a Git LFS pointer .*git lfs pull",
    ),
    "pointer for parquet": (
        "mlm",
        JSONL | {"reader": "parquet"},
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 3\n",
        r"a Git LFS pointer",
    ),
    "status": ("mlm", LINES, "404: Not Found", r"f: a server's refusal instead of the file"),
    # -- tagged sentences
    "withheld": ("tagging", CONLL, words("_", "_", "_"), r"3 of 3 words are `_`: withheld.*`drop: \[withheld\]`"),
    # -- twice
    "verse twice": (
        "mlm",
        {"reader": "bible_xml", "path": "f"},
        VERSES.replace("1.2", "1.1"),
        r"f: verse 'MAT.1.1' occurs more",
    ),
    "csv verse twice": (
        "mlm",
        {"reader": "bible_csv", "path": "f"},
        BIBLE.replace("1,2", "1,1"),
        r"f: verse 'MAT.1.1' occurs",
    ),
    "article twice": (
        "mlm",
        {"reader": "udhr_xml", "path": "f"},
        UDHR.replace('"2"', '"1"'),
        r"f: 'article1' occurs more",
    ),
    "column twice": (
        "classification",
        NLI,
        "premise,hypothesis,label,label\na,b,neutral,x\n",
        r"line 1: two columns are called 'label'",
    ),
    # -- long values
    "20 MB in a line": ("tagging", TWO, "a NOUN\n" + "x" * 20_000_000 + "\n", r"f, line 2: 1 columns in 'xxx"),
    "20 MB of label": ("tagging", TWO, "a " + "x" * 20_000_000 + "\n", r"tags x"),
    "20 MB of field names": ("mlm", JSONL, json.dumps({"x" * 20_000_000: "x"}), r"f: line 1 has no field 'a'"),
    # -- options
    "no expression": ("span", QUAD | {"only": "("}, SQUAD, r"f: only: '\(' in the task file is no regular expression"),
    "option of another type": (
        "mlm",
        JSONL | {"fields": "a"},
        "{}",
        r"toy\.yaml: .*option fields is 'a': input should be",
    ),
    "delimiter": (
        "mlm",
        JSONL | {"reader": "delimited", "delimiter": "ab"},
        "a\nb\n",
        r"f: delimiter: 'ab' in the task file",
    ),
    "no pattern": ("mlm", {"reader": "lines", "path": "/*"}, "x", r"not a pattern of files below data.root"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_one_short_message(name, tmp_path, monkeypatch):
    fmt, part, content, message = BAD[name]
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path, monkeypatch, fmt, [part], {"f.json" if "*" in part["path"] else "f": content})
    assert str(tmp_path) in str(caught.value) or "toy.yaml" in str(caught.value)
    assert max(map(len, str(caught.value).splitlines())) < 1500


# -- what is right ---------------------------------------------------------------------------------------------------


def test_a_long_field_is_read(tmp_path, monkeypatch):
    long = "a" * 200_000
    rows = read(tmp_path, monkeypatch, "classification", [NLI], {"f": f"{HEAD}{long},b,neutral\n"})
    assert rows[0]["text"] == long


def test_a_line_of_20_mb_is_read(tmp_path, monkeypatch):
    rows = read(tmp_path, monkeypatch, "mlm", [LINES], {"f": "a" * 20_000_000 + "\n"})
    assert len(rows[0]["text"]) == 20_000_000


def test_nan_is_null_where_null_is_allowed(tmp_path, monkeypatch):
    part = JSONL | {"fields": {"text": "a", "text_pair": "b"}}
    rows = read(tmp_path, monkeypatch, "mlm", [part], {"f": '{"a": "x", "b": NaN}\n{"a": "y", "b": -Infinity}\n'})
    assert [row["text_pair"] for row in rows] == [None, None]


def test_whole_pairs_and_escaped_backslashes_are_characters(tmp_path, monkeypatch):
    rows = read(tmp_path, monkeypatch, "mlm", [JSONL], {"f": '{"a": "\\ud83d\\ude00"}\n{"a": "\\\\ud83d"}\n'})
    assert [row["text"] for row in rows] == ["\U0001f600", "\\ud83d"]


def test_ids_may_be_whole_numbers(tmp_path, monkeypatch):
    rows = read(tmp_path, monkeypatch, "span", [QUAD], {"f": json.dumps(squad()).replace('"q1"', "17")})
    assert rows[0]["id"] == "17"


@pytest.mark.parametrize(("value", "label"), [("true", "good"), ("1", "bad")])
def test_truth_values_and_numbers_are_told_apart(value, label, tmp_path, monkeypatch):
    part = PAIR | {"map": {True: "good"}, "replace": {"label": {1: "bad"}}}
    content = f'{{"a": "x", "b": "y", "c": {value}}}\n'
    rows = read(tmp_path, monkeypatch, "classification", [part], {"f": content}, labels=("good", "bad"))
    assert rows[0]["label"] == label


@pytest.mark.parametrize("name", ["big5", "gb2312", "gb18030", "euc-jp", "iso-8859-1", "utf-16"])
def test_xml_is_read_in_the_encodings_of_corpora(name, tmp_path, monkeypatch):
    letter = "\xe9" if name == "iso-8859-1" else "\u4e2d"
    text = COPA.replace('"1.0"', f'"1.0" encoding="{name}"', 1).replace("fell", letter)
    rows = read(
        tmp_path, monkeypatch, "multiple_choice", [{"reader": "copa_xml", "path": "f"}], {"f": text.encode(name)}
    )
    assert rows[0]["context"] == f"It {letter}."


def test_comments_of_conllu_need_no_space(tmp_path, monkeypatch):
    content = CONLLU.replace("# sent_id = doc-1", "#sent_id=doc-1\n#\tx\n#").replace("# text", "#text")
    rows = read(tmp_path, monkeypatch, "tagging", [CONLL], {"f": content})
    assert [(row["id"], row["tokens"][0]) for row in rows] == [("doc-1", "Dogs"), ("f:11", "!")]


def test_marks_between_documents_are_no_sentences(tmp_path, monkeypatch):
    part = {"reader": "iob2", "path": "f", "columns": [0, 3]}
    content = "-DOCSTART- -X- -X- O\n\nAna X X B-PER\n\n-DOCSTART- -X- -X- O\n\nnow X X O\n"
    rows = read(tmp_path, monkeypatch, "tagging", [part], {"f": content})
    assert [(row["id"], row["tokens"]) for row in rows] == [("f:3", ["Ana"]), ("f:7", ["now"])]
    assert len(read(tmp_path, monkeypatch, "tagging", [TWO], {"f": "-DOCSTART-\n\nAna NOUN\n"})) == 1


def test_withheld_sentences_can_be_left_out_and_an_underscore_is_a_word(tmp_path, monkeypatch, caplog):
    content = words("_", "_") + words("a", "_", "b") + "# sent_id = last\n" + words("c")
    rows = read(tmp_path, monkeypatch, "tagging", [CONLL | {"drop": ["withheld"]}], {"f": content})
    assert [row["tokens"] for row in rows] == [["a", "_", "b"], ["c"]]
    assert "1 of 3 rows left out (withheld)" in caplog.text


def test_blank_fields_of_every_kind_can_be_left_out(tmp_path, monkeypatch):
    part = {"reader": "xcopa_jsonl", "path": "f", "drop": ["empty"]}
    content = XCOPA + XCOPA.replace('"A"', '" "').replace("7", "8") + XCOPA.replace('"P"', '""').replace("7", "9")
    assert [row["id"] for row in read(tmp_path, monkeypatch, "multiple_choice", [part], {"f": content})] == ["7"]
    tagged = read(tmp_path, monkeypatch, "tagging", [TWO | {"drop": ["empty"]}], {"f": "a NOUN\n\n\u3000 NOUN\n"})
    assert [row["tokens"] for row in tagged] == [["a"]]


def test_a_task_may_have_no_contexts_at_all(tmp_path, monkeypatch):
    fields = {"context": None, "question": "q", "choices": ["a", "b"], "label": "l"}
    part = {"reader": "jsonl", "path": "f", "fields": fields, "replace": {"context": {None: ""}}}
    content = '{"q": "x", "a": "y", "b": "z", "l": 0}\n'
    assert read(tmp_path, monkeypatch, "multiple_choice", [part], {"f": content})[0]["context"] == ""


def test_unlocated_answers_can_be_left_out(tmp_path, monkeypatch):
    answers = [("Lima", 13), ("Lima", -5), ("", 0), (" ", 3), ("", 9999)]
    content = {
        "data": [json.loads(json.dumps(squad(*a)["data"][0]).replace("q1", f"q{i}")) for i, a in enumerate(answers)]
    }
    rows = read(tmp_path, monkeypatch, "span", [QUAD | {"drop": ["unlocated"]}], {"f": content})
    assert [row["id"] for row in rows] == ["q0"]


@pytest.mark.parametrize("breaks", [[[-9, 4], [4, 8]], [[0, 4], [4, 99]], [[4, 0], [4, 8]], [[True, 4], [4, 8]]])
def test_sentence_breaks_lie_in_their_context(breaks, tmp_path, monkeypatch):
    part = {"reader": "xquad_r_json", "path": "f.json", "kind": "candidates"}
    with pytest.raises(UserError, match="sentence_breaks"):
        read(tmp_path, monkeypatch, "ranking", [part], {"f.json": xquad_r(["One.", "Two."], breaks)})


def test_a_question_that_is_twice_in_another_language_of_the_pool_is_refused(tmp_path, monkeypatch):
    part = {"reader": "xquad_r_json", "path": "*.json", "kind": "queries", "language": "en"}
    twice = json.loads(json.dumps(xquad_r(["One.", "Two."])).replace("q1", "q0"))
    with pytest.raises(UserError, match=r"de\.json: question 'q0' occurs more than once"):
        read(tmp_path, monkeypatch, "ranking", [part], {"en.json": xquad_r(["One.", "Two."]), "de.json": twice})


def test_ordinary_starts_are_data():
    for start in (
        b"<html5 is a word",
        b"Not Found is what he said.\nYes.\n",
        b"version https://example.org\n",
        b"<cesDoc>",
    ):
        assert reading.instead_of_data(start) is None
