"""Files of a dataset repository on the Hugging Face hub, at one commit.

A branch or tag is resolved to a commit once, and the lock file keeps it. Files go through the cache of
`huggingface_hub` (HF_HOME; HF_ENDPOINT names a mirror) and are checked against the checksums that the hub itself
gives. What is locked and cached needs no request.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from intermezzo.core.artifacts import sha256
from intermezzo.core.errors import UserError, machine_fault
from intermezzo.core.secrets import masked
from intermezzo.sources.files.reading import File
from intermezzo.sources.hub.patterns import is_pattern, matching

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile

TIMEOUT = 30.0
"""Seconds to wait for an answer of the hub."""
_COMMIT = re.compile(r"[0-9a-f]{40}")
_MISTAKES = (FileNotFoundError, NotADirectoryError, IsADirectoryError, NotImplementedError, RecursionError)
"""Kinds of OSError and RuntimeError that no network gives: mistakes of this program, which must show."""


def fetch(part: dict[str, Any], locked: dict[str, Any], where: str) -> tuple[list[File], dict[str, Any]]:
    """The files of a part {repository, revision, files}, sorted, and what the lock file has to say about them.

    `locked` is what it says already ({}: nothing). Raises UserError for a repository, revision or file that is not
    there or may not be had, a network that cannot be reached, and files that are damaged.
    """
    from huggingface_hub import HfApi, hf_hub_download

    repository, pattern = part["repository"], part["files"]
    revision = part.get("revision") or "main"
    endpoint = _endpoint()
    with _user_errors(repository, revision, locked, where):
        hub = HfApi(endpoint=endpoint)
        commit = locked.get("commit") or _commit(hub, repository, revision)
        origin = f"{where}: {repository}, commit {commit}"
        names, tree = _locked_names(locked, pattern), {}
        if not names:
            listing = hub.list_repo_tree(repository, recursive=True, revision=commit, repo_type="dataset")
            tree = {item.path: item for item in listing if hasattr(item, "blob_id")}
            names = matching(tree, pattern)
        if not names:
            raise UserError(f"{origin}: {_nothing(repository, pattern, sorted(tree))}")
        files, sums = [], {}
        for name in names:
            if name in tree and not tree[name].size:
                raise UserError(f"{origin}: the file {name} is empty on the hub; name another one in the task file")
            path = Path(hf_hub_download(repository, name, repo_type="dataset", revision=commit, endpoint=endpoint))
            files.append(File(path.parents[name.count("/")], name))
            sums[name] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
            _compare_listed(path, sums[name], tree.get(name), f"{origin}: {name}")
            entry = f"repositories > {repository} > {revision} > files > {name}"
            _compare_locked(path, sums[name], locked.get("files", {}).get(name), f"{origin}: {name}", entry)
    patterns = {"patterns": {pattern: len(names)}} if is_pattern(pattern) else {}
    return files, {"commit": commit, "files": sums, **patterns}


def _commit(hub: Any, repository: str, revision: str) -> str:
    if _COMMIT.fullmatch(revision):
        return revision
    return hub.dataset_info(repository, revision=revision, timeout=TIMEOUT).sha


def _locked_names(locked: dict[str, Any], pattern: str) -> list[str]:
    """The files that match, if the lock file knows all of them, else none."""
    names = matching(locked.get("files", ()), pattern)
    complete = len(names) == (locked.get("patterns", {}).get(pattern) if is_pattern(pattern) else 1)
    return names if complete else []


def _compare_listed(path: Path, actual: dict[str, Any], listed: RepoFile | None, origin: str) -> None:
    """Stop if a file is not what the hub's list says, and take it out of the cache: its way here damaged it."""
    if listed is None:
        return
    if listed.lfs:
        kind, expected, digest = "SHA-256", listed.lfs.sha256, actual["sha256"]
    else:  # small files lie in git itself, which names them by SHA-1 over a header and the content
        content = path.read_bytes()
        kind, expected = "git's SHA-1", listed.blob_id
        digest = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    if (listed.size, expected) != (actual["bytes"], digest):
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise UserError(
            f"{origin}: damaged on its way: {actual['bytes']} bytes, {kind} {digest}; the hub says {listed.size} bytes,"
            f" {expected}; nothing was kept, run again"
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


@contextmanager
def _user_errors(repository: str, revision: str, locked: dict[str, Any], where: str) -> Iterator[None]:
    """Turn what the hub's client raises for want of the hub into one message. A full disk has a message of its own."""
    from huggingface_hub import errors

    place = f"{where}: {repository}, revision {revision}"
    page = f"https://huggingface.co/datasets/{repository}"
    login = "log in (`hf auth login`, or the environment variable HF_TOKEN)"
    try:
        yield
    except UserError:
        raise
    except errors.GatedRepoError:
        raise UserError(f"{place}: access is granted on request only; accept its terms at {page} and {login}") from None
    except errors.RepositoryNotFoundError:
        raise UserError(
            f"{place}: there is no such dataset repository on the hub, or it is private; correct `repository` in the"
            f" task file, or {login}"
        ) from None
    except errors.RevisionNotFoundError:
        if "commit" in locked:
            raise UserError(
                f"{place}: the hub does not have the locked commit {locked['commit']} any more; find a copy of it, or"
                f" delete 'repositories > {repository} > {revision}' from the lock file to accept what is there now"
            ) from None
        raise UserError(
            f"{place}: the repository has no such revision; see {page}/tree/main for those it has"
        ) from None
    except _failures() as error:
        if type(error) in _MISTAKES or machine_fault(error):
            raise
        reason = _reason(error)
        raise UserError(
            f"{place}: cannot be downloaded ({reason}); check the network, HF_ENDPOINT and HF_HUB_OFFLINE, or run"
            " `prepare` where there is a network: what is locked and in the cache (HF_HOME) is used without one"
        ) from None


def _failures() -> tuple[type[Exception], ...]:
    """What huggingface_hub raises when a download fails for a reason outside this program.

    Its HTTP client differs between versions (requests, httpx, httpx2), but `errors` always has the client's HTTPError.
    JSONDecodeError: the reply is that of a proxy or a login page. RuntimeError: of hf_xet, which transfers large files.
    """
    from huggingface_hub import errors

    names = ("HTTPError", "EntryNotFoundError", "HFValidationError", "RevisionResolutionError", "XetDownloadError")
    types = (getattr(errors, name) for name in names if hasattr(errors, name))
    return OSError, RuntimeError, json.JSONDecodeError, *types


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


def _reason(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return masked(f"{type(error).__name__}: {' '.join(str(error).split()) or 'no details'}")
