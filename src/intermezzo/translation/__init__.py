"""Translated data: English training rows of a task in another language, or rows that are scored in English.

| backend | translates with |
|---|---|
| world | the embedded world's translator, meaning for meaning, with a share of wrong words (`noise`) |
| hub | a sequence-to-sequence model through transformers, in cached batches |
| files | nothing: published translations (the task file's section `translated`) |

A backend is a module `intermezzo.translation.<backend>` with `translate(rows, task, spec) -> rows`; it may give fewer
training rows than it got (answers that cannot be found again), and says how many. Of rows that are scored it gives all,
in their order: a test set without some of its rows is another test set.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

from intermezzo.core.errors import UserError
from intermezzo.core.excerpt import excerpt
from intermezzo.sources import sample
from intermezzo.specs.translation import TranslationSpec
from intermezzo.tasks import load_task

Row = dict[str, Any]
log = logging.getLogger(__name__)


def translate(spec: TranslationSpec, rows: list[Row]) -> list[Row]:
    """`rows` of `spec.task`, which are in `spec.source`, in `spec.into`; of training rows `spec.examples`.

    Raises UserError for whatever the backend finds wrong, and for translations of scored rows that are not of them all.
    """
    task = load_task(spec.task)
    if spec.split != "train":
        return _all_of(rows, import_module(f"intermezzo.translation.{spec.backend}").translate(rows, task, spec), spec)
    if spec.examples and spec.backend != "files":
        rows = sample(rows, spec.examples)
    translated = import_module(f"intermezzo.translation.{spec.backend}").translate(rows, task, spec)
    if spec.backend != "files":
        lost = len(rows) - len(translated)
        log.info("translated %d of %d rows (%d lost)", len(translated), len(rows), lost)
    if not translated:
        raise UserError(f"task '{task.name}', language '{spec.language}': no row could be translated")
    return translated


def _all_of(rows: list[Row], translated: list[Row], spec: TranslationSpec) -> list[Row]:
    """The translations with the ids of `rows`. Raises UserError unless row by row they are translations of them.

    That is seen by their right answers or, where answers are text, by their ids.
    """
    form, where = load_task(spec.task).form, f"task '{spec.task}', {spec.split} data of '{spec.language}' in English"
    mend = "a test set with other rows has other scores; mend the translations, or leave the language out"
    if len(rows) != len(translated):
        raise UserError(f"{where}: {len(translated)} rows, and {len(rows)} before the translation; {mend}")
    column = "id" if form.answers_in_text or form.gold is None else form.gold
    for number, (row, translation) in enumerate(zip(rows, translated, strict=True), start=1):
        if row[column] != translation[column]:
            values = f"{column} {excerpt(translation[column])}, and {excerpt(row[column])} before the translation"
            raise UserError(f"{where}, row {number}: {values}; {mend}")
    return [translation | {"id": row["id"]} for row, translation in zip(rows, translated, strict=True)]
