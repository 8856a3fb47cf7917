"""The text of a model card, generated from manifests and result files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from intermezzo import __version__
from intermezzo.core.artifacts import digest
from intermezzo.core.errors import UserError
from intermezzo.core.markdown import table
from intermezzo.tasks import load_task

_KINDS = {
    "encoder": "An encoder, before any task.",
    "intermediate": "An encoder after intermediate training, meant to be fine-tuned on a target task.",
    "target": "An encoder fine-tuned on a target task in English, after intermediate training or without it.",
}
_PHASES = {"encoder": "Pretraining", "intermediate": "Intermediate training", "target": "Target training"}
_NAMES = ("encoder", "intermediate", "mix", "seed", "training")


@dataclass(frozen=True)
class TrainingRecord:
    """One training in the history of a model: its manifest and the lines of its allocation.tsv."""

    manifest: dict[str, Any]
    allocation: list[dict[str, str]]

    @property
    def kind(self) -> str:
        """encoder, intermediate or target."""
        return self.manifest.get("kind", "encoder")

    @property
    def data(self) -> dict[str, str]:
        """task/language -> SHA-256 of the training data."""
        return self.manifest.get("data_sha256", {})


def card(names: Sequence[str], trainings: Sequence[TrainingRecord], results: list[dict[str, Any]]) -> str:
    """The model card as Markdown with its YAML head.

    names: of the model in its experiment. trainings: the model's last training first, then those that it started
    from, as far as their folders exist. results: result files of its weights.
    """
    last = trainings[0]
    introduction = f"{_KINDS.get(last.kind, '')} Made by intermezzo {__version__}."
    parts = [
        _head(trainings, results),
        f"# {'/'.join(names)}\n\n{introduction}\n\n{_usage(last.manifest)}",
        "## What it was made from\n\n" + _origin(last.manifest, names),
        "## Training data\n\n" + "\n\n".join(map(_training_data, trainings)),
        "## Scores\n\n" + _scores(results),
        "## Licences\n\n" + _licences(trainings, results),
        "## Limits\n\n" + _limits(last.kind, results),
    ]
    return "\n\n".join(parts) + "\n"


def _head(trainings: Sequence[TrainingRecord], results: list[dict[str, Any]]) -> str:
    trained = {key.partition("/")[2] for training in trainings for key in training.data}
    languages = sorted(trained | {result["language"] for result in results})
    lines = ["---", "library_name: transformers", "license: other", "license_name: see-the-licences-of-its-data"]
    lines += ["language:", *(f"- {json.dumps(code)}" for code in languages)] if languages else []
    lines += ["tags:", "- intermezzo", f"- {trainings[0].kind}", "---"]
    return "\n".join(lines)


def _usage(manifest: dict[str, Any]) -> str:
    example = (
        "```python\n"
        "from transformers import AutoModel, AutoTokenizer\n\n"
        'tokenizer = AutoTokenizer.from_pretrained("PATH")\n'
        'encoder = AutoModel.from_pretrained("PATH")\n'
        "```"
    )
    note = "\n\nThese give the encoder; a pooler that transformers may add on top is not trained and not needed."
    heads = " The heads of its tasks are in heads.safetensors, in intermezzo's own layout."
    return example + note + (heads if manifest.get("heads_sha256") else "")


def _origin(manifest: dict[str, Any], names: Sequence[str]) -> str:
    spec = manifest.get("spec", {})
    rows = [(what, f"`{name}`") for what, name in zip(_NAMES, names, strict=False)]
    rows += [("weights, SHA-256", f"`{manifest['weights_sha256']}`")]
    if manifest.get("from_sha256"):
        rows += [("trained from weights", f"`{manifest['from_sha256']}`")]
    if source := spec.get("from"):
        rows += [("taken from", f"`{source}`" + (f", revision `{spec['revision']}`" if spec.get("revision") else ""))]
    rows += [("specification", f"`{digest(spec)}`"), ("code", f"`{manifest.get('code') or 'not recorded'}`")]
    made_with = manifest.get("made_with", {}) | manifest.get("computed", {})
    rows += [(key, f"`{value}`") for key, value in sorted(made_with.items())]
    settings = spec.get("training", {}) | ({"steps": manifest["steps"]} if "steps" in manifest else {})
    rows += [(f"training: {key}", f"`{json.dumps(value)}`") for key, value in sorted(settings.items())]
    return table(("", ""), rows)


def _training_data(training: TrainingRecord) -> str:
    title = f"### {_PHASES.get(training.kind, training.kind)}, weights `{training.manifest['weights_sha256'][:16]}`\n\n"
    if not training.data:
        return f"{title}None here: the weights were taken as they are from `{_source(training)}`."
    rows = [(*key.split("/", 1), f"`{sha}`") for key, sha in sorted(training.data.items())]
    files = table(("task", "language", "SHA-256 of the data file"), rows)
    if not training.allocation:
        return title + files
    examples = table(tuple(training.allocation[0]), [tuple(line.values()) for line in training.allocation])
    return f"{title}Examples of each language, as the mix gave them:\n\n{examples}\n\nTheir files:\n\n{files}"


def _source(training: TrainingRecord) -> str:
    return training.manifest.get("spec", {}).get("from", "elsewhere")


def _scores(results: list[dict[str, Any]]) -> str:
    if not results:
        return "None: no result file names these weights."
    rows = []
    for result in sorted(results, key=lambda result: (result["target"], result["language"])):
        for metric, value in result["metrics"].items():
            guess = 100 * result["majority"][metric]
            numbers = (f"{100 * value:.1f}", f"{guess:.1f}", str(result["n"]), f"`{result['data_sha256'][:16]}`")
            rows.append((result["target"], result["language"], metric, *numbers))
    header = ("target", "language", "metric", "points", "uninformed guess", "rows", "data")
    note = "Points are 0 to 100. Of one training each; data: the first digits of the test file's SHA-256.\n\n"
    return note + table(header, rows)


def _licences(trainings: Sequence[TrainingRecord], results: list[dict[str, Any]]) -> str:
    training_tasks = list(dict.fromkeys(key.partition("/")[0] for training in trainings for key in training.data))
    test_tasks = list(dict.fromkeys(result["spec"]["task"]["name"] for result in results if _names_task(result)))
    lines = [f"- `{name}` (trained on): {_licence(name)}" for name in training_tasks]
    lines += [f"- `{name}` (tested on): {_licence(name)}" for name in test_tasks if name not in training_tasks]
    first = trainings[-1]
    if first.kind != "encoder":
        lines.append("- The weights that its training began with have a licence of their own, which is not known here.")
    elif not first.data:
        lines.append(f"- The weights of `{_source(first)}` have a licence of their own; see there.")
    return "Whoever passes this model on keeps to the licences of its data.\n\n" + "\n".join(lines)


def _licence(name: str) -> str:
    try:
        return " ".join(load_task(name).licence.split())
    except UserError:
        return "not in the catalogue"


def _names_task(result: dict[str, Any]) -> bool:
    return isinstance(result.get("spec"), dict) and "name" in result["spec"].get("task", {})


def _limits(kind: str, results: list[dict[str, Any]]) -> str:
    languages = sorted({result["language"] for result in results})
    coverage = (
        f"It was tested in {', '.join(languages)} and in no other language." if languages else "It was not tested."
    )
    points = [
        coverage,
        "Scores are of one training with one seed; another seed gives others. What may be concluded from many of them "
        "is in the experiment's results/answer.md.",
        "A score near the uninformed guess says that the model has not learnt the task in that language.",
    ]
    if kind == "target":
        points.append("The target task was learnt from English examples alone; other languages are zero-shot transfer.")
    points.append("It was made for research into transfer between languages, and tested for no other use.")
    return "\n".join(f"- {point}" for point in points)
