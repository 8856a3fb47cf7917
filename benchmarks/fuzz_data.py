"""Damaged and odd data files: each must end in one short message and exit status 2, or give exactly the right rows.

    python benchmarks/fuzz_data.py --cases 1000 --seed 0 --json fuzz_data.json

A case is a valid file (`data_samples.py`, one or more for each reader) changed by one of `MUTATIONS`, alone or in an
archive (`ARCHIVES`) that may be damaged itself (`DAMAGES`). Of a change it is known what must come of it: `refused`,
the `same` rows (or those with one text replaced), `either` of the two, or `anything` where no reader could tell it from
another valid file. Every case goes through the stage `prepare` (the real command line) in a forked child with limits of
time and memory. Counted are clean endings, tracebacks, rows that should not have been, refusals of valid files, hangs,
messages that are long or name no file, and files that were left behind.
"""

from __future__ import annotations

import argparse
import bz2
import codecs
import contextlib
import gc
import gzip
import io
import json
import lzma
import os
import random
import re
import resource
import shutil
import signal
import sys
import tarfile
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import datasets  # noqa: F401 - imported once, not in every child
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from data_samples import Sample, samples

from intermezzo.cli import stages  # noqa: F401
from intermezzo.cli.main import main as command_line
from intermezzo.sources import files, hub, world  # noqa: F401
from intermezzo.sources.files.reading import File
from intermezzo.tasks import Task

SECONDS, MEMORY = 30, 3 * 2**30
LONGEST, LINES = 1300, 8
"""Of a message: characters of a line, and lines."""
FAULTS = ("traceback", "accepted_wrong", "refused_wrong", "hang", "bad_message", "left_behind")
BLANKS = ("", " ", "\u3000", "\t", "\ufeff", "\u00a0 ")
OUTSIDE = str(Path(tempfile.gettempdir(), "fuzz_data_out"))
"""Where an archive must not write."""
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
PAGE = b"<!DOCTYPE html>\n<html><head><title>Log in</title></head><body>Please log in.</body></html>\n"


class Case(NamedTuple):
    """Files, and what must come of them. replaced: a text of the valid rows, and the one that stands there now."""

    files: dict[str, bytes]
    outcome: str
    replaced: tuple[str, str] | None = None
    part: dict[str, Any] | None = None
    """The part of the task file, where it is not the sample's."""


Mutation = Callable[[Sample, random.Random], Case | None]


# -- changes of a file ------------------------------------------------------------------------------------------------


def _first(sample: Sample) -> bytes:
    return next(iter(sample.files.values()))


def _changed(sample: Sample, content: bytes, outcome: str, replaced: tuple[str, str] | None = None) -> Case:
    """The sample with another content of its first file."""
    return Case({**sample.files, next(iter(sample.files)): content}, outcome, replaced)


def _with_text(sample: Sample, rng: random.Random, new: str, outcome: str, *, quotes: bool = False) -> Case | None:
    """One of the texts replaced; with `quotes` those around it, too."""
    if not sample.texts or (quotes and sample.kind not in ("json", "jsonl")):
        return None
    old = rng.choice(sample.texts)
    if outcome == "refused" and old in sample.optional and new == "null":
        return None
    before, after = (f'"{old}"', new) if quotes else (old, new)
    content = _first(sample).replace(before.encode(), after.encode(), 1)
    return _changed(sample, content, outcome, (old, new) if outcome == "same" else None)


def cut(sample: Sample, rng: random.Random) -> Case:
    """The end is missing. Nobody can tell a shorter last line of plain lines from a whole one, nor a last sentence
    that lacks whole lines."""
    content = _first(sample)
    position = rng.randrange(len(content))
    plain = sample.kind in ("lines", "csv", "tsv", "blocks")
    last_line = content.rstrip(b"\n").rfind(b"\n")
    if sample.kind == "blocks" and b"\n" in content[position - 1 : position + 1]:
        last_line = content.rstrip(b"\n").rfind(b"\n\n")
    return _changed(sample, content[:position], "anything" if plain and position > last_line else "either")


def flip(sample: Sample, rng: random.Random) -> Case:
    """One bit is another one."""
    content = bytearray(_first(sample))
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return _changed(sample, bytes(content), "anything")


def splice(sample: Sample, rng: random.Random) -> Case:
    """Some bytes are others, or more, or fewer."""
    content = bytearray(_first(sample))
    for _ in range(rng.randrange(1, 6)):
        start = rng.randrange(len(content))
        content[start : start + rng.randrange(8)] = rng.randbytes(rng.randrange(8))
    return _changed(sample, bytes(content), "anything")


def encoding(sample: Sample, rng: random.Random) -> Case | None:
    """Another encoding, with its mark or without."""
    if sample.kind == "parquet":
        return None
    name = rng.choice(("utf-16", "utf-16-le", "utf-32", "cp1258", "utf-8-sig", "utf-7", "latin-1"))
    text = _first(sample).decode()
    content = text.encode(name, "replace" if name in ("cp1258", "latin-1") else "strict")
    if content == _first(sample) or content.isascii():
        return None
    return _changed(sample, content, "same" if name == "utf-8-sig" else "either")


def xml_encoding(sample: Sample, rng: random.Random) -> Case | None:
    """Another encoding is declared, which the parser knows or does not, and which is that of the file or is not."""
    if sample.kind != "xml":
        return None
    name = rng.choice(
        ("big5", "gb18030", "euc-jp", "utf-32", "utf-7", "idna", "hex", "rot13", "x-none", "koi8-r", "undefined")
    )
    text = re.sub("(?i)utf-8", name, _first(sample).decode(), count=1)
    if rng.random() < 0.5 and name == "gb18030":
        return _changed(sample, text.encode("gb18030"), "same")
    return _changed(sample, text.encode(), "anything" if name in ("koi8-r", "gb18030", "big5", "euc-jp") else "refused")


def line_ends(sample: Sample, rng: random.Random) -> Case | None:
    """Lines end as on Windows."""
    if sample.kind in ("parquet",):
        return None
    return _changed(sample, _first(sample).replace(b"\n", b"\r\n"), "same")


def blank(sample: Sample, rng: random.Random) -> Case | None:
    """A text is empty or blank."""
    return _with_text(sample, rng, rng.choice(BLANKS[:3] if sample.kind in ("tsv", "auto") else BLANKS), "refused")


def giant(sample: Sample, rng: random.Random) -> Case | None:
    """A text is long: that is no fault."""
    return _with_text(sample, rng, "ọ" * rng.choice((200_000, 2_000_000)), "same")


def one_line(sample: Sample, rng: random.Random) -> Case | None:
    """A line of 20 MB where lines have columns."""
    if sample.kind not in ("blocks", "conllu", "csv", "tsv", "auto", "jsonl"):
        return None
    return _changed(sample, _first(sample) + b"x" * 20_000_000 + b"\n\n", "refused")


def surrogate(sample: Sample, rng: random.Random) -> Case | None:
    """Half a character, as a tweet that was cut has it."""
    half = rng.choice(('"\\ud83d"', '"a \\udc00 b"', '"\\ud83d\\ud83d"', '"x\\uD800"'))
    return _with_text(sample, rng, half, "refused", quotes=True)


def nul(sample: Sample, rng: random.Random) -> Case | None:
    """A NUL in a text, or written as an escape."""
    if sample.kind in ("json", "jsonl") and rng.random() < 0.5:
        return _with_text(sample, rng, '"a\\u0000b"', "refused", quotes=True)
    return _with_text(sample, rng, "a\0b", "refused")


def other_type(sample: Sample, rng: random.Random) -> Case | None:
    """A value that is no text."""
    values = (
        "true",
        "12",
        "1.5",
        "null",
        "NaN",
        "-Infinity",
        "[]",
        "{}",
        '["a"]',
        "9" * 5000,
        "[" * 100_000 + "]" * 100_000,
    )
    value = rng.choice(values)
    if value in ("NaN", "-Infinity") and sample.optional:
        return None
    return _with_text(sample, rng, value, "refused", quotes=True)


def nested(sample: Sample, rng: random.Random) -> Case | None:
    """100,000 elements in each other."""
    if sample.kind != "xml":
        return None
    start = _first(sample).rfind(b"</")
    deep = b"<a>" * 100_000 + b"</a>" * 100_000
    return _changed(sample, _first(sample)[:start] + deep + _first(sample)[start:], "either")


def twice(sample: Sample, rng: random.Random) -> Case | None:
    """An id is there twice."""
    if not sample.ids:
        return None
    first, second = (name.encode() for name in sample.ids)
    return _changed(sample, _first(sample).replace(second, first, 1), "refused")


def column_twice(sample: Sample, rng: random.Random) -> Case | None:
    """A column or a key is there twice."""
    content = _first(sample)
    if sample.kind in ("csv", "tsv"):
        sign = b"," if sample.kind == "csv" else b"\t"
        names = content.split(b"\n", 1)[0].split(sign)
        added = rng.choice(names)
        rows = [line + sign + (added if not number else b"x") for number, line in enumerate(content.splitlines())]
        return _changed(sample, b"\n".join(rows) + b"\n", "refused")
    if sample.kind in ("json", "jsonl"):
        key = rng.choice(re.findall(rb'"\w+": ', content))
        return _changed(sample, content.replace(key, key + b'"x", ' + key, 1), "refused")
    return None


def offset(sample: Sample, rng: random.Random) -> Case | None:
    """An answer or a mention stands where there is none."""
    if not sample.number:
        return None
    number = rng.choice(("-5", "-1", "9999", "1", str(10**30), "true", "1.0"))
    new = re.sub(r"\d+", number, sample.number, count=1)
    return _changed(sample, _first(sample).replace(sample.number.encode(), new.encode()), "refused")


def blanked_answers(sample: Sample, rng: random.Random) -> Case | None:
    """All answers, or one, as XTREME's script leaves them."""
    if sample.name not in ("squad_json span", "xquad_r_json queries", "xquad_r_json pairs"):
        return None
    pattern = rb'"answers": \[\{[^]]*\}\]'
    empty = b'"answers": [{"text": "", "answer_start": 0}]'
    return _changed(sample, re.sub(pattern, empty, _first(sample), count=rng.choice((0, 1))), "refused")


def withheld(sample: Sample, rng: random.Random) -> Case | None:
    """A treebank without its words."""
    if sample.format != "tagging":
        return None
    content = _first(sample)
    for text in sample.texts:
        content = content.replace(text.encode(), b"_")
    return _changed(sample, content, "refused")


def documents(sample: Sample, rng: random.Random) -> Case | None:
    """Marks between documents, as in CoNLL 2003."""
    if sample.kind != "blocks":
        return None
    mark = rng.choice((b"-DOCSTART- -X- -X- O\n\n", b"-DOCSTART-\tO\n\n", b"-DOCSTART-\n\n"))
    content = _first(sample)
    if b"\n\n" in content and not content.startswith(b"#"):  # ids are places, but for those that the file gives
        return _changed(sample, content + b"\n" + mark, "same")
    return _changed(sample, mark + content.replace(b"\n\n", b"\n\n" + mark), "same")


def comments(sample: Sample, rng: random.Random) -> Case | None:
    """Comments of CoNLL-U without a space."""
    if sample.kind != "conllu":
        return None
    return _changed(sample, _first(sample).replace(b"# ", rng.choice((b"#", b"#\t", b"#  "))), "same")


def foreign(sample: Sample, rng: random.Random) -> Case:
    """No data at all."""
    return _changed(sample, _no_data(rng), "refused")


def _no_data(rng: random.Random) -> bytes:
    refusals = (b"404: Not Found", b"Entry not found", b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>')
    page = rng.choice((PAGE, PAGE.lower()[16:], b"\xef\xbb\xbf\n<!-- x -->" + PAGE))
    nothing = rng.choice((b"", b"\n", codecs.BOM_UTF8, b" \n \n", codecs.BOM_UTF8 + b"\n"))
    return rng.choice((page, POINTER, rng.choice(refusals), nothing, rng.randbytes(500)))


def table(sample: Sample, rng: random.Random) -> Case | None:
    """Parquet with other values in one column."""
    if sample.kind != "parquet":
        return None
    content = pq.read_table(io.BytesIO(_first(sample)))
    number = rng.choice([i for i, name in enumerate(content.column_names) if name != "hypothesis"])
    name, count = content.column_names[number], content.num_rows
    label = name == "verdict"
    columns = (
        pa.array([None] * count, pa.string()),
        pa.array([rng.choice(BLANKS)] * count),
        pa.array([True] * count),
        pa.array([float("nan")] * count),
        pa.array([b"\xff\xfe"] * count, pa.binary()).view(pa.string()),
        pa.array([["a"]] * count),
        pa.array([-1 if label else 7] * count),
        pa.array(["x\0y"] * count),
        pa.array([{"a": 1}] * count),
    )
    changed = content.set_column(number, name, rng.choice(columns))
    if rng.random() < 0.2:
        changed = content.append_column(name, content.column(number))
    sink = io.BytesIO()
    pq.write_table(changed, sink)
    return _changed(sample, sink.getvalue(), "refused")


MUTATIONS: tuple[Mutation, ...] = (
    *(cut, flip, splice, encoding, xml_encoding, line_ends, blank, giant, one_line, surrogate, nul, other_type, nested),
    *(twice, column_twice, offset, blanked_answers, withheld, documents, comments, foreign, table),
)


# -- archives ---------------------------------------------------------------------------------------------------------


def zipped(members: list[tuple[str, bytes]]) -> bytes:
    """A zip file; of a name that is there twice nobody warns."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name) if name else _nameless(), content, zipfile.ZIP_DEFLATED)
    return sink.getvalue()


def _nameless() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("x")
    info.filename = ""
    return info


def tarred(members: list[tuple[str, bytes]], mode: str = "w:") -> bytes:
    """A tar file."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode=mode) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return sink.getvalue()


ARCHIVES: dict[str, Callable[[list[tuple[str, bytes]]], bytes]] = {
    "a.zip": zipped,
    "a.tar": tarred,
    "a.tar.gz": lambda members: tarred(members, "w:gz"),
    "a.tar.bz2": lambda members: tarred(members, "w:bz2"),
    "a.tar.xz": lambda members: tarred(members, "w:xz"),
    "f.gz": lambda members: gzip.compress(members[0][1]),
    "f.bz2": lambda members: bz2.compress(members[0][1]),
    "f.xz": lambda members: lzma.compress(members[0][1]),
}
DAMAGES = ("none", "flip", "cut", "splice", "twice", "nameless", "outside", "link", "bomb", "no_data", "rest")


def archived(name: str, sample: Sample, damage: str, rng: random.Random) -> tuple[bytes, str]:
    """The bytes of an archive with the sample's files, and what must come of it."""
    members, single = list(sample.files.items()), name.startswith("f")
    if damage == "twice":
        members.append(members[0])
    elif damage == "nameless":
        members.append(("", b"x"))
    elif damage == "outside":
        members.append((rng.choice(("../out", OUTSIDE, "a/../../out", "..\\out", "C:\\out")), b"x"))
    elif damage == "bomb":
        members = [(path, b"ab c\n" * 21_000_000) for path, _ in members[:1]]
    if damage == "link":
        return _linked(name, members, rng), "refused"
    if damage == "no_data":
        return _no_data(rng), "refused"
    content = ARCHIVES[name](members)
    if damage in ("twice", "nameless", "outside"):
        return content, "same" if single else "refused"
    if damage in ("none", "bomb"):
        return content, "same" if damage == "none" else "refused"
    unchecked = name == "a.tar" and damage != "cut"  # the only one without a checksum of its contents
    if damage == "cut":
        return content[: rng.randrange(len(content))], "either"
    if damage == "rest":
        return content + rng.randbytes(rng.randrange(1, 40)), "either"
    damaged = bytearray(content)
    for _ in range(1 if damage == "flip" else rng.randrange(1, 6)):
        start = rng.randrange(len(damaged))
        if damage == "flip":
            damaged[start] ^= 1 << rng.randrange(8)
        else:
            damaged[start : start + rng.randrange(8)] = rng.randbytes(rng.randrange(8))
    return bytes(damaged), "anything" if unchecked else "either"


def _linked(name: str, members: list[tuple[str, bytes]], rng: random.Random) -> bytes:
    """An archive in which the wanted file is a link, to another member or to a place of many megabytes."""
    target = rng.choice(("b.txt", "../../etc/passwd", "x" * 30_000_000))
    sink = io.BytesIO()
    if name == "a.zip":
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
            info = zipfile.ZipInfo(members[0][0])
            info.external_attr = 0o120777 << 16
            archive.writestr(info, target, zipfile.ZIP_DEFLATED)
        return sink.getvalue()
    mode = {"a.tar": "w:", "a.tar.gz": "w:gz", "a.tar.bz2": "w:bz2", "a.tar.xz": "w:xz"}.get(name)
    if mode is None:
        return _no_data(rng)
    with tarfile.open(fileobj=sink, mode=mode) as tar:
        entry = tarfile.TarInfo(members[0][0])
        entry.type, entry.linkname = rng.choice((tarfile.SYMTYPE, tarfile.LNKTYPE)), target
        tar.addfile(entry)
    return sink.getvalue()


# -- a case -----------------------------------------------------------------------------------------------------------


def drawn(rng: random.Random) -> tuple[str, Sample, Case]:
    """A random case: what it is called, its sample, and its files."""
    while True:
        sample = rng.choice(samples())
        if rng.random() < 0.35 and "english" not in sample.part:
            name, damage = rng.choice(list(ARCHIVES)), rng.choice(DAMAGES)
            if (name.startswith("f") and len(sample.files) > 1) or (name, damage) == ("a.tar", "bomb"):
                continue
            content, outcome = archived(name, sample, damage, rng)
            part = {key: value for key, value in sample.part.items() if key != "path"}
            part |= {"url": f"file://PLACE/{name}"} | ({} if name.startswith("f") else {"member": sample.part["path"]})
            return f"{sample.name}: {name} {damage}", sample, Case({name: content}, outcome, part=part)
        mutation = rng.choice(MUTATIONS)
        case = mutation(sample, rng)
        if case is not None and case.files != sample.files:
            return f"{sample.name}: {mutation.__name__}", sample, case


def prepare(folder: Path, sample: Sample, case: Case) -> dict[str, Any]:
    """Run `prepare` on a case in `folder`, in this process, which must be a child of its own: how it ended."""
    for place, contents in (("valid", sample.files), ("data", case.files)):
        for name, content in contents.items():
            path = folder / place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    part = json.loads(json.dumps(case.part or {}).replace("PLACE", str(folder / "data"))) or sample.part
    source, section = ("hub", "url") if case.part else ("files", "files")
    part = part | {key: value for key, value in sample.part.items() if key == "map"}  # whose keys are no text in JSON
    task: dict[str, Any] = {"description": "fuzz", "format": sample.format, "skill": "own:fuzz", "licence": "none"}
    task |= {"labels": list(sample.labels)} if sample.labels else {}
    task["sources"] = {section: {"data": {"en": {"train": [part]}}}}
    (folder / "config" / "tasks").mkdir(parents=True)
    (folder / "config" / "tasks" / "fuzz.yaml").write_text(yaml.safe_dump(task, allow_unicode=True))
    spec: dict[str, Any] = {
        "source": source,
        "task": "fuzz",
        "format": sample.format,
        "language": "en",
        "split": "train",
    }
    spec |= {"rows": None, "parts": []}
    spec |= {"lock": "config/data.lock.yaml", "downloads": "downloads"} if case.part else {"root": str(folder / "data")}
    os.chdir(folder)
    expected = _rows(sample, folder / "valid", case.replaced)
    out = folder / "out" / "rows.parquet"
    with open(folder / "stderr", "w") as stderr, contextlib.redirect_stderr(stderr):
        try:
            status: int | str = command_line(["stage", "prepare", "--spec", json.dumps(spec), "--out", str(out)])
        except BaseException:
            status = "traceback"
            traceback.print_exc(limit=-6, file=stderr)
    said = (folder / "stderr").read_text(errors="replace")
    rows = pq.read_table(out).to_pylist() if status == 0 else None
    return {"status": status, "said": said[-3000:], "fault": _fault(folder, case, status, said, rows, expected)}


def _rows(sample: Sample, root: Path, replaced: tuple[str, str] | None) -> list[dict[str, Any]]:
    """The rows of the valid files, with one text replaced."""
    part = dict(sample.part)
    task = Task(name="fuzz", description="", format=sample.format, labels=sample.labels, licence="none", sources={})
    path = part.pop("path")
    found = [File(root, str(file.relative_to(root))) for file in sorted(root.glob(path))]
    rows = files.read_part(task, part, found, "valid")
    return json.loads(json.dumps(rows, ensure_ascii=False).replace(*replaced)) if replaced else rows


def _fault(
    folder: Path,
    case: Case,
    status: int | str,
    said: str,
    rows: list[dict[str, Any]] | None,
    expected: list[dict[str, Any]],
) -> str | None:
    """Which of `FAULTS` a case shows, if any."""
    if status == "traceback" or "Traceback" in said or status not in (0, 2):
        return "traceback"
    if status == 0:
        wrong = case.outcome == "refused" or (case.outcome != "anything" and not _same(rows, expected))
        return "accepted_wrong" if wrong else None
    if case.outcome == "same":
        return "refused_wrong"
    message = [line.removeprefix("[out/rows.parquet] ") for line in said.splitlines()]
    start = next((number for number, line in enumerate(message) if line.startswith("error: ")), None)
    if start is None or len(message) - start > LINES or max(map(len, message)) > LONGEST:
        return "bad_message"
    if str(folder) not in said and "fuzz.yaml" not in said:
        return "bad_message"
    strays = {path.name for path in folder.iterdir()} - {"valid", "data", "config", "stderr", "downloads", "out"}
    unfinished = [path for path in folder.rglob("*") if path.suffix in (".part", ".unpacking")]
    made = list((folder / "out").glob("*")) + list((folder / "config").glob("*.lock.yaml"))
    outside = [path for path in (folder.parent / "out", Path(OUTSIDE)) if path.exists()]
    return "left_behind" if strays or unfinished or made or outside else None


def _same(rows: Any, expected: Any) -> bool:
    """Equal rows. The ids that readers make hold the name of the file, which in an archive is another one."""
    return [_unnamed(row) for row in rows] == [_unnamed(row) for row in expected]


def _unnamed(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"id": re.sub(r"^[\w./]+(?=:\d+$)", "", row["id"])}


def in_child(folder: Path, sample: Sample, case: Case) -> dict[str, Any]:
    """`prepare` in a forked child with limits: how it ended."""
    answer = folder.with_suffix(".json")
    answer.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY + _virtual(), resource.RLIM_INFINITY))
            answer.write_text(json.dumps(prepare(folder, sample, case)))
        os._exit(0)
    deadline = time.monotonic() + SECONDS
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return {"status": "hang", "said": "", "fault": "hang"}
        time.sleep(0.005)
    if answer.is_file():
        return json.loads(answer.read_text())
    return {"status": "killed", "said": "", "fault": "traceback"}


def _virtual() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def run(cases: int, seed: int) -> dict[str, Any]:
    """Try that many cases: counts by kind of ending, and the cases that show a fault."""
    counts: Counter[str] = Counter()
    offending = []
    warnings.simplefilter("ignore")  # of names that are in an archive twice
    gc.freeze()
    with tempfile.TemporaryDirectory(prefix="fuzz_data-") as place:
        for number in range(cases):
            name, sample, case = drawn(random.Random(f"{seed}/{number}"))
            folder = Path(place) / "case"
            folder.mkdir()
            result = in_child(folder, sample, case)
            shutil.rmtree(folder)
            counts[result["fault"] or "clean"] += 1
            counts["refused" if result["status"] == 2 else "accepted"] += 1
            if result["fault"]:
                offending.append({"number": number, "case": name, "outcome": case.outcome, **result})
                print(f"{number}: {name}, {result['fault']}\n{result['said'][-600:]}", flush=True)
    return {"tried": cases, "seed": seed, **{key: counts[key] for key in ("clean", *FAULTS, "refused", "accepted")},
            "cases": offending}  # fmt: skip


def main() -> None:
    """Run the cases that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file to write the result to")
    options = parser.parse_args()
    result = run(options.cases, options.seed)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(", ".join(f"{key} {value}" for key, value in result.items() if key != "cases"))
    if any(result[fault] for fault in FAULTS):
        sys.exit(1)


if __name__ == "__main__":
    main()
