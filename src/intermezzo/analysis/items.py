"""The part of a mean's error that comes from test items, which languages share where a test set is translated.

XNLI, XQuAD, XCOPA or the embedded world translate one test set into all languages. An item on which a model happens to
be right is then easy in every language, and an average over languages does not average this luck away. Evaluations
write a score per item (`predictions.parquet`); items of two languages are the same if they have one id. An item's part
in a comparison is its difference from the mean, over seeds, pairs and languages as the comparison averages them. The
sum of squared parts is the squared error of the mean, as a bootstrap of items (drawn for all languages at once) has it;
the same with every language by itself is what there would be if languages had items of their own. The surplus is the
common part.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from intermezzo.analysis.intervals import ItemError
from intermezzo.dag.paths import Run, evaluation_path

if TYPE_CHECKING:
    from intermezzo.analysis.design import Design
    from intermezzo.analysis.effects import Pair
    from intermezzo.analysis.pairing import Key

FILE = "predictions.parquet"
Scores = dict[str, tuple[np.ndarray, np.ndarray]]
"""Language -> numbers of its items, and their scores in points, averaged over seeds."""


class Items:
    """Scores per item of an experiment, read when they are asked for; without a folder nothing is known of items.

    results: the folder of all results. Evaluations without scores per item (of some formats) add nothing.
    """

    def __init__(self, design: Design | None = None, results: Path | None = None) -> None:
        self._design, self._results = design, results
        self._numbers: dict[str, dict[str, int]] = {}
        self._scores: dict[Key, Scores | None] = {}

    def error(self, compared: Sequence[Pair], group: str) -> ItemError | None:
        """The error of the mean over pairs in a group of languages; None where it is not known of every pair."""
        codes = list(dict.fromkeys(code for pair in compared for code in pair.groups[group]))
        total, own = 0.0, 0.0
        for target in dict.fromkeys(pair.target for pair in compared):
            parts: dict[str, tuple[np.ndarray, np.ndarray]] = {}
            for pair in (pair for pair in compared if pair.target == target):
                after, before = self._of(pair.key), self._of(pair.reference)
                if after is None or before is None:
                    return None
                for code in pair.groups[group]:
                    if code not in after or code not in before or not np.array_equal(after[code][0], before[code][0]):
                        return None
                    numbers, difference = after[code][0], after[code][1] - before[code][1]
                    pairs_with = sum(code in other.groups[group] for other in compared)
                    part = (difference - difference.mean()) / len(difference) / pairs_with / len(codes)
                    parts[code] = numbers, part + (parts[code][1] if code in parts else 0.0)
            common = np.zeros(len(self._numbers[target]))
            for numbers, part in parts.values():
                common[numbers] += part
                own += float((part**2).sum())
            total += float((common**2).sum())
        return ItemError(max(total - own, 0.0), total)

    def known(self, compared: Sequence[Pair]) -> bool:
        """Whether there are scores per item for all of these pairs."""
        return all(self._of(key) is not None for pair in compared for key in (pair.key, pair.reference))

    def _of(self, key: Key) -> Scores | None:
        if key not in self._scores:
            self._scores[key] = self._read(key)
        return self._scores[key]

    def _read(self, key: Key) -> Scores | None:
        if self._results is None or self._design is None:
            return None
        encoder, intermediate, mix, target, metric = key
        if metric != self._design.targets[target].metrics[0]:
            return None
        numbers, sums = self._numbers.setdefault(target, {}), {}
        for seed in self._design.seeds:
            path = Path(evaluation_path(Run(encoder, intermediate, mix, seed), target, "x", f"{self._results}/eval"))
            table = _table(path.with_name(FILE))
            if table is None:
                return None
            for code in self._design.targets[target].languages:
                rows = table.filter(pa.compute.equal(table["name"], code))
                ids = np.array([numbers.setdefault(name, len(numbers)) for name in rows["id"].to_pylist()], dtype=int)
                scores = rows["score"].to_numpy() * (100.0 / len(self._design.seeds))
                if (
                    not len(scores)
                    or np.isnan(scores).any()
                    or (code in sums and not np.array_equal(sums[code][0], ids))
                ):
                    return None
                sums[code] = ids, scores + (sums[code][1] if code in sums else 0.0)
        return sums


def _table(path: Path) -> pa.Table | None:
    if not path.is_file() or "score" not in pq.read_schema(path).names:
        return None
    return pq.read_table(path, columns=["name", "id", "score"])


def item_error(differences: np.ndarray) -> ItemError:
    """The same of one matrix (languages x items) of differences in points; an item that a language lacks is NaN."""
    present, languages = np.isfinite(differences), len(differences)
    counts = present.sum(axis=1, keepdims=True)
    parts = np.where(present, differences - np.nanmean(differences, axis=1, keepdims=True), 0.0) / counts / languages
    total = float((parts.sum(axis=0) ** 2).sum())
    return ItemError(max(total - float((parts**2).sum()), 0.0), total)
