"""Small hand-written files in published formats, and a task made of them: used by the tests of source `files`."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from intermezzo import sources
from intermezzo.sources import files
from intermezzo.tasks import Task, formats
from specifications import data

LABELS = {
    "classification": ("entailment", "neutral", "contradiction"),
    "tagging": ("O", "B-PER", "I-PER", "NOUN", "VERB", "PUNCT"),
}

CONLLU = (
    "# sent_id = doc-1\n# text = Dogs don't\n"
    "1\tDogs\tdog\tNOUN\t_\t_\t_\t_\t_\t_\n2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\t_\n2\tdo\tdo\tVERB\t_\t_\t_\t_\t_\t_\n"
    "3\tn't\tnot\tNOUN\t_\t_\t_\t_\t_\t_\n3.1\tbark\tbark\tVERB\t_\t_\t_\t_\t_\t_\n\n"
    "1\t!\t!\tPUNCT\t_\t_\t_\t_\t_\t_\n\n"
)
SQUAD = {
    "data": [
        {
            "title": "A",
            "paragraphs": [
                {
                    "context": "Ana lives in Lima.",
                    "qas": [
                        {"id": "q1", "question": "Where?", "answers": [{"text": "Lima", "answer_start": 13}]},
                        {"id": "q2", "question": "Who?", "answers": [{"text": "Ana", "answer_start": 1}]},
                    ],
                }
            ],
        }
    ]
}
COPA = (
    '<?xml version="1.0"?><!DOCTYPE c SYSTEM "copa.dtd"><c><item id="1" asks-for="cause" '
    'most-plausible-alternative="2"><p>It fell.</p><a1>It rose.</a1><a2>He let go.</a2></item></c>'
)
XCOPA = (
    '{"premise": "P", "choice1": "A", "choice2": "B", "question": "effect", "label": 1, "idx": 7, "changed": false}\n'
)
UDHR = (
    '<udhr xmlns="http://efele.net/udhr"><title>T</title><preamble><para>{p}</para></preamble>'
    '<article number="1"><title>1</title><para>{a}</para></article>'
    '<article number="2"><para>{b}</para><para/><orderedlist><listitem><para>{c}</para></listitem></orderedlist>'
    "</article></udhr>"
)
VERSES = (
    '<cesDoc><text><seg id="b.MAT.1.1" type="verse">\n\tEins.\n</seg><seg id="b.MAT.1.2" type="verse">zw</seg>'
    '<seg id="b.MAT.1.3" type="verse">Drei.</seg><seg id="b.MAT.1.4" type="verse">Vier!</seg></text></cesDoc>'
)
BIBLE = 'Book,Chapter,Verse,Text\nMatthew,1,1,One.\nMatthew,1,2,"Two, two."\nMatthew,1,4,Four.\nRomans,1,1,Five.\n'

REVIEWS = """\
description: Is the review good?
format: classification
skill: sentiment
labels: [good, bad]
metrics: [accuracy]
licence: "reviews: CC0 1.0"
citation: "made up for a test"
"""
"""A task file but for its `sources`."""


def read(root, monkeypatch, fmt, parts, contents, labels=None, split="train"):
    """Write `contents` (name -> text, bytes or object) below `root` and read the parts as a task of that format."""
    for name, content in contents.items():
        path = Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    task = Task(
        name="toy",
        description="toy",
        format=fmt,
        labels=labels or LABELS.get(fmt, ()),
        licence="none",
        sources={"files": {"data": {"en": {split: parts}}}},
    )
    monkeypatch.setattr(files, "load_task", lambda name: task)
    rows = sources.read(data("files", "toy", "en", split, root=str(root)))
    formats.table(rows, fmt, task.labels, training=split == "train")
    return rows


def parquet_bytes(rows):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue().to_pybytes()


AUTO = (
    "ID=wsj_1.1 PARSER=GOLD NUMPARSE=1\n"
    r"(<T S[dcl] 1 2> (<T NP 0 1> (<T N 1 2> (<L N/N NNP NNP Mr. N_1/N_1>) (<L N NNP NNP Vinken N>) ) ) "
    r"(<L S[dcl]\NP VBZ VBZ naps S[dcl]\NP>) )" + "\n"
)


def xquad_r(sentences, breaks=None):
    """XQuAD-R JSON of one paragraph; question i is answered by the first letter of sentence i, for the first two."""
    starts = [len("".join(sentences[:i])) for i in range(len(sentences) + 1)]
    spans = [[start, start + len(sentence.rstrip("\n"))] for start, sentence in zip(starts, sentences, strict=False)]
    questions = [
        {"id": f"q{i}", "question": f"Q{i}?", "answers": [{"text": sentences[i][0], "answer_start": starts[i]}]}
        for i in range(2)
    ]
    paragraph = {"context": "".join(sentences), "sentence_breaks": breaks or spans, "qas": questions}
    return {"data": [{"paragraphs": [paragraph]}]}


def mewslix_mention(language, text, name=""):
    """(context, mention) of Mewsli-X: the first place of `name` in `text`, whose sentences end in a full stop."""
    ends = [i + 1 for i, sign in enumerate(text) if sign == "."]
    begins = [0, *(end + 1 for end in ends[:-1])]
    spans = [{"start": begin, "end": end} for begin, end in zip(begins, ends, strict=True)]
    start = text.index(name)
    span = {"start": start, "end": start + len(name), "text": name}
    context = {"language": language, "text": text, "sentence_spans": spans}
    return context, {"example_id": f"{language}-{name}", "entity_id": f"Q-{name}", "mention_span": span}
