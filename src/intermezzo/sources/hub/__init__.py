"""Published datasets, downloaded: from the Hugging Face hub, or from the address that they are published at.

A task file says under `sources.hub` and `sources.url` (`.data.<language>.<split>`) which parts make up a data set:

    - {repository: facebook/xnli, revision: main, files: sw/test-*.parquet, fields: {...}, map: {0: entailment, ...}}
    - {url: https://..., sha256: 3f..., member: xquad-*/xquad.*.json, reader: squad_json}

| module | does |
|---|---|
| repository.py | files of a dataset repository on the hub that match a pattern, at one commit |
| address.py, transfer.py | a file or an archive from a URL: resumed, checked, unpacked |
| patience.py, failures.py | a busy server is waited for; what the hub refuses is one message with its words |
| github.py | the files of one commit on GitHub, from one archive |
| archives.py | members of zip and tar archives that match a pattern, and nothing that points outside |
| lock.py | what was downloaded first; whatever comes later is the same, or stops |
| patterns.py | what a pattern matches |

The other keys of a part are the same as in source `files`: its readers and steps do the rest. Files are data and
nothing else: no loading script of a repository is ever run.
"""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Any

from intermezzo.core.errors import UserError, suggestion
from intermezzo.core.excerpt import excerpt
from intermezzo.core.secrets import masked
from intermezzo.sources.files import read_sample
from intermezzo.sources.files.reading import File
from intermezzo.sources.hub import address, repository
from intermezzo.sources.hub.lock import Lock, nested
from intermezzo.sources.hub.patience import Unavailable
from intermezzo.specs.data import HubData
from intermezzo.tasks import Task, load_task, task_file

log = logging.getLogger(__name__)

Row = dict[str, Any]
Part = dict[str, Any]
Key = tuple[str, ...]
HUB_KEYS = ("repository", "revision", "files")
URL_KEYS = ("url", "sha256", "member", "unpacked_limit", "otherwise")
"""The keys of a part that say where its files lie."""
_OPTIONAL = ("revision", "sha256", "member")


def read(spec: HubData) -> list[Row]:
    """All rows of a task in one language and split, or what `read_sample` leaves; downloaded if they are not here yet.

    Files of the hub lie in its own cache (HF_HOME). What is locked and lies there is read without any request. The
    parts are those of the task file's section `spec.section` (`hub`, or `translated`); `spec.parts` is for who watches
    for changes, as JSON has no whole numbers as keys.

    Raises one UserError naming the place in the task file and the repository, URL or file for whatever cannot be
    had, is damaged, or is not what was locked; the lock file is then as it was before.
    """
    task, language, split = load_task(spec.task), spec.language, spec.split
    lock, downloads = Lock(Path(spec.lock)), Path(spec.downloads)
    parts = _parts(task, language, split, spec.section)
    revisions = {(part.get("repository"), _revision(part)) for part in parts}
    rows: list[Row] = []
    counts: Counter[Key] = Counter()
    entries: dict[str, Any] = {}
    for number, part in enumerate(parts):
        section = "hub" if "repository" in part else "url"
        where = f"{task_file(task.name)}: sources.{section}.data.{language}.{split}[{number}]"
        _check_keys(part, where)
        if section == "hub":
            key: Key = ("repositories", part["repository"], _revision(part))
            files, entry = repository.fetch(part, lock.entry(key), downloads, where)
            old_keys = [(*key[:2], name) for name in lock.entry(key[:2]) if (key[1], name) not in revisions]
            lock.check_commit(key, entry["commit"], old_keys, (task.name, language, split), where)
            entries = lock.check(nested(key, entry), entries, where)
        else:
            key, files, found = _fetch(part, _all_parts(task), lock, downloads, where)
            for place, entry in found.items():
                entries = lock.check(nested(("urls", place), entry), entries, where)
        options = {name: value for name, value in part.items() if name not in (*HUB_KEYS, *URL_KEYS)}
        if section == "hub":
            options = {"reader": "parquet"} | options
        try:
            part_rows, number_of_rows = read_sample(task, options, files, where, spec.limit, split)
        except UserError as error:
            if section == "hub" or part.get("sha256") or lock.entry(key):
                raise
            place = address.folder_of(downloads, part["url"])  # no checksum says that it is what was meant
            raise UserError(f"{error}\n  if the download is damaged, delete {place} and run again") from None
        counts[key] += number_of_rows
        rows += part_rows
    for key, count in counts.items():
        new = nested((*key, "rows", task.name, language, split), count)
        entries = lock.check(new, entries, f"{task_file(task.name)}: {language}.{split}")
    lock.record(entries)
    return rows


def _revision(part: Part) -> str:
    return part.get("revision") or "main"


def _parts(task: Task, language: str, split: str, section: str) -> list[Part]:
    data = task.sources.parts(section)
    if not data:
        raise UserError(f"task '{task.name}' has no data in source 'hub'; use another source or another task")
    if language not in data:
        hint = suggestion(language, data)
        raise UserError(f"task '{task.name}' has nothing to download for language '{language}'; {hint}")
    if split not in data[language]:
        hint = f"of language '{language}'; {suggestion(split, data[language])}"
        raise UserError(f"task '{task.name}' has nothing to download for split '{split}' {hint}")
    return data[language][split]


def _fetch(
    part: Part, parts: list[Part], lock: Lock, downloads: Path, where: str
) -> tuple[Key, list[File], dict[str, Any]]:
    """The files of a part at a URL, or, where that cannot be had, those at the addresses of its `otherwise`.

    Returns the key of the lock file that rows are counted under, the files, and address -> what the lock file has to
    say about its download. What was taken from the other addresses once is taken from there again.
    """
    others = [str(url) for url in part.get("otherwise") or ()]
    keys = {url: ("urls", masked(url)) for url in (part["url"], *others)}
    locked = {url: lock.entry(key) for url, key in keys.items()}
    if not others or locked[part["url"]] or not locked[others[0]]:
        try:
            files, entry = address.fetch(part, locked[part["url"]], parts, downloads, where)
            return keys[part["url"]], files, {masked(part["url"]): entry}
        except Unavailable as error:
            if not others:
                raise
            log.warning("%s; %d other addresses take its place", error, len(others))
    files, entries = [], {}
    for url in others:
        more, entries[masked(url)] = address.fetch({"url": url}, locked[url], parts, downloads, where)
        files += more
    return keys[others[0]], files, entries


def _all_parts(task: Task) -> list[Part]:
    """All parts that the task downloads, of any language and split."""
    return [part for splits in task.sources.parts("hub").values() for parts in splits.values() for part in parts]


def _check_keys(part: Part, where: str) -> None:
    if ("repository" in part) == ("url" in part):
        raise UserError(f"{where}: a part needs either 'repository' (on the hub) or 'url'; found {', '.join(part)}")
    allowed, foreign = (HUB_KEYS, URL_KEYS) if "repository" in part else (URL_KEYS, HUB_KEYS)
    if strange := [key for key in foreign if key in part]:
        raise UserError(f"{where}: '{strange[0]}' does not go with '{allowed[0]}'; allowed: {', '.join(allowed)}")
    for key in allowed:
        value = part.get(key)
        if (
            key not in ("unpacked_limit", "otherwise")
            and not isinstance(value, str)
            and not (value is None and key in _OPTIONAL)
        ):
            raise UserError(f"{where}: {key} is {excerpt(value)}, expected text")
    if "url" in part:
        address.check(part, where)
