"""A first task file, made by looking at the data: format, columns, labels, languages and splits."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from intermezzo import languages
from intermezzo.core.errors import UserError
from intermezzo.core.validation import describe
from intermezzo.sources.files import matching_files, read_part
from intermezzo.sources.files.guess import (
    DOCUMENT,
    Guess,
    guess,
    languages_of_columns,
    pair_lines,
    translations,
    undecided,
)
from intermezzo.sources.files.naming import Family, family
from intermezzo.sources.files.reading import File
from intermezzo.tasks import OWN, Task, task_file, task_names
from intermezzo.tasks.formats import FROM_DATA, load_format

NAME = re.compile(r"[a-z0-9][a-z0-9_+-]{0,99}")
"""What tasks are called; folders of results are named after them."""
LICENCE = "not stated: name the licence of the data here"
_MOST_LABELS = 50
"""Labels that are written out."""
_PARTS = {"train": (0, 80), "dev": (80, 90), "test": (90, 100)}
"""Percent of a file without splits that each gets."""
_TYPICAL = {
    "ner": frozenset({"b-per", "b-loc", "b-org"}),
    "pos": frozenset({"noun", "verb", "propn"}),
    "nli": frozenset({"entailment", "contradiction"}),
    "sentiment": frozenset({"positive", "negative"}),
    "topic": frozenset({"sports", "politics", "health"}),
    "emotion": frozenset({"joy", "anger", "sadness"}),
}
"""Skill -> labels that tell it."""
_UNSPACED = frozenset({"bo", "dz", "ja", "km", "lo", "my", "th", "zh", "yue"})
"""Languages that are written without spaces between words."""


def new_task(options: Namespace) -> None:
    """Write config/tasks/NAME.yaml for a data file and those beside it that are named alike.

    Raises UserError for a name that is taken or none, a file that cannot be read or of which nothing is likely, a
    language that nobody has defined, and, after the task file is written, for rows that do not fit it yet.
    """
    path = OWN / f"{options.name}.yaml"
    _check_name(options.name, path)
    root, name = _below(options.data, options.root)
    file, table = File(root, name), languages.table("files")
    if options.data.is_dir():
        raise UserError(f"{options.data}: is a folder; name a file in it, those that are named alike are taken with it")
    file.path()
    if options.language is not None and (problem := languages.code_problem(options.language)):
        raise UserError(f"--language: {problem}")
    second = _labels_beside(file)
    words = languages_of_columns(file, table)
    files = family(root, name, table, "en" if words else options.language)
    found = translations(file, words, files) if words else guess(file, second)
    if second and "labels" not in (found.part.get("fields") or {}):
        found.part["labels"] = _labels_pattern(files, name, second.name)
    content = _content(options.name, found, files, root)
    text = _rendered(content)
    task = _task(options.name, text)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(path, "x", encoding="utf-8") as handle:
            handle.write(text)
    except FileExistsError:
        raise UserError(f"{path}: is there already; delete it, or choose another name") from None
    print(f"{path}: {content['format']}", end="")
    if task.labels:
        print(f", labels {task.labels if isinstance(task.labels, str) else ', '.join(task.labels)}", end="")
    print(f"; data.root: {root}")
    _count(task, root, path)
    for code in files.codes:
        if languages.find(code, table) is None:
            print(f"  language '{code}' is not defined yet: add it to languages.add or {languages.OWN_TABLE}")
    if task.metrics and "test" not in {split for splits in task.sources.parts("files").values() for split in splits}:
        print("  no test data: a target needs some; an intermediate does without")
    print(f"next: name the licence in it, then intermezzo tasks check {options.name} --root {root} --show 3")


def _check_name(name: str, path: Path) -> None:
    if not NAME.fullmatch(name):
        raise UserError(f"'{name[:80]}' cannot be the name of a task; use small letters, digits, _ and - (reviews_2)")
    if name in task_names():
        raise UserError(f"{task_file(name)}: is there already; delete it, or choose another name than '{name}'")
    if path.exists():
        raise UserError(f"{path}: is there already; delete it, or choose another name")


def _below(data: Path, root: Path | None) -> tuple[Path, str]:
    """data.root and the path below it. Without a root, the first folder of a path in this directory, else its own."""
    if root is not None:
        try:
            return root, data.resolve().relative_to(root.resolve()).as_posix()
        except ValueError:
            raise UserError(f"--root: {data} does not lie below {root}; give a folder above it") from None
    if not data.is_absolute() and len(data.parts) > 1 and ".." not in data.parts:
        return Path(data.parts[0]), Path(*data.parts[1:]).as_posix()
    return data.parent, data.name


def _labels_beside(file: File) -> File | None:
    """A second file that has a label for each line of the first: train.jsonl and train-labels.lst."""
    path = Path(str(file))
    for beside in sorted(path.parent.glob("*label*")):
        rest = beside.stem.lower().replace("labels", "").replace("label", "").strip("-_. ")
        if beside.suffix.lower() in (".lst", ".txt", ".labels", "") and rest == path.stem.lower() and beside != path:
            return file.sibling(beside.relative_to(file.root).as_posix())
    return None


def _labels_pattern(files: Family, name: str, second: str) -> str:
    """The path of the labels, with {code} and {split} where that of the data has them."""
    code, split = next((key for key, path in files.files.items() if path == name), ("", ""))
    words = {files.codes.get(code): "{code}", files.splits.get(split): "{split}"}
    used = {word: mark for word, mark in words.items() if word and mark in files.pattern}
    return re.sub(r"[A-Za-z0-9]+", lambda match: used.get(match.group(), match.group()), second)


def _content(name: str, found: Guess, files: Family, root: Path) -> dict[str, Any]:
    """The keys of the task file."""
    first = File(root, next(iter(files.files.values())))
    pair_lines(found, files, root)
    head = {"description": f"{name}: say here what it asks for.", "format": found.format}
    blocks = _blocks(found, files, root)
    labels = _labels(found, blocks, first)
    content = head | ({"labels": labels} if labels else {})
    if metrics := _metrics(found, files, labels):
        content["metrics"] = metrics
    if "answers" in load_format(found.format).columns and _has_unanswerable(found, blocks, root):
        content["unanswerable"] = True
    content |= _skill(name, found, labels)
    return content | {"licence": LICENCE, "citation": "", "sources": {"files": {"each": blocks}}}


def _blocks(found: Guess, files: Family, root: Path) -> list[dict[str, Any]]:
    """The blocks of `each`: languages that have the same splits together."""
    form = load_format(found.format)
    by_splits: dict[tuple[str, ...], dict[str, str]] = {}
    for code, word in sorted(files.codes.items(), key=lambda item: (item[0] != "en", item[0])):
        splits = tuple(split for split in ("", *files.splits) if (code, split) in files.files)
        by_splits.setdefault(splits, {})[code] = word
    part = {**found.part, "path": files.pattern}
    part = {key: part[key] for key in ("reader", "path", *(key for key in found.part if key != "reader"))}
    blocks = []
    for splits, codes in by_splits.items():
        if splits != ("",):
            blocks.append(
                {"languages": codes, "splits": {split: files.splits[split] for split in splits}, "part": part}
            )
        elif form.masked or not form.trained:
            split = "train" if form.masked else "test"
            blocks.append({"languages": codes, "splits": {split: split}, "part": part})
        else:
            for split, (begin, end) in _PARTS.items():
                hashed = {"hash": {"field": _hashed(found), "from": begin, "to": end}}
                block = {"languages": codes, "splits": {split: split}, "part": part | hashed}
                if _has_rows(found, block, root):
                    blocks.append(block)
                elif split != "dev":
                    path = next(iter(files.files.values()))
                    raise UserError(
                        f"{File(root, path)}: too few rows to be split into training and test data; name the files by "
                        f"split (train, dev, test), or write the task file by hand: {DOCUMENT}"
                    )
    return blocks


def _hashed(found: Guess) -> str:
    """The column by which rows are split: what comes again goes to one side."""
    columns = load_format(found.format).columns
    return next(name for name in ("tokens", "choices", "context", "text") if name in columns)


def _has_rows(found: Guess, block: dict[str, Any], root: Path) -> bool:
    """Whether a part of a split file has rows; also where it cannot be read, which is told later."""
    try:
        return all(_rows(found, [block], root).values())
    except UserError as error:
        return not str(error).endswith(": no rows")


def _rows(found: Guess, blocks: list[dict[str, Any]], root: Path) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """(language, split) -> rows of the blocks, whatever their labels are."""
    head = {"description": "", "format": found.format, "licence": LICENCE, "unanswerable": True}
    head |= {"labels": FROM_DATA} if load_format(found.format).label_column else {}
    task = Task.model_validate({"name": "new", **head, "sources": {"files": {"each": blocks}}})
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for language, splits in task.sources.parts("files").items():
        for split, (part,) in splits.items():
            options = dict(part)
            rows[language, split] = read_part(task, options, matching_files(root, options.pop("path")), str(OWN), split)
    return rows


def _has_unanswerable(found: Guess, blocks: list[dict[str, Any]], root: Path) -> bool:
    """Whether a question has no answer, as in SQuAD v2."""
    try:
        return any(not row["answers"] for rows in _rows(found, blocks, root).values() for row in rows)
    except UserError:  # which is told when the task file is there
        return False


def _labels(found: Guess, blocks: list[dict[str, Any]], file: File) -> list[str] | str:
    """The labels of all files; "from_data" where they are many."""
    form = load_format(found.format)
    if form.label_column is None:
        return []
    if found.labels:
        return found.labels
    try:
        rows = _rows(found, blocks, file.root)
    except UserError:  # a row that is not right, of which the user hears when the task file is there to mend it in
        return FROM_DATA
    labels = {label for data in rows.values() for row in data for label in form.labels_of(row)}
    if len(labels) < 2:
        raise undecided(file, f"its label is always {', '.join(labels)!r}; a task has two labels or more")
    return FROM_DATA if len(labels) > _MOST_LABELS else sorted(labels)


def _metrics(found: Guess, files: Family, labels: list[str] | str) -> list[str]:
    """The first two metrics of the format, or those that fit the labels or the languages better."""
    form = load_format(found.format)
    if "tags" in form.columns:
        return ["span_f1"] if any(label.startswith("B-") for label in labels) else ["accuracy"]
    characters = "answers" in form.columns and _UNSPACED & files.codes.keys()
    return [*(("jsquad_f1", "jsquad_em") if characters else ()), *(metric.name for metric in form.metrics[:2])]


def _skill(name: str, found: Guess, labels: list[str] | str) -> dict[str, str]:
    """What the task asks for, of formats that do not say it: by its labels, else a skill of its own."""
    if load_format(found.format).skill:
        return {}
    names = {str(label).lower() for label in labels} if isinstance(labels, list) else set()
    for skill, typical in _TYPICAL.items():
        if names & typical:
            return {"skill": skill}
    return {"skill": "own:" + (re.sub("[^a-z0-9_]", "_", name).lstrip("_0123456789") or "task")}


def _rendered(content: Mapping[str, Any]) -> str:
    """The task file as text: keys on lines of their own, short values inline."""
    remarks = "# Written by `intermezzo tasks new` from the data; see that all of it is right.\n"
    lines = [remarks]
    for key, value in content.items():
        if key != "sources":
            lines.append(f"{key}: {_inline(value)}\n")
    lines.append("sources:\n  files:\n    each:\n")
    for block in content["sources"]["files"]["each"]:
        marks = "      - "
        for key in ("languages", "splits"):
            lines.append(f"{marks}{key}: {_inline(block[key])}\n")
            marks = "        "
        lines.append("        part:\n")
        lines += [f"          {key}: {_inline(value)}\n" for key, value in block["part"].items()]
    return "".join(lines)


def _inline(value: Any) -> str:
    """A value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=10**9)
    return text.removesuffix("\n").removesuffix("\n...")


def _task(name: str, text: str) -> Task:
    """The task that the file is."""
    try:
        return Task.model_validate({"name": name, **yaml.safe_load(text)})
    except ValidationError as error:
        problems = "; ".join(describe(error.errors(), Task))
        raise UserError(f"cannot tell what task this is: {problems}; write the task file by hand: {DOCUMENT}") from None


def _count(task: Task, root: Path, path: Path) -> None:
    """Print the rows of each language and split; UserError for the first that does not fit."""
    for language, splits in task.sources.parts("files").items():
        counts = []
        for split, parts in splits.items():
            options = dict(parts[0])
            try:
                rows = read_part(task, options, matching_files(root, options.pop("path")), str(path), split)
            except UserError as error:
                raise UserError(f"{path} is written, but does not fit all data yet: {error}") from None
            counts.append(f"{split} {len(rows)}")
        print(f"  {language}: {', '.join(counts)} rows")
