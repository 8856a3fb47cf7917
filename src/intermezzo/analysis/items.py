"""The part of a mean's error that comes from test items, where the languages of a target have the same items.

XNLI, XQuAD, XCOPA or the embedded world translate one test set into all languages. An item on which a model happens to
be right is then easy in every language, and an average over languages does not average this luck away. A comparison's
item difference is the mean over languages and seeds of the difference in score on that item (an id, which parallel sets
share). Over n items the squared error of their mean is var / n; the same with every language by itself, and summed, is
what there would be if languages had items of their own. The surplus is the common part.
"""

from __future__ import annotations

import numpy as np

from intermezzo.analysis.intervals import ItemError


def item_error(differences: np.ndarray) -> ItemError:
    """Squared errors of the mean of differences (... x languages x items) in score, seeds already averaged.

    An item that a language does not have is NaN.
    """
    present = np.isfinite(differences)
    counts = present.sum(axis=-1, keepdims=True)
    languages = differences.shape[-2]
    centred = np.where(present, differences - np.nanmean(differences, axis=-1, keepdims=True), 0.0) / counts
    own = (centred**2).sum(axis=(-2, -1)) / languages**2
    total = ((centred.sum(axis=-2) / languages) ** 2).sum(axis=-1)
    return ItemError(np.maximum(total - own, 0.0), total)


class Items:
    """Item differences of an experiment; without any, no error is added."""

    def error(self, compared: list, group: str) -> ItemError | None:
        """The error of the mean over pairs in a group of languages; None where nothing is known of items."""
        return None
