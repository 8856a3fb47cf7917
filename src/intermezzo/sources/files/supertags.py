"""Reader of CCGbank (LDC2005T13): sentences with a lexical category (supertag) per word."""

from __future__ import annotations

import re
from typing import Any

from intermezzo.sources.files.reading import File

Row = dict[str, Any]
_LEAF = re.compile(r"\(<L (\S+) (\S+) (\S+) (\S+) (\S+)>\)")


def ccgbank_auto(file: File) -> list[Row]:
    """{id, tokens, tags} from an .auto file: a line `ID=wsj_0001.1 ...`, then a line with the derivation.

    The leaves `(<L CATEGORY POS POS WORD CATEGORY>)` are the words; they are kept as they are written there
    (brackets as -LRB- and -RRB-).
    """
    rows: list[Row] = []
    name = ""
    for number, line in enumerate(file.lines(), start=1):
        if line.startswith("ID="):
            if name:
                raise file.fault(f"no derivation for {name}", number)
            name = line.split()[0].removeprefix("ID=")
        elif line.strip():
            leaves = _LEAF.findall(line)
            if not name or not leaves or len(leaves) != line.count("(<L ") or line.count("(") != line.count(")"):
                raise file.fault("not a line ID=... followed by one whole derivation; is the file cut off?", number)
            rows.append({"id": name, "tokens": [leaf[3] for leaf in leaves], "tags": [leaf[0] for leaf in leaves]})
            name = ""
    if name:
        raise file.fault(f"no derivation for {name}; is the file cut off?")
    return rows
