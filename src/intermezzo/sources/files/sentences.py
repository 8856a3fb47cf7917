"""Readers of tagged sentences: one token per line, an empty line after each sentence.

They return {id, tokens, tags}; the id is the file's own sentence id, else `path:line` of the first token. Lines
`-DOCSTART-` (CoNLL 2003) say where a document begins and are no sentences.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from intermezzo.core.excerpt import excerpt
from intermezzo.sources.files.reading import File

Row = dict[str, Any]
Block = tuple[list[str], list[tuple[int, str]]]
"""The comments of a sentence, and its lines with their numbers."""
_DOCUMENT = re.compile(r"(\w+:)?-DOCSTART-(\s|$)")
_SENTENCE_ID = re.compile(r"#\s*sent_id\b\s*(?:=\s*(.*\S)|.*)")


def conllu(file: File) -> list[Row]:
    """CoNLL-U treebanks (10 columns): the syntactic words (FORM, UPOS).

    Surface tokens of several words (ids like 1-2) and empty nodes (1.1) are passed over. The format ends every
    sentence with an empty line, so a file that does not was cut off. Comments are lines before a sentence that begin
    with "#", whatever comes after it.
    """
    rows = []
    for comments, block in _blocks(file, comment=lambda line: line.startswith("#"), closed=True):
        words = []
        for line, text in block:
            cells = text.split("\t")
            if len(cells) != 10:
                raise file.fault(f"{len(cells)} columns, expected the 10 of CoNLL-U", line)
            if "-" in cells[0] or "." in cells[0]:
                continue
            if cells[0] != str(len(words) + 1):
                raise file.fault(f"word id '{cells[0]}', expected {len(words) + 1}", line)
            words.append((cells[1], cells[3]))
        rows.append(_row(file, comments, block, words))
    return rows


def two_column(file: File) -> list[Row]:
    """Token and tag separated by one space or tab, no comments."""
    rows = []
    for comments, block in _blocks(file):
        rows.append(_row(file, comments, block, [_columns(file, line, text, 2) for line, text in block]))
    return rows


def iob2(
    file: File,
    columns: Sequence[int] = (1, 2),
    comments: bool = True,
    repair: bool = False,
    language_prefix: bool = False,
) -> list[Row]:
    """Named entities in IOB2; `columns` are the places of token and tag, counted from 0.

    An I- tag that continues nothing is refused, or made B- when `repair` is set. Comment lines start with "# ";
    `comments: false` for files without, where such a line is a token. `language_prefix`: tokens are written
    `en:token`, as in PAN-X; what is before the first colon goes.
    """
    rows = []
    comment = (lambda line: line == "#" or line.startswith("# ")) if comments else None
    for heads, block in _blocks(file, comment):
        words, previous = [], "O"
        for line, text in block:
            cells = _columns(file, line, text, max(columns) + 1, more=True)
            token, tag = cells[columns[0]], cells[columns[1]]
            if language_prefix:
                prefix, colon, token = token.partition(":")
                if not colon:
                    raise file.fault(f"token {excerpt(prefix)} has no language before a colon", line)
            if tag.startswith("I-") and previous[2:] != tag[2:]:
                if not repair:
                    mend = f"`repair: true` in the task file makes it B{tag[1:]:.60}"
                    raise file.fault(f"tag {tag:.60} after {previous:.60} is not IOB2; {mend}", line)
                tag = f"B{tag[1:]}"
            words.append((token, tag))
            previous = tag
        rows.append(_row(file, heads, block, words))
    return rows


def _blocks(file: File, comment: Callable[[str], bool] | None = None, *, closed: bool = False) -> Iterator[Block]:
    """The sentences. comment: whether a line before one is a comment. closed: the last must end in an empty line."""
    heads: list[str] = []
    block: list[tuple[int, str]] = []
    for number, line in enumerate(file.lines(), start=1):
        separator = _DOCUMENT.match(line)
        if comment and not block and comment(line):
            heads.append(line)
        elif line.strip() and not separator:
            block.append((number, line))
        elif block:
            yield heads, block
            heads, block = [], []
    if block:
        if closed:
            raise file.fault("the last sentence is not ended by an empty line; is the file cut off?", block[-1][0])
        yield heads, block


def _columns(file: File, line: int, text: str, count: int, *, more: bool = False) -> list[str]:
    cells = text.split("\t") if "\t" in text else text.split(" ")
    if len(cells) != count and not (more and len(cells) > count):
        expected = f"expected {count}{' or more' if more else ''}"
        raise file.fault(f"{len(cells)} columns in {excerpt(text)}, {expected}", line)
    return cells


def _row(file: File, comments: list[str], block: list[tuple[int, str]], words: list[Sequence[str]]) -> Row:
    names = [match[1] for match in map(_SENTENCE_ID.match, comments) if match]
    return {
        "id": names[0] if names and names[0] else f"{file.name}:{block[0][0]}",
        "tokens": [word[0] for word in words],
        "tags": [word[1] for word in words],
    }
