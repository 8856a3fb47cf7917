"""What methods cost and gain: intermediate training and its rivals as points of one figure.

A method is a mix of intermediates, or a rival (`Design.method_of`): a target that is trained or evaluated in another
way, after no intermediate. Its gain is the difference from the same task without either, paired by seed and language.
Its cost is that of one seed and, where a method is the mean over several intermediates, of one of them.

| part | charged to a method |
|---|---|
| intermediate | the trainings of its intermediates, once for all targets |
| training | the target trainings that its results need, once where targets share one |
| evaluation | the predictions and scores of its targets |
| translation | the translations of its training and test data, once for all seeds and mixes |

What every method needs is charged to none: the encoder, and data that are read as they are. A target training that a
method shares with the baseline (translate-test) is charged to both, as either needs it alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from intermezzo.analysis.breakdown import mixed_languages
from intermezzo.analysis.design import BASELINE, Design
from intermezzo.analysis.effects import average, statistics
from intermezzo.analysis.rival_targets import shots_of
from intermezzo.dag.paths import DISJOINT, IN_ENGLISH, TRANSLATED
from intermezzo.execution import usage
from intermezzo.report.differences import OVERALL
from intermezzo.report.results import ExperimentResults, TrainedModel

PARTS = ("intermediate", "training", "evaluation", "translation")
COLUMNS = ["encoder", "target", "metric", "seen_in", "method", "languages", "value", "low", "high"]
COLUMNS += ["cost", "unit", *PARTS, "n_models", "n_languages", "n_seeds"]
BASELINE_METHOD = "no intermediate"
GROUPS = ("rare_seen", "rare_unseen", "english")
_TRANSLATIONS = (TRANSLATED, DISJOINT[1])
"""Sources of training data that are translations."""


class Trial(NamedTuple):
    """Results of a method: the model that a target starts from, the target, and the one that it is set against."""

    intermediate: str
    mix: str
    target: str
    twin: str


class Job(NamedTuple):
    """What a method needs. place: of its folder or file below `results`; model: None of another than a training."""

    part: str
    place: str
    gpu: bool
    model: TrainedModel | None = None


def methods(design: Design, encoder: str) -> dict[str, list[Trial]]:
    """Name of a method -> its results, controls apart; the baseline first, few-shot targets by their shots."""
    plain = [name for name in design.targets if not design.method_of(name)]
    trials: dict[str, list[Trial]] = {}
    for intermediate, mix in design.trained(encoder):
        entry = design.intermediates[intermediate]
        name = BASELINE_METHOD if intermediate == BASELINE else f"{entry.method or 'intermediate'}, {mix}"
        trials.setdefault(name, []).extend(Trial(intermediate, mix, target, target) for target in plain)
    for target in sorted(design.targets, key=lambda name: _rank(design, name)):
        if twin := design.twin_of(target):
            mixes = design.intermediates[BASELINE].mixes if BASELINE in design.intermediates else ()
            trials.setdefault(design.method_of(target), []).extend(Trial(BASELINE, mix, target, twin) for mix in mixes)
    return trials


def cost_and_gain(results: ExperimentResults) -> pd.DataFrame:
    """A line per encoder, target, mix that splits the rare languages (`seen_in`), method and group of languages.

    target: of the task that is trained in English; `mean`: over those that every method has, if there are several.
    value, low, high: the gain over the baseline, points, with its 95 % interval; of intermediates the mean over the
    pairs that the question counts. cost: in `unit` (CPU hours, GPU hours, or the currency of `prices`), and its four
    parts; NaN where no log tells. Without any report of an evaluation costs are without them. Raises UserError for a
    broken log.
    """
    design = results.design.with_rivals()
    lines: list[dict[str, Any]] = []
    for encoder in design.encoders:
        trials, costs = methods(design, encoder), _Costs(results, encoder)
        rivals = set(trials) - {BASELINE_METHOD}
        if not rivals or BASELINE_METHOD not in trials:
            continue
        for seen_in in design.asked:
            split = _split(design, seen_in)
            targets = list(dict.fromkeys(trial.twin for part in trials.values() for trial in part))
            common = [t for t in targets if all(t in {trial.twin for trial in part} for part in trials.values())]
            for target in [*([OVERALL] if len(common) > 1 else []), *targets]:
                chosen = common if target == OVERALL else [target]
                for method, part in trials.items():
                    of_target = [trial for trial in part if trial.twin in chosen]
                    names = {"encoder": encoder, "target": target, "seen_in": seen_in, "method": method}
                    names["metric"] = "" if target == OVERALL else design.targets[target].metrics[0]
                    lines += [names | line for line in _gains(results, design, encoder, of_target, split, costs)]
    return pd.DataFrame(lines, columns=COLUMNS)


def _split(design: Design, mix: str) -> dict[str, frozenset[str]]:
    """Group -> languages: the rare ones that a mix has and has not, and English.

    Intermediates on tasks say what it has: pairs for realignment are there in languages without labelled data too.
    """
    tasks = {name: entry for name, entry in design.intermediates.items() if mix in entry.mixes and not entry.method}
    of_tasks = design.model_copy(update={"intermediates": tasks}) if tasks else design
    rare, seen = design.rare - {design.english}, mixed_languages(of_tasks, mix)
    return {"rare_seen": rare & seen, "rare_unseen": rare - seen, "english": frozenset({design.english})}


def _gains(
    results: ExperimentResults,
    design: Design,
    encoder: str,
    trials: list[Trial],
    split: dict[str, frozenset[str]],
    costs: _Costs,
) -> Iterator[dict[str, Any]]:
    """A line per group of languages: value, low, high, cost and its parts, n_models, n_languages, n_seeds."""
    comparisons = results.comparisons
    for group in GROUPS:
        deltas, counted = [], []
        for trial in trials:
            codes = [code for code in _counted(design, trial) if code in split[group]]
            if codes:
                metric = design.targets[trial.target].metrics[0]
                key = (encoder, trial.intermediate, trial.mix, trial.target, metric)
                (mix,) = design.intermediates[BASELINE].mixes
                deltas.append(comparisons.difference(key, (encoder, BASELINE, mix, trial.twin, metric))[codes])
                counted.append(trial)
        if not deltas:
            continue
        delta = average(deltas)
        if all(trial.intermediate == BASELINE and trial.target == trial.twin for trial in counted):
            numbers = {"value": 0.0, "low": math.nan, "high": math.nan}
        else:
            numbers = dict(zip(("value", "low", "high"), _interval(delta, design), strict=True))
        size = {"n_models": len({trial[:2] for trial in counted}), "n_languages": delta.shape[1], "n_seeds": len(delta)}
        yield {"languages": group} | numbers | costs.of(counted) | size


def _interval(delta: pd.DataFrame, design: Design) -> tuple[float, float, float]:
    result = statistics(delta, design)
    return result["mean"], result["low"], result["high"]


def _counted(design: Design, trial: Trial) -> list[str]:
    """Languages that count: of intermediates those of pairs of the question, in whichever of their mixes."""
    both = [code for code in design.targets[trial.target].languages if code in design.targets[trial.twin].languages]
    if trial.intermediate == BASELINE:
        return both
    mixes, pairs = design.intermediates[trial.intermediate].mixes, design.question.pairs
    return [
        code for code in both if all(design.kind(trial.intermediate, mix, trial.target, code) in pairs for mix in mixes)
    ]


class _Costs:
    """Costs of one encoder's jobs, from what they have reported (`logs/usage.jsonl`) and the logs of trainings."""

    def __init__(self, results: ExperimentResults, encoder: str) -> None:
        self.design, self.encoder, self.folder = results.design, encoder, results.folder
        self.reports = usage.reports(results.folder.parent / usage.LOG)
        self.evaluated = any(place.startswith("eval/") for place in self.reports)
        self.models = {_place(model.folder, results.folder): model for model in results.models}
        on_gpu = [model.manifest.get("made_with", {}).get("device", "cpu") != "cpu" for model in results.models]
        self.gpu = any(on_gpu)
        prices = self.design.prices
        rates = {True: prices.gpu_hour, False: prices.cpu_hour}
        used = {self.gpu, *on_gpu}
        self.rates = rates if all(rates[kind] is not None for kind in used) else {}
        self.unit = prices.currency if self.rates else "GPU hours" if self.gpu else "CPU hours"

    def of(self, trials: list[Trial]) -> dict[str, Any]:
        """cost, unit and the parts of it, of one seed and one model to start from."""
        starts = {trial[:2] for trial in trials}
        jobs = {job.place: job for trial in trials for job in self._jobs(trial)}
        sums = dict.fromkeys(PARTS, 0.0)
        for job in jobs.values():
            runs = 1 if job.part == "translation" else len(self.design.seeds) * len(starts)
            sums[job.part] += self._cost(job) / runs
        known = [value for part, value in sums.items() if part != "evaluation" or self.evaluated]
        return {"cost": sum(known), "unit": self.unit} | sums

    def _jobs(self, trial: Trial) -> Iterator[Job]:
        entry = self.design.targets[trial.target]
        for seed in self.design.seeds:
            run = f"{self.encoder}/{trial.intermediate}/{trial.mix}/seed{seed}"
            if trial.intermediate != BASELINE:
                yield from self._training("intermediate", f"intermediate/{run}")
            if entry.training:
                yield from self._training("training", f"target/{run}/{entry.training}")
            elif trial.intermediate == BASELINE:
                run = f"{self.encoder}/{trial.intermediate}/{trial.mix}/seednone"
            yield Job("evaluation", f"eval/{run}/{trial.target}", self.gpu)
        for code in entry.languages if entry.translated else ():
            if code != self.design.english:
                folder = f"data/{IN_ENGLISH}/{entry.task}/{code}/"
                places = [place for place in self.reports if place.startswith(folder)]
                yield from (Job("translation", place, self.gpu) for place in places or [folder])

    def _training(self, part: str, place: str) -> Iterator[Job]:
        """A training, and the translations that it reads."""
        model = self.models.get(place)
        manifest = model.manifest if model else {}
        gpu = manifest.get("made_with", {}).get("device", "cpu") != "cpu"
        yield Job(part, place, gpu, model)
        for path in manifest.get("made_from", {}).get("data", {}).values():
            source, task, language, name = Path(path).with_suffix("").parts[-4:]
            if source in _TRANSLATIONS:
                yield Job("translation", f"data/{TRANSLATED}/{task}/{language}/{name}", self.gpu)

    def _cost(self, job: Job) -> float:
        """Hours of the device, or their price; NaN where no log tells."""
        spec = job.model.manifest.get("spec", {}) if job.model else {}
        processes, threads = spec.get("processes", 1), spec.get("threads", 1)
        reports = self.reports.get(job.place, [])
        if reports and job.gpu:  # of several runs the longest one: a later one has most from a cache
            seconds = max(report["seconds"] for report in reports) * processes
        elif reports:
            seconds = max(report["cpu_seconds"] for report in reports)
        else:
            loops = job.model.seconds if job.model else None
            seconds = math.nan if loops is None else loops * processes * (1 if job.gpu else threads)
        return seconds / 3600 * (self.rates.get(job.gpu) or 1.0)


def _place(folder: Path, results: Path) -> str:
    return folder.relative_to(results).as_posix()


def _rank(design: Design, target: str) -> float:
    """Where a rival stands: by its shots, those without a number of shots last."""
    shots = shots_of(design.targets[target])
    return math.inf if math.isnan(shots) else min(shots, 1e9)
