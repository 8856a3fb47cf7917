"""Source `hub`, files and archives from a URL: resuming, checksums, safe unpacking, the lock file, bad input."""

import bz2
import gzip
import hashlib
import io
import os
import random
import shutil
import subprocess
import sys
import tarfile
import threading
import warnings
import zipfile
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

import pytest
import yaml

from hub_server import Handler, LocalServer
from intermezzo import sources
from intermezzo.core.errors import UserError
from intermezzo.sources import hub as hub_source
from intermezzo.sources.hub import archives
from intermezzo.tasks import Task
from specifications import data

LINES = "Moja.\nMbili.\nTatu.\n"
LOCK, DOWNLOADS = Path("config/data.lock.yaml"), Path("results/.downloads")
UPPER = {"README": b"x", "top/en/a.txt": b"One.\n", "top/sw/a.txt": b"Moja.\n", "top/sw/b.txt": b"Mbili.\n"}


class Site(LocalServer):
    """A web server of `files` (path -> bytes). Some paths behave badly, see `_Page`."""

    def __init__(self):
        super().__init__(_Page)
        self.files, self.headers, self.breaks, self.ranges, self.asked = {}, {}, 0, True, []
        self.delay, self.enough, self.chunked = 0.0, threading.Event(), 0


class _Page(Handler):
    def answer(self):
        site, content = self.server.owner, self.server.owner.files.get(self.path)
        sent = {"Content_Type": "application/octet-stream"} | site.headers
        site.asked.append(self.headers.get("Range"))
        site.enough.wait(site.delay)
        if self.path.startswith("/status/"):
            self.reply(int(self.path.rpartition("/")[2]))
        elif content is None:
            self.reply(404)
        elif site.chunked:  # the first of the chunks, and no last one
            site.chunked -= 1
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\n%s\r\n" % content[:5])
            self.close_connection = True
        elif site.breaks:  # the connection is lost half way
            site.breaks -= 1
            start = int(self.headers.get("Range", "bytes=0-")[6:-1]) if site.ranges else 0
            status = 206 if start else 200
            ranges = {"Content_Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
            rest = content[start:]
            self.reply(status, rest[: len(rest) // 2], **sent | ranges | {"Content_Length": len(rest)})
            self.close_connection = True
        elif site.ranges and self.headers.get("If-Range", sent.get("ETag")) == sent.get("ETag"):
            self.part(content, **sent)
        else:
            self.reply(200, content, **sent)


@pytest.fixture
def site():
    with Site() as server:
        yield server


@pytest.fixture
def read(site, tmp_path, monkeypatch):
    """read(part, ...) -> texts: a part as a task of lines of text, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)

    def read(*parts, reader="lines"):
        parts = [{"reader": reader, **part, "url": part["url"].replace("SITE", site.endpoint)} for part in parts]
        published = {"url": {"data": {"sw": {"train": parts}}}}
        task = Task(name="toy", description="toy", format="mlm", licence="none", sources=published)
        monkeypatch.setattr(hub_source, "load_task", lambda name: task)
        rows = sources.read(data("hub", "toy", "sw", "train", parts=parts, lock=str(LOCK), downloads=str(DOWNLOADS)))
        return [row["text"] for row in rows]

    return read


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def left():
    """Files that a later run could take for data."""
    found = [path for path in DOWNLOADS.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return found + ([LOCK] if LOCK.exists() else [])


def zipped(members, **special):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        for name, target in special.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16  # a symbolic link
            archive.writestr(info, target)
    return sink.getvalue()


def tarred(members, mode="w:gz", **special):
    """`special`: name -> (type of entry, target)."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode=mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, (kind, target) in special.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
    return sink.getvalue()


def test_a_file_is_downloaded_once_and_locked(site, read):
    site.files["/a%20b/sw.txt?version=2"] = content = LINES.encode()
    part = {"url": "SITE/a%20b/sw.txt?version=2", "sha256": sha256(content)}
    assert read(part) == ["Moja.", "Mbili.", "Tatu."]
    entry = yaml.safe_load(LOCK.read_text())["urls"][site.endpoint + "/a%20b/sw.txt?version=2"]
    assert entry == {"bytes": len(content), "sha256": sha256(content), "rows": {"toy": {"sw": {"train": 3}}}}
    assert len(site.requests) == 1
    site.stop()
    before = LOCK.read_bytes()
    assert len(read(part)) == 3
    assert LOCK.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.zip", zipped(UPPER)),
        ("a.tar.gz", tarred(UPPER)),
        ("a.tgz", tarred({f"./{name}": content for name, content in UPPER.items()})),
        ("a.tar.bz2", tarred(UPPER, "w:bz2")),
        ("no-suffix", tarred(UPPER, "w:xz")),
        ("inner-links.tar", tarred(UPPER, "w", **{"top/c.txt": (tarfile.SYMTYPE, "../README")})),
    ],
)
def test_members_that_match_are_unpacked_and_no_others(name, content, site, read):
    site.files[f"/{name}"] = content
    sw, en = ({"url": f"SITE/{name}", "sha256": None, "member": f"top/{code}/*.txt"} for code in ("sw", "en"))
    assert read(sw, en) == ["Moja.", "Mbili.", "One."]
    site.stop()
    assert read(en, sw) == ["One.", "Moja.", "Mbili."]
    unpacked = sorted(
        path.name for path in DOWNLOADS.rglob("*") if path.is_file() and path.suffix not in (".lock", ".json")
    )
    assert unpacked == sorted([name, "a.txt", "a.txt", "b.txt"])
    assert len(site.requests) == 1


COMPRESSED = [("a.txt.gz", gzip.compress(b"A.\n")), ("a.bz2", bz2.compress(b"A.\n"))]


@pytest.mark.parametrize(("name", "content"), COMPRESSED, ids=dict(COMPRESSED))
def test_a_compressed_file_is_expanded(name, content, site, read):
    site.files[f"/{name}"] = content
    assert read({"url": f"SITE/{name}"}) == read({"url": f"SITE/{name}"}) == ["A."]
    assert len(site.requests) == 1


def test_a_local_copy_is_an_address_too(read, tmp_path):
    (tmp_path / "mirror.txt").write_text(LINES)
    assert len(read({"url": f"file://{tmp_path}/mirror.txt", "sha256": sha256(LINES.encode())})) == 3
    with pytest.raises(UserError, match=r"file:///no/such: cannot be reached \(FileNotFoundError"):
        read({"url": "file:///no/such"})


@pytest.mark.slow
@pytest.mark.parametrize("ranges", [True, False])
def test_a_lost_connection_is_taken_up_again(ranges, site, read):
    site.files["/a.txt"] = content = b"A line of text.\n" * 200_000
    site.headers, site.breaks, site.ranges = {"ETag": '"v1"'}, 2, ranges
    assert len(read({"url": "SITE/a.txt", "sha256": sha256(content)})) == 200_000
    half, three_quarters = (f"bytes={len(content) * n // 4}-" for n in (2, 3))
    assert site.asked == ([None, half, three_quarters] if ranges else [None, half, half])


@pytest.fixture
def waits(monkeypatch):
    """The seconds that were waited for, without waiting."""
    seconds = []
    monkeypatch.setattr("time.sleep", seconds.append)
    return seconds


@pytest.mark.parametrize(
    ("refusal", "least", "most"),
    [
        ((429, {"Retry_After": 7}), 7, 7),
        ((429, {"Retry_After": "SOON"}), 400, 500),
        ((403, {"Retry_After": 0}), 0, 0),
        ((503, {}), 2, 6),
        (None, 2, 6),
    ],
)
def test_a_busy_server_is_waited_for(refusal, least, most, site, read, waits):
    site.files["/a.txt"] = LINES.encode()
    if refusal and refusal[1].get("Retry_After") == "SOON":
        soon = format_datetime(datetime.now(UTC) + timedelta(seconds=500), usegmt=True)
        refusal = (refusal[0], {"Retry_After": soon})
    site.busy, site.refusal = 2, refusal
    assert len(read({"url": "SITE/a.txt"})) == 3
    assert len(waits) == 2
    assert least <= min(waits) <= max(waits) <= most


def test_a_server_that_stays_busy_is_one_message(site, read, waits):
    site.busy, site.refusal = 100, (503, {})
    with pytest.raises(UserError, match=r"status 503: slow down, 6 times; run again later; or download it by hand"):
        read({"url": "SITE/a.txt"})
    assert 60 < sum(waits) < 100
    site.refusal = (429, {"Retry_After": 3600})
    with pytest.raises(UserError, match=r"status 429: slow down; it asks to come back in 60 minutes \(20.*again then"):
        read({"url": "SITE/a.txt"})
    assert len(waits) == 5
    site.refusal = (404, {})
    with pytest.raises(UserError, match=r"not there any more \(status 404: slow down\)"):
        read({"url": "SITE/a.txt"})
    assert left() == []


def test_a_body_of_unknown_length_that_breaks_off_is_asked_for_again(site, read):
    site.files["/a.txt"] = content = LINES.encode()
    site.chunked = 2
    assert len(read({"url": "SITE/a.txt", "sha256": sha256(content)})) == 3
    assert site.asked == [None] * 3
    DOWNLOADS.rename("elsewhere")
    site.chunked = 3
    with pytest.raises(UserError, match=r"cut off after 0 of an unknown number of bytes; run again"):
        read({"url": "SITE/a.txt"})
    assert left() == [LOCK]


COMMIT = "5c29933753692c28773c34ac1f68482007f1d2bb"
RAW, ARCHIVE = f"/ana/data/{COMMIT}", f"/ana/data/archive/{COMMIT}.tar.gz"


@pytest.fixture
def github(site, monkeypatch):
    """The server stands in for GitHub: it has two files of a commit, and its archive."""

    def lead(request, **options):
        request.full_url = site.endpoint + urlsplit(request.full_url).path
        return urlopen(request, **options)

    monkeypatch.setattr("intermezzo.sources.hub.transfer.urlopen", lead)
    texts = {"sw/a[1].txt": b"Moja.\n", "sw/b.txt": b"Mbili.\n"}
    site.files |= {f"{RAW}/{quote(path)}": text for path, text in texts.items()}
    site.files[ARCHIVE] = tarred({f"data-{COMMIT}/{path}": text for path, text in texts.items()})
    return site


PAIR = [{"url": f"https://raw.githubusercontent.com{RAW}/{name}"} for name in ("sw/a%5B1%5D.txt", "sw/b.txt")]


def test_files_of_one_commit_come_in_one_archive_and_are_locked_one_by_one(github, read):
    assert read(*PAIR) == ["Moja.", "Mbili."]
    assert github.requests == [f"GET {ARCHIVE}"]
    entries = yaml.safe_load(LOCK.read_text())["urls"]
    assert {url: entry["sha256"] for url, entry in entries.items()} == {
        part["url"]: sha256(text) for part, text in zip(PAIR, (b"Moja.\n", b"Mbili.\n"), strict=True)
    }
    github.stop()
    assert read(*PAIR) == ["Moja.", "Mbili."]


@pytest.mark.parametrize(
    "archive",
    [
        None,
        b"no archive",
        tarred({f"data-{COMMIT}/README": b""}),
        tarred({f"data-{COMMIT}/sw/a[1].txt": b"Moja!\n", f"data-{COMMIT}/sw/b.txt": b"Mbili!\n"}),
    ],
)
def test_what_the_archive_of_a_commit_has_not_is_asked_for_by_itself(archive, github, read):
    sums = [sha256(github.files[f"{RAW}/{name}"]) for name in ("sw/a%5B1%5D.txt", "sw/b.txt")]
    del github.files[ARCHIVE]
    if archive is not None:
        github.files[ARCHIVE] = archive
    assert read(*(part | {"sha256": checksum} for part, checksum in zip(PAIR, sums, strict=True))) == [
        "Moja.",
        "Mbili.",
    ]


def test_a_file_alone_or_of_a_branch_is_asked_for_by_itself(github, read):
    assert read(PAIR[1]) == ["Mbili."]
    branch = [{"url": part["url"].replace(COMMIT, "main")} for part in PAIR]
    github.files |= {path.replace(COMMIT, "main"): text for path, text in github.files.items()}
    assert read(*branch) == ["Moja.", "Mbili."]
    assert not any("archive" in request for request in github.requests)


def test_other_addresses_take_the_place_of_one_that_cannot_be_had(site, read, waits):
    """Until the first one is there again nothing asks for it, and rows and files are locked where they are from."""
    site.files |= {"/a.txt": b"Moja.\n", "/b.txt": b"Mbili.\n"}
    part = {"url": "SITE/gone.tgz", "member": "*/x.txt", "rows": 2, "sha256": "0" * 64}
    part |= {"otherwise": [f"{site.endpoint}/b.txt", f"{site.endpoint}/a.txt"]}
    assert read(part) == ["Mbili.", "Moja."]
    entries = yaml.safe_load(LOCK.read_text())["urls"]
    assert set(entries) == set(part["otherwise"])
    assert entries[f"{site.endpoint}/b.txt"]["rows"] == {"toy": {"sw": {"train": 2}}}
    asked = len(site.requests)
    assert read(part) == ["Mbili.", "Moja."]
    assert len(site.requests) == asked
    LOCK.unlink()
    with pytest.raises(UserError, match="2 rows, expected 3"):
        read(part | {"rows": 3})
    site.files["/gone.tgz"] = tarred({"top/x.txt": b"Tatu.\nNne.\n"})
    with pytest.raises(UserError, match="but the task file says 000"):  # a file that is another one is no reason
        read(part)
    assert read(part | {"sha256": None}) == ["Tatu.", "Nne."]
    with pytest.raises(UserError, match=r"otherwise: 'no address', expected a list of addresses"):
        read(part | {"otherwise": ["no address"]})


def test_of_an_archive_that_github_makes_its_members_are_locked(github, read):
    part = {"url": f"https://github.com{ARCHIVE}", "member": "*/sw/*.txt"}
    assert len(read(part)) == 2
    entry = yaml.safe_load(LOCK.read_text())["urls"][part["url"]]
    assert sorted(entry["members"]) == [f"data-{COMMIT}/sw/a[1].txt", f"data-{COMMIT}/sw/b.txt"]
    assert "sha256" not in entry
    shutil.rmtree(DOWNLOADS)
    texts = {f"data-{COMMIT}/sw/a[1].txt": b"Moja.\n", f"data-{COMMIT}/sw/b.txt": b"Mbili.\n"}
    github.files[ARCHIVE] = tarred(texts | {f"data-{COMMIT}/README": b"packed anew"})
    assert len(read(part)) == 2
    shutil.rmtree(DOWNLOADS)
    github.files[ARCHIVE] = tarred(texts | {f"data-{COMMIT}/sw/b.txt": b"Tatu.\n"})
    with pytest.raises(UserError, match=r"members > data-.*/sw/b.txt > (bytes|sha256)' is .*, but .* now; to accept"):
        read(part)


@pytest.mark.parametrize("version", ['"v1"', '"v2"'])
def test_a_later_run_resumes_the_same_version_only(version, site, read):
    site.files["/a.txt"] = b"Old line.\n" * 20_000
    site.headers, site.breaks = {"ETag": '"v1"'}, 3
    with pytest.raises(UserError, match=r"cut off after 175000 of 200000 bytes; run again to get the rest"):
        read({"url": "SITE/a.txt"})
    assert not LOCK.exists()
    assert {path.suffix for path in left()} == {".part", ".version"}
    site.files["/a.txt"], site.headers = b"New line.\n" * 20_000, {"ETag": version}
    texts = read({"url": "SITE/a.txt"})
    assert [texts[0], texts[-1]] == ["Old line." if version == '"v1"' else "New line.", "New line."]
    assert site.asked[-1] == "bytes=175000-"


def test_a_truncated_download_without_a_version_leaves_nothing(site, read):
    site.files["/a.txt"], site.breaks = LINES.encode(), 9
    with pytest.raises(UserError, match="cut off after 9 of 19 bytes"):
        read({"url": "SITE/a.txt"})
    assert not left()


PAGE = b"\n <!DOCTYPE html><html><body>Please log in.</body></html>"
BAD = {
    "wrong sha256": (
        LINES.encode(),
        {"sha256": "0" * 64},
        "sha256 is [0-9a-f]{64}, but the task file says 0{64}; nothing",
    ),
    "web page": (PAGE, {}, r"a web page \(HTML\) instead of a file; nothing was kept"),
    "web page for an archive": (PAGE, {"member": "*", "sha256": "0" * 64}, r"a web page \(HTML\) instead of a file"),
    "empty": (b"", {}, "the file is empty there; nothing was kept"),
    "empty and sha256": (b"", {"sha256": "0" * 64}, "the file is empty there; nothing was kept"),
    "truncated zip": (zipped(UPPER)[:-60], {"member": "*"}, "a damaged or truncated archive .*; nothing was kept"),
    "truncated tgz": (tarred(UPPER)[:-20], {"member": "*"}, "a damaged or truncated archive .*; nothing was kept"),
    "truncated tar": (tarred(UPPER, "w")[:2700], {"member": "*/*/*"}, "a damaged or truncated archive .*; nothing was"),
    "truncated gz": (gzip.compress(LINES.encode())[:-9], {}, "a damaged or truncated archive .*; nothing was kept"),
    "damaged zip": (
        zipped({"a.txt": LINES}).replace(zipped({"a.txt": LINES})[35:45], b"0123456789"),
        {"member": "a.txt"},
        "a damaged or truncated archive",
    ),
    "zip outside": (
        zipped({"../a.txt": "x", "b.txt": "x"}),
        {"member": "b.txt"},
        "'../a.txt' lies outside of the archive",
    ),
    "zip deep outside": (zipped({"b/../../a.txt": "x"}), {"member": "**/a.txt"}, "lies outside of the archive"),
    "zip absolute": (zipped({"/tmp/a.txt": "x"}), {"member": "**/a.txt"}, "'/tmp/a.txt' lies outside"),
    "zip backslash": (zipped({"..\\a.txt": "x"}), {"member": "*"}, "lies outside of the archive"),
    "zip link": (zipped({}, **{"a.txt": "b.txt"}), {"member": "a.txt"}, "'a.txt' is a link, not a plain file"),
    "zip link outside": (zipped({"b.txt": "x"}, a="../../x"), {"member": "b.txt"}, "'a' points outside of the archive"),
    "tar outside": (tarred({"../a.txt": b"x", "b.txt": b"x"}), {"member": "b.txt"}, "'../a.txt' lies outside"),
    "tar absolute": (tarred({"b.txt": b"x", "/a.txt": b"x"}), {"member": "b.txt"}, "'/a.txt' lies outside"),
    "tar link": (
        tarred({"b.txt": b"x"}, **{"a.txt": (tarfile.SYMTYPE, "b.txt")}),
        {"member": "*.txt"},
        "'a.txt' is a link",
    ),
    "tar hard link": (
        tarred({"b.txt": b"x"}, **{"a.txt": (tarfile.LNKTYPE, "b.txt")}),
        {"member": "*.txt"},
        "'a.txt' is a link",
    ),
    "tar link outside": (
        tarred({"b.txt": b"x"}, **{"c/a": (tarfile.SYMTYPE, "../../etc/passwd")}),
        {"member": "b.txt"},
        "'c/a' points outside of the archive",
    ),
    "tar device": (
        tarred({}, **{"a.txt": (tarfile.CHRTYPE, "")}),
        {"member": "a.txt"},
        "is a special, not a plain file",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_downloads_are_one_message_and_leave_nothing(name, site, read, tmp_path):
    content, change, message = BAD[name]
    site.files["/a"] = content
    with pytest.raises(UserError, match=message) as caught:
        read({"url": "SITE/a"} | change)
    assert str(caught.value).startswith(f"toy.yaml: sources.url.data.sw.train[0]: {site.endpoint}/a: ")
    assert not left()
    assert {path.name for path in tmp_path.iterdir()} <= {"results", "config"}
    site.files["/a"] = good = zipped({"a.txt": "Good.\n", "b.txt": ""})
    assert read({"url": "SITE/a", "member": "a.txt", "sha256": sha256(good)}) == ["Good."]


def test_html_by_its_content_type(site, read):
    site.files["/a"], site.headers = b"Please <b>log in</b>.", {"Content_Type": "text/html; charset=utf-8"}
    with pytest.raises(UserError, match=r"a web page \(HTML\) instead of a file"):
        read({"url": "SITE/a"})
    assert not left()
    assert read({"url": "SITE/a", "sha256": sha256(site.files["/a"])})  # it is what was wanted, whatever its name


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"url": "SITE/none"}, r"not there any more \(status 404\); correct `url` in the task file, or download it by"),
        ({"url": "SITE/status/403"}, r"access refused \(status 403\); it may want a login"),
        (
            {"url": "SITE/status/418"},
            "answered with status 418; correct `url` in the task file, or download it by",
        ),
        ({"url": "http://127.0.0.1:1/a"}, r"cannot be reached \(ConnectionRefusedError: .*; check the network"),
        ({"url": "https://no-such-host.invalid/a"}, r"cannot be reached \(gaierror: .*; check the network"),
        ({"url": "http://127.0.0.1:1/a b"}, r"cannot be reached \(InvalidURL"),
        (
            {"url": "ftp://example.org/a"},
            "url is 'ftp://example.org/a', expected one that begins with https, http, file",
        ),
        ({"url": "SITE/a", "sha256": "12"}, "sha256 is '12', expected 64 hexadecimal digits in lower case, or null"),
        ({"url": "SITE/a", "revision": "main"}, "'revision' does not go with 'url'; allowed: url, sha256, member"),
        ({"url": "SITE/a", "reader": "line"}, "unknown reader 'line'"),
        ({"url": "SITE/a", "member": "b"}, "neither a zip nor a tar archive: correct `url`, or take `member` out"),
        ({"url": "SITE/zip"}, "an archive: name the files that are meant with `member`"),
        (
            {"url": "SITE/zip", "member": "sw/*"},
            r"no member matches 'sw/\*'; the archive holds README, top/en/a.txt, top/",
        ),
    ],
)
def test_what_cannot_be_had_or_read(part, message, site, read):
    site.files |= {"/a": LINES.encode(), "/zip": zipped(UPPER)}
    with pytest.raises(UserError, match=message) as caught:
        read(part)
    assert "toy.yaml: sources.url.data.sw.train[0]: " in str(caught.value)
    assert not LOCK.exists()


def test_offline_is_offline(site, read, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="not downloaded yet, and HF_HUB_OFFLINE forbids it"):
        read({"url": "SITE/a"})
    assert not site.requests


def test_a_file_that_changed_upstream_stops_with_both_values(site, read):
    site.files["/a.txt"] = LINES.encode()
    read({"url": "SITE/a.txt"})
    new = b"Nne.\n"
    site.files["/a.txt"] = new
    assert len(read({"url": "SITE/a.txt"})) == 3  # what is here is what is locked
    for path in [path for path in left() if path.name == "a.txt"]:
        path.unlink()
    before = LOCK.read_bytes()
    entry = f"'urls > {site.endpoint}/a.txt'"
    message = (
        f"sha256 is {sha256(new)}, but the lock file says {sha256(LINES.encode())}; nothing was kept.*delete {entry}"
    )
    with pytest.raises(UserError, match=message):
        read({"url": "SITE/a.txt"})
    assert LOCK.read_bytes() == before
    message = f"sha256 is {sha256(new)} in the task file, but {sha256(LINES.encode())} in the lock file.*delete {entry}"
    with pytest.raises(UserError, match=message):
        read({"url": "SITE/a.txt", "sha256": sha256(new)})
    LOCK.unlink()
    assert read({"url": "SITE/a.txt", "sha256": sha256(new)}) == ["Nne."]


def test_a_damaged_copy_is_downloaded_again(site, read):
    site.files["/a.zip"] = zipped(UPPER)
    part = {"url": "SITE/a.zip", "member": "top/sw/*"}
    read(part)
    next(path for path in left() if path.name == "a.zip").write_bytes(zipped({"top/sw/a.txt": "Wrong."}))
    assert read(part) == ["Moja.", "Mbili."]
    assert len(site.requests) == 2


DAMAGES = {
    "changed": lambda path: path.write_bytes(b"Wrong.\n"),
    "empty": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
    "one more": lambda path: path.with_name("more.txt").write_bytes(b"Wrong.\n"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_unpacked_files_are_unpacked_again(damage, site, read, caplog):
    site.files["/a.zip"], site.files["/b.txt.gz"] = zipped(UPPER), gzip.compress(LINES.encode())
    parts = [{"url": "SITE/a.zip", "member": "top/sw/*"}, {"url": "SITE/b.txt.gz"}]
    before = [read(part) for part in parts]
    texts = [path for path in left() if path.suffix == ".txt"]
    assert len(texts) == 3
    for path in texts:
        DAMAGES[damage](path)
    assert [read(part) for part in parts] == before
    assert caplog.text.count("it is unpacked again") == 2 and len(site.requests) == 2
    assert [read(part) for part in parts] == before
    assert caplog.text.count("it is unpacked again") == 2, "what is whole is unpacked once more"


@pytest.mark.slow
def test_processes_that_need_the_same_archive_download_it_once(site, tmp_path):
    site.files["/a.tgz"] = tarred({f"top/{i}.txt": b"A.\n" * 10_000 for i in range(4)})
    site.delay = 2.0  # until all have started
    folder = tmp_path / "config" / "tasks"
    folder.mkdir(parents=True)
    part = {"reader": "lines", "url": f"{site.endpoint}/a.tgz", "member": "top/{code}.txt"}
    each = [{"languages": {"sw": "0", "fr": "1", "ur": "2"}, "splits": {"train": "train"}, "part": part}]
    task = {"description": "x", "format": "mlm", "licence": "none", "sources": {"url": {"each": each}}}
    (folder / "own.yaml").write_text(yaml.safe_dump(task))
    code = (
        "import sys; from intermezzo import sources; from specifications import data;"
        "print(len(sources.read(data('hub', 'own', sys.argv[1], 'train', downloads='d'))))"
    )
    paths = os.pathsep.join(str(Path(__file__).parents[1] / name) for name in ("src", "tests"))
    environment = os.environ | {"PYTHONPATH": paths, "HF_HUB_OFFLINE": "0"}
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", code, language],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for language in ("sw", "fr", "ur")
    ]
    assert [job.communicate()[0] for job in jobs] == ["10000\n"] * 3
    assert len(site.requests) == 1
    rows = yaml.safe_load((tmp_path / "config" / "data.lock.yaml").read_text())["urls"][f"{site.endpoint}/a.tgz"][
        "rows"
    ]
    assert rows == {"own": {code: {"train": 10_000} for code in ("fr", "sw", "ur")}}


# -- damage, size, and what nobody else may see ------------------------------------------------------------------------

STORY = {"a.txt": "".join(f"Line {i} of a story about {i * i} sheep.\n" for i in range(80)), "b.txt": "x\n"}
DAMAGED = {
    "a.tgz": tarred({name: text.encode() for name, text in STORY.items()}),
    "a.tar.xz": tarred({name: text.encode() for name, text in STORY.items()}, "w:xz"),
    "a.tar.bz2": tarred({name: text.encode() for name, text in STORY.items()}, "w:bz2"),
    "a.zip": zipped(STORY),
    "a.txt.gz": gzip.compress(STORY["a.txt"].encode()),
    "a.txt.bz2": bz2.compress(STORY["a.txt"].encode()),
    "two.txt.bz2": b"".join(bz2.compress(text.encode()) for text in (STORY["a.txt"][:999], STORY["a.txt"][999:])),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_one_flipped_bit_never_gives_another_text(name, read, tmp_path):
    generator = random.Random(name)
    part = {"url": f"file://{tmp_path}/{name}"} | ({} if ".txt" in name else {"member": "a.txt"})
    Path(name).write_bytes(DAMAGED[name])
    right = read(part)
    noticed = 0
    for _ in range(40):
        LOCK.unlink(missing_ok=True)
        shutil.rmtree(DOWNLOADS)
        content = bytearray(DAMAGED[name])
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        Path(name).write_bytes(content)
        try:
            assert read(part) == right
        except UserError:
            noticed += 1
            assert not LOCK.exists()
    assert noticed > 20


def test_a_tar_file_ends_with_its_mark(read, tmp_path):
    content = bytearray(tarred({"a.txt": b"A.\n", "b.txt": b"B.\n"}, "w"))
    content[1024 + 148] ^= 1  # the checksum of the second header, which tarfile takes for the end then
    for damaged in (bytes(content), bytes(content[:1024]), tarred({"a.txt": b"A.\n"}, "w")[:1024]):
        Path("a.tar").write_bytes(damaged)
        with pytest.raises(UserError, match="a damaged or truncated archive"):
            read({"url": f"file://{tmp_path}/a.tar", "member": "a.txt"})
        assert not left()


@pytest.mark.parametrize("name", ["a.zip", "a.tgz", "a.txt.gz"])
def test_what_unpacks_to_too_much_is_refused_unless_it_is_said(name, read, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "ALWAYS", 50_000)
    text = b"A line.\n" * 200_000
    content = {"a.zip": lambda: zipped({"a.txt": text}), "a.tgz": lambda: tarred({"a.txt": text})}
    Path(name).write_bytes(content.get(name, lambda: gzip.compress(text, 1))())
    part = {"url": f"file://{tmp_path}/{name}"} | ({} if ".txt" in name else {"member": "a.txt"})
    message = r"unpacks to more than [\d,]+ bytes, the limit; nothing was kept; .*`unpacked_limit` beside `url`"
    with pytest.raises(UserError, match=message):
        read(part)
    assert not left()
    Path(name).write_bytes(zipped(STORY) if name == "a.zip" else DAMAGED.get(name) or DAMAGED["a.txt.gz"])
    assert len(read(part | {"unpacked_limit": 100_000})) == 80
    with pytest.raises(UserError, match="unpacks to more than 1,000 bytes"):
        shutil.rmtree(DOWNLOADS)
        read(part | {"unpacked_limit": 1_000})
    with pytest.raises(UserError, match="unpacked_limit is '1 GB', expected a whole number of bytes"):
        read(part | {"unpacked_limit": "1 GB"})


def nameless(content):
    info = zipfile.ZipInfo("x")
    info.filename = ""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("a.txt", content)
        archive.writestr(info, content)
    return sink.getvalue()


def doubled(make):
    """An archive with a member that is there twice."""
    sink = io.BytesIO()
    with make(sink) as archive:
        for text in (b"A.\n", b"B.\n"):
            if isinstance(archive, zipfile.ZipFile):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    archive.writestr("a.txt", text)
            else:
                info = tarfile.TarInfo("a.txt")
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text))
    return sink.getvalue()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n"
ODD = {
    "zip without a name": (lambda: nameless("x"), "a member without a name; nothing was unpacked"),
    "zip twice": (lambda: doubled(lambda sink: zipfile.ZipFile(sink, "w")), "member 'a.txt' is there twice"),
    "tar twice": (
        lambda: doubled(lambda sink: tarfile.TarFile(fileobj=sink, mode="w")),
        "member 'a.txt' is there twice",
    ),
    "zip link to megabytes": (lambda: zipped({}, **{"a.txt": "x" * 9_000_000}), "a name or a target of megabytes"),
    "tar link to megabytes": (
        lambda: tarred({}, **{"a.txt": (tarfile.SYMTYPE, "x" * 30_000_000)}),
        "a damaged or truncated archive .a header of 30,000,",
    ),
    "long name": (lambda: zipped({"a.txt": "x", f"{'n' * 300}/a.txt": "x"}), "a name that no file can have"),
    "pointer": (lambda: POINTER, r"a Git LFS pointer instead of a file; nothing was kept; `git lfs pull`"),
    "nothing of the kind": (lambda: b"Hello.", "neither a zip nor a tar archive: correct `url`, or take `member` out"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
def test_odd_archives_are_one_message_and_leave_nothing(name, read, tmp_path):
    make, message = ODD[name]
    Path("a").write_bytes(make())
    with pytest.raises(UserError, match=message) as caught:
        read({"url": f"file://{tmp_path}/a", "member": "**/a.txt"})
    assert not left() and len(str(caught.value)) < 1000


def test_plain_http_needs_a_checksum(read, site):
    url = "http://data.example.invalid/a.txt"
    with pytest.raises(UserError, match=r"plain http, by which anybody on the way .* use https, or give the `sha256`"):
        read({"url": url})
    with pytest.raises(UserError, match="cannot be reached"):
        read({"url": url, "sha256": "0" * 64})
    site.files["/a.txt"] = LINES.encode()
    assert len(read({"url": "SITE/a.txt"})) == 3  # nobody is on the way to this machine


@pytest.mark.parametrize("sign", ["ana:s3cret@", "s3cret@"])
def test_passwords_and_tokens_are_used_and_not_shown(sign, site, read, caplog, monkeypatch):
    asked = []
    monkeypatch.setattr(_Page, "answer", lambda self: (asked.append(self.headers), self.reply(200, LINES.encode()))[1])
    caplog.set_level("INFO")
    url = f"{site.endpoint.replace('http://', f'http://{sign}')}/a.txt?version=2&token=s3cret"
    assert read({"url": url}) == ["Moja.", "Mbili.", "Tatu."]
    assert b64decode(asked[0]["Authorization"].split()[1]).decode() == sign.removesuffix("@")
    assert site.requests == ["GET /a.txt?version=2&token=s3cret"]
    assert "s3cret" not in caplog.text and "s3cret" not in LOCK.read_text()
    assert "version=2&token=***" in LOCK.read_text()
    with pytest.raises(UserError, match="sha256 is") as caught:
        read({"url": url, "sha256": "0" * 64})
    assert "s3cret" not in str(caught.value)
    for wrong in ("ftp://ana:s3cret@h/a", "https://ana:s3/cret@h:x/a", "http://ana:s3cret@h.invalid/a"):
        with pytest.raises(UserError) as caught:
            read({"url": wrong})
        assert "s3cret" not in str(caught.value) and "cret@" not in str(caught.value)


def test_what_no_checksum_vouches_for_says_how_to_have_it_again(read, tmp_path):
    Path("a.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(
        UserError, match=r"not UTF-8 text .*\n  if the download is damaged, delete .*downloads.* and run"
    ):
        read({"url": f"file://{tmp_path}/a.txt"})
