"""For which languages a mix helps (by family, script, resources, fertility), and how it changes the gap to English.

The attributes of a language (family, script, resource class, whether the encoder was pretrained on it) come with the
design, its subword fertility with the results; an unknown value gives no line, and neither does the pretraining of an
encoder that has read all of the languages, or none. English is in none of the groups. All
frames are descriptive: languages of a family differ in more than their family, and groups of one or two languages say
little.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pandas as pd
from scipy.stats import spearmanr

from intermezzo.analysis.design import Design
from intermezzo.analysis.effects import GROUPS, Pair, average, pairs, statistics
from intermezzo.analysis.families import Families
from intermezzo.analysis.pairing import Comparisons

ATTRIBUTES = {
    "family": "family",
    "script": "script",
    "joshi": "resource class (Joshi et al. 2020)",
    "pretrained": "in the encoder's pretraining",
    "distance": "nearest to the mix's languages other than English",
    "fertility": "subwords per word",
}


def by_attribute(families: Families) -> pd.DataFrame:
    """A mix minus the reference, mean over the pairs that the question counts, for languages that share a value.

    Columns: encoder, mix, attribute (a key of ATTRIBUTES), value, languages (space-separated), n_seen (how many of them
    are in the mix of any intermediate), those of `effects.statistics`, and p_holm: over the values of one attribute,
    encoder and mix; of a comparison that is in another family too, that family's.
    """
    comparisons, design, frames = families.comparisons, families.design, []
    _ = families.single  # corrected first
    for encoder, mix in product(design.encoders, design.asked):
        if compared := pairs(comparisons, encoder, mix, design.question.pairs):
            delta, seen = _delta(compared), mixed_languages(design, mix)
            for attribute in ATTRIBUTES:
                values = _values(comparisons, attribute, encoder, list(delta), seen - {design.english})
                rows = []
                for value in sorted(set(values.values()), key=str):
                    languages = [code for code in delta if values.get(code) == value]
                    names = {"encoder": encoder, "mix": mix, "attribute": attribute, "value": value}
                    names |= {"languages": " ".join(languages), "n_seen": len(seen & set(languages))}
                    rows.append(names | statistics(delta[languages], design) | {"delta": delta[languages]})
                frames += [pd.DataFrame(rows).assign(p_holm=families.corrected(rows))] if rows else []
    if not frames:
        return pd.DataFrame()
    return pd.concat(frames, ignore_index=True).drop(columns="delta").astype({"n_seen": int})


def with_fertility(families: Families) -> pd.DataFrame:
    """Spearman's correlation, over languages, of subword fertility and of the gain from a mix.

    Columns: encoder, mix, n_languages, correlation, p. No line where fewer than four languages have a fertility, or
    where all values are equal.
    """
    comparisons, design, rows = families.comparisons, families.design, []
    for encoder, mix in product(design.encoders, design.asked):
        fertility = comparisons.fertility(encoder)
        if compared := pairs(comparisons, encoder, mix, design.question.pairs):
            gain = _delta(compared).mean()
            common = [code for code in gain.index if code in fertility.index]
            if len(common) >= 4 and fertility[common].nunique() > 1 and gain[common].nunique() > 1:
                result = spearmanr(fertility[common], gain[common])
                names = {"encoder": encoder, "mix": mix, "n_languages": len(common)}
                rows.append(names | {"correlation": float(result.statistic), "p": float(result.pvalue)})
    return pd.DataFrame(rows)


def transfer_gap(families: Families) -> pd.DataFrame:
    """English minus the other languages, in the reference mix and in another one, and what the mix changes in it.

    Over the pairs that the question counts and whose target has English. Columns: encoder, mix, group, before, after
    (gaps in points), and those of `effects.statistics` of after - before, paired by seed and language; p_holm over all.
    """
    comparisons, design, rows = families.comparisons, families.design, []
    for encoder, mix in product(design.encoders, design.asked):
        counted = pairs(comparisons, encoder, mix, design.question.pairs)
        with_english = [pair for pair in counted if design.english in pair.delta]
        for group in [name for name in GROUPS if name != "english"]:
            compared = [pair for pair in with_english if group in pair.groups]
            if compared:
                before, after = (
                    average([_gap(comparisons.values(key), pair.groups[group], design) for pair, key in keys])
                    for keys in ([(p, p.reference) for p in compared], [(p, p.key) for p in compared])
                )
                names = {"encoder": encoder, "mix": mix, "group": group}
                names |= {"before": before.to_numpy().mean(), "after": after.to_numpy().mean()}
                rows.append(names | statistics(after - before, design) | {"delta": after - before})
    return pd.DataFrame(rows).assign(p_holm=families.corrected(rows)).drop(columns="delta") if rows else pd.DataFrame()


def _gap(values: pd.DataFrame, languages: list[str], design: Design) -> pd.DataFrame:
    return -values[languages].sub(values[design.english], axis=0)


def _delta(compared: list[Pair]) -> pd.DataFrame:
    """Seeds x languages without English: the mean difference over the pairs that have the language."""
    return average(
        [pair.of(group) for pair in compared for group in GROUPS if group != "english" and group in pair.groups]
    )


def mixed_languages(design: Design, mix: str) -> set[str]:
    """The languages that any intermediate saw in this mix."""
    languages = [set(entry.mixes[mix]) for entry in design.intermediates.values() if mix in entry.mixes]
    return set().union(*languages)


def _values(
    comparisons: Comparisons, attribute: str, encoder: str, languages: list[str], seen: set[str]
) -> dict[str, Any]:
    """Language -> its value of an attribute, for those languages that have one."""
    attributes = comparisons.design.attributes
    if attribute == "fertility":
        fertility = comparisons.fertility(encoder).reindex(languages).dropna()
        median = fertility.median()
        return {code: f"above {median:.2f}" if n > median else f"up to {median:.2f}" for code, n in fertility.items()}
    if attribute == "distance":
        described = [code for code in languages if code in attributes and seen]
        nearest = {code: _nearest(comparisons.design, code, seen) for code in described}
        return {code: value for code, value in nearest.items() if value is not None}
    if attribute == "pretrained":
        read = comparisons.design.pretrained.get(encoder, {})
        known = {code: read[code] for code in languages if code in read}
        return known if len(set(known.values())) > 1 else {}
    values = {code: getattr(attributes[code], attribute) for code in languages if code in attributes}
    return {code: value for code, value in values.items() if value is not None}


def _nearest(design: Design, code: str, seen: set[str]) -> str | None:
    """How near a language is to the nearest language of the mix, by family and script; None where that is not known."""
    if code in seen:
        return "0 in the mix"
    language = design.attributes[code]
    mixed = [design.attributes[name] for name in seen if name in design.attributes]
    has_family = language.family not in (None, "isolate")
    family = [has_family and language.family == entry.family for entry in mixed]
    script = [language.script is not None and language.script == entry.script for entry in mixed]
    if any(both and same for both, same in zip(family, script, strict=True)):
        return "1 same family and script"
    if any(entry.incomplete for entry in (language, *mixed)):
        return None
    return "2 same family" if any(family) else "3 same script" if any(script) else "4 neither"
