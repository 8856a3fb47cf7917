"""Which rows are kept of a data set that is larger than an experiment asks for: a matter of their ids alone."""

from __future__ import annotations

import hashlib
import heapq
from typing import Any

Row = dict[str, Any]


class Sample:
    """The `size` rows whose hashed id is smallest, in their old order, of rows that come in batches."""

    def __init__(self, size: int) -> None:
        self.size, self.total = size, 0
        self._ids: set[bytes] = set()
        self._kept: list[tuple[int, int, Row]] = []
        """(-hash, -number, row), a heap: the first one is the next to go."""

    def add(self, rows: list[Row]) -> bool:
        """Take the next rows; False for an id that has been there before."""
        for row in rows:
            hashed = hashlib.sha256(row["id"].encode()).digest()
            entry = (-int.from_bytes(hashed), -self.total, row)
            self._ids.add(hashed[:16])
            self.total += 1
            if len(self._kept) < self.size:
                heapq.heappush(self._kept, entry)
            elif entry[:2] > self._kept[0][:2]:
                heapq.heapreplace(self._kept, entry)
        return len(self._ids) == self.total

    def rows(self) -> list[Row]:
        """The sample of what has come so far."""
        return [row for *_, row in sorted(self._kept, key=lambda entry: -entry[1])]
