"""Waiting for a server that is busy: how long, how often, and what is said in the end.

Status 429 and 5xx, and connections that break, are no answer yet. What the server asks for in `Retry-After` is waited
for; where it asks for nothing, the waits double. Whoever asks for more than `LONGEST` gets no second request: the
message says when to come back.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from intermezzo.core.errors import UserError

log = logging.getLogger(__name__)

ATTEMPTS = 6
"""Requests for one thing, before it is given up."""
LONGEST = 600.0
"""Seconds that a server may ask to wait for; the hub counts requests in windows of 300."""
FIRST = 2.0
"""Seconds of the first wait where the server does not say; each further one is twice as long."""
_BUSY = frozenset({408, 425, 429})
_FINAL = frozenset({501, 505})
"""Status codes above 500 that no waiting changes."""
_random = random.SystemRandom()
"""Spreads the jobs that were refused together; nothing else's random numbers are touched."""
_RESET = re.compile(r";\s*t\s*=\s*(\d+)")


def is_busy(status: int, headers: Mapping[str, str]) -> bool:
    """Whether a later request may be answered. A refusal (403) that says when to come back is a limit, too."""
    if status == 403:
        return asked_seconds(headers) is not None
    return status in _BUSY or (500 <= status < 600 and status not in _FINAL)


def asked_seconds(headers: Mapping[str, str]) -> float | None:
    """The seconds to wait that a reply asks for; None where it does not say.

    `Retry-After` is a number of seconds or a date. The hub says `RateLimit: "api";r=0;t=55` as well.

    >>> asked_seconds({"retry-after": "120"})
    120.0
    >>> asked_seconds({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})
    0.0
    >>> asked_seconds({"RateLimit": '"api";r=0;t=55'})
    55.0
    """
    fields = {name.lower(): value.strip() for name, value in headers.items()}
    text = fields.get("retry-after", "")
    if re.fullmatch(r"\d{1,12}(\.\d*)?", text):
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        limit = fields.get("ratelimit", "")
        reset = _RESET.search(limit)
        return float(reset[1]) if reset and re.search(r";\s*r\s*=\s*0\b", limit) else None
    now = datetime.now(UTC)
    return max(0.0, ((date if date.tzinfo else date.replace(tzinfo=UTC)) - now).total_seconds())


class Unavailable(UserError):
    """Something cannot be had from a server now, or not any more; another address may have it."""


class Patience:
    """The waits for one thing (`origin`, as complaints call it). mend: what else can be done, for the last message."""

    def __init__(self, origin: str, mend: str) -> None:
        self.origin, self.mend = origin, mend
        self.requests = 0

    def wait(self, reason: str, headers: Mapping[str, str]) -> None:
        """Wait before the next request. reason: what came in place of an answer.

        Raises Unavailable after the last attempt, and where the server asks for more than `LONGEST`.
        """
        self.requests += 1
        asked = asked_seconds(headers)
        if asked is not None and asked > LONGEST:
            back = datetime.now().astimezone() + timedelta(seconds=min(asked, 10**9))
            raise Unavailable(
                f"{self.origin}: {reason}; it asks to come back in {asked / 60:,.0f} minutes"
                f" ({back:%Y-%m-%d %H:%M %Z}): run again then; {self.mend}"
            )
        if self.requests == ATTEMPTS:
            raise Unavailable(f"{self.origin}: {reason}, {ATTEMPTS} times; run again later; {self.mend}")
        seconds = FIRST * 2 ** (self.requests - 1) * _random.uniform(1, 1.5) if asked is None else asked
        log.warning("%s: %s; waiting %.0f seconds", self.origin, reason, seconds)
        time.sleep(seconds)
