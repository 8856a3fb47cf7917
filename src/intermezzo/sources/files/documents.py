"""Readers of sentences and sentence pairs: NLI tables, plain and parallel lines, UDHR and Bible documents.

NLI readers return {id, text, text_pair, label}, all others {id, text, text_pair}: with the option `english` (a
path) text_pair is the aligned English, without it it is null.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from intermezzo.core.errors import suggestion
from intermezzo.core.excerpt import excerpt
from intermezzo.sources.files.reading import File

Row = dict[str, Any]
BOOKS = {"Matthew": "MAT", "Mark": "MAR", "Luke": "LUK", "John": "JOH", "Acts": "ACT"}
"""SWORD book name -> CES book code, for the books that both corpora have; others keep their name."""
UDHR = "{http://efele.net/udhr}"


def nli_csv(file: File) -> list[Row]:
    """CSV with columns premise, hypothesis, label (in words)."""
    table = file.delimited(("premise", "hypothesis", "label"))
    return [_nli(row, f"{file.name}:{line}") for line, row in table]


def nli_tsv(file: File) -> list[Row]:
    """XNLI-style TSV without quoting, columns id, premise, hypothesis, label."""
    table = file.delimited(("id", "premise", "hypothesis", "label"), delimiter="\t", quoted=False)
    return [_nli(row, row["id"]) for _, row in table]


def _nli(row: dict[str, str], name: str) -> Row:
    return {
        "id": name,
        "text": row["premise"].strip(),
        "text_pair": row["hypothesis"].strip(),
        "label": row["label"].strip(),
    }


def lines(file: File) -> list[Row]:
    """One sentence per line."""
    return [_plain(f"{file.name}:{line}", text) for line, text in enumerate(file.lines(), start=1)]


def parallel_lines(files: list[File], english: str | None = None, language: str | None = None) -> list[Row]:
    """Line i of the file is the translation of line i of `english`.

    Without `english` there are two files, and the English one ends in .eng or .en. With `language` there are files of
    many languages, which their names tell apart up to the first dot: `language` and `english` are two of these names.
    """
    if language is not None:
        files, english = [_named(files, language), _named(files, english)], None
    file = next((file for file in files if not file.name.endswith((".eng", ".en"))), files[0])
    rest = [candidate for candidate in files if candidate != file]
    english_file = file.sibling(english) if english else (rest or files)[0]
    if len(files) != (1 if english else 2) or english_file == file:
        names = ", ".join(candidate.name for candidate in files)
        raise file.fault(f"found {names}; expected one file and the option english, or two, one ending in .eng or .en")
    ours, theirs = file.lines(), english_file.lines()
    if len(ours) != len(theirs):
        raise file.fault(f"{len(ours)} lines, but {english_file} has {len(theirs)}; one of them is cut off")
    return [
        {"id": f"{file.name}:{line}", "text": text.strip(), "text_pair": pair.strip()}
        for line, (text, pair) in enumerate(zip(ours, theirs, strict=True), start=1)
    ]


def _named(files: list[File], name: str | None) -> File:
    """The one of the files that has this name up to its first dot."""
    names = {PurePosixPath(file.name).name.partition(".")[0]: file for file in files}
    if name is None or name not in names:
        raise files[0].fault(f"no file '{name}.*' beside it; {suggestion(str(name), names)}")
    return names[name]


def udhr_xml(file: File, english: str | None = None, preamble: bool = True) -> list[Row]:
    """Universal Declaration of Human Rights: the paragraphs of each article, and of the preamble unless it is false.

    Aligned by article and place in it. An article with another number of paragraphs than in English is left out:
    its paragraphs were split or joined, so equal places would not be translations.
    """
    ours = _articles(file, preamble)
    if english is None:
        return [_plain(f"{name}.{i}", text) for name, texts in ours.items() for i, text in enumerate(texts, start=1)]
    theirs = _articles(file.sibling(english), preamble)
    return [
        {"id": f"{name}.{i}", "text": text, "text_pair": pair}
        for name, pairs in theirs.items()
        if len(ours.get(name, ())) == len(pairs)
        for i, (text, pair) in enumerate(zip(ours[name], pairs, strict=True), start=1)
    ]


def _articles(file: File, preamble: bool) -> dict[str, list[str]]:
    """Name (preamble, article1, ...) -> its paragraphs that are not empty."""
    root = file.xml()
    articles: dict[str, list[str]] = {}
    for part in root:
        kind = str(part.tag).removeprefix(UDHR)
        if kind == "article" or (kind == "preamble" and preamble):
            name = f"{kind}{part.get('number', '')}"
            if name in articles:
                raise file.fault(f"{excerpt(name)} occurs more than once")
            texts = [" ".join("".join(para.itertext()).split()) for para in part.iter(f"{UDHR}para")]
            articles[name] = [text for text in texts if text]
    if not articles:
        raise file.fault(f"no <preamble> or <article> in namespace {UDHR.strip('{}')}; the root is <{root.tag}>")
    return articles


def bible_xml(file: File, english: str | None = None) -> list[Row]:
    """CES XML, one `<seg type="verse" id="b.MAT.1.1">` per verse; ids MAT.1.1."""
    return _aligned(_verses_xml(file), file, english)


def bible_csv(file: File, english: str | None = None) -> list[Row]:
    """CSV with columns Book, Chapter, Verse, Text; ids MAT.1.1."""
    return _aligned(_verses_csv(file), file, english)


def _aligned(verses: dict[str, str], file: File, english: str | None) -> list[Row]:
    if english is None:
        return [_plain(name, text) for name, text in verses.items()]
    english_file = file.sibling(english)
    theirs = _verses_xml(english_file) if english.endswith(".xml") else _verses_csv(english_file)
    return [{"id": v, "text": text, "text_pair": theirs[v]} for v, text in verses.items() if v in theirs]


def _verses_xml(file: File) -> dict[str, str]:
    segments = [seg for seg in file.xml().iter("seg") if seg.get("type") == "verse"]
    if not segments or not all(seg.get("id", "").startswith("b.") for seg in segments):
        raise file.fault('expected verses as <seg type="verse" id="b.BOOK.CHAPTER.VERSE">')
    return _verses(file, ((seg.get("id", "")[2:], "".join(seg.itertext())) for seg in segments))


def _verses_csv(file: File) -> dict[str, str]:
    table = file.delimited(("Book", "Chapter", "Verse", "Text"))
    return _verses(
        file,
        ((f"{BOOKS.get(row['Book'], row['Book'])}.{row['Chapter']}.{row['Verse']}", row["Text"]) for _, row in table),
    )


def _verses(file: File, named: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Id -> text of the verses, each of which is there once."""
    verses: dict[str, str] = {}
    for name, text in named:
        if name in verses:
            raise file.fault(f"verse {excerpt(name)} occurs more than once")
        verses[name] = " ".join(text.split())
    return verses


def _plain(name: str, text: str) -> Row:
    return {"id": name, "text": text.strip(), "text_pair": None}
