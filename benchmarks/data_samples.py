"""Small valid files in every published format, for `fuzz_data.py`: what readers take, with places of texts and ids.

Every text stands once in its files, so that it can be found and replaced. All have letters that are not ASCII, so that
another encoding is another text.
"""

from __future__ import annotations

import io
import json
from functools import cache
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

NLI = ("entailment", "neutral", "contradiction")
TAGS = ("O", "B-PER", "I-PER", "NOUN", "VERB", "PUNCT")


class Sample(NamedTuple):
    """A task of one part. kind: of its first file, the one that is changed."""

    name: str
    format: str
    kind: str
    part: dict[str, Any]
    files: dict[str, bytes]
    texts: tuple[str, ...] = ()
    """Texts of the first file that end in a row as they are."""
    ids: tuple[str, ...] = ()
    """Two ids of the first file, as they are written there; equal ones are refused."""
    labels: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    """Those of `texts` that may be null."""
    number: str = ""
    """An offset in the first file, as it is written there."""


@cache
def samples() -> list[Sample]:
    """One or more for each reader."""
    return [*_sentences(), *_questions(), *_documents(), *_answers(), *_records()]


def _sentences() -> list[Sample]:
    words = (("1", "Ọmọ", "NOUN"), ("2", "lọ", "VERB")), (("1", "Ẹja", "NOUN"), ("2", "ń", "VERB"), ("3", "ṣe", "VERB"))
    texts = tuple(word for sentence in words for _, word, _ in sentence)
    rest = "\t_" * 6
    conllu = "".join(
        f"# sent_id = s{i}\n# text = ...\n" + "".join(f"{n}\t{w}\t_\t{t}{rest}\n" for n, w, t in sentence) + "\n"
        for i, sentence in enumerate(words)
    )
    blocks = "\n".join("".join(f"{word} {tag}\n" for _, word, tag in sentence) for sentence in words)
    entities = "\n".join(
        f"# sent_id = s{i}\n" + "".join(f"{n}\t{word}\t{'IB'[n == '1']}-PER\n" for n, word, _ in sentence)
        for i, sentence in enumerate(words)
    )
    leaves = [" ".join(f"(<L {tag} X X {word} {tag}>)" for _, word, tag in sentence) for sentence in words]
    auto = "".join(f"ID=wsj_{i} PARSER=GOLD\n(<T S 0 2> {derivation} )\n" for i, derivation in enumerate(leaves))
    return [
        _sample("conllu", "tagging", "conllu", conllu, texts, ids=("= s0\n", "= s1\n"), labels=TAGS, rows=2),
        _sample("two_column", "tagging", "blocks", blocks, texts, labels=TAGS, rows=2),
        _sample("iob2", "tagging", "blocks", entities, texts, ids=("= s0\n", "= s1\n"), labels=TAGS, rows=2),
        _sample("ccgbank_auto", "tagging", "auto", auto, texts, ids=("wsj_0", "wsj_1"), labels=TAGS, rows=2),
    ]


def _questions() -> list[Sample]:
    context = "Àná lives in Limà. She sings."
    questions = [
        {"id": "q1", "question": "Where dọes she?", "answers": [{"text": "Limà", "answer_start": 13}]},
        {"id": "q2", "question": "Who sìngs?", "answers": [{"text": "Àná", "answer_start": 0}]},
    ]
    squad = {"data": [{"title": "A", "paragraphs": [{"context": context, "qas": questions}]}]}
    items = "".join(
        f'<item id="{i}" asks-for="cause" most-plausible-alternative="2"><p>It fẹll {i}.</p><a1>It rọse {i}.</a1>'
        f"<a2>He lèt go {i}.</a2></item>"
        for i in (1, 2)
    )
    texts = {i: {"premise": f"Hàva {i}", "choice1": f"Yàğmur {i}", "choice2": f"Kàr {i}"} for i in (7, 8)}
    xcopa = [{**texts[i], "question": "effect", "label": 1, "idx": i} for i in texts]
    return [
        _sample("squad_json", "span", "json", _json(squad), ("Where dọes she?", "Who sìngs?"), ids=('"q1"', '"q2"'),
                number=": 13", rows=2),
        _sample("copa_xml", "multiple_choice", "xml", f'<?xml version="1.0" encoding="UTF-8"?>\n<c>{items}</c>\n',
                ("It fẹll 1.", "It rọse 2.", "He lèt go 1."), ids=('id="1"', 'id="2"'), rows=2),
        _sample("xcopa_jsonl", "multiple_choice", "jsonl", _lines(xcopa), ("Hàva 7", "Yàğmur 8", "Kàr 7"),
                ids=('"idx": 7', '"idx": 8'), rows=2),
    ]  # fmt: skip


def _documents() -> list[Sample]:
    pairs = [("Ó ń lọ sílé.", "Ó wà nílé.", "neutral"), ("Ó jẹun, ó sùn.", "Kò jẹun rárá.", "contradiction")]
    texts = tuple(text for pair in pairs for text in pair[:2])
    csv = "premise,hypothesis,label\n" + "".join(f'"{a}","{b}",{label}\n' for a, b, label in pairs)
    tsv = "id\tpremise\thypothesis\tlabel\n" + "".join(f"n{i}\t{a}\t{b}\t{c}\n" for i, (a, b, c) in enumerate(pairs))
    lines = "Ẹ káàárọ̀.\nẸ kúùrọ̀lẹ́.\nÓ dàbọ̀.\n"
    english = {"f.eng": b"Good morning.\nGood evening.\nGood bye.\n"}
    udhr = (
        '<?xml version="1.0" encoding="utf-8"?>\n<udhr xmlns="http://efele.net/udhr"><preamble><para>Ìṣáájú {0}</para>'
        '</preamble><article number="1"><para>Ọ̀kan {0}</para></article><article number="2"><para>Èjì {0}</para>'
        "</article></udhr>\n"
    )
    verses = '<?xml version="1.0" encoding="utf-8"?>\n<cesDoc><text>' + "".join(
        f'<seg id="b.MAT.1.{i}" type="verse">Ẹsẹ {i} {{0}}</seg>' for i in (1, 2, 3)
    ) + "</text></cesDoc>\n"  # fmt: skip
    bible = "Book,Chapter,Verse,Text\n" + "".join(f'Matthew,1,{i},"Ẹsẹ, {i} {{0}}"\n' for i in (1, 2, 3))
    udhr_texts, verse_ids = ("Ìṣáájú yo", "Ọ̀kan yo", "Èjì yo"), ("MAT.1.1", "MAT.1.2")
    return [
        _sample("nli_csv", "classification", "csv", csv, texts, labels=NLI, rows=2),
        _sample("nli_tsv", "classification", "tsv", tsv, texts, ids=("n0\t", "n1\t"), labels=NLI, rows=2),
        _sample("lines", "mlm", "lines", lines, tuple(lines.splitlines()), rows=3),
        _sample("parallel_lines", "retrieval", "lines", lines, tuple(lines.splitlines()), english, english="f.eng",
                rows=3),
        _sample("udhr_xml", "mlm", "xml", udhr.format("yo"), udhr_texts, ids=('number="1"', 'number="2"'), rows=3),
        _sample("udhr_xml", "retrieval", "xml", udhr.format("yo"), udhr_texts, {"f2": udhr.format("en").encode()},
                ids=('number="1"', 'number="2"'), english="f2", rows=3),
        _sample("bible_xml", "mlm", "xml", verses.format("yo"), ("Ẹsẹ 1 yo", "Ẹsẹ 3 yo"), ids=verse_ids, rows=3),
        _sample("bible_xml", "retrieval", "xml", verses.format("yo"), ("Ẹsẹ 1 yo", "Ẹsẹ 3 yo"),
                {"f2.csv": bible.format("en").encode()}, ids=verse_ids, english="f2.csv", rows=3),
        _sample("bible_csv", "mlm", "csv", bible.format("yo"), ("Ẹsẹ, 1 yo", "Ẹsẹ, 3 yo"),
                ids=("Matthew,1,1", "Matthew,1,2"), rows=3),
    ]  # fmt: skip


def _answers() -> list[Sample]:
    def quad(language: str) -> dict[str, Any]:
        context = f"Àná ({language}) sings. Bò sleeps."
        answers = [{"text": "Àná", "answer_start": 0}], [{"text": "Bò", "answer_start": context.index("Bò")}]
        questions = [{"id": f"q{i}", "question": f"Tà ni {i} {language}?", "answers": a} for i, a in enumerate(answers)]
        breaks = [[0, context.index("Bò") - 1], [context.index("Bò"), len(context)]]
        return {"data": [{"paragraphs": [{"context": context, "sentence_breaks": breaks, "qas": questions}]}]}

    files = {f"r/{language}.json": _json(quad(language)).encode() for language in ("en", "de")}
    asked = ("Tà ni 0 en?", "Tà ni 1 en?")
    common = {"reader": "xquad_r_json", "path": "r/*.json", "language": "en", "rows": 2}
    text = "Bọ́lá sọ̀rọ̀. Ó lọ."
    spans = [{"start": 0, "end": text.index(".") + 1}, {"start": text.index(".") + 2, "end": len(text)}]
    names = ("Bọ́lá", "Ó")
    mentions = [
        {"example_id": f"m{i}", "entity_id": f"Q{i}",
         "mention_span": {"start": text.index(n), "end": text.index(n) + len(n), "text": n}}
        for i, n in enumerate(names)
    ]  # fmt: skip
    article = {"context": {"language": "yo", "text": text, "sentence_spans": spans}, "mentions": mentions}
    entities = [
        {"entity_id": f"Q{i}", "description": f"Ọ̀rọ̀ {i}.", "sentence_spans": [{"start": 0, "end": len(f"Ọ̀rọ̀ {i}.")}]}
        for i in (1, 2)
    ]
    pairs = [
        {"contextual_mention": {"context": article["context"], "mention": mention}, "entity": entity}
        for mention, entity in zip(mentions, entities, strict=True)
    ]
    bucc = {
        "x.de": "de-1\tHällo.\nde-2\tGrüß Gott.\nde-3\tTschüß.\n",
        "x.en": "en-1\tHello.\nen-2\tGood bye.\n",
        "x.gold": "de-1\ten-1\nde-3\ten-2\n",
    }
    other = {name: content.encode() for name, content in bucc.items() if name != "x.de"}
    queries = ("Hällo.", "Grüß Gott.", "Tschüß.")
    return [
        *(
            Sample(f"xquad_r_json {kind}", "ranking", "json", {**common, "kind": kind}, files, asked, ('"q0"', '"q1"'),
                   number='"answer_start": 0')
            for kind in ("queries", "pairs")
        ),
        Sample("xquad_r_json candidates", "ranking", "json", {**common, "kind": "candidates"}, files),
        _sample("mewslix_jsonl", "ranking", "jsonl", _lines([article]), (), ids=('"m0"', '"m1"'), kind_="queries",
                number='{"start": 0, "end": 5, "text"', rows=2),
        _sample("mewslix_jsonl", "ranking", "jsonl", _lines(entities), (), ids=('"Q1"', '"Q2"'), kind_="candidates",
                rows=2),
        _sample("mewslix_jsonl", "ranking", "jsonl", _lines(pairs), (), ids=('"m0"', '"m1"'), kind_="pairs", rows=2),
        Sample("bucc", "mining", "lines", {"reader": "bucc", "path": "x.*", "rows": 5},
               {"x.de": bucc["x.de"].encode(), **other}, queries, ("de-1", "de-2")),
    ]  # fmt: skip


def _records() -> list[Sample]:
    fields = {"id": "n", "text": "premise", "text_pair": "hypothesis", "label": "verdict"}
    rows = [
        {"n": f"r{i}", "premise": f"Ọ̀rọ̀ {i}", "hypothesis": f"Ìtumọ̀ {i}", "verdict": i % 3, "unused": None}
        for i in range(4)
    ]
    texts, ids = ("Ọ̀rọ̀ 0", "Ìtumọ̀ 1", "Ọ̀rọ̀ 3"), ('"r0"', '"r1"')
    names = {0: "entailment", 1: "neutral", 2: "contradiction"}
    table = "n,premise,hypothesis,verdict,unused\n" + "".join(f"{','.join(map(str, row.values()))}\n" for row in rows)
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([{k: v for k, v in row.items() if k != "unused"} for row in rows]), sink)
    numbers = [{"n": i, "text": f"Ọ̀rọ̀ {i}", "score": 0.5 * i} for i in range(3)]
    return [
        _sample("jsonl", "classification", "jsonl", _lines(rows), texts, ids=ids, labels=NLI, optional=("Ìtumọ̀ 1",),
                fields=fields, map=names, rows=4),
        _sample("jsonl", "regression", "jsonl", _lines(numbers), ("Ọ̀rọ̀ 0", "Ọ̀rọ̀ 2"), ids=('"n": 0', '"n": 1'),
                fields={"id": "n", "text": "text", "text_pair": None, "label": "score"}, rows=3),
        _sample("delimited", "classification", "csv", table, texts, ids=("\nr0,", "\nr1,"), labels=NLI, fields=fields,
                map={str(number): name for number, name in names.items()}, rows=4),
        Sample("parquet", "classification", "parquet",
               {"reader": "parquet", "path": "f", "fields": fields, "map": names, "rows": 4}, {"f": sink.getvalue()},
               labels=NLI),
    ]  # fmt: skip


def _sample(
    reader: str,
    fmt: str,
    kind: str,
    content: str,
    texts: tuple[str, ...],
    files: dict[str, bytes] | None = None,
    *,
    ids: tuple[str, ...] = (),
    labels: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
    number: str = "",
    **options: Any,
) -> Sample:
    """A sample of one file `f`, and perhaps others. `kind_` is the reader's option `kind`."""
    options = {key.rstrip("_"): value for key, value in options.items()}
    part = {"reader": reader, "path": "f", **options}
    name = " ".join([reader, *(str(options[key]) for key in ("kind",) if key in options), fmt])
    return Sample(name, fmt, kind, part, {"f": content.encode(), **(files or {})}, texts, ids, labels, optional, number)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _lines(values: list[dict[str, Any]]) -> str:
    return "".join(_json(value) + "\n" for value in values)
