"""Published translations of training data (translate-train sets), as the task file's `translated` names them."""

from __future__ import annotations

from typing import Any

from intermezzo import sources
from intermezzo.core.errors import UserError, suggestion
from intermezzo.specs.data import FilesData, HubData
from intermezzo.specs.translation import FilesTranslation
from intermezzo.tasks import Task

Row = dict[str, Any]


def translate(rows: list[Row], task: Task, spec: FilesTranslation) -> list[Row]:
    """The published rows; the English ones only say that the data is for this task.

    Raises UserError when nobody has published a translation into that language.
    """
    parts = task.sources.parts("translated")
    language = spec.language
    if "train" not in parts.get(language, {}):
        raise UserError(
            f"task '{task.name}': no published translation into '{language}'; {suggestion(language, parts)}; "
            "or set translation.backend to hub"
        )
    published = tuple(parts[language]["train"])
    common: dict[str, Any] = {"task": task.name, "format": task.format, "language": language, "split": "train"}
    common |= {"rows": spec.examples, "parts": published, "section": "translated"}
    if "path" in published[0]:
        return sources.read(FilesData(source="files", root=spec.root, **common))
    return sources.read(HubData(source="hub", lock=spec.lock, downloads=spec.downloads, **common))
