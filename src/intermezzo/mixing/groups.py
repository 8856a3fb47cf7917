"""From the names and weights of a mix to a share per language."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from intermezzo.core.errors import UserError, suggestion
from intermezzo.specs.mixes import ENGLISH, Portion

if TYPE_CHECKING:
    from intermezzo.languages import Language

REST = "rest"


def portions(
    weights: Mapping[str, float],
    available: Collection[str],
    table: Mapping[str, Language],
    rare: Collection[str],
    *,
    leave_out: Collection[str] = (),
    key: str,
    task: str,
    source: str,
) -> list[Portion]:
    """What the names of a mix mean for one task.

    weights: language or group -> weight. available: languages with training data of the task. table: the languages
    that may be named. leave_out: languages and groups that are never in the mix. key, task, source: for messages, the
    mix's place in the configuration, and names.

    Groups: `@all`; `@rare`; `@other` (not rare); `@family:NAME` and `@script:NAME` (case does not matter); `rest` =
    all that no other name of this mix means, be its weight 0. English is in `@all`, and in `rest` if nothing else
    means it; no other group has it.

    Raises UserError for an unknown name, a negative weight, a language or group without data, one that is named and
    left out, and when nothing is left.
    """
    groups = _groups(table, rare)
    excluded = {code for name in leave_out for code in _languages_of(name, groups, table, f"{key}.leave_out '{name}'")}
    if available and excluded.issuperset(available):
        raise UserError(
            f"{key}.leave_out: takes all languages in which task '{task}' has training data; leave out fewer"
        )
    explicit = {
        code for name in weights if name != REST for code in _languages_of(name, groups, table, f"{key}.weights.{name}")
    }
    parts = []
    for name, weight in weights.items():
        place = f"{key}.weights.{name}"
        if not weight >= 0:
            raise UserError(f"{place}: a weight cannot be negative; found {weight}")
        if weight == 0:
            continue
        members = {*available} - explicit if name == REST else _languages_of(name, groups, table, place)
        codes = [code for code in available if code in members]
        if not codes:
            names = ", ".join(available) or "(no language)"
            raise UserError(
                f"{place}: task '{task}' has no training data there (source '{source}'); it has some in: {names}"
            )
        if excluded.issuperset(codes):
            raise UserError(f"{place}: {key}.leave_out takes all of it ({', '.join(codes)}); remove one of the two")
        parts.append(Portion(name, weight, tuple(code for code in codes if code not in excluded)))
    if not parts:
        raise UserError(f"{key}.weights: the weights sum to nothing; give at least one language a weight above 0")
    return parts


def shares(
    parts: Iterable[Portion | tuple[str, float, Collection[str]]],
    supply: Mapping[str, int] | None = None,
    temperature: float | None = None,
) -> dict[str, float]:
    """language -> share; the shares are positive, sum to 1 and are rounded to 12 decimals.

    The languages of a group share its weight evenly or, with a temperature T, in proportion to rows**(1/T) (supply:
    language -> rows): T = 1 is by size, larger is more even (Arivazhagan et al. 2019, arXiv:1907.05019).
    """
    if temperature is not None and not temperature > 0:
        raise UserError(f"temperature: {temperature}, but it must be above 0 (null = the languages of a group alike)")
    weights: dict[str, float] = {}
    for _, weight, codes in parts:
        sizes = dict.fromkeys(codes, 1.0)
        if temperature is not None and supply is not None:
            largest = max(supply.get(code, 0) for code in codes) or 1
            sizes = {code: (supply.get(code, 0) / largest) ** (1 / temperature) for code in codes}
        for code, size in sizes.items():
            if size > 0:
                weights[code] = weights.get(code, 0.0) + weight * size / sum(sizes.values())
    if not weights:
        raise UserError("no language of the mix has any training data; name others")
    total = sum(weights.values())
    return {code: round(weight / total, 12) for code, weight in sorted(weights.items())}


def members(name: str, table: Mapping[str, Language], rare: Collection[str], place: str) -> set[str]:
    """The languages that a name means: itself, or those of a group. place: its place in the configuration.

    Raises UserError for a name that is neither.
    """
    return _languages_of(name, _groups(table, rare), table, place)


def _groups(table: Mapping[str, Language], rare: Collection[str]) -> dict[str, set[str]]:
    """Name of a group -> its languages."""
    non_english = {code: entry for code, entry in table.items() if code != ENGLISH}
    groups = {"@all": {*table}, "@rare": non_english.keys() & {*rare}, "@other": non_english.keys() - {*rare}}
    for code, entry in non_english.items():
        for kind, value in (("family", entry.family), ("script", entry.script)):
            if value:
                groups.setdefault(f"@{kind}:{value}", set()).add(code)
    return groups


def _languages_of(name: str, groups: Mapping[str, set[str]], table: Mapping[str, Language], place: str) -> set[str]:
    """The languages that a name of a mix means: itself, or those of a group. place: of the name, for the message."""
    if name in table:
        return {name}
    for group, codes in groups.items():
        if name.lower() == group.lower():
            return codes
    raise UserError(f"{place}: unknown language or group; {suggestion(name, [*table, *groups, REST])}")
