"""Alignments of words from files, as aligners write them (Pharaoh format): `0-0 1-2 2-1` says which words are pairs.

A file has a line for each row of a language's parallel data, in their order. The first number of a pair is that of a
word of the language, the second that of an English word, counted from 0; words stand between spaces. An empty line says
that nothing is aligned.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from intermezzo.core.errors import UserError
from intermezzo.specs.finetuning import ALIGNMENT

Row = dict[str, Any]


def with_alignments(rows: list[Row], task: str, data: dict[str, Path]) -> list[Row]:
    """The rows with `alignment`, the pairs (word, English word) of each.

    data: "task/language" -> Parquet, "alignment/language" -> file of alignments. Raises UserError for a file that
    cannot be read or has another number of lines than there are rows, and for a pair that is no two numbers or that
    counts more words than there are.
    """
    pairs: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for name, path in data.items():
        kind, _, language = name.partition("/")
        if kind == ALIGNMENT:
            pairs |= _read(path, data[f"{task}/{language}"])
    return [row | {"alignment": pairs[row["text"], row["text_pair"]]} for row in rows]


def _read(path: Path, parallel: Path) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """Sentence and translation -> their pairs of words."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text in UTF-8"
        raise UserError(f"{path}: cannot be read ({reason}); align.alignments needs a file per language") from None
    lines = lines[:-1] if lines[-1] == "" else lines
    rows = pq.read_table(parallel, columns=["text", "text_pair"]).to_pylist()
    if len(lines) != len(rows):
        raise UserError(
            f"{path}: {len(lines)} lines, and {parallel} has {len(rows)} rows; a line for each row is needed, an empty "
            "one where nothing is aligned"
        )
    pairs = {}
    for number, (line, row) in enumerate(zip(lines, rows, strict=True), start=1):
        texts = row["text"], row["text_pair"]
        pairs[texts] = [_pair(entry, texts, f"{path}: line {number}") for entry in line.split()]
    return pairs


def _pair(entry: str, texts: tuple[str, str], place: str) -> tuple[int, int]:
    """The two numbers of one pair."""
    if not re.fullmatch(r"[0-9]{1,9}-[0-9]{1,9}", entry):
        raise UserError(f"{place}: {entry[:40]!r} is no pair of words; two numbers such as 0-2 are needed")
    first, second = map(int, entry.split("-"))
    for word, text, whose in zip((first, second), texts, ("the sentence", "its English translation"), strict=True):
        if word >= len(text.split()):
            raise UserError(f"{place}: {entry}: {whose} has {len(text.split())} words, which count from 0")
    return first, second
