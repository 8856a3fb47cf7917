"""Published translations (translate-train and translate-test sets), as the task file's `translated` names them."""

from __future__ import annotations

from typing import Any

from intermezzo import sources
from intermezzo.core.errors import UserError, suggestion
from intermezzo.specs.data import FilesData, HubData
from intermezzo.specs.translation import FilesTranslation
from intermezzo.tasks import Task

Row = dict[str, Any]


def translate(rows: list[Row], task: Task, spec: FilesTranslation) -> list[Row]:
    """The published rows; those that they translate only say that the data is for this task.

    Raises UserError when nobody has published a translation into, or from, that language.
    """
    parts = task.sources.parts("translated")
    language, split = spec.language, spec.split
    if split not in parts.get(language, {}):
        which = f"into '{language}'" if split == "train" else f"of the {split} data of '{language}'"
        translated = [code for code, splits in parts.items() if split in splits]
        raise UserError(
            f"task '{task.name}': no published translation {which}; {suggestion(language, translated)}; "
            "or set translation.backend to hub"
        )
    published = tuple(parts[language][split])
    common: dict[str, Any] = {"task": task.name, "format": task.format, "language": language, "split": split}
    common |= {"rows": spec.examples, "parts": published, "section": "translated"}
    if "path" in published[0]:
        return sources.read(FilesData(source="files", root=spec.root, **common))
    return sources.read(HubData(source="hub", lock=spec.lock, downloads=spec.downloads, **common))
