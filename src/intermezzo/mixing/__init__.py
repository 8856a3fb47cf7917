"""How many examples each language gives when a budget of examples is divided by a mix.

A mix names languages and groups of languages with weights (`portions`), which become one share per language
(`shares`). The budget says how many examples of a task are divided:

- `matched`: as many as English-only training has. `en+rare` at 0.75/0.25 has a quarter fewer English examples than
  `en`, and not a quarter more examples; what it gains is due to the languages, at the price of some English.
- `additive`: English is kept whole, and the others come on top, in proportion to their weights relative to English's.
- `english_repeated`: the control of `additive` (is it the languages or the amount?): the examples of English-only
  training, repeated until they are as many as the additive mix has.

`allocate` divides the budget of one task, `allocate_tasks` those of several together. A mix whose unit is tokens
divides tokens in the same way; `in_rows` says which examples that makes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import accumulate
from typing import NamedTuple

from intermezzo.core.errors import UserError, suggestion
from intermezzo.mixing.groups import REST, members, portions, shares
from intermezzo.mixing.joint import allocate_jointly
from intermezzo.specs.mixes import ENGLISH, Portion

__all__ = [
    "BUDGETS",
    "ENGLISH",
    "REST",
    "LanguageAllocation",
    "Portion",
    "Shortfall",
    "allocate",
    "allocate_tasks",
    "budget_of",
    "in_rows",
    "members",
    "portions",
    "shares",
    "shortfall",
]
BUDGETS = ("matched", "additive", "english_repeated")


def allocate(
    examples: int, weights: Mapping[str, float | Fraction], supply: Mapping[str, int] | None = None, *, repeats: int = 1
) -> dict[str, int]:
    """Divide `examples` over languages in proportion to `weights`; the counts sum to `examples` exactly.

    A language gives at most `repeats` times its rows (`supply`: language -> rows; None = no limits). The closest
    division is: a language that runs short gives all it can, and the others share the rest by their weights
    (these numbers x are the nearest to the quotas q in sum((x - q)**2 / q)); fractions are settled by the largest
    remainder (which minimises the largest and the total distance from them), ties by the language's name. It needs no
    solver: limits are whole, so a fraction below one can be rounded up without passing it.

    Raises UserError when weights are negative or sum to nothing, and when all languages together have too few rows.
    """
    unlimited = _fractions(weights)
    counts = dict.fromkeys(weights, 0)
    limits = {code: examples if supply is None else repeats * supply.get(code, 0) for code in unlimited}
    if sum(limits.values()) < examples:
        times = f"{repeats} x " if repeats != 1 else ""
        rows = ", ".join(f"{code} {times}{(supply or {}).get(code, 0)}" for code in sorted(limits))
        quotas = ", ".join(f"{code} {n}" for code, n in sorted(_largest_remainder(examples, unlimited).items()))
        raise UserError(
            f"{examples} examples asked for, {sum(limits.values())} there ({rows}), and the weights ask for {quotas}; "
            "lower `examples`, or give the mix more languages or `repeats`"
        )
    rest = examples
    while short := _short(rest, unlimited, limits):
        for code in short:
            counts[code] = limits[code]
            rest -= limits[code]
            del unlimited[code]
    return counts | _largest_remainder(rest, unlimited)


class LanguageAllocation(NamedTuple):
    """What one language gives to one task; the fields are the columns of `allocation.tsv`."""

    weight: float
    """Share of the examples that the mix asks for; 0 of few-shot examples, which come on top."""
    asked: int
    """Examples that are asked for."""
    examples: int
    """Examples that it gets."""
    rows: int
    """Different rows among them; the examples are these, over and over."""
    supply: int
    """Rows that there are."""
    tokens: int | None = None
    """Tokens of the examples, where the mix divides tokens (`in_rows`)."""


def in_rows(cell: LanguageAllocation, lengths: Sequence[int]) -> LanguageAllocation:
    """The examples that come nearest to an allocation in tokens.

    cell: its `asked`, `examples` and `supply` are tokens. lengths: tokens of each row that may be used, in the order in
    which they are. Rows are used over and over where there are too few.
    """
    sums = [0, *accumulate(lengths)]
    if not sums[-1]:
        return cell._replace(asked=0, examples=0, rows=0, supply=len(lengths), tokens=0)
    passes, rest = divmod(cell.examples, sums[-1])
    last = bisect_left(sums, rest)
    if last and rest - sums[last - 1] <= sums[last] - rest:
        last -= 1
    examples = passes * len(lengths) + last
    return LanguageAllocation(
        cell.weight,
        round(cell.asked * len(lengths) / sums[-1]),
        examples,
        min(examples, len(lengths)),
        len(lengths),
        passes * sums[-1] + sums[last],
    )


class Shortfall(NamedTuple):
    """What a mix lacks of its languages other than English, in examples over all tasks."""

    asked: int
    used: int
    total: int
    """Examples of the whole mix, English included."""
    languages: tuple[str, ...]
    """The languages that have too few rows."""

    def __str__(self) -> str:
        asked, used = (f"{100 * part / self.total:.0f} %" for part in (self.asked, self.used))
        return (
            f"asks for {asked} of its examples in other languages than English and has {used} ({self.used} of "
            f"{self.asked}; {', '.join(self.languages)} with too few rows, whose place others took)"
        )


def shortfall(allocation: Mapping[str, Mapping[str, LanguageAllocation]]) -> Shortfall | None:
    """What a mix (task -> language -> what it gives) lacks; None if that is less than a hundredth of its examples.

    What a language lacks in one task and gives more of in another is not missing.
    """
    asked: dict[str, int] = {}
    used: dict[str, int] = {}
    for cells in allocation.values():
        for code, cell in cells.items():
            asked[code] = asked.get(code, 0) + cell.asked
            used[code] = used.get(code, 0) + cell.examples
    others, total = [code for code in asked if code != ENGLISH], sum(used.values())
    short = tuple(sorted(code for code in others if used[code] < asked[code]))
    if 100 * sum(asked[code] - used[code] for code in short) <= total:
        return None
    return Shortfall(sum(asked[code] for code in others), sum(used[code] for code in others), total, short)


def allocate_tasks(
    examples: Mapping[str, int | None],
    weights: Mapping[str, Mapping[str, float]],
    supply: Mapping[str, Mapping[str, int]],
    *,
    budget: str = "matched",
    repeats: int = 1,
) -> dict[str, dict[str, LanguageAllocation]]:
    """task -> language -> what it gives, for the tasks of one intermediate training.

    examples: task -> examples of English-only training (None: as many as there are). weights, supply: task ->
    language -> share, rows. Every task has its budget exactly, and every count is at most `repeats` times the rows.
    Where a language runs short in one task and has rows to spare in another, it gives more there, so that its total
    stays as asked. The closest numbers are those with (1) the smallest total and (2) the smallest largest shortfall
    of a language against the whole part of what all tasks together ask of it, and among these with (3) the smallest
    total and (4) the smallest largest distance from each task's own `allocate`; (5) of equals, the first in order of
    task and language is the larger. This is an integer programme. If no language can make up for a shortage,
    `allocate` of each task is its solution, and no solver runs. (One call per task keeps tasks apart.)

    Raises UserError that names the task when its budget cannot be met.
    """
    if budget not in BUDGETS:
        raise UserError(f"budget: unknown name '{budget}'; {suggestion(budget, BUDGETS)}")
    english_only: dict[str, int] = {}  # examples of English-only training
    fixed: dict[str, dict[str, int]] = {}  # counts that the budget settles: English's, unless it is `matched`
    variable: dict[str, dict[str, Fraction]] = {}  # weights of the languages that share the rest
    rest: dict[str, int] = {}
    separate: dict[str, dict[str, int]] = {}  # how each task by itself would divide the rest
    for task, size in examples.items():
        rows = supply[task]
        try:
            parts = _fractions(weights[task])
            if size is None:
                size = sum(rows.get(code, 0) for code in (parts if budget == "matched" else (ENGLISH,)))
            english_only[task], total = size, budget_of(size, weights[task], budget)
            fixed[task] = {}
            if budget != "matched":
                fixed[task] = allocate(size, {ENGLISH: 1}, rows, repeats=repeats if budget == "additive" else 1)
            if budget == "english_repeated":
                fixed[task], parts = {ENGLISH: total}, {ENGLISH: Fraction(1)}
            variable[task] = {code: part for code, part in parts.items() if code not in fixed[task]}
            rest[task] = total - sum(fixed[task].values())
            separate[task] = allocate(rest[task], variable[task], rows, repeats=repeats) if variable[task] else {}
        except UserError as error:
            raise UserError(f"task '{task}': {error}") from None
    limits = {t: {k: repeats * supply[t].get(k, 0) for k in variable[t]} for t in variable}
    counts = allocate_jointly(rest, variable, limits, separate)
    allocations: dict[str, dict[str, LanguageAllocation]] = {}
    for task in examples:
        quotas = fixed[task] | _largest_remainder(rest[task], variable[task])
        allocations[task] = {}
        for code, n in (fixed[task] | counts[task]).items():
            available, share = supply[task].get(code, 0), 1.0 if budget == "english_repeated" else weights[task][code]
            rows_read = english_only[task] if budget == "english_repeated" else min(n, available)
            allocations[task][code] = LanguageAllocation(share, quotas[code], n, rows_read, available)
    return allocations


def budget_of(examples: int, weights: Mapping[str, float], budget: str) -> int:
    """How many examples of a task a mix trains on, where English-only training has `examples`."""
    parts = _fractions(weights)
    if budget == "matched":
        return examples
    if ENGLISH not in parts:
        raise UserError(
            f"budget '{budget}' adds languages to English, by their weights relative to its own, and '{ENGLISH}' has "
            "none; give it a weight above 0, or choose the budget 'matched'"
        )
    return int(examples * sum(parts.values()) / parts[ENGLISH] + Fraction(1, 2))


def _fractions(weights: Mapping[str, float | Fraction]) -> dict[str, Fraction]:
    """The weights above 0 as fractions."""
    negative = [language for language, weight in weights.items() if not weight >= 0]
    if negative:
        raise UserError(f"negative weight for {', '.join(negative)}; weights must be 0 or more")
    parts = {language: Fraction(weight).limit_denominator(10**9) for language, weight in weights.items()}
    if not any(parts.values()):
        raise UserError("the weights sum to nothing; give at least one language a weight above 0")
    return {language: part for language, part in parts.items() if part}


def _short(total: int, weights: Mapping[str, Fraction], limits: Mapping[str, int]) -> list[str]:
    """The languages whose part of `total` is more than their limit."""
    whole = sum(weights.values())
    return [code for code, weight in weights.items() if total * weight > limits[code] * whole]


def _largest_remainder(total: int, weights: Mapping[str, Fraction]) -> dict[str, int]:
    """Whole numbers in proportion to `weights` that sum to `total` (Hamilton's method)."""
    if not weights:
        return {}
    whole = sum(weights.values())
    quotas = {language: total * weight / whole for language, weight in weights.items()}
    counts = {language: int(quota) for language, quota in quotas.items()}
    by_remainder = sorted(quotas, key=lambda language: (counts[language] - quotas[language], language))
    for language in by_remainder[: total - sum(counts.values())]:
        counts[language] += 1
    return counts
