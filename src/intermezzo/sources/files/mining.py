"""Reader of bitext mining (BUCC 2018): two monolingual corpora, of which some sentences are translations."""

from __future__ import annotations

import logging
from typing import Any

from intermezzo.sources.files.reading import File

Row = dict[str, Any]
log = logging.getLogger(__name__)


def bucc(files: list[File], english: str = "en") -> list[Row]:
    """Rows {id, text, side, pair} from the three files of a set: `X.de`, `X.en`, and `X.gold` with the pairs.

    Both corpora are lines of id, tab and sentence, the gold file lines of foreign id, tab and English id. The
    foreign side comes first. A foreign sentence with several translations keeps the first (with a warning): mining
    gives at most one.
    """
    by_ending = {file.name.rpartition(".")[2]: file for file in files}
    foreign = sorted(set(by_ending) - {english, "gold"})
    if len(files) != 3 or len(foreign) != 1 or not {english, "gold"} <= set(by_ending):
        names = ", ".join(file.name for file in files)
        raise files[0].fault(f"expected three files with the endings gold, {english} and a language; found {names}")
    texts, english_texts = _lines(by_ending[foreign[0]]), _lines(by_ending[english])
    gold, pairs = by_ending["gold"], {}
    for line, cells in _cells(gold):
        ours, theirs = cells
        if ours not in texts or theirs not in english_texts:
            strange = ours if ours not in texts else theirs
            raise gold.fault(f"'{strange}' is in neither corpus; expected a foreign id, a tab and an English id", line)
        if pairs.setdefault(ours, theirs) != theirs:
            log.warning("%s, line %d: %s has several translations; the first is kept", gold, line, ours)
    return [
        *({"id": name, "text": text, "side": "foreign", "pair": pairs.get(name)} for name, text in texts.items()),
        *({"id": name, "text": text, "side": "english", "pair": None} for name, text in english_texts.items()),
    ]


def _lines(file: File) -> dict[str, str]:
    texts: dict[str, str] = {}
    for line, (name, text) in _cells(file):
        if name in texts:
            raise file.fault(f"id '{name}' occurs more than once", line)
        texts[name] = text.strip()
    return texts


def _cells(file: File) -> list[tuple[int, list[str]]]:
    rows = [(number, line.split("\t", 1)) for number, line in enumerate(file.lines(), start=1) if line.strip()]
    for number, cells in rows:
        if len(cells) != 2:
            raise file.fault(f"no tab in '{cells[0]:.60}'; is the file cut off?", number)
    return [(number, [cells[0].strip(), cells[1].strip()]) for number, cells in rows]
