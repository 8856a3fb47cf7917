"""The building blocks of submission files in XTREME's layout: lines of text, and JSON by id.

Blank lines at the end, and a byte order mark, play no part. Source: evaluate.py and the mock submission of
google-research/xtreme.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from intermezzo.core.errors import UserError

Note = Callable[[str], None]
"""Takes what a reader of the scores should know and what is no error."""


def joined(values: Iterable[Any]) -> str:
    """A value per line."""
    return "".join(f"{value}\n" for value in values)


def by_id(rows: Iterable[dict[str, Any]], column: str) -> str:
    """A JSON object: id of a row -> its value of a column."""
    values = {row["id"]: row[column] for row in rows}
    return json.dumps(values, ensure_ascii=False, indent=1) + "\n"


def lines(path: Path) -> list[str]:
    """The lines of a file without white space around them."""
    text = _text(path).rstrip()
    return [line.strip() for line in text.split("\n")] if text else []


def require_examples(gold: list[Any], path: Path) -> None:
    """Raise UserError for a file of labels without an example."""
    if not gold:
        raise UserError(f"{path}: no examples; labels are needed to score against")


def json_object(path: Path, content: str, note: Note, *, lists: bool) -> dict[str, Any]:
    """An object of id -> text or, with `lists`, of id -> list of texts.

    content: what a value is, in words. Raises UserError for anything else.
    """
    value = load_json(path, note)
    if not isinstance(value, dict):
        raise UserError(f"{path}: found {type(value).__name__}; an object with {content} for each id is needed")
    for key, item in value.items():
        items = item if lists else [item]
        if not isinstance(items, list) or not all(isinstance(entry, str) for entry in items):
            raise UserError(f"{path}: '{key}' is {json.dumps(item)[:60]}; {content} is needed")
    return value


def matched(
    answers: dict[str, Any], gold: list[tuple[str, Any]], predictions: Path, labels: Path, note: Note
) -> tuple[list[Any], list[Any]]:
    """Predictions and right answers in the order of `gold` (id, right answers); None where nothing is predicted.

    Raises UserError for labels without an example, and for an example without a right answer.
    """
    require_examples(gold, labels)
    if empty := next((name for name, right in gold if not right), None):
        raise UserError(f"{labels}: '{empty}' has no right answer; is it a file whose labels were taken out?")
    ids = {key for key, _ in gold}
    if missing := [key for key in ids if key not in answers]:
        text = f"nothing for {len(missing)} of {len(ids)} ids (one is {min(missing)}); each counts 0"
        note(f"{_short(predictions)}: {text}")
    if strange := answers.keys() - ids:
        text = f"{len(strange)} ids that the labels do not have (one is {min(strange)}); left out"
        note(f"{_short(predictions)}: {text}")
    return [answers.get(key) for key, _ in gold], [right for _, right in gold]


def load_json(path: Path, note: Note = lambda _: None) -> Any:
    """The JSON of a file, or what is under `data` in it. Of a key that is there twice the last value counts."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if twice := [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]:
            note(f"{_short(path)}: {len(twice)} ids are given more than once (one is {twice[0]}); the last counts")
        return dict(pairs)

    try:
        value = json.loads(_text(path), object_pairs_hook=members)
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error})") from None
    return value.get("data", value) if isinstance(value, dict) else value


def _short(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as UTF-8 text ({error})") from None
