"""What Snakemake has recorded of finished jobs, read without its workflow: `intermezzo plan` starts no Snakemake.

Snakemake keeps the records as one JSON file per output in .snakemake/metadata, or with `--persistence-backend db` in
the table of .snakemake/metadata.db. A database elsewhere (`--persistence-backend-db-url`) is not read: what is only
recorded there counts as not recorded. Nothing of Snakemake is patched or called here.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from base64 import urlsafe_b64encode
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

FOLDER = Path(".snakemake")
_NAME_LENGTH = 254
"""Characters of a file name among the records; longer names go on in folders."""
_END = re.compile(r'"endtime": ([0-9.e+-]+)')


class Records:
    """What was recorded of outputs."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files, self._unfinished = f"{folder}/metadata", f"{folder}/incomplete"
        self._table, self._unfinished_rows = _table(folder)

    def parameters(self, output: str) -> set[str] | None:
        """The parameters of the job that made an output, as Snakemake writes them: `repr` of each value.

        None without a record. A job of both backends: the later.
        """
        records = [record for record in (self._of_file(output), self._table.get(output)) if record is not None]
        return max(records, key=lambda record: record[0])[1] if records else None

    def end(self, output: str) -> float | None:
        """When an output was written, in seconds since 1970, as was recorded; None without a record."""
        ends = [self._table[output][0]] if output in self._table else []
        match = _END.search(self._text(output))
        return max([*ends, float(match[1])] if match else ends, default=None)

    def is_incomplete(self, output: str) -> bool:
        """Whether the job that writes an output was running when a run was killed: Snakemake makes it again."""
        return output in self._unfinished_rows or os.path.exists(f"{self._unfinished}/{_name(output)}")

    def _text(self, output: str) -> str:
        try:
            with open(f"{self._files}/{_name(output)}", encoding="utf-8") as file:
                return file.read()
        except (OSError, UnicodeDecodeError):
            return ""

    def _of_file(self, output: str) -> tuple[float, set[str]] | None:
        try:
            record = json.loads(self._text(output))
            return record.get("endtime") or 0.0, set(record["params"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


def _name(output: str) -> str:
    """The file of an output's record, below the folder of records."""
    name = urlsafe_b64encode(output.encode()).decode()
    parts = [name[start : start + _NAME_LENGTH] for start in range(0, len(name), _NAME_LENGTH)]
    return "/".join([*(f"@{part}" for part in parts[:-1]), parts[-1]])


def _table(folder: Path) -> tuple[dict[str, tuple[float, set[str]]], set[str]]:
    """Output -> (time of its end, parameters), of the database in the folder; and the outputs of unfinished jobs."""
    database = folder / "metadata.db"
    if not database.is_file():
        return {}, set()
    query = "SELECT target, endtime, params, incomplete FROM snakemake_metadata WHERE namespace = ?"
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True)) as connection:
            rows = connection.execute(query, (str(folder.absolute()),)).fetchall()
        finished = {
            target: (end or 0.0, set(json.loads(params) or ())) for target, end, params, _ in rows if params is not None
        }
        return finished, {target for target, _, _, incomplete in rows if incomplete}
    except (sqlite3.Error, ValueError):
        return {}, set()
