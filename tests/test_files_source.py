"""Source `files`: every reader on a hand-written file, the steps after it, and the sample of `rows`."""

import pytest

from intermezzo import sources
from intermezzo.core.errors import UserError
from specifications import data
from toy_files import BIBLE, CONLLU, COPA, SQUAD, UDHR, VERSES, XCOPA, parquet_bytes, read

# -- readers ------------------------------------------------------------------------------------------------------


def test_conllu_takes_the_syntactic_words(tmp_path, monkeypatch):
    rows = read(tmp_path, monkeypatch, "tagging", [{"reader": "conllu", "path": "a.conllu"}], {"a.conllu": CONLLU})
    assert rows == [
        {"id": "doc-1", "tokens": ["Dogs", "do", "n't"], "tags": ["NOUN", "VERB", "NOUN"]},
        {"id": "a.conllu:9", "tokens": ["!"], "tags": ["PUNCT"]},
    ]


def test_two_column_keeps_odd_line_ends_inside_tokens_and_composes_unicode(tmp_path, monkeypatch):
    text = "e\u0301 NOUN\r\n\u0085 NOUN\n\n\n# PUNCT\nb\tVERB"
    rows = read(tmp_path, monkeypatch, "tagging", [{"reader": "two_column", "path": "a.txt"}], {"a.txt": text})
    assert [row["tokens"] for row in rows] == [["\u00e9", "\u0085"], ["#", "b"]]
    assert [row["id"] for row in rows] == ["a.txt:1", "a.txt:5"]


def test_iob2_repairs_and_renames_only_when_asked(tmp_path, monkeypatch):
    text = "# sent_id = s1\n1\tAna\tB-PER\t-\t-\n2\tPaz\tI-PER\t-\t-\n3\t#\tO\t-\t-\n\n"
    text += "1\tBo\tI-PER\t-\t-\n2\tnow\tB-DATE\t-\t-\n\n"
    part = {"reader": "iob2", "path": "a.iob2", "repair": True, "map": {"B-DATE": "O"}}
    rows = read(tmp_path, monkeypatch, "tagging", [part], {"a.iob2": text})
    assert [row["tags"] for row in rows] == [["B-PER", "I-PER", "O"], ["B-PER", "O"]]
    with pytest.raises(UserError, match=r"a\.iob2, line 6: tag I-PER after O is not IOB2; `repair: true`"):
        read(tmp_path, monkeypatch, "tagging", [{**part, "repair": False}], {})


def test_squad_json_and_its_unlocated_answers(tmp_path, monkeypatch):
    part = {"reader": "squad_json", "path": "q.json", "drop": ["unlocated"], "rows": 2}
    rows = read(tmp_path, monkeypatch, "span", [part], {"q.json": SQUAD})
    assert rows == [
        {
            "id": "q1",
            "context": "Ana lives in Lima.",
            "question": "Where?",
            "answers": ["Lima"],
            "answer_starts": [13],
        }
    ]
    with pytest.raises(UserError, match=r"q\.json.*\n.*row 1 \(id 'q2'\): answer 'Ana' is not at character 1"):
        read(tmp_path, monkeypatch, "span", [{"reader": "squad_json", "path": "q.json"}], {})


def test_nli_tables(tmp_path, monkeypatch):
    contents = {
        "a.csv": 'premise,hypothesis,label\n"He said ""no"", twice",He spoke ,entailment\n',
        "b.tsv": 'id\tlanguage\tpremise\thypothesis\tlabel\n9\tgn\t"Open\tquote\tneutral\n10\tgn\t \tx\tneutral\n',
    }
    parts = [{"reader": "nli_csv", "path": "a.csv"}, {"reader": "nli_tsv", "path": "b.tsv", "drop": ["empty"]}]
    assert read(tmp_path, monkeypatch, "classification", parts, contents) == [
        {"id": "a.csv:2", "text": 'He said "no", twice', "text_pair": "He spoke", "label": "entailment"},
        {"id": "9", "text": '"Open', "text_pair": "quote", "label": "neutral"},
    ]


def test_copa_and_xcopa(tmp_path, monkeypatch):
    contents = {"c.xml": COPA, "x.jsonl": XCOPA, "other.jsonl": XCOPA.replace("effect", "cause")}
    parts = [
        {"reader": "copa_xml", "path": "c.xml"},
        {"reader": "xcopa_jsonl", "path": "x.jsonl", "questions": "other.jsonl"},
    ]
    cause = "What was the cause?"
    assert read(tmp_path, monkeypatch, "multiple_choice", parts, contents) == [
        {"id": "1", "context": "It fell.", "question": cause, "choices": ["It rose.", "He let go."], "label": 1},
        {"id": "7", "context": "P", "question": cause, "choices": ["A", "B"], "label": 1},
    ]
    own = read(tmp_path, monkeypatch, "multiple_choice", [{"reader": "xcopa_jsonl", "path": "x.jsonl"}], {})
    assert own[0]["question"] == "What was the effect?"


def test_lines_and_parallel_lines(tmp_path, monkeypatch):
    contents = {"t.xx": "uno\ndos\n", "t.en": "one\ntwo\n"}
    parts = [{"reader": "parallel_lines", "path": "t.xx", "english": "t.en"}]
    rows = read(tmp_path, monkeypatch, "retrieval", parts, contents)
    assert [(row["text"], row["text_pair"]) for row in rows] == [("uno", "one"), ("dos", "two")]
    rows = read(tmp_path, monkeypatch, "mlm", [{"reader": "lines", "path": "t.xx"}], {})
    assert rows[0] == {"id": "t.xx:1", "text": "uno", "text_pair": None}


def test_udhr_aligns_articles_of_equal_length(tmp_path, monkeypatch):
    ours = UDHR.format(p="P", a="A <b>x</b>\n y", b="B", c="C")
    contents = {"xx.xml": ours, "en.xml": UDHR.format(p="p", a="a", b="b", c="</para><para>c")}
    part = {"reader": "udhr_xml", "path": "xx.xml", "english": "en.xml"}
    rows = read(tmp_path, monkeypatch, "retrieval", [part], contents)
    assert [(row["id"], row["text"], row["text_pair"]) for row in rows] == [
        ("preamble.1", "P", "p"),
        ("article1.1", "A x y", "a"),
        ("article2.1", "B", "b"),
        ("article2.2", "C", "c"),
    ]
    assert len(read(tmp_path, monkeypatch, "retrieval", [{**part, "preamble": False}], {})) == 3
    contents = {"en.xml": UDHR.format(p="p", a="a", b="b", c="c</para><para>d")}
    rows = read(tmp_path, monkeypatch, "retrieval", [part], contents)
    assert [row["id"] for row in rows] == ["preamble.1", "article1.1"]


def test_bibles_align_by_verse_and_pair_neighbours(tmp_path, monkeypatch):
    contents = {"de.xml": VERSES, "en.csv": BIBLE}
    xml = {"reader": "bible_xml", "path": "de.xml"}
    rows = read(tmp_path, monkeypatch, "retrieval", [{**xml, "english": "en.csv"}], contents)
    assert [(row["id"], row["text"], row["text_pair"]) for row in rows] == [
        ("MAT.1.1", "Eins.", "One."),
        ("MAT.1.2", "zw", "Two, two."),
        ("MAT.1.4", "Vier!", "Four."),
    ]
    rows = read(tmp_path, monkeypatch, "mlm", [{**xml, "drop": ["cut"], "pair": True}], {})
    assert [(row["text"], row["text_pair"]) for row in rows] == [("Eins.", None), ("Drei.", "Vier!")]
    rows = read(tmp_path, monkeypatch, "mlm", [{"reader": "bible_csv", "path": "en.csv", "pair": True}], {})
    assert [row["id"] for row in rows] == ["MAT.1.1", "MAT.1.4", "Romans.1.1"]


def test_jsonl_and_parquet_take_fields_from_anywhere(tmp_path, monkeypatch):
    record = {"id": 3, "context": "a b", "q": {"xx": "c?"}, "answer": {"text": ["b"], "start": [2]}}
    fields = {
        "id": "id",
        "context": "context",
        "question": "q.xx",
        "answers": "answer.text",
        "answer_starts": "answer.start",
    }
    wanted = [{"id": "3", "context": "a b", "question": "c?", "answers": ["b"], "answer_starts": [2]}]
    contents = {"a.jsonl": record, "a.parquet": parquet_bytes([record])}
    for reader in ("jsonl", "parquet"):
        part = {"reader": reader, "path": f"a.{reader}", "fields": fields}
        assert read(tmp_path, monkeypatch, "span", [part], contents) == wanted
    contents = {"b.parquet": parquet_bytes([{"premise": "p", "hypothesis": "h", "label": 1}])}
    fields = {"text": "premise", "text_pair": "hypothesis", "label": "label"}
    part = {"reader": "parquet", "path": "b.parquet", "fields": fields, "map": {1: "neutral"}}
    rows = read(tmp_path, monkeypatch, "classification", [part], contents)
    assert rows == [{"id": "b.parquet:0", "text": "p", "text_pair": "h", "label": "neutral"}]


# -- steps and sampling -------------------------------------------------------------------------------------------


def test_hash_splits_are_disjoint_and_keep_equal_keys_together(tmp_path, monkeypatch):
    lines = [f"premise {i // 3},hypothesis {i},neutral" for i in range(600)]
    contents = {"a.csv": "\n".join(["premise,hypothesis,label", *lines, ""])}
    seen = {}
    for start, end in ((0, 80), (80, 90), (90, 100)):
        part = {"reader": "nli_csv", "path": "a.csv", "hash": {"field": "text", "from": start, "to": end}}
        seen[start] = {row["text"] for row in read(tmp_path, monkeypatch, "classification", [part], contents)}
    assert sum(map(len, seen.values())) == len(set.union(*seen.values())) == 200
    assert 140 <= len(seen[0]) <= 180


def test_ids_and_without(tmp_path, monkeypatch):
    contents = {
        "q.json": SQUAD,
        "splits.json": {"train": ["q1"], "gone": ["q9"]},
        "test.json": {"context": "Ana lives in Lima."},
    }
    part = {"reader": "squad_json", "path": "q.json", "drop": ["unlocated"]}
    ids = {**part, "ids": {"path": "splits.json", "key": "train"}}
    assert [row["id"] for row in read(tmp_path, monkeypatch, "span", [ids], contents)] == ["q1"]
    with pytest.raises(UserError, match=r"1 of the ids in .*splits\.json \(gone\) are not in the file"):
        read(tmp_path, monkeypatch, "span", [{**part, "ids": {"path": "splits.json", "key": "gone"}}], {})
    without = {**part, "without": {"field": "context", "paths": ["test.json"]}}
    with pytest.raises(UserError, match=r"q\.json: no rows"):
        read(tmp_path, monkeypatch, "span", [without], {})


def test_a_sample_keeps_the_files_order_and_grows_by_adding(tmp_path, monkeypatch):
    contents = {"a.txt": "".join(f"sentence {i}\n" for i in range(50))}
    everything = read(tmp_path, monkeypatch, "mlm", [{"reader": "lines", "path": "a.txt"}], contents)
    spec = data("files", "toy", "en", "train", root=str(tmp_path))
    ten, twenty = (sources.read(spec.replace(rows=n)) for n in (10, 20))
    assert len(ten) == 10 and ten == [row for row in twenty if row in ten] == [row for row in everything if row in ten]
    assert ten != everything[:10]
    assert sources.read(spec.replace(rows=99)) == everything
