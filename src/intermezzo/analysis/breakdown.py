"""Beyond the mean: for which languages a mix helps, and what it does to the distance from English.

What is known of a language (family, script, resource class, whether the encoder was pretrained on it) comes with the
design, its subword fertility with the results; what is not known gives no line. English is in none of the groups. All
are descriptions: languages of a family differ in more than their family, and groups of one or two languages say little.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pandas as pd
from scipy.stats import spearmanr

from intermezzo.analysis.comparisons import Comparisons
from intermezzo.analysis.design import Design
from intermezzo.analysis.effects import GROUPS, Pair, average, figures, mixes, overall, pairs
from intermezzo.analysis.significance import holm

ATTRIBUTES = {
    "family": "family",
    "script": "script",
    "joshi": "resource class (Joshi et al. 2020)",
    "xlmr": "in the encoder's pretraining (XLM-R's list)",
    "distance": "nearest to the mix's languages other than English",
    "fertility": "subwords per word",
}


def by_attribute(comparisons: Comparisons) -> pd.DataFrame:
    """Mix minus English-only, mean over the pairs of intermediate and target, for languages that share a value.

    Columns: encoder, mix, attribute (a key of ATTRIBUTES), value, languages (space-separated), n_seen (how many of them
    are in the mix), n_languages, n_seeds, mean, error, low, high, p, p_holm (over the values of one attribute, encoder
    and mix).
    """
    design = comparisons.design.without_controls()
    rows = []
    for encoder, mix in product(design.encoders, mixes(design)):
        if found := pairs(comparisons, encoder, mix):
            delta, seen = _delta(design, found), _seen(design, mix)
            for attribute in ATTRIBUTES:
                values = _values(comparisons, attribute, encoder, list(delta), seen - {design.english})
                for value in sorted(set(values.values()), key=str):
                    languages = [code for code in delta if values.get(code) == value]
                    names = {"encoder": encoder, "mix": mix, "attribute": attribute, "value": value}
                    names |= {"languages": " ".join(languages), "n_seen": len(seen & set(languages))}
                    rows.append(names | figures(delta[languages]))
    frame = pd.DataFrame(rows)
    if len(frame):
        families = frame.groupby(["encoder", "mix", "attribute"])["p"]
        frame.insert(frame.columns.get_loc("p") + 1, "p_holm", families.transform(lambda p: holm(p)))
    return frame


def with_fertility(comparisons: Comparisons) -> pd.DataFrame:
    """Spearman's correlation, over languages, of subword fertility and of the gain from a mix.

    Columns: encoder, mix, n_languages, correlation, p. No line where fewer than four languages have a fertility.
    """
    design, rows = comparisons.design.without_controls(), []
    for encoder, mix in product(design.encoders, mixes(design)):
        fertility = comparisons.fertility(encoder)
        if found := pairs(comparisons, encoder, mix):
            gain = _delta(design, found).mean()
            common = [code for code in gain.index if code in fertility.index]
            if len(common) >= 4:
                result = spearmanr(fertility[common], gain[common])
                names = {"encoder": encoder, "mix": mix, "n_languages": len(common)}
                rows.append(names | {"correlation": float(result.statistic), "p": float(result.pvalue)})
    return pd.DataFrame(rows)


def transfer_gap(comparisons: Comparisons) -> pd.DataFrame:
    """English minus the other languages, in the English-only mix and in another one, and what the mix changes in it.

    Over the pairs whose target has English. Columns: encoder, mix, group, before, after (gaps in points), and
    n_languages, n_seeds, mean, error, low, high, p of after - before, paired by seed and language; p_holm over all.
    """
    design = comparisons.design.without_controls()
    rows = []
    for encoder, mix in product(design.encoders, mixes(design)):
        having = [pair for pair in pairs(comparisons, encoder, mix) if design.english in pair.delta]
        for group in [name for name in GROUPS if name != "english"]:
            some = [pair for pair in having if group in pair.groups]
            if some:
                before, after = (
                    average([_gap(comparisons.values(key), pair.groups[group], design) for pair, key in keys])
                    for keys in ([(p, p.reference) for p in some], [(p, p.key) for p in some])
                )
                names = {"encoder": encoder, "mix": mix, "group": group}
                names |= {"before": before.to_numpy().mean(), "after": after.to_numpy().mean()}
                rows.append(names | figures(after - before))
    frame = pd.DataFrame(rows)
    if len(frame):
        frame.insert(frame.columns.get_loc("p") + 1, "p_holm", holm(frame["p"]))
    return frame


def _gap(values: pd.DataFrame, languages: list[str], design: Design) -> pd.DataFrame:
    return -values[languages].sub(values[design.english], axis=0)


def _delta(design: Design, found: list[Pair]) -> pd.DataFrame:
    return average([overall([pair], group) for pair, group in _others(found)])


def _others(found: list[Pair]) -> Iterator[tuple[Pair, str]]:
    for pair in found:
        yield from ((pair, group) for group in GROUPS if group != "english" and group in pair.groups)


def _seen(design: Design, mix: str) -> set[str]:
    trained = [set(one.mixes[mix]) for one in design.intermediates.values() if mix in one.mixes]
    return set().union(*trained)


def _values(
    comparisons: Comparisons, attribute: str, encoder: str, languages: list[str], seen: set[str]
) -> dict[str, Any]:
    """Language -> its value of an attribute, for those languages that have one."""
    known = comparisons.design.attributes
    if attribute == "fertility":
        fertility = comparisons.fertility(encoder).reindex(languages).dropna()
        middle = fertility.median()
        return {code: f"above {middle:.2f}" if n > middle else f"up to {middle:.2f}" for code, n in fertility.items()}
    if attribute == "distance":
        return {code: _nearest(comparisons.design, code, seen) for code in languages if code in known} if seen else {}
    values = {code: getattr(known[code], attribute) for code in languages if code in known}
    return {code: value for code, value in values.items() if value is not None}


def _nearest(design: Design, code: str, seen: set[str]) -> str:
    """How near a language is to the nearest language of the mix, by family and script."""
    if code in seen:
        return "0 in the mix"
    own, others = design.attributes[code], [design.attributes[other] for other in seen if other in design.attributes]
    family = [own.family is not None and own.family == other.family for other in others]
    script = [own.script is not None and own.script == other.script for other in others]
    if any(both and same for both, same in zip(family, script, strict=True)):
        return "1 same family and script"
    return "2 same family" if any(family) else "3 same script" if any(script) else "4 neither"
