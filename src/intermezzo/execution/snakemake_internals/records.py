"""What Snakemake has recorded of finished jobs, read without its workflow: `intermezzo plan` starts no Snakemake.

Snakemake keeps the records as one JSON file per output in .snakemake/metadata, or with `--persistence-backend db` in
the table of .snakemake/metadata.db. A database elsewhere (`--persistence-backend-db-url`) is not read.
"""

from __future__ import annotations

import json
import sqlite3
from base64 import urlsafe_b64encode
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from intermezzo.execution.snakemake_internals.support import feature

FOLDER = Path(".snakemake")
_NAME_LENGTH = 254
"""Characters of a file name among the records; longer names go on in folders."""


class Records:
    """The parameters that were recorded for outputs, as Snakemake writes them: `repr` of each value."""

    def __init__(self, folder: Path) -> None:
        self._files = folder / "metadata"
        self._table = _table(folder)

    def parameters(self, output: str) -> set[str] | None:
        """The parameters of the job that made an output; None without a record. A job of both backends: the later."""
        records = [record for record in (self._of_file(output), self._table.get(output)) if record is not None]
        return max(records, key=lambda record: record[0])[1] if records else None

    def _of_file(self, output: str) -> tuple[float, set[str]] | None:
        name = urlsafe_b64encode(output.encode()).decode()
        parts = [name[start : start + _NAME_LENGTH] for start in range(0, len(name), _NAME_LENGTH)]
        try:
            record = json.loads(self._files.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1]).read_text())
            return record.get("endtime") or 0.0, set(record["params"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _table(folder: Path) -> dict[str, tuple[float, set[str]]]:
    """Output -> (time of its end, parameters), of the database in the folder."""
    database = folder / "metadata.db"
    if not database.is_file():
        return {}
    query = "SELECT target, endtime, params FROM snakemake_metadata WHERE namespace = ? AND params IS NOT NULL"
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True)) as connection:
            rows = connection.execute(query, (str(folder.absolute()),)).fetchall()
        return {target: (end or 0.0, set(json.loads(params) or ())) for target, end, params in rows}
    except (sqlite3.Error, ValueError):
        return {}


@feature("what was recorded of finished jobs cannot be read", fallback=None)
def read_records(folder: Path = FOLDER) -> Records | None:
    """The records of runs in this folder; None = they cannot be read."""
    return Records(folder)
