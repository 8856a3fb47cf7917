"""Controls: the same data with one thing taken away, to see whether a score can be had without it."""

from __future__ import annotations

import random
from typing import Any

Rows = list[dict[str, Any]]


def remove_input(rows: Rows, fmt: str, field: str) -> Rows:
    """The partial-input control: `field` is removed from every row.

    `premise` leaves a pair's second text alone (hypothesis-only NLI; for paraphrase one side of the pair), `question`
    and `context` are emptied. Tagging's `context` control is a matter of encoding: each word is read alone.
    """
    if fmt == "classification":
        return [row | {"text": row["text_pair"], "text_pair": None} for row in rows]
    return rows if fmt == "tagging" else [row | {field: ""} for row in rows]


def as_text(rows: Rows, fmt: str) -> Rows:
    """The text-only control: the inputs of labelled rows as text for masked language modelling, labels dropped.

    Pairs stay pairs; a question goes with its context; of multiple choices all are read, as in training.
    """
    if fmt == "tagging":
        pairs = [(" ".join(row["tokens"]), None) for row in rows]
    elif fmt == "span":
        pairs = [(row["question"], row["context"]) for row in rows]
    elif fmt == "multiple_choice":
        pairs = [(f"{row['context']} {row['question']}".strip(), choice) for row in rows for choice in row["choices"]]
    else:
        pairs = [(row["text"], row["text_pair"]) for row in rows]
    return [{"id": str(number), "text": text, "text_pair": pair} for number, (text, pair) in enumerate(pairs)]


def shuffle_labels(rows: Rows, fmt: str, seed: int) -> Rows:
    """The shuffled-label control: inputs and the distribution of gold stay, their connection goes.

    Classes (and what a ranking query should find) move between rows, tags between all tokens of the data, and an answer
    becomes a random run of as many words of its context.
    """
    random_ = random.Random(seed)
    if fmt == "tagging":
        pool = [tag for row in rows for tag in row["tags"]]
        random_.shuffle(pool)
        tags = iter(pool)
        return [row | {"tags": [next(tags) for _ in row["tags"]]} for row in rows]
    if fmt == "span":
        return [row | _random_answer(row, random_) for row in rows]
    if fmt == "multiple_choice":
        return [row | {"label": random_.randrange(len(row["choices"]))} for row in rows]
    column = "text_pair" if fmt == "ranking" else "label"
    gold = [row[column] for row in rows]
    random_.shuffle(gold)
    return [row | {column: one} for row, one in zip(rows, gold, strict=True)]


def _random_answer(row: dict[str, Any], random_: random.Random) -> dict[str, Any]:
    context, words, at = row["context"], [], 0
    for word in row["context"].split():
        at = context.index(word, at)
        words.append((at, at + len(word)))
        at += len(word)
    count = min(len(row["answers"][0].split()) if row["answers"] else 1, len(words))
    first = random_.randrange(len(words) - count + 1)
    begin, end = words[first][0], words[first + count - 1][1]
    return {"answers": [context[begin:end]], "answer_starts": [begin]}
