"""Translated training data: English rows of a task, in another language.

| backend | translates with |
|---|---|
| world | the embedded world's translator, meaning for meaning, with a share of wrong words (`noise`) |
| hub | a sequence-to-sequence model through transformers, in cached batches |
| files | nothing: published translations (the task file's section `translated`) |

A backend is a module `intermezzo.translation.<backend>` with `translate(rows, task, spec) -> rows`; it may give fewer
rows than it got (answers that cannot be found again), and says how many.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

from intermezzo.core.errors import UserError
from intermezzo.sources import sample
from intermezzo.specs.translation import TranslationSpec
from intermezzo.tasks import load_task

Row = dict[str, Any]
log = logging.getLogger(__name__)


def translate(spec: TranslationSpec, rows: list[Row]) -> list[Row]:
    """`rows` (English training rows of `spec.task`), or `spec.examples` of them, in `spec.language`.

    Raises UserError for whatever the backend finds wrong.
    """
    task = load_task(spec.task)
    if spec.examples and spec.backend != "files":
        rows = sample(rows, spec.examples)
    translated = import_module(f"intermezzo.translation.{spec.backend}").translate(rows, task, spec)
    if spec.backend != "files":
        lost = len(rows) - len(translated)
        log.info("translated %d of %d rows (%d lost)", len(translated), len(rows), lost)
    if not translated:
        raise UserError(f"task '{task.name}', language '{spec.language}': no row could be translated")
    return translated
