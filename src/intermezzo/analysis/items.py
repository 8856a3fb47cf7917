"""The part of a mean's error that comes from test items, where the languages of a target have the same items."""

from __future__ import annotations

from typing import Any

from intermezzo.analysis.intervals import ItemError


class Items:
    """Without predictions nothing is known of items: no error is added."""

    def error(self, compared: list[Any], group: str) -> ItemError | None:
        """The error of the mean over pairs in a group of languages; None where it is not known."""
        return None
