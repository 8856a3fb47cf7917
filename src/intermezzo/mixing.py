"""How many examples each language gives when a fixed budget is divided by a mix.

A *matched budget* means that every mix trains on the same number of examples: `en+rare` at 0.75/0.25 has a quarter
fewer English examples than `en`, and not a quarter more examples. What a mix gains is then due to the languages
and not to more data, at the price of some English.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from intermezzo.errors import UserError


def allocate(examples: int, weights: Mapping[str, float], supply: Mapping[str, int] | None = None) -> dict[str, int]:
    """Divide `examples` over languages in proportion to `weights`; the counts sum to `examples` exactly.

    Fractions are settled by the largest remainder, ties by the language's name. A language with fewer rows than its
    part (`supply`: language -> rows; None = no limits) gives all it has, and the others share the rest by their
    weights: the budget stays matched, and the caller can compare with `allocate(examples, weights)`.

    Raises UserError when weights are negative or sum to nothing, and when all languages together have too few rows.
    """
    negative = [language for language, weight in weights.items() if weight < 0]
    if negative:
        raise UserError(f"negative weight for {', '.join(negative)}; weights must be 0 or more")
    open_ = {language: Fraction(weight).limit_denominator(10**9) for language, weight in weights.items() if weight > 0}
    if not open_:
        raise UserError("the weights sum to nothing; give at least one language a weight above 0")
    counts = dict.fromkeys(weights, 0)
    limits = {language: examples if supply is None else supply.get(language, 0) for language in open_}
    if sum(limits.values()) < examples:
        listed = ", ".join(f"{language} {rows}" for language, rows in sorted(limits.items()))
        raise UserError(
            f"{examples} examples asked for, {sum(limits.values())} there ({listed}); "
            "lower `examples`, or give the mix more languages"
        )
    left = examples
    while short := [k for k, weight in open_.items() if left * weight / sum(open_.values()) > limits[k]]:
        for language in short:
            counts[language] = limits[language]
            left -= limits[language]
            del open_[language]
    return counts | _largest_remainder(left, open_)


def _largest_remainder(total: int, weights: Mapping[str, Fraction]) -> dict[str, int]:
    """Whole numbers in proportion to `weights` that sum to `total` (Hamilton's method)."""
    if not weights:
        return {}
    quotas = {language: total * weight / sum(weights.values()) for language, weight in weights.items()}
    counts = {language: int(quota) for language, quota in quotas.items()}
    by_remainder = sorted(quotas, key=lambda language: (counts[language] - quotas[language], language))
    for language in by_remainder[: total - sum(counts.values())]:
        counts[language] += 1
    return counts
