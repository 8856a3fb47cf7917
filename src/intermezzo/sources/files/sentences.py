"""Readers of tagged sentences: one token per line, an empty line after each sentence.

They return {id, tokens, tags}; the id is the file's own sentence id, else `path:line` of the first token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from intermezzo.sources.files.reading import File

Row = dict[str, Any]


def conllu(file: File) -> list[Row]:
    """CoNLL-U treebanks (10 columns): the syntactic words (FORM, UPOS).

    Surface tokens of several words (ids like 1-2) and empty nodes (1.1) are passed over. The format ends every
    sentence with an empty line, so a file that does not was cut off.
    """
    rows = []
    for comments, block in _blocks(file, comments=True, closed=True):
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
    for comments, block in _blocks(file, comments=False):
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
    for heads, block in _blocks(file, comments=comments):
        words, previous = [], "O"
        for line, text in block:
            cells = _columns(file, line, text, max(columns) + 1, more=True)
            token, tag = cells[columns[0]], cells[columns[1]]
            if language_prefix:
                prefix, colon, token = token.partition(":")
                if not colon:
                    raise file.fault(f"token '{prefix}' has no language before a colon", line)
            if tag.startswith("I-") and previous[2:] != tag[2:]:
                if not repair:
                    mend = f"`repair: true` in the task file makes it B{tag[1:]}"
                    raise file.fault(f"tag {tag} after {previous} is not IOB2; {mend}", line)
                tag = f"B{tag[1:]}"
            words.append((token, tag))
            previous = tag
        rows.append(_row(file, heads, block, words))
    return rows


def _blocks(file: File, *, comments: bool, closed: bool = False) -> Iterator[tuple[list[str], list[tuple[int, str]]]]:
    """(comment lines, [(line number, line)]) of each sentence; `closed`: the last must be ended by an empty line."""
    heads: list[str] = []
    block: list[tuple[int, str]] = []
    for number, line in enumerate(file.lines(), start=1):
        if comments and not block and (line == "#" or line.startswith("# ")):
            heads.append(line)
        elif line.strip():
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
        raise file.fault(f"{len(cells)} columns in '{text}', expected {count}{' or more' if more else ''}", line)
    return cells


def _row(file: File, comments: list[str], block: list[tuple[int, str]], words: list[Sequence[str]]) -> Row:
    sentence_ids = [c.partition("=")[2].strip() for c in comments if c.startswith("# sent_id")]
    return {
        "id": sentence_ids[0] if sentence_ids and sentence_ids[0] else f"{file.name}:{block[0][0]}",
        "tokens": [word[0] for word in words],
        "tags": [word[1] for word in words],
    }
