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

The layout of a format is in its module of `intermezzo.tasks.formats`, what they share in `tasks/submission_files.py`.
"""

from __future__ import annotations

from pathlib import Path

from intermezzo.tasks.formats import load_format


def file_of(folder: Path, task: str, fmt: str, language: str) -> Path:
    """The file of a task and a language in a folder of predictions or of labels."""
    return folder / task / f"test-{language}.{load_format(fmt).suffix}"
