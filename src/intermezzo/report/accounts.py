"""Training data, learning curves, costs, and the hashes of the files behind every number, as frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from intermezzo.report.results import ExperimentResults, TrainedModel

_RUN = ["encoder", "intermediate", "mix", "seed", "target"]


def allocation(results: ExperimentResults) -> pd.DataFrame:
    """Examples per task, mix and language; one block of lines per different allocation.

    intermediates: those with this block (an intermediate of several tasks shares a task's block with others). group:
    of the language: english, rare or other. weight, asked: what the mix asks for. share: of the task's examples in the
    mix, 0..1. rows: different rows among the examples. supply: rows available.
    """
    blocks: dict[tuple, dict[str, None]] = {}
    for model in results.models:
        if model.phase == "intermediate":
            for task in dict.fromkeys(line["task"] for line in model.allocation):
                lines = tuple(_counts(line) for line in model.allocation if line["task"] == task)
                blocks.setdefault((model.mix, task, lines), {})[model.intermediate] = None
    lines, mixes = [], results.design.in_order(mix for mix, _, _ in blocks)
    for (mix, task, counts), names in sorted(blocks.items(), key=lambda item: (mixes.index(item[0][0]), *item[0])):
        total = max(1, sum(examples for *_, examples, _, _ in counts))
        for language, weight, asked, examples, rows, supply in sorted(counts, key=lambda line: (-line[3], line[0])):
            line = {"mix": mix, "task": task, "intermediates": ", ".join(sorted(names))}
            line |= {"language": language, "name": results.language_name(language), "group": _group(results, language)}
            line |= {"weight": weight, "asked": asked}
            lines.append(line | {"examples": examples, "share": examples / total, "rows": rows, "supply": supply})
    return pd.DataFrame(lines)


def _group(results: ExperimentResults, language: str) -> str:
    if language == results.design.english:
        return "english"
    return "rare" if language in results.design.rare else "other"


def _counts(line: dict[str, str]) -> tuple[str, float, int, int, int, int]:
    examples = int(line["examples"])
    asked, rows = (int(line.get(key, examples)) for key in ("asked", "rows"))
    return line["language"], float(line["weight"]), asked, examples, rows, int(line["supply"])


def costs(results: ExperimentResults) -> pd.DataFrame:
    """One line per encoder, phase, intermediate and mix: models, and summed over them examples, steps, tokens, seconds.

    Seconds are those of the training loops alone. A number that no log has (zero steps, an imported model) is NaN.
    """
    kinds: dict[tuple[str, ...], list[TrainedModel]] = {}
    for model in results.models:
        kinds.setdefault((model.encoder, model.phase, model.intermediate, model.mix), []).append(model)
    order = {phase: number for number, phase in enumerate(("pretraining", "intermediate", "target"))}
    lines = []
    for (encoder, phase, intermediate, mix), models in sorted(kinds.items(), key=lambda kind: order[kind[0][1]]):
        names = {"encoder": encoder, "phase": phase, "intermediate": intermediate, "mix": mix, "models": len(models)}
        steps = [_steps(model) for model in models]
        sums = {"steps": _sum(steps), "examples": _sum([model.examples for model in models])}
        sums |= {what: _sum([getattr(model, what) for model in models]) for what in ("tokens", "seconds")}
        lines.append(names | sums)
    frame = pd.DataFrame(lines, columns=["encoder", "phase", "intermediate", "mix", "models", *_SUMS])
    return frame.sort_values("encoder", key=lambda names: names.map(results.design.encoders.index), kind="stable")


_SUMS = ("examples", "steps", "tokens", "seconds")


def _steps(model: TrainedModel) -> int | None:
    if model.phase == "pretraining":
        return model.manifest.get("spec", {}).get("training", {}).get("steps")
    return model.manifest.get("steps")


def _sum(values: list[Any]) -> float | None:
    numbers = [value for value in values if value is not None]
    return sum(numbers) if numbers else None


def learning_curves(results: ExperimentResults) -> pd.DataFrame:
    """One line per logged step of every training: encoder, phase, name, intermediate, mix, seed, step, loss.

    name: of the model trained: encoder, intermediate or target. step: optimizer steps, stages concatenated. loss: the
    mean training loss since the line before.
    """
    frames = []
    for model in results.models:
        names = {"encoder": model.encoder, "phase": model.phase, "name": model.name}
        names |= {"intermediate": model.intermediate, "mix": model.mix, "seed": model.seed}
        frames += [pd.DataFrame(model.curve, columns=["step", "loss"]).assign(**names)] if model.curve else []
    columns = ["encoder", "phase", "name", "intermediate", "mix", "seed", "step", "loss"]
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def checkpoints(results: ExperimentResults) -> pd.DataFrame:
    """One line per evaluated model: its weights, those that it was trained from, and how it was evaluated.

    A number of a model, target and language is the score of these weights, with this specification and code, on the
    data of `data_files`.
    """
    origin = {model.manifest.get("weights_sha256"): model.manifest.get("from_sha256") for model in results.models}
    keys = [*_RUN, "weights_sha256", "spec", "code"]
    frame = results.scores[keys].drop_duplicates().reset_index(drop=True)
    frame.insert(len(_RUN) + 1, "from_sha256", [origin.get(weights) or "" for weights in frame["weights_sha256"]])
    return frame


def data_files(results: ExperimentResults) -> pd.DataFrame:
    """One line per data file: of evaluation (target, language, rows) and of training (task, language)."""
    keys = ["target", "language", "n", "data_sha256"]
    evaluation = results.scores[keys].drop_duplicates().rename(columns={"target": "name", "n": "rows"})
    training = pd.DataFrame(_training_files(results), columns=["name", "language", "data_sha256"]).drop_duplicates()
    order = ["use", "name", "language", "rows", "data_sha256"]
    files = pd.concat([training.assign(use="training", rows=None), evaluation.assign(use="evaluation")])
    return files.sort_values(order[:3] + order[4:], kind="stable")[order].reset_index(drop=True)


def _training_files(results: ExperimentResults) -> Iterator[tuple[str, str, str]]:
    for model in results.models:
        for key, sha in model.manifest.get("data_sha256", {}).items():
            name, _, language = key.partition("/")
            yield name, language, sha
