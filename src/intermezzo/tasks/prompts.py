"""Prompts for language models: data, a file per language of the instruction in `resources/prompts/`.

    nli:                                      a task, a skill or a format; the first of these that the file has counts
      prompt: |-                              {column} of the task's format; a line whose columns are all empty is left
        {text}                                out
        Question: {text_pair} True, False or Neither?
        Answer:
      answers: {entailment: "True", ...}      label -> how it is said; none: the label itself

Files of one's own go into `config/prompts/`, in the working directory or the project's folder; a prompt there counts
before the shipped one of its name.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from intermezzo.core.errors import UserError, suggestion
from intermezzo.core.places import PROJECT
from intermezzo.core.plain_data import plain_data
from intermezzo.core.yaml_files import read_yaml
from intermezzo.tasks import RESOURCES, Task

SHIPPED = RESOURCES / "prompts"
OWN = Path("config/prompts")
"""Where prompts of one's own lie: below the working directory, and below the project."""
FIELD = re.compile(r"\{([^{}]*)\}")
"""A column in a prompt."""


class Found(NamedTuple):
    """The prompt of a task in a language: its text, and label -> how it is said."""

    text: str
    answers: dict[str, str]


@cache
def prompt_languages() -> tuple[str, ...]:
    """Languages that have a file of prompts, sorted."""
    return tuple(sorted({path.stem for folder in _folders() for path in folder.glob("[!.]*.yaml")}))


def prompt_for(task: Task, language: str) -> Found:
    """The prompt of a task with its instruction in a language.

    Raises UserError where the language has no file, the file no prompt for the task, or the prompt does not fit it.
    """
    paths = [path for folder in _folders() if (path := folder / f"{language}.yaml").is_file()]
    if not paths:
        raise UserError(f"no prompts in the language '{language}'; write {OWN}/{language}.yaml; {_allowed(language)}")
    names = [task.name, task.skill, task.format]
    for name in names:
        for path in paths:
            if name in (content := _read(path)):
                return _checked(f"{path}: {name}", content[name], task)
    raise UserError(
        f"{paths[0]}: no prompt for task '{task.name}'; write one under one of {', '.join(dict.fromkeys(names))}"
    )


def _allowed(language: str) -> str:
    return suggestion(language, prompt_languages())


def _folders() -> list[Path]:
    return [OWN, PROJECT / OWN, SHIPPED]


def _read(path: Path) -> dict[str, Any]:
    content, problems = plain_data(read_yaml(path, "file of prompts"), text_keys=False)
    if problems or not isinstance(content, dict):
        raise UserError(f"{path}: {problems[0] if problems else 'must be a dictionary of prompts by task'}")
    return content


def _checked(where: str, entry: Any, task: Task) -> Found:
    """A prompt that fits the task's format and labels."""
    if not isinstance(entry, dict) or not isinstance(entry.get("prompt"), str) or entry.keys() - {"prompt", "answers"}:
        raise UserError(f"{where}: must have prompt, a text, and may have answers, a dictionary; nothing else")
    text, answers = entry["prompt"].rstrip("\n"), entry.get("answers") or {}
    columns = [name for name in task.form.columns if name not in ("id", "label", "answers", "answer_starts")]
    for name in FIELD.findall(text):
        if name not in columns:
            raise UserError(f"{where}.prompt: unknown column '{{{name}}}'; {suggestion(name, columns)}")
    if not set(FIELD.findall(text)):
        raise UserError(f"{where}.prompt: shows no column; write some of {', '.join(f'{{{c}}}' for c in columns)}")
    if FIELD.search(text.rpartition("\n")[2]) or not text.rpartition("\n")[2].strip():
        raise UserError(f"{where}.prompt: its last line asks for the answer (`Answer:`) and has no column")
    return Found(text, _answers(where, answers, task))


def _answers(where: str, answers: Any, task: Task) -> dict[str, str]:
    """Label -> how it is said, of every label of the task."""
    labels = task.labels if task.form.label_column is not None and isinstance(task.labels, tuple) else ()
    if not isinstance(answers, dict) or not all(
        isinstance(label, str) and isinstance(value, str) and value.strip() for label, value in answers.items()
    ):
        raise UserError(f'{where}.answers: must be label: text for each label; quote words such as "True" and "no"')
    if answers and not labels:
        raise UserError(f"{where}.answers: task '{task.name}' ({task.format}) has no list of labels; remove them")
    if unknown := [label for label in answers if label not in labels]:
        raise UserError(
            f"{where}.answers: no label '{unknown[0]}' of task '{task.name}'; {suggestion(unknown[0], labels)}"
        )
    if answers and (missing := [label for label in labels if label not in answers]):
        raise UserError(f"{where}.answers: label '{missing[0]}' of task '{task.name}' is missing")
    words = {label: str(answers.get(label, label.replace("_", " "))) for label in labels}
    if len(set(words.values())) < len(words):
        raise UserError(f"{where}.answers: two labels have the same answer; a model could not tell them apart")
    return words
