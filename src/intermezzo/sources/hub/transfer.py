"""One download from a URL to a file, which is whole and checked, or not there.

An interrupted download goes on where it stopped, in the same run or a later one, if the server can do that: what
there is stays as `<name>.part`, and `<name>.part.version` says of which version of the file it is.
"""

from __future__ import annotations

import errno
import http.client
import json
import logging
import math
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from intermezzo import __version__
from intermezzo.core.artifacts import sha256
from intermezzo.core.errors import UserError
from intermezzo.core.excerpt import one_line
from intermezzo.core.secrets import masked, split_login
from intermezzo.sources.files.reading import instead_of_data
from intermezzo.sources.hub.patience import Patience, Unavailable, is_busy

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a file that was cut off is asked for within one run."""
TIMEOUT = 60.0
"""Seconds without a byte after which a connection counts as lost."""
_BY_HAND = "download it by hand and name the copy in the task file (`url: file:///...`)"
_BROKEN = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, TimeoutError, ssl.SSLEOFError)
"""How a connection ends that was made: the next one may hold."""
_WORDS = 200
"""Characters that a message repeats of a server's own words."""


class _Busy(Exception):
    """The server has not answered yet: the reason, and the headers of its reply."""

    def __init__(self, reason: str, headers: Mapping[str, str]) -> None:
        super().__init__(reason)
        self.headers = headers


@dataclass(frozen=True)
class Checksum:
    """The SHA-256 that a download must have (None: any), `by` whom, and how to `accept` another one."""

    sha256: str | None
    by: str
    accept: str


def download(url: str, target: Path, expected: Checksum, origin: str) -> str:
    """Download `url` to `target` and return its SHA-256.

    Raises UserError, beginning with `origin`, for an address that cannot be reached or refuses, and for what is cut
    off, empty, a web page instead of a file (those are Unavailable), or not what is wanted.
    """
    _refuse_offline(url, origin)
    _refuse_unsafe(url, expected, origin)
    log.info("downloading %s", masked(url))
    target.parent.mkdir(parents=True, exist_ok=True)
    part, version = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.version")
    complete = False
    try:
        kind = _transfer(url, part, version, expected, origin)
        complete = True
        checksum = sha256(part)
        if checksum != expected.sha256:
            _check(part, kind, checksum, expected, origin)
        part.replace(target)
        return checksum
    finally:
        if complete or not version.exists():
            part.unlink(missing_ok=True)
            version.unlink(missing_ok=True)
        if not any(target.parent.iterdir()):
            target.parent.rmdir()


def _transfer(url: str, part: Path, version: Path, expected: Checksum, origin: str) -> str:
    """Fill `part` until it is complete; returns the type of its content."""
    patience, cuts = Patience(origin, f"or {_BY_HAND}"), 0
    while cuts < ATTEMPTS:
        try:
            total, kind = _resume(url, part, version, expected, origin)
        except _Busy as busy:
            patience.wait(str(busy), busy.headers)
            continue
        size = part.stat().st_size
        if total is None or size >= total:
            return kind
        cuts += 1
    whole = "an unknown number of" if total == math.inf else total
    raise UserError(f"{origin}: cut off after {size} of {whole} bytes; run again to get the rest")


def _resume(url: str, part: Path, version: Path, expected: Checksum, origin: str) -> tuple[float | None, str]:
    """Ask once for what is missing of `part`: the bytes there should be in the end, and the type of the content.

    The number is None where the server did not say it and sent all, and infinite where it broke off. Raises _Busy for a
    request that has no answer yet.
    """
    address, login = split_login(url)
    start = part.stat().st_size if part.exists() and version.exists() else 0
    headers = {"User-Agent": f"intermezzo/{__version__}"}
    if start:  # the rest, if it is of the version that we have begun with; else everything
        headers |= {"Range": f"bytes={start}-", "If-Range": version.read_text(encoding="utf-8")}
    total: float | None = None
    reply: Message | None = None
    request = Request(address, headers=headers)
    if login:  # which another host, that a reply may point to, must not see
        request.add_unredirected_header("Authorization", f"Basic {b64encode(login.encode()).decode()}")
    try:
        with urlopen(request, timeout=TIMEOUT) as response:
            _refuse_unsafe(response.url, expected, origin)
            reply = response.headers
            resumed = response.status == 206 and reply.get("Content-Range", "").startswith(f"bytes {start}-")
            if not resumed:
                start = 0
                _write_version(version, reply)
            if reply.get("Content-Length", "").isdigit():
                total = start + int(reply["Content-Length"])
            with open(part, "ab" if resumed else "wb") as out:
                while block := response.read(1 << 20):
                    out.write(block)
    except HTTPError as error:
        if error.code == 416 and start:  # what we have is longer than the file: it is another one
            version.unlink()
            return _resume(url, part, version, expected, origin)
        if is_busy(error.code, error.headers):
            raise _Busy(f"the server answered with status {error.code}{_words(error)}", error.headers) from None
        raise Unavailable(f"{origin}: {_refusal(error.code, _words(error))}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"{part}: cannot be written ({error}); make room, and run again to get the rest") from None
        if getattr(error, "filename", None):
            raise UserError(f"{part}: cannot be written ({error}); see to its rights and run again") from None
        reason = getattr(error, "reason", error)
        shown = f"{type(reason).__name__}: {masked(str(reason))}"
        if reply is None and isinstance(reason, _BROKEN):
            raise _Busy(f"the connection broke before an answer ({shown})", {}) from None
        if reply is None:
            raise Unavailable(
                f"{origin}: cannot be reached ({shown}); check the network and the address, or run `prepare`"
                " where there is a network: what is complete in data.downloads is used without one"
            ) from None
        total = math.inf if total is None else total
    return total, reply.get_content_type()


def _write_version(version: Path, reply: Message) -> None:
    """Keep the name of the version that is being sent: its ETag, or its date (weak ETags are not for this)."""
    tag = reply.get("ETag", "")
    name = tag if tag.startswith('"') else reply.get("Last-Modified", "")
    if name:
        version.write_text(name, encoding="utf-8")
    else:
        version.unlink(missing_ok=True)


def _check(part: Path, kind: str, checksum: str, expected: Checksum, origin: str) -> None:
    with open(part, "rb") as handle:
        start = handle.read(2048)
    if not start.strip():
        raise UserError(f"{origin}: the file is empty there; nothing was kept; correct `url` in the task file")
    foreign = instead_of_data(start) or (instead_of_data(b"<html>") if kind == "text/html" else None)
    if foreign:
        raise Unavailable(
            f"{origin}: {foreign.kind} instead of a file; nothing was kept; {foreign.mend}: correct `url` in the task"
            f" file, or {_BY_HAND}"
        )
    if expected.sha256 is not None:
        raise UserError(
            f"{origin}: sha256 is {checksum}, but {expected.by} says {expected.sha256}; nothing was kept; if the new"
            f" file is right, {expected.accept}"
        )


def _refusal(status: int, words: str) -> str:
    if status in (404, 410):
        return f"not there any more (status {status}{words}); correct `url` in the task file, or {_BY_HAND}"
    if status in (401, 403):
        return f"access refused (status {status}{words}); it may want a login or an agreement: {_BY_HAND}"
    return f"the server answered with status {status}{words}; correct `url` in the task file, or {_BY_HAND}"


def _words(error: HTTPError) -> str:
    """What the server itself says of a refusal, after a colon; nothing where it says it in a web page."""
    try:
        text = error.read(4096).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException, ValueError):
        return ""
    try:
        content = json.loads(text)
        text = content.get("message") or content.get("error") or "" if isinstance(content, dict) else text
    except ValueError:
        pass
    return "" if not text or str(text).startswith("<") else f": {masked(one_line(str(text)))[:_WORDS]}"


def _refuse_unsafe(url: str, expected: Checksum, origin: str) -> None:
    """Stop where anybody on the way could put another file in the place of the right one, and nothing would tell."""
    address = urlsplit(url)
    local = address.hostname in ("localhost", "::1") or (address.hostname or "").startswith("127.")
    if address.scheme == "http" and not local and expected.sha256 is None:
        where = "" if masked(url) in origin else f" (it points to {masked(url)})"
        raise UserError(
            f"{origin}: plain http{where}, by which anybody on the way can change the file; use https, or give the"
            " `sha256` of the file in the task file"
        )


def _refuse_offline(url: str, origin: str) -> None:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE and urlsplit(url).scheme != "file":
        raise UserError(f"{origin}: not downloaded yet, and HF_HUB_OFFLINE forbids it; unset that, or {_BY_HAND}")
