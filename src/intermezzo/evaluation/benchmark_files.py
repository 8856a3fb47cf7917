"""The files of a submission: `{task}/test-{language}.{suffix}`, in XTREME's layout, for predictions and labels alike.

| format | suffix | predictions | labels |
|---|---|---|---|
| classification | tsv | a label per line | the same |
| tagging | tsv | a tag per line, a blank line after each sentence | the same |
| retrieval | tsv | per English sentence, in alphabetical order, the index of its translation (0 = first) | the same |
| mining | tsv | a pair per line: id of the sentence, tab, id of the English one | the same |
| multiple_choice | jsonl | `{"label": index}` per line | the same |
| span | json | question id -> answer | SQuAD's JSON |
| ranking | json | query id -> candidate ids, best first | query id -> ids of the right ones |

Blank lines at the end, and a byte order mark, play no part. Sources: evaluate.py and the mock submission of
google-research/xtreme.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from intermezzo.core.errors import UserError

SUFFIX = {
    "classification": "tsv",
    "tagging": "tsv",
    "retrieval": "tsv",
    "mining": "tsv",
    "multiple_choice": "jsonl",
    "span": "json",
    "ranking": "json",
}
Note = Callable[[str], None]


def file_of(folder: Path, task: str, fmt: str, language: str) -> Path:
    return folder / task / f"test-{language}.{SUFFIX[fmt]}"


def read(fmt: str, predictions: Path, labels: Path, note: Note) -> tuple[list[Any], list[Any]]:
    """Predictions and labels of one language, example by example, as the metrics of the format take them.

    Mining gives the mined and the right pairs, which have no order in common. What is missing or too much without
    being an error goes to `note`. Raises UserError for a file that is not of the format, for labels without an
    example, and for predictions and labels that are not about the same number of examples.
    """
    if fmt in ("span", "ranking"):
        gold = _questions(labels) if fmt == "span" else list(_object(labels, fmt, note).items())
        given = _object(predictions, fmt, note)
        _some(gold, labels)
        if empty := next((name for name, right in gold if not right), None):
            raise UserError(f"{labels}: '{empty}' has no right answer; is it a file whose labels were taken out?")
        return _by_id(given, gold, _short(predictions), note), [right for _, right in gold]
    parse = {"tagging": _sentences, "mining": _pairs, "multiple_choice": _choices, "retrieval": _indices}.get(
        fmt, _lines
    )
    ours, theirs = parse(predictions), parse(labels)
    _some(theirs, labels)
    unit = "sentences" if fmt == "tagging" else "lines"
    if fmt != "mining" and len(ours) != len(theirs):
        raise UserError(f"{predictions}: {len(ours)} {unit}, but {len(theirs)} in {labels}; one for each is needed")
    if fmt == "tagging":
        for number, (tags, right) in enumerate(zip(ours, theirs, strict=True), start=1):
            if len(tags) != len(right):
                where = f"sentence {number} has {len(tags)} tags, but {len(right)} in {labels}"
                raise UserError(f"{predictions}: {where}; one for each token is needed")
    return ours, theirs


def _by_id(given: dict[str, Any], gold: list[tuple[str, Any]], name: str, note: Note) -> list[Any]:
    """The prediction for each label, None where there is none."""
    ids = {key for key, _ in gold}
    if missing := [key for key in ids if key not in given]:
        note(f"{name}: nothing for {len(missing)} of {len(ids)} ids (one is {min(missing)}); each counts 0")
    if strange := given.keys() - ids:
        note(f"{name}: {len(strange)} ids that the labels do not have (one is {min(strange)}); left out")
    return [given.get(key) for key, _ in gold]


def _short(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _some(gold: list[Any], path: Path) -> None:
    if not gold:
        raise UserError(f"{path}: no examples; labels are needed to score against")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as UTF-8 text ({error})") from None


def _lines(path: Path) -> list[str]:
    text = _text(path).rstrip()
    return [line.strip() for line in text.split("\n")] if text else []


def _indices(path: Path) -> list[str]:
    lines = _lines(path)
    for number, line in enumerate(lines, start=1):
        if not line.isdecimal():
            raise UserError(f"{path}: line {number} is {line!r}; the index of a sentence (0, 1, 2, ...) is needed")
    return lines


def _sentences(path: Path) -> list[list[str]]:
    sentences: list[list[str]] = [[]]
    for number, line in enumerate(_lines(path), start=1):
        if not line and sentences[-1]:
            sentences.append([])
        elif line:
            if len(line.split()) > 1:
                raise UserError(f"{path}: line {number} is {line!r}; one tag per line is needed, without its token")
            sentences[-1].append(line)
    return [tags for tags in sentences if tags]


def _pairs(path: Path) -> list[tuple[str, ...]]:
    pairs = [tuple(line.split("\t")) for line in _lines(path) if line]
    if wrong := next((pair for pair in pairs if len(pair) != 2), None):
        raise UserError(f"{path}: {' '.join(wrong)!r}; two ids with a tab between them are needed on each line")
    return pairs


def _choices(path: Path) -> list[int]:
    labels = []
    for number, line in enumerate(_lines(path), start=1):
        try:
            value = json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}: line {number} is not JSON ({error})") from None
        label = value.get("label") if isinstance(value, dict) else None
        if type(label) is not int:
            raise UserError(f'{path}: line {number} is {line[:60]!r}; {{"label": 0}} or another index is needed')
        labels.append(label)
    return labels


def _object(path: Path, fmt: str, note: Note) -> dict[str, Any]:
    """Ids and, for a span, an answer, for ranking a list of ids."""
    wanted = "a text" if fmt == "span" else "a list of ids (texts)"
    value = _json(path, note)
    if not isinstance(value, dict):
        raise UserError(f"{path}: found {type(value).__name__}; an object with {wanted} for each id is needed")
    for key, item in value.items():
        items = [item] if fmt == "span" else item
        if not isinstance(items, list) or not all(isinstance(entry, str) for entry in items):
            raise UserError(f"{path}: '{key}' is {json.dumps(item)[:60]}; {wanted} is needed")
    return value


def _questions(path: Path) -> list[tuple[str, list[str]]]:
    """Question ids and their right answers from SQuAD's JSON, in its order."""
    try:
        return [
            (item["id"], [answer["text"] for answer in item["answers"]])
            for article in _json(path)
            for paragraph in article["paragraphs"]
            for item in paragraph["qas"]
        ]
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: not SQuAD's JSON (missing or misplaced: {error})") from None


def _json(path: Path, note: Note = lambda _: None) -> Any:
    """The JSON of a file, or what is under `data` in it. Of a key given twice the last value counts, as officially."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if twice := [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]:
            note(f"{_short(path)}: {len(twice)} ids are given more than once (one is {twice[0]}); the last counts")
        return dict(pairs)

    try:
        value = json.loads(_text(path), object_pairs_hook=members)
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error})") from None
    return value.get("data", value) if isinstance(value, dict) else value
