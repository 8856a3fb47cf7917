"""Readers of questions: extractive question answering (SQuAD) and two-way multiple choice (COPA, XCOPA)."""

from __future__ import annotations

from typing import Any

from intermezzo.core.excerpt import excerpt
from intermezzo.sources.files.reading import File, regular_expression, repeated, text_id

Row = dict[str, Any]
QUESTIONS = {"cause": "What was the cause?", "effect": "What was the effect?"}
"""COPA asks for one of two things; this is how XTREME-R puts them into words, in every language."""


def squad_json(file: File, only: str | None = None) -> list[Row]:
    """SQuAD JSON -> {id, context, question, answers, answer_starts}, offsets in characters of the context.

    A question that SQuAD v2 marks as impossible has no answers; only tasks with `unanswerable: true` take it. An answer
    without `answer_start` stands nowhere (-1).
    `only`: a regular expression that is found in the ids of the questions that are meant (TyDiQA's begin with the
    language).
    """
    rows = []
    pattern = regular_expression(file, "only", only or "")
    number = 0
    try:
        for article in file.json()["data"]:
            for paragraph in article["paragraphs"]:
                for item in paragraph["qas"]:
                    number += 1
                    name = text_id(item["id"])
                    if not pattern.search(name):
                        continue
                    impossible = item.get("is_impossible", False)
                    if type(impossible) is not bool:
                        raise TypeError(f"is_impossible is {excerpt(impossible)}, not true or false")
                    answers = [] if impossible else item["answers"]
                    rows.append(
                        {
                            "id": name,
                            "context": paragraph["context"],
                            "question": item["question"],
                            "answers": [answer["text"] for answer in answers],
                            "answer_starts": [_start(answer) for answer in answers],
                        }
                    )
    except (KeyError, TypeError, AttributeError) as error:
        place = f"after question {number}" if number else "at its start"
        expected = "data[].paragraphs[].{context, qas[].{id, question, answers[].{text, answer_start}}}"
        raise file.fault(f"not SQuAD JSON {place} (missing or misplaced: {error}); expected {expected}") from None
    return rows


def _start(answer: dict[str, Any]) -> Any:
    return -1 if answer.get("answer_start") is None else answer["answer_start"]


def copa_xml(file: File) -> list[Row]:
    """COPA XML -> {id, context, question, choices, label}; the correct alternative is 1 or 2 in the file."""
    rows = []
    for number, item in enumerate(file.xml().iter("item"), start=1):
        name = item.get("id")
        parts = [(item.findtext(tag) or "").strip() for tag in ("p", "a1", "a2")]
        label = item.get("most-plausible-alternative")
        if name is None or not all(parts) or label not in ("1", "2"):
            expected = "an id, most-plausible-alternative 1 or 2, and texts p, a1 and a2"
            raise file.fault(f"item {number} (id {name}, most-plausible-alternative {label}) needs {expected}")
        question = _question(file, item.get("asks-for"), f"item {number} (id {name}): asks-for")
        rows.append(
            {"id": name, "context": parts[0], "question": question, "choices": parts[1:], "label": int(label) - 1}
        )
    return rows


def xcopa_jsonl(file: File, questions: str | None = None) -> list[Row]:
    """XCOPA JSON lines -> {id, context, question, choices, label}.

    `questions` names the file of another language to take the cause/effect field from, by `idx`: that field is
    wrong in some languages of the published data, and the items are the same in all.
    """
    kinds = _kinds(file.sibling(questions)) if questions else {}
    rows = []
    for line, row in _xcopa(file):
        name = text_id(row["idx"])
        if questions and str(name) not in kinds:
            raise file.fault(f"idx {excerpt(name)} is not in {questions}, where its question should come from", line)
        kind = kinds.get(str(name), row["question"])
        rows.append(
            {
                "id": name,
                "context": row["premise"],
                "question": _question(file, kind, "question", line),
                "choices": [row["choice1"], row["choice2"]],
                "label": row["label"],
            }
        )
    return rows


def _kinds(file: File) -> dict[str, Any]:
    """idx -> what the item asks for."""
    items = [(str(row["idx"]), row["question"]) for _, row in _xcopa(file)]
    if name := repeated(idx for idx, _ in items):
        raise file.fault(f"idx {excerpt(name)} occurs more than once")
    return dict(items)


def _xcopa(file: File) -> list[tuple[int, dict[str, Any]]]:
    columns = ("premise", "choice1", "choice2", "question", "label", "idx")
    lines = list(file.json_lines())
    for line, row in lines:
        missing = [name for name in columns if name not in row]
        if missing:
            raise file.fault(f"no field {', '.join(missing)}; found {', '.join(row)}", line)
    return lines


def _question(file: File, kind: Any, where: str, line: int | None = None) -> str:
    if not isinstance(kind, str) or kind not in QUESTIONS:
        raise file.fault(f"{where} is {excerpt(kind)}, expected {' or '.join(QUESTIONS)}", line)
    return QUESTIONS[kind]
