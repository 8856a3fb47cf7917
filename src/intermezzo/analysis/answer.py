"""The answer in words: does a mix help in zero-shot transfer to rare languages, against English-only training?

First what fits on a screen (`headline`), then the evidence under a few headings, with long tables folded. Every
sentence is made from a line of the frames; bold words and stars are for what the evidence allows (`verdict`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pandas as pd

from intermezzo.analysis import (
    breakdown_text,
    effects,
    gains_text,
    headline,
    power_text,
    prompted_text,
    published_text,
    rival_targets,
    sensitivity,
)
from intermezzo.analysis.design import Design
from intermezzo.analysis.effects import GROUPS, KINDS, Pair, overall, statistics
from intermezzo.analysis.families import Families
from intermezzo.analysis.headline import LARGE_SHARE, Notes, both_at_chance
from intermezzo.analysis.pairing import Comparisons, Key
from intermezzo.analysis.record import History
from intermezzo.analysis.significance import smallest_p
from intermezzo.analysis.verdict import LANGUAGES, LEVEL, difference, p_value, related, significant, verdict
from intermezzo.core import leakage
from intermezzo.core.markdown import long_table, table
from intermezzo.core.numerals import count

__all__ = ["Notes", "text", "verdicts"]


def text(
    families: Families,
    development: pd.DataFrame | None = None,
    past: History | None = None,
    notes: Notes | None = None,
) -> str:
    """The whole answer as Markdown.

    development: scores on development data (see `best_intermediate`), or None. past: earlier looks at results.
    """
    past, notes, comparisons = past or History(), notes or Notes(), families.comparisons
    design = families.design
    blocks = headline.blocks(families, past, notes)
    for encoder, mix in product(design.encoders, effects.mixes(design)):
        if compared := effects.pairs(comparisons, encoder, mix):
            blocks += _mix(families, compared)
    blocks += _section("Secondary comparisons", [*_secondary(families), *_against_baseline(families)])
    blocks += rival_targets.blocks(families)
    blocks += prompted_text.blocks(families)
    blocks += sensitivity.blocks(families)
    blocks += _section("Language by language", [*gains_text.blocks(families), *breakdown_text.blocks(families)])
    blocks += _at_chance(comparisons, design)
    blocks += published_text.blocks(families)
    if development is not None:
        blocks += _section("Best intermediate", breakdown_text.best(families, development))
    blocks.append(_limits(families, notes))
    return "\n\n".join(blocks) + "\n"


def _section(heading: str, paragraphs: list[str]) -> list[str]:
    """Paragraphs below a heading; nothing where there are none."""
    return [f"## {heading}", *paragraphs] if paragraphs else []


def _mix(families: Families, compared: Sequence[Pair]) -> list[str]:
    design, (encoder, _, mix, *_) = families.design, compared[0].key
    primary = families.primary
    of_mix = primary[(primary["encoder"] == encoder) & (primary["mix"] == mix)] if len(primary) else primary
    sentences = []
    for line in of_mix.to_dict("records"):
        restricted = [pair.restricted(design.question.pairs) for pair in compared]
        counted = [pair for pair in restricted if line["group"] in pair.groups]
        chance = sum(both_at_chance(families.comparisons, pair, line["group"]) for pair in counted)
        listed = ", ".join(_language(code, compared, line["group"]) for code in line["languages"].split())
        sentences.append(
            f"- **{LANGUAGES[line['group']]}** ({listed}): {verdict(line)}, {difference(line)}"
            + ("" if line["doubt"] else f", corrected p = {p_value(line['p_holm'])}")
            + f"; {chance} of {count(len(counted), 'pair')} at chance with both mixes."
        )
        details = power_text.details(line, design, max(1, families.decidable), families.looks)
        sentences += [f"  - {detail}" for detail in details]
    if families.decidable and len(of_mix):
        sentences.append(f"- {power_text.next_look(families.looks)}")
    intermediates, targets = sorted({pair.intermediate for pair in compared}), sorted({p.target for p in compared})
    kinds = [kind for kind in KINDS if any(kind in pair.kinds.values() for pair in compared)]
    single = families.single
    return [
        f"## `{mix}` against `{design.against}`, encoder `{encoder}`",
        f"Pairs of {count(len(intermediates), 'intermediate')} ({', '.join(intermediates)}) and "
        f"{count(len(targets), 'target')} ({', '.join(targets)}), with {count(len(design.seeds), 'seed')}"
        f"{'' if len(of_mix) else '; no part of the question'}:",
        *(["\n".join(sentences)] if sentences else []),
        "Mean over pairs, by what the intermediate is to the target in the language (no p, no correction). "
        + "; ".join(f"`{kind}`: {_LEGEND[kind]}" for kind in kinds)
        + ".",
        table(["languages", "number", "all", *kinds], _by_kind(compared, kinds, design)),
        f"Per pair: the mean with `{design.against}`, with `{mix}`, and the difference; \\* = corrected p below "
        f"{LEVEL} (over {len(single)} such differences), † = no language above the uninformed guess with either mix.",
        long_table("Per pair", ["intermediate", "target", *GROUPS.values()], [_row(families, p) for p in compared]),
    ]


_LEGEND = {
    "transfer": "zero-shot",
    "untrained": "zero-shot, nothing is trained for the target",
    "same skill": "the mix has rows in the language of a task that asks for the same",
    "same data": "the mix has rows in the language of the target's own data",
    "few-shot": "the target itself is trained in other languages too",
    "translate-test": "the target's test data are translated into English",
}
"""What the kinds of a table are."""


def _language(code: str, compared: Sequence[Pair], group: str) -> str:
    """A language; where only some intermediates' mixes have it, whose."""
    opposite = {"rare_seen": "rare_unseen", "rare_unseen": "rare_seen"}.get(group, "")
    others = {pair.intermediate for pair in compared if code in pair.groups.get(opposite, ())}
    if not others:
        return code
    verb = "not of" if group == "rare_seen" else "in that of"
    return f"{code} ({verb} {', '.join(sorted(others))})"


def _by_kind(compared: Sequence[Pair], kinds: Sequence[str], design: Design) -> list[list[str]]:
    rows = []
    columns = [compared, *([p for pair in compared if (p := pair.restricted([kind])).groups] for kind in kinds)]
    for group, words in GROUPS.items():
        averaged = [[pair for pair in column if group in pair.groups] for column in columns]
        if averaged[0]:
            cells = [difference(statistics(overall(part, group), design)) if part else "" for part in averaged]
            rows.append([words, str(overall(averaged[0], group).shape[1]), *cells])
    return rows


def _row(families: Families, pair: Pair) -> list[str]:
    encoder, intermediate, mix, target, metric = pair.key
    row = [intermediate, f"{target} ({metric})"]
    for group in GROUPS:
        line = families.of_pair.get((encoder, mix, intermediate, target, group))
        if line is None:
            row.append("")
            continue
        marks = ("\\*" if significant(line) else "") + (
            " †" if both_at_chance(families.comparisons, pair, group) else ""
        )
        kind = f" ({line['kind']})" if line["kind"] not in ("transfer", "untrained") else ""
        row.append(f"{line['before']:.1f} → {line['after']:.1f}, {difference(line)}{marks}{kind}")
    return row


def _against_baseline(families: Families) -> list[str]:
    frame, several = families.mean_from_baseline, len(families.design.encoders) > 1
    if frame.empty:
        return []
    rows = []
    keys = ["encoder", "intermediate", "mix"]
    for (encoder, intermediate, mix), part in frame.groupby(keys, sort=False):
        lines = {line["group"]: line for line in part.to_dict("records")}
        marks = {group: "\\*" if significant(line) else "" for group, line in lines.items()}
        cells = [difference(lines[g]) + marks[g] if g in lines else "" for g in ("english", "rare", "other")]
        rows.append([*([encoder] if several else []), intermediate, mix, *cells])
    header = [*(["encoder"] if several else []), "intermediate", "mix", "English", "rare", "other"]
    return [
        "### Against no intermediate training",
        "Mean difference over all targets; this says whether intermediate training itself helps. "
        f"\\* = corrected p below {LEVEL} (over the {count(len(frame), 'difference')} of this kind).",
        long_table("Against no intermediate training", header, rows),
    ]


def _at_chance(comparisons: Comparisons, design: Design) -> list[str]:
    """Targets and languages where nothing was learnt: a difference between two guesses says nothing."""
    paragraphs = []
    for encoder in design.encoders:
        lines = []
        for name, target in design.targets.items():
            keys: list[Key] = [
                (encoder, *training, name, target.metrics[0]) for training in design.trained(encoder, name)
            ]
            above = pd.DataFrame([comparisons.above_guess(key) for key in keys]).sum()
            for group in ("english", "rare", "other"):
                codes = [c for split in design.groups(*keys[0][1:4]) if split.name == group for c in split.languages]
                if codes and (above[codes] < len(keys)).any():
                    lines.append(f"- `{name}`, {LANGUAGES[group]}: {_counts(above[codes], len(keys))}")
        head = f"Encoder `{encoder}`:\n\n" if len(design.encoders) > 1 else ""
        words = "On every target every language is above the guess, with every model."
        paragraphs.append(head + ("\n".join(lines) or words))
    return [
        "## Which results are above a guess",
        "A language counts as above the uninformed guess (most frequent label or tag, fixed answer, one in n) when the "
        "mean over seeds exceeds it by more than two standard errors of a test set of its size. A difference of two "
        "guesses says nothing; such results stay in the averages and dilute them.",
        *paragraphs,
    ]


def _counts(above: pd.Series, models: int) -> str:
    """How many languages are above the guess, and with how many of the models those that are not always."""
    some, never = above[(above > 0) & (above < models)], list(above.index[above == 0])
    number = f"{int((above == models).sum())} of {count(len(above), 'language')} above the guess with every model"
    parts = [f"{code} with {int(n)} of {models}" for code, n in some.items()]
    parts += [f"at chance with every model: {', '.join(never)}"] if never else []
    return "; ".join([number, *parts]) + "."


def _secondary(families: Families) -> list[str]:
    frame = families.secondary
    if frame.empty:
        return []
    rows = [
        [
            line["family"],
            f"`{line['mix']}`, `{line['encoder']}`",
            LANGUAGES[line["group"]],
            difference(line),
            p_value(line["p_holm"]),
            f"{count(line['n_languages'], 'language')}, {related(line)}, {count(line['n_pairs'], 'pair')}"
            + (f"; {line['doubt']}" if line["doubt"] else ""),
        ]
        for line in frame.to_dict("records")
    ]
    return [
        "Each family is corrected by itself; none decides the question. `in-language supervision`: the mix has rows "
        "of the target's skill in the language. `control mixes`: those that the question does not ask about.",
        long_table(
            "Secondary comparisons", ["family", "mix, encoder", "languages", "difference", "corrected p", "over"], rows
        ),
    ]


def _limits(families: Families, notes: Notes) -> str:
    design, singles = families.design, len(families.single)
    seeds = len(design.seeds)
    few = {
        1: "One seed cannot show how much a repetition would differ: every interval and p here is over languages "
        "alone, and speaks of this seed only. A second seed is the first thing to add.",
        2: "Two seeds tell little about how much seeds differ. Intervals are wide for that reason, and still, in "
        "simulations, hold the truth in 94 to 100 of 100 cases, depending on the variances: with two seeds no method "
        "holds 95 for all of them. A difference that they cannot show may still be there; more seeds are the first "
        "thing to add.",
    }.get(seeds, f"{seeds} seeds stand behind each figure; the intervals allow for so few.")
    flips = (
        ""
        if seeds == 1
        else (
            f"{seeds} seeds cannot support a p-value below {p_value(smallest_p(seeds))} without assumptions (by sign "
            "flips of seeds); the p-values given rest on normally distributed differences."
        )
    )
    points = [
        few,
        flips,
        "Seeds repeat the intermediate and target training, not the encoder's pretraining: nothing here says how "
        "another encoder would behave.",
        _zero_shot_words(design),
        _overlap_words(notes),
        _item_words(families),
        "Intervals treat the targets as given and a group's languages as a sample of languages and families; where a "
        "group is one language, they speak of that language and its test set only.",
        "Brackets are intervals of single differences: without any effect one in twenty of them would leave out zero. "
        f"That is what the correction is for (per pair: {count(singles, 'difference')})."
        if singles
        else "",
    ]
    return "## Limitations\n\n" + "\n".join(f"- {point}" for point in points if point)


def _zero_shot_words(design: Design) -> str:
    """What zero-shot means here, and what is known of the encoders' pretraining."""
    words = "Zero-shot means: the intermediate had no rows of the target's skill in the language. "
    notes = [f"Of `{name}`: {design.leakage[name]}" for name in design.encoders if name in design.leakage]
    return words + (" ".join(notes) or "What the encoder's pretraining had of it is not known here.")


def _overlap_words(notes: Notes) -> str:
    """How much test data is in training data, as far as that was looked for."""
    if not notes.overlaps:
        return "Whether test data are in the training data was not looked for."
    tests = [line for line in notes.overlaps if line.kind == leakage.TEST]
    number = sum(1 for _ in leakage.sentences(tests, LARGE_SHARE))
    few = f"Of other test sets less than {100 * LARGE_SHARE:g} %" if number else f"Less than {100 * LARGE_SHARE:g} %"
    words = "of the rows are" if number else "of the rows of every test set are"
    return (
        f"{few} {words} in training data, as far as equal texts and n-grams of one language tell (leakage.tsv); "
        "translations and what the encoder was pretrained on were not looked at."
    )


def _item_words(families: Families) -> str:
    """Whether intervals allow for other test items."""
    design = families.design
    known = [
        families.comparisons.items.known([pair])
        for encoder, mix in product(design.encoders, design.asked)
        for pair in effects.pairs(families.comparisons, encoder, mix, design.question.pairs)
    ]
    if known and all(known):
        return "Intervals allow for other test items, also where languages have the same ones in translation."
    return (
        "Of some targets there are no scores per test item: where languages have the same items in translation, their "
        "common luck is not in the intervals."
    )


def verdicts(answer: str) -> list[str]:
    """The sentences of the verdicts in the text of an answer, without their marks."""
    head = answer.partition("\n\n")[2].partition("\n\n")[0]
    return [line.removeprefix("- ").replace("**", "") for line in head.splitlines()]
