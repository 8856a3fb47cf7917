"""Files in their containers (text, JSON, XML, delimited), with one kind of complaint about broken ones.

Stricter than Python's libraries where these guess: a key, a column or an id that is there twice is refused (they take
the last one), and so are NUL bytes and halves of surrogate pairs. More lenient where they are strict without need:
NaN and Infinity in JSON, which is how pandas writes a missing value, are null, and fields may have any length.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from intermezzo.core.errors import UserError
from intermezzo.core.excerpt import excerpt, one_line

csv.field_size_limit(2**31 - 1)  # Python's own limit is 131,072 characters: shorter than many an article
_EMPTY = "the file is empty; get it again from its source"
_START = 2048
"""Bytes by which `instead_of_data` recognises a file."""
_PAGE = re.compile(
    rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)[\s>]",
    re.IGNORECASE | re.DOTALL,
)
_REFUSAL = re.compile(
    rb"\s*((<\?xml[^>]*>\s*)?<Error>\s*<Code>.*|(404:? )?((entry|repository|file) )?not found\.?\s*"
    rb"|access denied.{,200}|invalid (username|credentials).{,200})",
    re.IGNORECASE | re.DOTALL,
)
_MULTIBYTE = frozenset(
    {"big5", "big5hkscs", "cp932", "cp949", "cp950", "euc_jp", "euc_kr", "gb18030", "gb2312", "gbk", "hz", "iso2022_jp"}
    | {"shift_jis"}
)
"""Encodings of XML that Python reads and its XML parser does not (the parser reads UTF-8, UTF-16 and one-byte ones)."""
_SOUND = re.compile(
    r"(?:[^\\]++|\\[^u]|\\u(?![dD][89a-fA-F])|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*+", re.DOTALL
)
"""JSON text up to the first escape that is half of a surrogate pair."""


class Foreign(NamedTuple):
    """What a file is that is no data, and how to get the data."""

    kind: str
    mend: str


def instead_of_data(start: bytes) -> Foreign | None:
    """What a file that begins with `start` is, if it is what a server or git gives in place of a file; else None."""
    if start.startswith(b"version https://git-lfs.github.com/spec/"):
        mend = "`git lfs pull` in its repository fetches it; a web address of it is that of the media, not of the text"
        return Foreign("a Git LFS pointer", mend)
    if start.startswith((b"/annex/objects/", b"../.git/annex/")):
        return Foreign("a git-annex pointer", "`git annex get` in its repository fetches it")
    if _PAGE.match(start):
        return Foreign("a web page (HTML)", "the file has moved, or wants a login or a click")
    if _REFUSAL.fullmatch(start):
        return Foreign("a server's refusal", "the file has moved, or wants a login")
    return None


def text_id(value: Any) -> Any:
    """An id as text where it is a whole number; anything else as it is."""
    return str(value) if type(value) is int else value


def regular_expression(file: File, option: str, pattern: Any) -> re.Pattern[str]:
    """The regular expression of an option in the task file; UserError for text that is none."""
    try:
        return re.compile(str(pattern))
    except re.error as error:
        raise file.fault(f"{option}: {excerpt(pattern)} in the task file is no regular expression ({error})") from None


def repeated(names: Iterable[str]) -> str | None:
    """The first of `names` that occurs more than once; None where all differ."""
    return next((name for name, count in Counter(names).items() if count > 1), None)


class _RepeatedKey(Exception):
    """A JSON object has a key twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise _RepeatedKey(repeated(key for key, _ in pairs))
    return content


_JSON = json.JSONDecoder(parse_constant=lambda _: None, object_pairs_hook=_object)


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
        return UserError(f"{self}{'' if line is None else f', line {line}'}: {one_line(problem)}")

    def path(self) -> Path:
        """Where the file lies; it is there, and it is data."""
        path = self.root / self.name
        try:
            if not path.is_file():
                raise self.fault(f"no such file; put the dataset below data.root ({self.root}), or change data.root")
            with open(path, "rb") as handle:
                start = handle.read(_START)
        except OSError as error:
            raise self.fault(f"cannot be read ({error.strerror})") from None
        if not start:
            raise self.fault(_EMPTY)
        if foreign := instead_of_data(start):
            raise self.fault(f"{foreign.kind} instead of the file; {foreign.mend}")
        return path

    def bytes(self) -> bytes:
        """The whole content, which is not blank."""
        data = self.path().read_bytes()
        if not data.removeprefix(codecs.BOM_UTF8).strip():
            raise self.fault(_EMPTY)
        return data

    def text(self) -> str:
        """The content as UTF-8 text, without a byte order mark."""
        data = self.bytes()
        self._check_nul(data)
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            problem = f"not UTF-8 text (byte {error.start}) in line {line}; cut off, or in another encoding?"
            raise self.fault(problem) from None

    def _check_nul(self, data: bytes) -> None:
        if (position := data.find(b"\0")) >= 0:
            line = data.count(b"\n", 0, position) + 1
            raise self.fault("a NUL byte, which no text has; binary, damaged, or UTF-16 instead of UTF-8?", line)

    def lines(self) -> list[str]:
        r"""Lines without their ends. Only \n and \r\n end a line: published text has U+0085 and U+2028 inside lines."""
        text = self.text()
        if "\r" in text and "\n" not in text:
            raise self.fault(r"its lines end in \r alone; convert them to \n")
        lines = text.replace("\r\n", "\n").split("\n")
        return lines[:-1] if lines[-1] == "" else lines

    def json(self) -> Any:
        """The content as JSON. NaN and Infinity are null."""
        return self._json(self.text(), None)

    def json_lines(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """(line number, object) of each line that is not blank, one after the other: some files are large."""
        data = self.bytes()
        self._check_nul(data)
        for number, line in enumerate(io.BytesIO(data), start=1):
            if not line.strip():
                continue
            try:
                value = self._json(line.decode("utf-8-sig"), number)
            except UnicodeDecodeError:
                raise self.fault("not UTF-8 text; cut off, or in another encoding?", number) from None
            if not isinstance(value, dict):
                raise self.fault(f"expected one JSON object per line, found {type(value).__name__}", number)
            yield number, value

    def _json(self, text: str, line: int | None) -> Any:
        """The value of a JSON text, which stands in that line, or is the whole file (None)."""
        try:
            value = _JSON.decode(text)
        except json.JSONDecodeError as error:
            raise self.fault(f"not valid JSON ({error.msg}); is the file cut off?", line or error.lineno) from None
        except _RepeatedKey as error:
            raise self.fault(f"not usable JSON: an object has the key {excerpt(str(error))} twice", line) from None
        except RecursionError:
            raise self.fault("not usable JSON: lists or objects lie in each other too deeply", line) from None
        except ValueError:  # Python's own limit, against numbers that take minutes to read
            raise self.fault("not usable JSON: a number has thousands of digits", line) from None
        if "\\ud" in text or "\\uD" in text:
            end = _SOUND.match(text).end()  # type: ignore[union-attr]
            if end < len(text):
                place = line or text.count("\n", 0, end) + 1
                raise self.fault(f"half a surrogate pair ({text[end : end + 6]}): a character that was cut", place)
        return value

    def xml(self) -> ET.Element:
        """The root element of the content as XML."""
        data = self.bytes()
        try:
            return ET.fromstring(data)
        except ET.ParseError as error:
            raise self._no_xml(error) from None
        except (ValueError, LookupError):  # an encoding that the parser does not read
            text = self._decoded(data)
        try:
            return ET.fromstring(text)
        except ET.ParseError as error:
            raise self._no_xml(error) from None

    def _no_xml(self, error: ET.ParseError) -> UserError:
        return self.fault(f"not valid XML ({error}); is the file cut off?", error.position[0])

    def _decoded(self, data: bytes) -> str:
        """The text of XML in one of the encodings of `_MULTIBYTE`, which it declares."""
        declared = re.search(rb"<\?xml[^>]*\sencoding\s*=\s*[\"']([^\"']*)", data[:_START])
        name = declared[1].decode("ascii", "replace") if declared else "?"
        try:
            if codecs.lookup(name).name in _MULTIBYTE:
                return data.decode(name)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise self.fault(f"not text in the encoding {excerpt(name)} that it declares", line) from None
        except (LookupError, ValueError):
            pass
        raise self.fault(f"the encoding {excerpt(name)} is not one that is read; convert the file to UTF-8", 1)

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
        text = io.StringIO(self.text(), newline="")
        try:
            table = csv.reader(text, delimiter=delimiter, quoting=quoting, strict=True)
        except (TypeError, ValueError) as error:
            raise self.fault(f"delimiter: {excerpt(delimiter)} in the task file ({error})") from None
        lines, rows = filter(None, table), []
        try:
            header = list(header) if header else next(lines)
            missing = [name for name in columns if name not in header]
            if missing:
                raise self.fault(f"no column {', '.join(missing)}; the header is {', '.join(header)}", 1)
            if name := repeated(filter(None, header)):
                raise self.fault(f"two columns are called {excerpt(name)}; rename or remove one of them", 1)
            for cells in lines:
                if len(cells) != len(header):
                    expected = f"expected {len(header)} ({', '.join(header)})"
                    raise self.fault(f"{len(cells)} columns, {expected}", table.line_num)
                rows.append((table.line_num, dict(zip(header, cells, strict=True))))
        except csv.Error as error:
            raise self.fault(f"not a valid table ({error}); is the file cut off?", table.line_num) from None
        return rows
