"""Commands on the catalogue: list its tasks, explain one, check its data."""

from __future__ import annotations

import sys
import textwrap
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from intermezzo.cli.output import show
from intermezzo.core.errors import UserError, suggestion
from intermezzo.dag.paths import ENCODERS
from intermezzo.tasks import Task, load_task, task_names
from intermezzo.tasks.formats import FROM_DATA
from intermezzo.tasks.overview import sources_of

if TYPE_CHECKING:
    from intermezzo.config.models import Config

SPLITS = ("train", "dev", "test", "candidates")


def list_tasks(options: Namespace) -> None:
    """Print the tasks, a line each: name, format, main metric, sources, languages, what it is."""
    rows = [("task", "format", "metric", "sources", "languages", "")]
    for task in map(load_task, task_names()):
        metric = task.metrics[0] if task.metrics else "-"
        count = max((len(task.sources.parts(source)) for source in ("files", "hub")), default=0)
        rows.append((task.name, task.format, metric, " ".join(sources_of(task)), str(count or "-"), task.description))
    show(options, _columns(rows), [_described(load_task(name)) for name in task_names()])


def _described(task: Task) -> dict[str, Any]:
    """A task as data, for programs."""
    languages = {
        source: {
            split: [entry.partition(" ")[0] for entry in codes] for split, codes in _by_split(task, source).items()
        }
        for source in sources_of(task)
    }
    names = ("name", "description", "format", "skill", "labels", "metrics", "licence", "citation")
    return {name: getattr(task, name) for name in names} | {"sources": languages}


def show_task(options: Namespace) -> None:
    """Print all about one task."""
    task = load_task(options.name)
    show(options, _explained(task), _described(task))


def _explained(task: Task) -> Iterator[str]:
    """All about a task, line by line."""
    yield f"{task.name}: {task.description}\n"
    labels = task.labels if isinstance(task.labels, str) else ", ".join(task.labels)
    for key, value in (
        ("format", task.format + (" (with unanswerable questions)" if task.unanswerable else "")),
        ("skill", task.skill),
        ("labels", labels),
        ("metrics", ", ".join(task.metrics)),
        ("licence", task.licence),
        ("citation", task.citation),
    ):
        yield from _item(key, value)
    for column, content in task.fields.items():
        yield from _item(f"column {column}", content)
    protocol = task.protocol
    yield from _item("trained on", ", then ".join(protocol.train) or (f"{task.name} (its own English data)"))
    yield from _item("direction", protocol.direction)
    for name in dict.fromkeys([*protocol.settings, *protocol.retrieval]):
        settings = protocol.settings.get(name, {}) | protocol.retrieval.get(name, {})
        yield from _item(f"protocol {name}", ", ".join(f"{key} {value}" for key, value in settings.items()))
    yield from _item("notes", protocol.notes)
    for source in sources_of(task):
        yield f"\nsource {source}:"
        if source == "world":
            yield from _item("  generator", f"{task.sources.world.generator}; every language and split of the world")
        for split, languages in _by_split(task, source).items():
            yield from _item(f"  {split}", ", ".join(languages))


def check_tasks(options: Namespace) -> None:
    """Load data of tasks as the workflow would, and print the number of rows of each language and split.

    With `show`, print that many rows of each as the model will read them.

    Raises UserError at the end when something could not be loaded; what is wrong is printed where it stands.
    """
    from intermezzo.config import load
    from intermezzo.dag.experiment import Grid
    from intermezzo.dag.specs import Specs

    if options.source or options.root:
        place = {"source": options.source or "files"} | ({"root": str(options.root)} if options.root else {})
        config = load(*options.overlays, {"data": place}, whole=False)
    else:
        config = load(*options.overlays)
    specs = Specs(Grid(config))
    reader = _Reader(config, options.encoder) if options.show else None
    for name in options.names:
        load_task(name)
    faults = checked = 0
    for task in map(load_task, options.names or task_names()):
        source = config.data.source_of(task.name)
        for language, split in _stored(task, source, options.languages):
            keys = SimpleNamespace(source=source, task=task.name, language=language, split=split)
            checked += 1
            try:
                rows = _rows(task, specs.spec_data(keys))
                print(f"{task.name:20} {language:5} {split:10} {len(rows):>9} rows", flush=True)
                if reader:
                    reader.show(task, rows[: options.show])
            except UserError as error:
                faults += 1
                print(f"{task.name:20} {language:5} {split:10} error: {error}", file=sys.stderr, flush=True)
    if not checked:
        raise UserError("nothing to check: no task has data in that source and those languages")
    if faults:
        raise UserError(f"{faults} of {checked} data sets cannot be used")


def _rows(task: Task, spec: str) -> list[dict[str, Any]]:
    """The rows of a data set, checked."""
    from intermezzo import sources
    from intermezzo.core.environment import settle
    from intermezzo.specs.base import read
    from intermezzo.specs.data import DataSpec
    from intermezzo.tasks import formats

    described = read(DataSpec, spec)
    settle(threads=1, online=described.online)
    rows, training = sources.read(described), described.split == "train"
    formats.table(rows, task.format, task.labels, origin=described.origin, training=training)
    return rows


class _Reader:
    """Shows rows as an encoder reads them.

    choice: a name of `encoders` or a folder with tokenizer.json. Without it the first encoder of the grid counts that
    has a tokenizer already; where none has, words stand for pieces. Raises UserError for a choice without a tokenizer.
    """

    def __init__(self, config: Config, choice: str | None) -> None:
        self.config = config
        self.encoder = choice or next(iter(config.grid.encoders))
        self.folder = None
        names = [choice] if choice else config.grid.encoders
        places = [(name, folder) for name in names for folder in self._folders(name)]
        for encoder, folder in places:
            if (folder / "tokenizer.json").is_file():
                self.encoder, self.folder = encoder, folder
                break
        if choice and self.folder is None:
            if choice not in config.encoders:
                hint = suggestion(choice, config.encoders)
                raise UserError(f"--encoder: '{choice}' is no encoder and no folder with tokenizer.json; {hint}")
            raise UserError(f"--encoder: '{choice}' has no tokenizer yet; `snakemake encoders` makes it")
        print(f"tokenizer: {self.folder or 'none yet, words stand for its pieces; `snakemake encoders` makes it'}")

    def _folders(self, name: str) -> list[Path]:
        """Where the tokenizer of an encoder may lie."""
        if name not in self.config.encoders:
            return [Path(name)]
        place = getattr(self.config.encoders[name], "from_", None)
        return [Path(ENCODERS, name), *([Path(place)] if place else [])]

    def show(self, task: Task, rows: list[dict[str, Any]]) -> None:
        """Print rows of a task."""
        from intermezzo.config.settings import resolve
        from intermezzo.modeling.tokenizer import load_tokenizer
        from intermezzo.modeling.transcript import transcript, word_tokenizer
        from intermezzo.specs.tasks import TaskSpec

        labels = task.labels
        if labels == FROM_DATA:
            labels = tuple(sorted({label for row in rows for label in task.form.labels_of(row)}))
        described = TaskSpec(name=task.name, format=task.format, labels=labels, partial_input=None)
        tokenizer = load_tokenizer(self.folder) if self.folder else word_tokenizer(rows, task.form)
        settings = resolve(self.config, self.encoder, "target", task.name, [task.name])
        for line in transcript(rows, described, tokenizer, settings.max_length, settings.stride):
            print(f"  {line}")


def _stored(task: Task, source: str, chosen: list[str] | None) -> Iterator[tuple[str, str]]:
    """(language, split) of a task's data; of the world, which has all, one language and the splits of labelled data."""
    if source == "world":
        from intermezzo import languages

        known = tuple(languages.table("world")) if task.sources.world else ()
        _check_languages(chosen, known)
        languages_ = chosen or (("nor",) if task.form.paired_with_english else ("en",))
        splits = [split for split in task.form.splits if split != "dev" or "train" not in task.form.splits]
        yield from ((language, split) for language in languages_ if known for split in splits)
        return
    parts = task.sources.parts(source)
    for language, splits in parts.items():
        yield from ((language, split) for split in splits if not chosen or language in chosen)


def _check_languages(chosen: list[str] | None, known: tuple[str, ...]) -> None:
    for language in chosen or ():
        if known and language not in known:
            raise UserError(f"--languages: unknown language '{language}'; {suggestion(language, known)}")


def _by_split(task: Task, source: str) -> dict[str, list[str]]:
    """Split -> its languages, with the expected number of rows where it is known (~: unverified)."""
    found: dict[str, list[str]] = {}
    section: Any = getattr(task.sources, source)
    for language, splits in section.data.items() if source != "world" else ():
        for split in (one for one in SPLITS if one in splits):
            found.setdefault(split, []).append(language + _expected(splits[split]))
    return found


def _expected(parts: list[dict[str, Any]]) -> str:
    counts = [(part.get("rows"), part.get("unverified_rows")) for part in parts]
    if any(sure is None and unsure is None for sure, unsure in counts):
        return ""
    total = sum(sure if sure is not None else unsure for sure, unsure in counts)
    return f" ({'' if all(sure is not None for sure, _ in counts) else '~'}{total:,})"


def _item(key: str, value: str) -> Iterator[str]:
    if value:
        lines = textwrap.wrap(value, 96, break_long_words=False)
        yield f"{key + ':':22}" + f"\n{'':22}".join(lines)


def _columns(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    for row in rows:
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
