"""The design of an experiment as the analysis needs it: which results must exist, and which languages form a group.

Groups of a target's languages: `all` (English included, as XTREME averages), `english`, `rare` (low-resource ones),
`other` (neither), and the rare ones split into `rare_seen` and `rare_unseen`. What is seen is a matter of the mix
that an intermediate was trained in, so a split belongs to a mix. A row of the English-only mix or of the baseline
has seen no rare language; it is given once per mix that it is compared with, over the very languages that this mix
has seen or not, so that the two rows can be set side by side. The mix that defines the split is called `seen_in`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from intermezzo.specs.summary import Kind, SummarySpec
from intermezzo.tasks.formats import load_format

BASELINE = "none"
"""The intermediate that stands for: no intermediate training."""
UNKNOWN_FAMILY = "family not known"


class Cell(NamedTuple):
    """One value: a metric of one target in one language. `seed` is None where nothing seeded was trained."""

    encoder: str
    intermediate: str
    mix: str
    seed: int | None
    target: str
    language: str
    metric: str


class Group(NamedTuple):
    """Languages that are averaged over; `seen_in` is empty for groups that do not depend on a mix."""

    name: str
    seen_in: str
    languages: tuple[str, ...]


class Design(SummarySpec):
    """What was asked for, and which results, groups of languages and pairs of runs that makes."""

    def without_controls(self) -> Design:
        """The same design without its control encoders, intermediates and targets."""
        parts: dict[str, Any] = {
            "intermediates": {name: entry for name, entry in self.intermediates.items() if not entry.control},
            "targets": {n: entry for n, entry in self.targets.items() if not (entry.control or entry.baseline_only)},
            "encoders": tuple(encoder for encoder in self.encoders if encoder not in self.baseline_only),
        }
        return self.model_copy(update=parts)

    def with_rivals(self) -> Design:
        """The same, with those rivals (`method_of`) that are trained from the baseline alone."""
        plain = self.without_controls()
        names = {*plain.targets, *(n for n, entry in self.targets.items() if self.method_of(n) and not entry.control)}
        return plain.model_copy(update={"targets": {n: entry for n, entry in self.targets.items() if n in names}})

    def on_development(self) -> Design:
        """The design of the development scores: the targets that have some, in those languages."""
        targets = {
            name: entry.model_copy(update={"languages": entry.development, "development": ()})
            for name, entry in self.targets.items()
            if entry.development
        }
        return self.model_copy(update={"targets": targets, "prompted": {}})

    def trained(self, encoder: str | None = None, target: str | None = None) -> list[tuple[str, str]]:
        """(intermediate, mix) pairs in the order of the tables: the baseline first, mixes as `in_order` has them.

        Those of one encoder and target, or (None) of the experiment.
        """
        pairs = [(name, mix) for name, entry in self.intermediates.items() for mix in entry.mixes]
        if encoder in self.baseline_only or (target and self.targets[target].baseline_only):
            pairs = [pair for pair in pairs if pair[0] == BASELINE]
        order = {mix: number for number, mix in enumerate(self.in_order(mix for _, mix in pairs))}
        return sorted(pairs, key=lambda pair: (pair[0] != BASELINE, pair[0], order[pair[1]]))

    def kind(self, intermediate: str, mix: str, target: str, language: str) -> Kind:
        """What an intermediate in a mix is to a target in one language.

        same data: it has rows in the language of the target's own task, or of one that trains the target. same skill:
        it has rows in the language of a task that asks for the same (`skills`), or translations of the target's data.
        few-shot: the target itself is trained in other languages than English, so that none of its results but the
        English ones says what the intermediate alone transfers. translate-test: its data are read in English,
        of which it has the target's own results once more. Else the target is zero-shot in this language:
        transfer, or untrained where nothing is trained for the target.
        """
        entry, intermediate_entry = self.targets[target], self.intermediates[intermediate]
        if entry.trained_in and language != self.english:
            return "few-shot"
        if entry.translated:
            return "translate-test"
        rows = intermediate_entry.rows.get(mix, dict.fromkeys(intermediate_entry.tasks, intermediate_entry.mixes[mix]))
        tasks = {task for task, languages in rows.items() if language in languages}
        own = {entry.task, *entry.trained_on}
        if tasks & own and (language == self.english or mix not in self.translated):
            return "same data"
        if {self._skill(task) for task in tasks} & {self._skill(task) for task in own}:
            return "same skill"
        return "transfer" if load_format(entry.format).trained else "untrained"

    def method_of(self, target: str) -> str:
        """What makes a target a rival of its twin (`twin_of`): "" for one that is trained in English and read as it is.

        Few-shot targets have their number of examples per language (`few-shot 20`), where it is one for all.
        """
        entry, words = self.targets[target], []
        if entry.trained_in:
            numbers = {entry.shots.get(code, 0) for code in entry.trained_in}
            number = numbers.pop() if len(numbers) == 1 else 0
            words.append("few-shot" + (" all" if number is None else f" {number}" if number else f" ({target})"))
        words += [entry.method] if entry.method else []
        return ", ".join([*words, *(["translate-test"] if entry.translated else [])])

    def twin_of(self, target: str) -> str | None:
        """The target of the same task and main metric that is no rival itself; None for one that is none."""
        entry = self.targets[target]
        for name, twin in self.targets.items() if self.method_of(target) else ():
            same = (twin.task, twin.trained_on, twin.metrics[0]) == (entry.task, entry.trained_on, entry.metrics[0])
            if same and not self.method_of(name):
                return name
        return None

    def _skill(self, task: str) -> str:
        return self.skills.get(task, task)

    def families(self, languages: Iterable[str]) -> list[str]:
        """The family of each language, or its branch where one is known: languages of one are no independent draws.

        Isolates are families of their own; languages whose family is not known count as one family.
        """
        return [self._family(code) for code in languages]

    def _family(self, code: str) -> str:
        known = self.attributes.get(code)
        if known is None or known.family is None:
            return UNKNOWN_FAMILY
        if known.family == "isolate":
            return f"isolate {code}"
        return f"{known.family}: {known.branch}" if known.branch else known.family

    def seeds_of(self, intermediate: str, target: str) -> tuple[int | None, ...]:
        """Seeds of a cell; retrieval and mining on the untouched encoder have none, so they are there once."""
        untrained = intermediate == BASELINE and not load_format(self.targets[target].format).trained
        return (None,) if untrained else self.seeds

    def cells(self) -> Iterator[Cell]:
        """Every value that the experiment must have."""
        for encoder in self.encoders:
            for name, target in self.targets.items():
                for intermediate, mix in self.trained(encoder, name):
                    for seed in self.seeds_of(intermediate, name):
                        for language in target.languages:
                            for metric in target.metrics:
                                yield Cell(encoder, intermediate, mix, seed, name, language, metric)

        for encoder, prompted in self.prompted.items():
            for name, languages in prompted.targets.items():
                for seed in self.seeds if prompted.seeded else (None,):
                    for language in languages:
                        for metric in self.targets[name].metrics:
                            yield Cell(encoder, BASELINE, BASELINE, seed, name, language, metric)

    def languages_of(self, encoder: str, target: str) -> tuple[str, ...]:
        """The languages in which an encoder, or a prompted model in its place, has results on a target."""
        return self.prompted[encoder].targets[target] if encoder in self.prompted else self.targets[target].languages

    def groups(self, intermediate: str, mix: str, target: str) -> list[Group]:
        """The non-empty groups of a target's languages for one (intermediate, mix)."""
        languages = self.targets[target].languages
        rare = [code for code in languages if code in self.rare and code != self.english]
        groups = [
            Group("all", "", languages),
            Group("english", "", tuple(code for code in languages if code == self.english)),
            Group("rare", "", tuple(rare)),
        ]
        for seen_in, seen in self._splits(intermediate, mix).items():
            groups.append(Group("rare_seen", seen_in, tuple(code for code in rare if code in seen)))
            groups.append(Group("rare_unseen", seen_in, tuple(code for code in rare if code not in seen)))
        groups.append(Group("other", "", tuple(code for code in languages if code not in {self.english, *rare})))
        return [group for group in groups if group.languages]

    def groups_of_prompted(self, model: str, target: str) -> list[Group]:
        """The non-empty groups of the languages in which a prompted model answers a target."""
        codes = self.prompted[model].targets[target]
        groups = (
            group._replace(languages=tuple(code for code in group.languages if code in codes))
            for group in self.groups(BASELINE, BASELINE, target)
        )
        return [group for group in groups if group.languages]

    def _splits(self, intermediate: str, mix: str) -> dict[str, frozenset[str]]:
        """Name of a split -> languages seen: the row's own mix, or those that the row is compared with."""
        if intermediate != BASELINE:
            mixes = self.intermediates[intermediate].mixes
            others = [name for name in self.in_order(mixes) if name != self.english_mix]
            return {name: frozenset(mixes[name]) for name in (others or [mix] if mix == self.english_mix else [mix])}
        splits: dict[str, frozenset[str]] = {}
        trained = [pair for pair in self.trained() if pair[0] != BASELINE]
        compared = [pair for pair in trained if pair[1] != self.english_mix] or trained
        for name in self.in_order(pair[1] for pair in compared):
            seen = {task: frozenset(self.intermediates[task].mixes[name]) for task, m in compared if m == name}
            agree = len(set(seen.values())) == 1
            splits |= {name: next(iter(seen.values()))} if agree else {f"{task}/{name}": s for task, s in seen.items()}
        return splits
