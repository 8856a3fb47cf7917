"""Files of a dataset repository on the Hugging Face hub, at one commit.

A branch or tag is resolved to a commit once, and the lock file keeps it. Files go through the cache of
`huggingface_hub` (HF_HOME; HF_ENDPOINT names a mirror) and are checked against the checksums that the hub itself
gives. What is locked and cached needs no request.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock

from intermezzo.core import provenance
from intermezzo.core.artifacts import digest, sha256
from intermezzo.core.errors import UserError
from intermezzo.core.secrets import masked
from intermezzo.sources.files.reading import File
from intermezzo.sources.hub.failures import patiently, user_errors
from intermezzo.sources.hub.patterns import is_pattern, matching

Listing = dict[str, dict[str, Any]]
"""Path of a file in a repository -> its `bytes`, and the `sha256` of its content or the `blob` (SHA-1) of git."""

TIMEOUT = 30.0
"""Seconds to wait for an answer of the hub."""
_COMMIT = re.compile(r"[0-9a-f]{40}")


def fetch(
    part: dict[str, Any], locked: dict[str, Any], downloads: Path, where: str
) -> tuple[list[File], dict[str, Any]]:
    """The files of a part {repository, revision, files}, sorted, and what the lock file has to say about them.

    `locked` is what it says already ({}: nothing); the list of a commit's files is kept below `downloads`. Raises
    UserError for a repository, revision or file that is not there or may not be had, a network that cannot be reached,
    and files that are damaged.
    """
    from huggingface_hub import HfApi, hf_hub_download

    repository, pattern = part["repository"], part["files"]
    revision = part.get("revision") or "main"
    endpoint = _endpoint()
    with user_errors(repository, revision, locked, where):
        hub = HfApi(endpoint=endpoint)
        commit = locked.get("commit") or _commit(hub, repository, revision, where)
        origin = f"{where}: {repository}, commit {commit}"
        names = _locked_names(locked, pattern)
        listing = {} if names else _listing(hub, repository, commit, downloads, origin)
        names = names or matching(listing, pattern)
        if not names:
            raise UserError(f"{origin}: {_nothing(repository, pattern, sorted(listing))}")
        files, sums = [], {}
        for name in names:
            if name in listing and not listing[name]["bytes"]:
                raise UserError(f"{origin}: the file {name} is empty on the hub; name another one in the task file")

            def download(name: str = name) -> str:
                return hf_hub_download(repository, name, repo_type="dataset", revision=commit, endpoint=endpoint)

            path = Path(patiently(download, f"{origin}: {name}"))
            files.append(File(path.parents[name.count("/")], name))
            sums[name] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
            _compare_listed(path, sums[name], listing.get(name), f"{origin}: {name}")
            entry = f"repositories > {repository} > {revision} > files > {name}"
            _compare_locked(path, sums[name], locked.get("files", {}).get(name), f"{origin}: {name}", entry)
    patterns = {"patterns": {pattern: len(names)}} if is_pattern(pattern) else {}
    return files, {"commit": commit, "files": sums, **patterns}


def _commit(hub: Any, repository: str, revision: str, where: str) -> str:
    if _COMMIT.fullmatch(revision):
        return revision
    origin = f"{where}: {repository}, revision {revision}"
    commit: str = patiently(lambda: hub.dataset_info(repository, revision=revision, timeout=TIMEOUT).sha, origin)
    return commit


def _listing(hub: Any, repository: str, commit: str, downloads: Path, origin: str) -> Listing:
    """All files of a commit. The hub is asked once: who needs the same list waits, and finds it here."""
    path = downloads / "listings" / f"{digest([repository, commit])}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"data.downloads: no folder can be made at '{downloads}' ({error}); name another") from None

    def ask() -> list[Any]:
        return list(hub.list_repo_tree(repository, recursive=True, revision=commit, repo_type="dataset"))

    with FileLock(path.with_suffix(".lock")):
        files = provenance.read(path).get("files")
        if not isinstance(files, dict):
            items = [item for item in patiently(ask, origin) if hasattr(item, "blob_id")]
            files = {item.path: {"bytes": item.size, **_sum(item)} for item in items}
            provenance.write_record(path, {"repository": repository, "commit": commit, "files": files})
    return files


def _sum(item: Any) -> dict[str, str]:
    """The checksum that the hub gives of a file: small files lie in git itself, which names them by SHA-1."""
    return {"sha256": item.lfs.sha256} if item.lfs else {"blob": item.blob_id}


def _locked_names(locked: dict[str, Any], pattern: str) -> list[str]:
    """The files that match, if the lock file knows all of them, else none."""
    names = matching(locked.get("files", ()), pattern)
    complete = len(names) == (locked.get("patterns", {}).get(pattern) if is_pattern(pattern) else 1)
    return names if complete else []


def _compare_listed(path: Path, actual: dict[str, Any], listed: dict[str, Any] | None, origin: str) -> None:
    """Stop if a file is not what the hub's list says, and take it out of the cache: its way here damaged it."""
    if listed is None:
        return
    if "sha256" in listed:
        kind, expected, checksum = "SHA-256", listed["sha256"], actual["sha256"]
    else:  # over a header and the content
        content = path.read_bytes()
        kind, expected = "git's SHA-1", listed["blob"]
        checksum = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    if (listed["bytes"], expected) != (actual["bytes"], checksum):
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise UserError(
            f"{origin}: damaged on its way: {actual['bytes']} bytes, {kind} {checksum}; the hub says {listed['bytes']}"
            f" bytes, {expected}; nothing was kept, run again"
        )


def _compare_locked(path: Path, actual: dict[str, Any], locked: dict[str, Any] | None, origin: str, entry: str) -> None:
    if locked not in (None, actual):
        ours, theirs = (f"sha256 {file['sha256']} ({file['bytes']} bytes)" for file in (locked, actual))
        raise UserError(
            f"{origin} has {theirs}, but the lock file says {ours}; if {path.resolve()} is damaged, delete it and run"
            f" again; to accept it, delete '{entry}' from the lock file"
        )


def _nothing(repository: str, pattern: str, names: list[str]) -> str:
    shown = ", ".join(names[:12]) + (f", ... ({len(names)} in all)" if len(names) > 12 else "")
    script = f"{repository.rpartition('/')[2]}.py"
    mend = "correct `files` in the task file"
    if script in names:
        mend = f"{script} is a loading script, which is never run; try `revision: refs/convert/parquet`"
    return f"no file matches '{pattern}'; the repository holds {shown or 'nothing'}; {mend}"


def _endpoint() -> str | None:
    """HF_ENDPOINT as it is now: huggingface_hub has read it when it was imported, which may be too early."""
    endpoint = os.environ.get("HF_ENDPOINT") or None
    try:
        if endpoint and (urlsplit(endpoint).scheme not in ("http", "https") or urlsplit(endpoint).port == 0):
            raise ValueError("expected an address that begins with https:// or http://")
    except ValueError as error:
        shown = masked(endpoint or "")
        raise UserError(f"environment variable HF_ENDPOINT: '{shown}' is no address ({masked(str(error))})") from None
    return endpoint
