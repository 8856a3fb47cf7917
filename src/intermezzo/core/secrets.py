"""Addresses without what gives access: names, passwords and tokens in them are shown, logged and locked as ***."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

_USER = re.compile(r"(?<=://)[^/?#\s]*@")
_TOKEN = re.compile(
    r"(?<=[?&;#])((?:[\w.-]*[_-])?(?:token|secret|signature|sig|auth|authorization|password|passwd|pwd|credentials?)="
    r"|(?:[\w.-]*[_-]key|apikey)=)[^&;#\s'\"]+",
    re.IGNORECASE,
)


def masked(text: str) -> str:
    """A text with *** for the names and passwords (`https://name:password@host`) and tokens of its addresses.

    >>> masked("https://ana:secret@example.org/a.zip?version=2&access_token=1f3")
    'https://***@example.org/a.zip?version=2&access_token=***'
    """
    return _TOKEN.sub(r"\1***", _USER.sub("***@", text))


def masked_parts(parts: Any) -> Any:
    """Parts of a task file with their addresses masked."""
    return tuple(part | {"url": masked(part["url"])} if isinstance(part.get("url"), str) else part for part in parts)


def split_login(url: str) -> tuple[str, str | None]:
    """An address without name and password, and these as `name:password`; None where it has none."""
    login, sign, _ = urlsplit(url).netloc.rpartition("@")
    return (url.replace(f"{login}@", "", 1), unquote(login)) if sign else (url, None)
