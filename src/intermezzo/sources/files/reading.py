"""Files in their containers (text, JSON, XML, delimited), with one kind of complaint about broken ones."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intermezzo.core.errors import UserError

_EMPTY = "the file is empty; get it again from its source"


@dataclass(frozen=True)
class File:
    """A file of a dataset: `name` relative to the `root` of all datasets. Every method may raise UserError."""

    root: Path
    name: str

    def __str__(self) -> str:
        return str(self.root / self.name)

    def sibling(self, name: str) -> File:
        """Another file below the same root."""
        return File(self.root, name)

    def fault(self, problem: str, line: int | None = None) -> UserError:
        """The error to raise for a problem: it names the file and the line (counted from 1)."""
        return UserError(f"{self}{'' if line is None else f', line {line}'}: {problem}")

    def path(self) -> Path:
        """Where the file lies; it is there."""
        path = self.root / self.name
        if not path.is_file():
            raise self.fault(f"no such file; put the dataset below data.root ({self.root}), or change data.root")
        if not path.stat().st_size:
            raise self.fault(_EMPTY)
        return path

    def bytes(self) -> bytes:
        """The whole content, which is not blank."""
        data = self.path().read_bytes()
        if not data.strip():
            raise self.fault(_EMPTY)
        return data

    def text(self) -> str:
        """The content as UTF-8 text, without a byte order mark."""
        try:
            return self.bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise self.fault(f"not UTF-8 text (byte {error.start}); cut off, or in another encoding?") from None

    def lines(self) -> list[str]:
        r"""Lines without their ends. Only \n and \r\n end a line: published text has U+0085 and U+2028 inside lines."""
        lines = self.text().replace("\r\n", "\n").split("\n")
        return lines[:-1] if lines[-1] == "" else lines

    def json(self) -> Any:
        """The content as JSON."""
        try:
            return json.loads(self.text())
        except json.JSONDecodeError as error:
            raise self.fault(f"not valid JSON ({error.msg}); is the file cut off?", error.lineno) from None

    def json_lines(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """(line number, object) of each line that is not blank, one after the other: some files are large."""
        for number, line in enumerate(io.BytesIO(self.bytes()), start=1):
            if not line.strip():
                continue
            try:
                value = json.loads(line.decode("utf-8-sig"))
            except json.JSONDecodeError as error:
                raise self.fault(f"not valid JSON ({error.msg}); is the file cut off?", number) from None
            except UnicodeDecodeError:
                raise self.fault("not UTF-8 text; cut off, or in another encoding?", number) from None
            if not isinstance(value, dict):
                raise self.fault(f"expected one JSON object per line, found {type(value).__name__}", number)
            yield number, value

    def xml(self) -> ET.Element:
        """The root element of the content as XML."""
        try:
            return ET.fromstring(self.bytes())
        except ET.ParseError as error:
            raise self.fault(f"not valid XML ({error}); is the file cut off?", error.position[0]) from None

    def delimited(
        self,
        columns: Sequence[str],
        *,
        delimiter: str = ",",
        quoted: bool = True,
        header: Sequence[str] | None = None,
    ) -> list[tuple[int, dict[str, str]]]:
        """(line number, row) of a table; at least `columns` must be there, each row must be full.

        Without `header` the file's first line names the columns.
        """
        quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        table = csv.reader(io.StringIO(self.text(), newline=""), delimiter=delimiter, quoting=quoting, strict=True)
        rows = []
        try:
            header = list(header) if header else next(table)
            missing = [name for name in columns if name not in header]
            if missing:
                raise self.fault(f"no column {', '.join(missing)}; the header is {', '.join(header)}", 1)
            for cells in filter(None, table):
                if len(cells) != len(header):
                    expected = f"expected {len(header)} ({', '.join(header)})"
                    raise self.fault(f"{len(cells)} columns, {expected}", table.line_num)
                rows.append((table.line_num, dict(zip(header, cells, strict=True))))
        except csv.Error as error:
            raise self.fault(f"not a valid table ({error}); is the file cut off?", table.line_num) from None
        return rows
