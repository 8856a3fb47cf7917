"""Task formats: the one Parquet schema per format that every source writes and every stage reads.

| format | columns | gold |
|---|---|---|
| classification | id, text, text_pair (null for single texts) | label (one of the task's `labels`) |
| multiple_choice | id, context, question, choices (list) | label (index into choices) |
| tagging | id, tokens (list) | tags (list of the task's `labels`, one per token) |
| span | id, context, question | answers (list of strings), answer_starts (list of character offsets) |
| retrieval | id, text (the language), text_pair (English) | row i's pair is row i |
| mining | id, text, side (foreign or english) | pair (id of the English translation; null for none and for English) |
| ranking | id, text, text_pair (training: what the text should find) | relevant (ids of candidates; empty elsewhere) |
| mlm | id, text, text_pair (second segment, null for one) | none |

A ranking task has a fourth split beside train, dev and test: `candidates`, what queries search in. The candidates of
all languages together are one pool, so their ids are unique across languages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from intermezzo.core.errors import UserError

_text, _texts = pa.string(), pa.list_(pa.string())

SCHEMAS: dict[str, pa.Schema] = {
    "classification": pa.schema({"id": _text, "text": _text, "text_pair": _text, "label": _text}),
    "multiple_choice": pa.schema(
        {"id": _text, "context": _text, "question": _text, "choices": _texts, "label": pa.int32()}
    ),
    "tagging": pa.schema({"id": _text, "tokens": _texts, "tags": _texts}),
    "span": pa.schema(
        {"id": _text, "context": _text, "question": _text, "answers": _texts, "answer_starts": pa.list_(pa.int32())}
    ),
    "retrieval": pa.schema({"id": _text, "text": _text, "text_pair": _text}),
    "mining": pa.schema({"id": _text, "text": _text, "side": _text, "pair": _text}),
    "ranking": pa.schema({"id": _text, "text": _text, "text_pair": _text, "relevant": _texts}),
    "mlm": pa.schema({"id": _text, "text": _text, "text_pair": _text}),
}
"""Format name -> schema; the order of columns is part of the contract."""
SIDES = ("foreign", "english")
"""The two sides of mining."""


def table(rows: Sequence[dict[str, Any]], fmt: str, labels: Sequence[str] = (), *, origin: str = "data") -> pa.Table:
    """Check `rows` against a format and return them as a table. labels: the allowed ones, or "from_data" (any).

    Raises UserError, naming `origin` and the first offending rows, when a column is missing or of another
    type, an id repeats, a label is not in `labels`, tokens and tags differ in number, an answer is not at its
    offset, or there is no row at all.
    """
    problems: list[str] = []
    schema = SCHEMAS[fmt]
    if not rows:
        raise UserError(f"{origin}: no rows")
    for number, row in enumerate(rows):
        if set(row) != set(schema.names):
            problems.append(f"row {number}: columns {sorted(row)}, expected {schema.names}")
        else:
            problems += [f"row {number} (id {row['id']!r}): {p}" for p in _problems(row, fmt, labels)]
        if len(problems) >= 5:
            break
    ids = [row.get("id") for row in rows]
    if not problems and len(set(ids)) < len(ids):
        seen: set[Any] = set()
        twice = next(i for i in ids if i in seen or seen.add(i))
        problems.append(f"id {twice!r} occurs more than once")
    if problems:
        raise UserError(f"{origin}: not usable as {fmt} data:\n  " + "\n  ".join(problems[:5]))
    try:
        return pa.Table.from_pylist(list(rows), schema=schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise UserError(f"{origin}: not usable as {fmt} data: {error}") from None


def _problems(row: dict[str, Any], fmt: str, labels: Sequence[str]) -> list[str]:
    found = []
    if not isinstance(row["id"], str) or not row["id"]:
        found.append("id must be a non-empty string")
    if fmt == "classification":
        if not row["text"]:
            found.append("text is empty")
        if labels != "from_data" and row["label"] not in labels:
            found.append(f"label {row['label']!r}; allowed: {', '.join(labels)}")
    elif fmt == "multiple_choice":
        if len(row["choices"]) < 2 or not 0 <= row["label"] < len(row["choices"]):
            found.append(f"label {row['label']} with {len(row['choices'])} choices")
    elif fmt == "tagging":
        if not row["tokens"] or len(row["tokens"]) != len(row["tags"]):
            found.append(f"{len(row['tokens'])} tokens, {len(row['tags'])} tags")
        unknown = sorted({str(t) for t in row["tags"]} - set(labels))
        if unknown and labels != "from_data":
            found.append(f"tags {', '.join(unknown)}; allowed: {', '.join(labels)}")
    elif fmt == "span":
        if not row["context"] or len(row["answers"]) != len(row["answer_starts"]):
            found.append("empty context, or answers and answer_starts differ in number")
        for answer, start in zip(row["answers"], row["answer_starts"], strict=False):
            if row["context"][start : start + len(answer)] != answer:
                found.append(f"answer {answer!r} is not at character {start} of its context")
    elif fmt == "retrieval":
        if not row["text"] or not row["text_pair"]:
            found.append("text or text_pair is empty")
    elif not row["text"]:
        found.append("text is empty")
    elif fmt == "mining":
        if row["side"] not in SIDES:
            found.append(f"side {row['side']!r}; allowed: {', '.join(SIDES)}")
        elif row["side"] == "english" and row["pair"] is not None:
            found.append("an English row has a pair; pairs belong to the foreign rows")
    elif fmt == "ranking" and row["text_pair"] is not None and row["relevant"]:
        found.append("both text_pair (a training pair) and relevant (a query)")
    return found
