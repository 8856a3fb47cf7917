"""Toy tasks of every trained format that a toy encoder learns in seconds, and trainings on them that can be killed."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

from intermezzo.specs.finetuning import FinetuneSpec
from intermezzo.tasks.formats import table
from intermezzo.training.finetune import finetune
from intermezzo.training.pretrain import pretrain
from specifications import finetuning, pretraining, task

COLOURS, ANIMALS = ["red", "green", "blue", "white"], ["cat", "dog", "bird", "fish"]
PRETRAIN = pretraining()
TASKS = {
    "colour": {"format": "classification", "labels": COLOURS, "metrics": ["accuracy"]},
    "shade": {"format": "classification", "labels": COLOURS, "metrics": ["accuracy"]},
    "choice": {"format": "multiple_choice", "labels": [], "metrics": ["accuracy"]},
    "tags": {"format": "tagging", "labels": ["A", "C", "X"], "metrics": ["accuracy"]},
    "where": {"format": "span", "labels": [], "metrics": ["squad_f1", "squad_em"]},
    "pairs": {"format": "retrieval", "labels": [], "metrics": ["accuracy"]},
    "text": {"format": "mlm", "labels": [], "metrics": []},
    "find": {"format": "ranking", "labels": [], "metrics": ["map_at_20"]},
}


def rows(name: str, n: int, seed: int) -> list[dict]:
    drawn = random.Random(f"{name}{seed}")
    examples = []
    for i in range(n):
        colour, animal, second = drawn.choice(COLOURS), drawn.choice(ANIMALS), drawn.choice(ANIMALS)
        text = f"the {colour} {animal} sees a {second}"
        examples.append({"id": str(i)} | {
            "colour": lambda t=text, c=colour: {"text": t, "text_pair": None, "label": c},
            "shade": lambda t=text, c=colour: {"text": t, "text_pair": None, "label": c},
            "choice": lambda t=text, c=colour: {
                "context": t, "question": "colour", "choices": COLOURS[:3] if c in COLOURS[:3] else COLOURS,
                "label": COLOURS.index(c)},
            "tags": lambda t=text, i=i: {
                "tokens": t.split()[i % 3 :],
                "tags": ["A" if w in ANIMALS else "C" if w in COLOURS else "X" for w in t.split()[i % 3 :]]},
            "where": lambda t=text, c=colour: {
                "context": t, "question": "which colour", "answers": [c], "answer_starts": [t.index(c)]},
            "pairs": lambda t=text, i=i: {"text": f"{t} {i} ab", "text_pair": f"{t} {i}"},
            "text": lambda t=text, a=animal: {"text": t, "text_pair": f"a {a} is seen"},
            "find": lambda t=text, c=colour, a=animal: {"text": t, "text_pair": f"a {c} {a} looks", "relevant": []},
        }[name]())  # fmt: skip
    return examples


def toy_data(folder: Path) -> Callable[..., Path]:
    """path(task, language, n=64) -> a Parquet file with that many rows."""

    def path(name: str, language: str, n: int = 64) -> Path:
        place = folder / name / f"{language}{n}.parquet"
        if not place.exists():
            place.parent.mkdir(exist_ok=True)
            examples = rows(name, n, len(language) + ord(language[0]))
            pq.write_table(table(examples, TASKS[name]["format"], TASKS[name]["labels"]), place)
        return place

    return path


def toy_encoder(data: Callable[..., Path], folder: Path) -> Path:
    """A pretrained model folder."""
    text = {language: data("text", language) for language in PRETRAIN.languages}
    pretrain(PRETRAIN, text, {}, folder / "model", folder / "state")
    return folder / "model"


def spec(*names: str, **changes) -> FinetuneSpec:
    """A training on toy tasks in two languages. changes: other settings."""
    portions = [["en", 3, ["en"]], ["xx", 1, ["xx"]]]
    tasks = (task(name, TASKS[name]["format"], TASKS[name]["labels"], portions=portions) for name in names)
    return finetuning(*tasks, settings=changes)


def inputs(data, *names: str) -> dict:
    return {f"{name}/{language}": data(name, language) for name in names for language in ("en", "xx")}


def weights(folder) -> bytes:
    return (folder / "model.safetensors").read_bytes() + (folder / "heads.safetensors").read_bytes()


def phases(data: Callable[..., Path], encoder: Path, state: Path) -> dict[str, Callable[[Path], object]]:
    """The three phases of training, each as a function of its output folder; unfinished ones go on from `state`."""
    text = {language: data("text", language) for language in PRETRAIN.languages}
    several = ("colour", "tags", "where", "text")
    multi = spec(*several).replace(phase="intermediate")
    return {
        "pretrain": lambda out: pretrain(PRETRAIN, text, {}, out, state),
        "intermediate": lambda out: finetune(multi, encoder, inputs(data, *several), out, state),
        "target": lambda out: finetune(spec("choice"), encoder, inputs(data, "choice"), out, state),
    }


def killed(job: Callable[[], object], seconds: float) -> bool:
    """Run `job` in a fork and kill it after some time; True when it had ended before."""
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            job()
        finally:
            os._exit(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitpid(child, os.WNOHANG)[0]:
            return True
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False
