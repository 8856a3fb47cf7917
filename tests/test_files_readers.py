"""Readers of retrieval, mining, supertags and unanswerable questions, on hand-written files; several files per part."""

import io
import json
import logging
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from intermezzo.core.errors import UserError
from intermezzo.sources import files
from intermezzo.sources.files import parquet
from intermezzo.sources.files.answers import sentence_spans
from intermezzo.sources.files.reading import File
from intermezzo.tasks import Task
from toy_files import AUTO, SQUAD, mewslix_mention, parquet_bytes, read, xquad_r

# -- answer retrieval (LAReQA) ------------------------------------------------------------------------------------

POOL = {
    "r/de.json": xquad_r(["Eins. ", "Zwei ist da.\n", "Drei."]),
    "r/en.json": xquad_r(["One. ", "Two.\n", "Three."]),
}
RANKING = {"reader": "xquad_r_json", "path": "r/*.json"}


def test_questions_find_the_answer_sentence_in_every_language(tmp_path, monkeypatch):
    part = {**RANKING, "kind": "queries", "language": "de"}
    rows = read(tmp_path, monkeypatch, "ranking", [part], POOL)
    assert [(row["id"], row["text"], row["text_pair"]) for row in rows] == [("q0", "Q0?", None), ("q1", "Q1?", None)]
    assert [row["relevant"] for row in rows] == [["de:1:0", "en:1:0"], ["de:1:1", "en:1:1"]]
    rows = read(tmp_path, monkeypatch, "ranking", [{**part, "pool": ["en"]}], {})
    assert [row["relevant"] for row in rows] == [["en:1:0"], ["en:1:1"]]


def test_a_candidate_is_its_sentence_and_the_paragraph_without_line_ends(tmp_path, monkeypatch):
    rows = read(tmp_path, monkeypatch, "ranking", [{**RANKING, "kind": "candidates", "language": "en"}], POOL)
    assert [(row["id"], row["text"]) for row in rows] == [
        ("en:1:0", "One. One. Two.Three."),
        ("en:1:1", "Two.One. Two.Three."),
        ("en:1:2", "Three.One. Two.Three."),
    ]
    assert all(row["relevant"] == [] and row["text_pair"] is None for row in rows)


def test_ids_of_a_pool_are_unique_and_every_relevant_one_is_a_candidate(tmp_path, monkeypatch):
    parts = [{**RANKING, "kind": "candidates", "language": code} for code in ("de", "en")]
    pool = [row["id"] for row in read(tmp_path, monkeypatch, "ranking", parts, POOL)]
    queries = read(tmp_path, monkeypatch, "ranking", [{**RANKING, "kind": "queries", "language": "en"}], {})
    assert len(set(pool)) == len(pool) == 6
    assert {name for row in queries for name in row["relevant"]} <= set(pool)


def test_a_repeated_answer_sentence_is_right_each_time(tmp_path, monkeypatch):
    contents = {"r/en.json": xquad_r(["Yes.", " ", "Yes."])}
    rows = read(tmp_path, monkeypatch, "ranking", [{**RANKING, "kind": "queries"}], contents)
    assert rows[0]["relevant"] == ["en:1:0", "en:1:2"]


def test_plain_squad_gives_training_pairs(tmp_path, monkeypatch):
    context = "Ana lives in Lima. Bo lives in St. Louis. He is 5."
    item = {"id": "q", "question": "Where is Bo?", "answers": [{"text": "St. Louis", "answer_start": 31}]}
    contents = {"train.json": {"data": [{"paragraphs": [{"context": context, "qas": [item]}]}]}}
    part = {"reader": "xquad_r_json", "path": "train.json", "kind": "pairs"}
    assert read(tmp_path, monkeypatch, "ranking", [part], contents) == [
        {"id": "q", "text": "Where is Bo?", "text_pair": f"Bo lives in St. Louis.{context}", "relevant": []}
    ]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("  One.\n\nTwo. ", ["One.", "Two."]),
        ('He said "No." Then he left.', ['He said "No."', "Then he left."]),
        ("Mr. A. Smith of the U.S. Army paid 3.5 dollars.", ["Mr. A. Smith of the U.S. Army paid 3.5 dollars."]),
        ("e.g. this one. And that", ["e.g. this one.", "And that"]),
        ("", []),
    ],
)
def test_sentence_splitting(text, sentences):
    assert [text[start:end] for start, end in sentence_spans(text)] == sentences


@pytest.mark.parametrize(
    ("part", "contents", "message"),
    [
        ({**RANKING, "kind": "questions"}, POOL, r"kind: unknown kind 'questions' .*allowed: "),
        ({**RANKING, "kind": "queries", "language": "fr"}, POOL, r"no file fr\.json beside it; there are: de, en"),
        ({**RANKING, "kind": "queries", "pool": ["en", "zh"]}, POOL, r"no file zh\.json beside it"),
        ({**RANKING, "kind": "queries"}, {"r/en.json": SQUAD}, r"paragraph 1 is not as expected .*sentence_breaks"),
        (
            {**RANKING, "kind": "queries"},
            {"r/en.json": xquad_r(["One. ", "Two."], breaks=[[5, 9]])},
            r"question q0: its answer \(character 0\) is in no sentence",
        ),
    ],
)
def test_bad_answer_retrieval(part, contents, message, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=message):
        read(tmp_path, monkeypatch, "ranking", [part], contents)


# -- entity retrieval (Mewsli-X) ----------------------------------------------------------------------------------

TEXT = "It {rained}. We saw Lima\nin  Peru. End."
LINES = "".join(
    json.dumps(line) + "\n"
    for line in (
        {"context": mewslix_mention("es", TEXT)[0], "mentions": [mewslix_mention("es", TEXT, "Lima")[1]]},
        {"context": mewslix_mention("de", TEXT)[0], "mentions": [mewslix_mention("de", TEXT, "rained")[1]]},
    )
)
ENTITY = {
    "entity_id": "Q2868",
    "title": "Lima",
    "description": "Lima ist eine Stadt. Sie ist\ngross. Mehr.",
    "sentence_spans": [{"start": 0, "end": 20}, {"start": 21, "end": 35}],
}


def test_mentions_entities_and_pairs(tmp_path, monkeypatch):
    mention = dict(zip(("context", "mention"), mewslix_mention("en", TEXT, "Lima"), strict=True))
    contents = {
        "mentions.jsonl": LINES,
        "entities.jsonl": json.dumps(ENTITY),
        "pairs.jsonl": json.dumps({"contextual_mention": mention, "entity": ENTITY}),
    }
    part = {"reader": "mewslix_jsonl", "path": "mentions.jsonl", "kind": "queries", "language": "es"}
    query = "Lima: We saw { Lima } in Peru."
    assert read(tmp_path, monkeypatch, "ranking", [part], contents) == [
        {"id": "es-Lima", "text": query, "text_pair": None, "relevant": ["Q-Lima"]}
    ]
    assert len(read(tmp_path, monkeypatch, "ranking", [{**part, "language": None}], {})) == 2
    description = "Lima ist eine Stadt. Sie ist gross."
    part = {"reader": "mewslix_jsonl", "path": "entities.jsonl", "kind": "candidates"}
    assert read(tmp_path, monkeypatch, "ranking", [part], {}) == [
        {"id": "Q2868", "text": description, "text_pair": None, "relevant": []}
    ]
    part = {"reader": "mewslix_jsonl", "path": "pairs.jsonl", "kind": "pairs"}
    assert read(tmp_path, monkeypatch, "ranking", [part], {}) == [
        {"id": "en-Lima", "text": query, "text_pair": description, "relevant": []}
    ]


def test_braces_mark_the_mention_alone(tmp_path, monkeypatch):
    text = "It {rained} and rained."
    line = dict(zip(("context", "mentions"), mewslix_mention("es", text, "rained"), strict=True))
    line["mentions"]["mention_span"] |= {"start": 16, "end": 22}
    part = {"reader": "mewslix_jsonl", "path": "m", "kind": "queries"}
    rows = read(tmp_path, monkeypatch, "ranking", [part], {"m": json.dumps(line | {"mentions": [line["mentions"]]})})
    assert rows[0]["text"] == "rained: It (rained) and { rained } ."


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (json.dumps(TEXT), '""', r"m, line 1: .*no article text: the archive leaves it out"),
        ('"start": 20', '"start": 21', r"m, line 1: .*mention es-Lima: 'Lima' is not at character 21"),
        ('{"start": 13, "end": 34}', '{"start": 22, "end": 34}', r"m, line 1: .*'Lima' is in no single sentence"),
        ('"entity_id"', '"qid"', r"m, line 1: not a line of Mewsli-X's queries \('entity_id'\)"),
    ],
)
def test_bad_mentions(old, new, message, tmp_path, monkeypatch):
    part = {"reader": "mewslix_jsonl", "path": "m", "kind": "queries"}
    assert old in LINES
    with pytest.raises(UserError, match=message):
        read(tmp_path, monkeypatch, "ranking", [part], {"m": LINES.replace(old, new)})


# -- mining (BUCC) ------------------------------------------------------------------------------------------------

BUCC = {
    "b/de-en.sample.de": "de-1\tEins \nde-2\tZwei\tx\n",
    "b/de-en.sample.en": "en-1\tTwo\nen-2\tThree\n",
    "b/de-en.sample.gold": "de-2\ten-1\n",
}
MINING = {"reader": "bucc", "path": "b/de-en.sample.*"}


def test_bucc_puts_both_sides_and_the_gold_pairs_into_one_set(tmp_path, monkeypatch):
    assert read(tmp_path, monkeypatch, "mining", [{**MINING, "rows": 4}], BUCC) == [
        {"id": "de-1", "text": "Eins", "side": "foreign", "pair": None},
        {"id": "de-2", "text": "Zwei\tx", "side": "foreign", "pair": "en-1"},
        {"id": "en-1", "text": "Two", "side": "english", "pair": None},
        {"id": "en-2", "text": "Three", "side": "english", "pair": None},
    ]


def test_of_two_translations_the_first_is_kept_aloud(tmp_path, monkeypatch, caplog):
    contents = BUCC | {"b/de-en.sample.gold": "de-2\ten-2\nde-2\ten-1\n"}
    rows = read(tmp_path, monkeypatch, "mining", [MINING], contents)
    assert rows[1]["pair"] == "en-2" and "de-2 has several translations" in caplog.text


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"b/de-en.sample.gold": "de-9\ten-1\n"}, r"gold, line 1: 'de-9' is in neither corpus"),
        ({"b/de-en.sample.gold": "en-1\tde-2\n"}, r"gold, line 1: 'en-1' is in neither corpus"),
        ({"b/de-en.sample.de": "de-1 Eins\n"}, r"sample\.de, line 1: no tab in 'de-1 Eins'"),
        ({"b/de-en.sample.de": "de-1\tEins\nde-1\tZwei\n"}, r"sample\.de, line 2: id 'de-1' occurs more than once"),
        ({"b/de-en.sample.fr": "fr-1\tUn\n"}, r"expected three files with the endings gold, en and a language; found"),
    ],
)
def test_bad_mining_files(contents, message, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=message):
        read(tmp_path, monkeypatch, "mining", [MINING], BUCC | contents)


def test_two_parallel_files_need_no_name_for_english(tmp_path, monkeypatch):
    contents = {"t/t.aze-eng.aze": "bir\niki\n", "t/t.aze-eng.eng": "one\ntwo\n"}
    part = {"reader": "parallel_lines", "path": "t/t.aze-eng.*"}
    rows = read(tmp_path, monkeypatch, "retrieval", [part], contents)
    assert [(row["text"], row["text_pair"]) for row in rows] == [("bir", "one"), ("iki", "two")]


# -- supertags (CCGbank) ------------------------------------------------------------------------------------------


def test_ccgbank_gives_words_and_categories_and_labels_come_from_the_data(tmp_path, monkeypatch):
    contents = {"AUTO/02/a.auto": AUTO, "AUTO/03/b.auto": AUTO.replace(".1 ", ".2 ")}
    part = {"reader": "ccgbank_auto", "path": "AUTO/0[2-9]/*.auto", "rows": 2}
    rows = read(tmp_path, monkeypatch, "tagging", [part], contents, labels="from_data")
    assert rows[0] == {"id": "wsj_1.1", "tokens": ["Mr.", "Vinken", "naps"], "tags": ["N/N", "N", r"S[dcl]\NP"]}
    assert [row["id"] for row in rows] == ["wsj_1.1", "wsj_1.2"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (r"(<L S[dcl]\NP VBZ VBZ naps S[dcl]\NP>) )", "", r"a, line 2: not a line ID=.* cut off"),
        ("naps S", "naps", r"a, line 2: not a line ID=.* cut off"),
        ("ID=wsj_1.1 PARSER=GOLD NUMPARSE=1\n", "", r"a, line 1: not a line ID="),
        ("\n(<T", "\nID=wsj_1.2\n(<T", r"a, line 2: no derivation for wsj_1\.1"),
    ],
)
def test_bad_ccgbank_files(old, new, message, tmp_path, monkeypatch):
    assert old in AUTO
    with pytest.raises(UserError, match=message):
        part = {"reader": "ccgbank_auto", "path": "a"}
        read(tmp_path, monkeypatch, "tagging", [part], {"a": AUTO.replace(old, new)}, labels="from_data")


# -- questions, entities, records ---------------------------------------------------------------------------------


def test_unanswerable_questions_are_kept_by_tasks_that_say_so(tmp_path):
    item = {
        "id": "en-1",
        "question": "Why?",
        "is_impossible": True,
        "answers": [],
        "plausible_answers": [{"text": "x"}],
    }
    data = json.loads(json.dumps(SQUAD).replace('"answer_start": 1}', '"answer_start": 0}'))
    data["data"][0]["paragraphs"][0]["qas"].append(item)
    (tmp_path / "q.json").write_text(json.dumps(data))
    task = Task(name="t", description="", format="span", unanswerable=True, licence="none", sources={})
    rows = files.read_part(task, {"reader": "squad_json"}, [File(tmp_path, "q.json")], "here")
    assert [row["answers"] for row in rows] == [["Lima"], ["Ana"], []]
    rows = files.read_part(task, {"reader": "squad_json", "only": "^en-"}, [File(tmp_path, "q.json")], "here")
    assert [row["id"] for row in rows] == ["en-1"]
    with pytest.raises(UserError, match=r"q\.json: 1 questions have no answer \(the first: 'en-1'\)"):
        known = task.model_copy(update={"unanswerable": False})
        files.read_part(known, {"reader": "squad_json"}, [File(tmp_path, "q.json")], "here")


@pytest.mark.parametrize(
    ("context", "answer"),
    [
        ("北京是中国的首都。", "首都"),
        ("القاهرة عاصمة مصر", "مصر"),
        ("กรุงเทพเป็นเมือง", "เมือง"),
        ("दिल्ली 😀 राजधानी है", "राजधानी"),
    ],
)
def test_offsets_count_characters_in_every_script(context, answer, tmp_path, monkeypatch):
    item = {"id": "q", "question": "?", "answers": [{"text": answer, "answer_start": context.index(answer)}]}
    contents = {"q.json": {"data": [{"paragraphs": [{"context": context, "qas": [item]}]}]}}
    (row,) = read(tmp_path, monkeypatch, "span", [{"reader": "squad_json", "path": "q.json"}], contents)
    start = row["answer_starts"][0]
    assert row["context"][start : start + len(answer)] == answer


def test_panx_tokens_lose_their_language(tmp_path, monkeypatch):
    part = {"reader": "iob2", "path": "d", "columns": [0, 1], "comments": False, "language_prefix": True}
    rows = read(tmp_path, monkeypatch, "tagging", [part], {"d": "en:Ana\tB-PER\nen::\tO\nen:a:b\tO\n\n"})
    assert rows[0]["tokens"] == ["Ana", ":", "a:b"]
    with pytest.raises(UserError, match=r"d, line 1: token 'Ana' has no language before a colon"):
        read(tmp_path, monkeypatch, "tagging", [part], {"d": "Ana\tB-PER\n\n"})


def test_delimited_tables_only_some_records_and_lists_of_fields(tmp_path, monkeypatch):
    table = 'id,lang,ctx,a,b,label\n1,sw,"x, y",p,q,1\n2,en,x,p,q,0\n'
    part = {
        "reader": "delimited",
        "path": "t.csv",
        "fields": {"id": "id", "context": "ctx", "question": None, "choices": ["a", "b"], "label": "label"},
        "only": {"lang": "^sw$"},
        "map": {"0": 0, "1": 1},
        "replace": {"question": {None: ""}},
        "rows": 1,
    }
    wanted = [{"id": "1", "context": "x, y", "question": "", "choices": ["p", "q"], "label": 1}]
    assert read(tmp_path, monkeypatch, "multiple_choice", [part], {"t.csv": table}) == wanted
    bare = {
        **part,
        "path": "t.tsv",
        "delimiter": "\t",
        "quoted": False,
        "header": ["id", "lang", "ctx", "a", "b", "label"],
    }
    rows = read(tmp_path, monkeypatch, "multiple_choice", [bare], {"t.tsv": '1\tsw\t"x\tp\tq\t1\n'})
    assert rows == [wanted[0] | {"context": '"x'}]
    with pytest.raises(UserError, match=r"line 2 has no field 'language' \(wanted as language\)"):
        read(tmp_path, monkeypatch, "multiple_choice", [{**part, "only": {"language": "sw"}}], {})


def test_fields_go_into_lists_of_records(tmp_path, monkeypatch):
    record = {"q": "?", "choices": [{"label": "A", "text": "p"}, {"label": "B", "text": "q"}], "key": "B"}
    fields = {"context": "q", "question": "q", "choices": "choices.text", "label": "key"}
    for reader, content in (("jsonl", record), ("parquet", parquet_bytes([record]))):
        part = {"reader": reader, "path": "f", "fields": fields, "map": {"A": 0, "B": 1}}
        (row,) = read(tmp_path, monkeypatch, "multiple_choice", [part], {"f": content})
        assert row["choices"] == ["p", "q"] and row["label"] == 1


# -- several files per part, numbers of rows, label names ---------------------------------------------------------


def test_a_pattern_takes_its_files_in_sorted_order_and_rows_counts_them_all(tmp_path, monkeypatch, caplog):
    contents = {"d/b.txt": "three\n", "d/a.txt": "one\ntwo\n", "d/c.md": "no\n"}
    part = {"reader": "lines", "path": "d/*.txt", "rows": 3}
    rows = read(tmp_path, monkeypatch, "mlm", [part], contents)
    assert [(row["id"], row["text"]) for row in rows] == [
        ("d/a.txt:1", "one"),
        ("d/a.txt:2", "two"),
        ("d/b.txt:1", "three"),
    ]
    with pytest.raises(UserError, match=r"d/a\.txt and 1 more: 3 rows, expected 4"):
        read(tmp_path, monkeypatch, "mlm", [{**part, "rows": 4}], {})
    with caplog.at_level(logging.WARNING):
        assert len(read(tmp_path, monkeypatch, "mlm", [{**part, "rows": 3, "unverified_rows": 5}], {})) == 3
    assert "3 rows, 5 were expected (an unverified number)" in caplog.text


def test_strip_and_replace(tmp_path, monkeypatch):
    part = {
        "reader": "jsonl",
        "path": "f",
        "fields": {"text": "a", "text_pair": "b"},
        "strip": ["text", "text_pair"],
        "replace": {"text_pair": {"x": "y"}},
    }
    (row,) = read(tmp_path, monkeypatch, "mlm", [part], {"f": {"a": "one\n", "b": " x "}})
    assert (row["text"], row["text_pair"]) == ("one", "y")
    (row,) = read(tmp_path, monkeypatch, "mlm", [part], {"f": {"a": "one", "b": None}})
    assert row["text_pair"] is None


def labelled(names, values, feature=None):
    """A Parquet file with a column `label` of numbers whose names are in the metadata, as `datasets` writes them."""
    info = {"info": {"features": {"label": feature or {"names": names, "_type": "ClassLabel"}}}}
    table = pa.table({"p": ["x"] * len(values), "label": values})
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(info)}), sink)
    return sink.getvalue().to_pybytes()


def test_label_names_of_the_file_must_not_contradict_the_map(tmp_path, monkeypatch):
    part = {
        "reader": "parquet",
        "path": "f",
        "fields": {"text": "p", "text_pair": None, "label": "label"},
        "map": {0: "entailment", 1: "neutral", 2: "contradiction"},
    }
    for names in (["Entailment", "neutral", "contra-diction"], ["0", "1", "2"], []):
        rows = read(tmp_path, monkeypatch, "classification", [part], {"f": labelled(names, [0, 2])})
        assert [row["label"] for row in rows] == ["entailment", "contradiction"]
    reordered = labelled(["contradiction", "neutral", "entailment"], [0, 2])
    message = r"f: its labels are 0 = contradiction, .*, but the task says 0 = entailment, .*correct `map`"
    with pytest.raises(UserError, match=message):
        read(tmp_path, monkeypatch, "classification", [part], {"f": reordered})


@pytest.mark.parametrize(
    "feature",
    [
        {"feature": {"names": ["O", "I-PER", "B-PER"], "_type": "ClassLabel"}, "_type": "Sequence"},
        {"feature": {"names": ["O", "I-PER", "B-PER"], "_type": "ClassLabel"}, "_type": "List"},
        [{"names": ["O", "I-PER", "B-PER"], "_type": "ClassLabel"}],
    ],
)
def test_tag_names_are_checked_in_every_form_that_lists_are_written_in(feature, tmp_path, monkeypatch):
    fields = {"tokens": "tokens", "tags": "label"}
    part = {"reader": "parquet", "path": "f", "fields": fields, "map": {0: "O", 1: "B-PER", 2: "I-PER"}}
    info = {"info": {"features": {"label": feature}}}
    table = pa.table({"tokens": [["a"]], "label": [[1]]}).replace_schema_metadata({"huggingface": json.dumps(info)})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    with pytest.raises(UserError, match="its labels are 0 = O, 1 = I-PER"):
        read(tmp_path, monkeypatch, "tagging", [part], {"f": sink.getvalue().to_pybytes()})


def test_labels_without_a_map_get_the_names_of_the_file(tmp_path, monkeypatch):
    part = {"reader": "parquet", "path": "f", "fields": {"text": "p", "text_pair": None, "label": "label"}}
    content = {"f": labelled(["entailment", "neutral", "contradiction"], [2, 0])}
    rows = read(tmp_path, monkeypatch, "classification", [part], content)
    assert [row["label"] for row in rows] == ["contradiction", "entailment"]
    with pytest.raises(UserError, match=r"row 1 .*label is -1, not text"):  # how the hub marks rows without a label
        read(tmp_path, monkeypatch, "classification", [part], {"f": labelled(["entailment"], [0, -1])})
    for content in (labelled([], [0]), labelled(None, [0], {"_type": "FeatureOfTheFuture"})):
        with pytest.raises(UserError, match="label is 0, not text"):
            read(tmp_path, monkeypatch, "classification", [part], {"f": content})


@pytest.mark.parametrize("field", ["label", "inner.label", "items.label"])
def test_names_of_tags_are_found_in_nested_fields(field, tmp_path, monkeypatch):
    names = ClassLabel(names=["O", "B-PER"])
    record = {
        "label": {"tokens": ["a", "b"], "label": [1, 0]},
        "inner.label": {"tokens": ["a", "b"], "inner": {"label": [1, 0]}},
        "items.label": {"tokens": ["a", "b"], "items": [{"label": 1}, {"label": 0}]},
    }[field]
    feature = {
        "label": {"label": List(names)},
        "inner.label": {"inner": {"label": List(names)}},
        "items.label": {"items": List({"label": names})},
    }[field]
    sink = io.BytesIO()
    Dataset.from_list([record], features=Features(feature | {"tokens": List(Value("string"))})).to_parquet(sink)
    part = {"reader": "parquet", "path": "f", "fields": {"tokens": "tokens", "tags": field}}
    (row,) = read(tmp_path, monkeypatch, "tagging", [part], {"f": sink.getvalue()})
    assert row["tags"] == ["B-PER", "O"]


def test_large_parquet_is_read_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "BATCH_ROWS", 3)
    part = {"reader": "parquet", "path": "f", "fields": {"text": "a", "text_pair": None}}
    content = parquet_bytes([{"a": f"text {number}", "b": number} for number in range(10)])
    rows = read(tmp_path, monkeypatch, "mlm", [part], {"f": content})
    assert [(row["id"], row["text"]) for row in rows] == [(f"f:{number}", f"text {number}") for number in range(10)]


@pytest.mark.slow
def test_reading_parquet_leaves_no_cache_and_asks_no_network(tmp_path, monkeypatch):
    """`datasets` reads the features of a file in memory; its cache and the hub are never touched."""
    (tmp_path / "f").write_bytes(labelled(["entailment"], [0]))
    program = (
        "import sys; from pathlib import Path; from intermezzo.sources.files.reading import File\n"
        "from intermezzo.sources.files import parquet\n"
        "assert 'datasets' not in sys.modules\n"
        "print(parquet.class_names(File(Path(sys.argv[1]), 'f'), 'label'))"
    )
    home = tmp_path / "home"
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], env=environment, capture_output=True, text=True
    )
    assert done.stdout == "['entailment']\n", done.stderr
    assert not home.exists()
