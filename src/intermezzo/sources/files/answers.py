"""Reader of answer retrieval (LAReQA): questions search the sentence that answers them, in every language at once.

XQuAD-R is XQuAD (SQuAD JSON) with `sentence_breaks`, the offsets of each paragraph's sentences. Each sentence is a
candidate; a question's right candidates are the sentences that hold its answer, in all languages of the pool. The
text of a candidate is the sentence and its whole paragraph, joined without anything between and without line ends
(google-research/xtreme, evaluate_retrieval.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from intermezzo.core.errors import suggestion
from intermezzo.core.excerpt import excerpt
from intermezzo.sources.files.reading import File, repeated, text_id

Row = dict[str, Any]
KINDS = ("queries", "candidates", "pairs")
_END = re.compile(r"[.!?]+[\"'\u201d\u2019)\]]*\s+(?=[\"'\u201c\u2018(\[]*[A-Z0-9])")
_ABBREVIATION = re.compile(
    r"(?:\b[A-Z]|\b(?:[A-Za-z]\.)+[A-Za-z]|\b(?:Mr|Mrs|Ms|Dr|St|Prof|Gen|Col|Lt|No|vs|c|ca))\.\s+$"
)


def xquad_r_json(files: list[File], kind: str, language: str = "en", pool: list[str] | None = None) -> list[Row]:
    """Rows of the format ranking from `<language>.json` of `files`.

    kind: `queries` (questions with the ids of their right candidates), `candidates` (sentences) or `pairs` (training:
    question and the candidate that answers it; also from plain SQuAD v1.1, whose paragraphs are split by
    `sentence_spans`, so that numbers of sentences are not those of the official splitter).
    pool: languages that right candidates come from, each a file of `files`; None: of all files.
    """
    ours = _of_language(files, language)
    if kind not in KINDS:
        raise ours.fault(f"kind: unknown kind '{kind}' in the task file; {suggestion(kind, KINDS)}")
    paragraphs = list(_paragraphs(ours, split=kind == "pairs"))
    if kind == "candidates":
        return [_row(p.name(language, i), p.candidate(i)) for p in paragraphs for i in range(len(p.spans))]
    if kind == "pairs":
        return [_row(q["id"], q["question"], p.candidate(p.answering(q)[0])) for p in paragraphs for q in p.questions]
    right: dict[str, list[str]] = {}
    for code, file in ((code, _of_language(files, code)) for code in pool or [_stem(file) for file in files]):
        theirs = paragraphs if file is ours else list(_paragraphs(file))
        if name := repeated(q["id"] for p in theirs for q in p.questions):
            raise file.fault(f"question {excerpt(name)} occurs more than once")
        for p in theirs:
            for q in p.questions:
                right.setdefault(q["id"], []).extend(p.name(code, i) for i in p.answering(q))
    return [_row(q["id"], q["question"], relevant=right[q["id"]]) for p in paragraphs for q in p.questions]


@dataclass(frozen=True)
class _Paragraph:
    file: File
    number: int
    context: str
    spans: list[tuple[int, int]]
    questions: list[dict[str, Any]]

    def name(self, language: str, sentence: int) -> str:
        """The id of a sentence as a candidate."""
        return f"{language}:{self.number}:{sentence}"

    def candidate(self, sentence: int) -> str:
        """The text of a sentence as a candidate."""
        start, end = self.spans[sentence]
        return (self.context[start:end] + self.context).replace("\n", "")

    def answering(self, question: dict[str, Any]) -> list[int]:
        """Numbers of the sentence that the (first) answer starts in, and of those of the same text."""
        position, answer = question["answers"][0]["answer_start"], question["answers"][0]["text"]
        if not answer or position < 0 or not self.context.startswith(answer, position):
            problem = f"its answer {excerpt(answer)} is not at character {excerpt(position)} of its context"
            raise self.file.fault(f"question {question['id']}: {problem}; was it taken out of a test set?")
        for start, end in self.spans:
            if start <= position < end:
                text = self.context[start:end]
                return [i for i, (s, e) in enumerate(self.spans) if self.context[s:e] == text]
        raise self.file.fault(f"question {question['id']}: its answer (character {position}) is in no sentence")


def _paragraphs(file: File, *, split: bool = False) -> Iterator[_Paragraph]:
    """The paragraphs, numbered over the whole file; `split`: find sentences where the file gives no breaks."""
    number = 0
    try:
        for article in file.json()["data"]:
            for paragraph in article["paragraphs"]:
                number += 1
                context, breaks = paragraph["context"], paragraph.get("sentence_breaks")
                if breaks is None and not split:
                    raise KeyError("sentence_breaks")
                spans = sentence_spans(context) if breaks is None else [_span(pair, context) for pair in breaks]
                yield _Paragraph(file, number, context, spans, [_question(q) for q in paragraph["qas"]])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        expected = "SQuAD JSON with an answer per question" + ("" if split else " and sentence_breaks")
        raise file.fault(f"paragraph {number} is not as expected ({error!r}); expected {expected}") from None


def _span(pair: list[int], context: str) -> tuple[int, int]:
    """A sentence's first character and the one after its last; ValueError for what is not in the context."""
    start, end = pair
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(context):
        raise ValueError(f"sentence_breaks {excerpt(pair)} in {len(context)} characters")
    return start, end


def _question(item: dict[str, Any]) -> dict[str, Any]:
    """The question with its first answer; TypeError for values of other types."""
    answer = {"text": item["answers"][0]["text"], "answer_start": item["answers"][0]["answer_start"]}
    if type(answer["text"]) is not str or type(answer["answer_start"]) is not int:
        raise TypeError(f"answer {excerpt(answer)}")
    return {"id": text_id(item["id"]), "question": item["question"], "answers": [answer]}


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Character spans (start, end) of the sentences of an English text, by rule.

    A sentence ends at `.`, `!` or `?` (and closing quotes or brackets) before white space and a capital or digit,
    but not after an initial or a common abbreviation. The spans leave out white space and nothing else.
    """
    ends = [m.end() for m in _END.finditer(text) if not _ABBREVIATION.search(text[max(0, m.start() - 12) : m.end()])]
    spans = []
    for start, end in zip([0, *ends], [*ends, len(text)], strict=True):
        piece = text[start:end]
        if piece.strip():
            spans.append((start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())))
    return spans


def _of_language(files: list[File], code: str) -> File:
    matches = files if len(files) == 1 else [file for file in files if _stem(file) == code]
    if not matches:
        raise files[0].fault(f"no file {code}.json beside it; there are: {', '.join(_stem(file) for file in files)}")
    return matches[0]


def _stem(file: File) -> str:
    return PurePath(file.name).stem


def _row(name: str, text: str, pair: str | None = None, relevant: list[str] | None = None) -> Row:
    return {"id": name, "text": text, "text_pair": pair, "relevant": relevant or []}
