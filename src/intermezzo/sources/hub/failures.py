"""What the hub's client raises: waited for where the hub is busy, else one message with the hub's words and the mend.

The client's HTTP library differs between versions (requests, httpx, httpx2), so replies are found by their attributes
and broken connections by the names of their errors.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from intermezzo.core.errors import UserError, machine_fault
from intermezzo.core.secrets import masked
from intermezzo.sources.hub.patience import Patience, is_busy

_Answer = TypeVar("_Answer")
_MISTAKES = (FileNotFoundError, NotADirectoryError, IsADirectoryError, NotImplementedError, RecursionError)
"""Kinds of OSError and RuntimeError that no network gives: mistakes of this program, which must show."""
_BROKEN = re.compile(
    r"(Read|Write|RemoteProtocol|LocalProtocol|ProxyProtocol|ChunkedEncoding|Connection(Reset|Aborted)|BrokenPipe)Error"
    r"|(Read|Write|Pool)Timeout|RemoteDisconnected|IncompleteRead|TimeoutError"
)
"""Names of the errors with which a connection ends that was made."""
_XET = re.compile(r"\bxet|xethub|\bCAS\b", re.IGNORECASE)
_NO_RIGHTS = re.compile(r"permission denied|read-only file ?system|os error (1|13|30)\b", re.IGNORECASE)
_LOGIN = "log in (`hf auth login`, or the environment variable HF_TOKEN)"


def patiently(ask: Callable[[], _Answer], origin: str) -> _Answer:
    """What `ask` gives; where the hub is busy, or the connection breaks, it is asked again after a while.

    Raises UserError, beginning with `origin`, when the hub stays busy, and whatever else `ask` raises.
    """
    mend = f"what is there already is kept; {_LOGIN} for more requests at a time, or use fewer `--cores`"
    patience = Patience(origin, mend)
    while True:
        try:
            return ask()
        except failures() as error:
            reply = _reply(error)
            if reply is not None and is_busy(reply.status_code, reply.headers):
                patience.wait(f"the hub answered: {_words(error)}", reply.headers)
            elif reply is None and any(_BROKEN.fullmatch(type(cause).__name__) for cause in _chain(error)):
                patience.wait(f"the connection to the hub broke ({_words(error)})", {})
            else:
                raise


@contextmanager
def user_errors(repository: str, revision: str, locked: dict[str, Any], where: str) -> Iterator[None]:
    """Turn what the hub's client raises for want of the hub into one message. A full disk has a message of its own.

    locked: what the lock file says of the repository's revision.
    """
    from huggingface_hub import errors

    place = f"{where}: {repository}, revision {revision}"
    page = f"https://huggingface.co/datasets/{repository}"
    try:
        yield
    except UserError:
        raise
    except errors.GatedRepoError as error:
        raise UserError(
            f"{place}: access is granted on request only{_said(error)}; accept its terms at {page} and {_LOGIN}"
        ) from None
    except errors.RepositoryNotFoundError as error:
        raise UserError(
            f"{place}: there is no such dataset repository on the hub, or it is private{_said(error)}; correct"
            f" `repository` in the task file, or {_LOGIN}"
        ) from None
    except errors.RevisionNotFoundError as error:
        if "commit" in locked:
            raise UserError(
                f"{place}: the hub does not have the locked commit {locked['commit']} any more; find a copy of it, or"
                f" delete 'repositories > {repository} > {revision}' from the lock file to accept what is there now"
            ) from None
        raise UserError(
            f"{place}: the repository has no such revision{_said(error)}; see {page}/tree/main for those it has"
        ) from None
    except failures() as error:
        if type(error) in _MISTAKES or machine_fault(error):
            raise
        raise UserError(f"{place}: cannot be downloaded ({_words(error)}); {_mend(error, page)}") from None


def failures() -> tuple[type[Exception], ...]:
    """What huggingface_hub raises when a download fails for a reason outside this program.

    `errors` always has the HTTP library's own HTTPError. JSONDecodeError: the reply is that of a proxy or a login page.
    RuntimeError: of hf_xet, which transfers large files.
    """
    from huggingface_hub import errors

    names = ("HTTPError", "EntryNotFoundError", "HFValidationError", "RevisionResolutionError", "XetDownloadError")
    types = (getattr(errors, name) for name in names if hasattr(errors, name))
    return OSError, RuntimeError, json.JSONDecodeError, *types


def _mend(error: BaseException, page: str) -> str:
    """What to do about a download that failed, by what the hub or the machine says of it."""
    reply, text = _reply(error), " ".join(f"{type(cause).__name__} {cause}" for cause in _chain(error))
    status = reply.status_code if reply is not None else None
    if status == 401:
        return (
            "correct the token (environment variable HF_TOKEN, or `hf auth login`), or remove it: public data need none"
        )
    if status == 403:
        return f"use a token that may read it (HF_TOKEN), and see {page} for terms to accept"
    if status is not None and status < 500:
        return f"see {page}, and correct the task file"
    if _XET.search(text):
        return (
            "large files come from another host (xethub.hf.co), which a firewall may block: HF_HUB_DISABLE_XET=1 takes"
            " them from the hub itself"
        )
    if _NO_RIGHTS.search(text):
        from huggingface_hub import constants

        return f"the cache {constants.HF_HUB_CACHE} cannot be written: see to its rights, or set HF_HOME to another"
    if type(error).__name__ == "OfflineModeIsEnabled":
        return "unset HF_HUB_OFFLINE, or run `prepare` where there is a network: what is locked and cached needs none"
    if isinstance(error, json.JSONDecodeError):
        return "a proxy or login page answered in the hub's place: log in there, or set HF_ENDPOINT to a mirror"
    mirror = f"HF_ENDPOINT ({masked(os.environ['HF_ENDPOINT'])})" if os.environ.get("HF_ENDPOINT") else "HF_ENDPOINT"
    return (
        f"check the network, {mirror} for a mirror of the hub, and HF_HUB_OFFLINE, or run `prepare` where there is a"
        " network: what is locked and in the cache (HF_HOME) is used without one"
    )


def _words(error: BaseException) -> str:
    """What the hub says, where it has answered; else what went wrong first."""
    causes = list(_chain(error))
    cause = next((cause for cause in causes if getattr(cause, "response", None) is not None), causes[-1])
    text = re.sub(r"(For more information check|For more details, see):? \S+", "", str(cause))
    return masked(f"{type(cause).__name__}: {' '.join(text.split()) or 'no details'}")


def _said(error: Exception) -> str:
    """What the hub itself says of a refusal, in brackets; nothing where it says nothing."""
    words = " ".join(str(getattr(error, "server_message", None) or "").split())
    return f" (the hub says: {masked(words)})" if words else ""


def _reply(error: BaseException) -> Any:
    """The HTTP response that an error was made from; None where there was none."""
    responses = (getattr(cause, "response", None) for cause in _chain(error))
    return next((response for response in responses if response is not None), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it was raised from."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__
