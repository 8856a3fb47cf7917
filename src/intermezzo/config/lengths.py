"""How long an input an encoder reads, as far as that is known before it is there; and who asks for more."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from intermezzo.config.models import Config
from intermezzo.config.sections.encoders import Encoder, ScratchEncoder
from intermezzo.config.settings import Phase, resolve
from intermezzo.core.model_packages import model_package
from intermezzo.core.places import locate

_AFTER_PADDING = frozenset(
    {
        *("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "xmod", "ibert", "mpnet", "data2vec-text"),
        *("longformer", "roberta-prelayernorm", "lilt", "luke"),
    }
)
"""Model types whose positions are counted from the one after the padding token's."""
_FROM_ZERO = frozenset(
    {
        *("bert", "albert", "electra", "rembert", "ernie", "distilbert", "megatron-bert", "mobilebert", "squeezebert"),
        *("xlm", "flaubert", "big_bird", "convbert", "mra", "nystromformer", "yoso", "roformer", "roc_bert"),
        *("layoutlm", "splinter", "modernbert", "eurobert", "nomic_bert", "gte", "jina_embeddings_v3"),
    }
)
"""Model types whose positions are counted from 0. Of all others, which may have no limit, nothing is said here."""


def too_long(config: Config) -> Iterator[str]:
    """A line for each encoder and phase in which a training asks for longer inputs than the encoder reads."""
    for encoder in config.grid.encoders:
        longest = longest_input(config.encoders[encoder]) if encoder in config.encoders else None
        if longest is None:
            continue
        asked: dict[tuple[Phase, int], list[str]] = {}
        for phase, name in _trainings(config, encoder):
            tasks = config.tasks_of(name) if phase == "intermediate" else [config.task_of(name)]
            length = resolve(config, encoder, phase, name, tasks).max_length
            if length > longest:
                asked.setdefault((phase, length), []).append(name)
        for (phase, length), names in asked.items():
            yield (
                f"training.{phase}.max_length: {length} ({', '.join(names)}), but encoder '{encoder}' reads at most "
                f"{longest} tokens; set it to {longest} or less, for this encoder alone in "
                f"encoders.{encoder}.finetuning.{phase}.max_length"
            )


def _trainings(config: Config, encoder: str) -> Iterator[tuple[Phase, str]]:
    if not config.encoders[encoder].baseline_only:
        for name in config.grid.intermediates:
            yield "intermediate", name
    for name in config.grid.targets:
        yield "target", name


def longest_input(encoder: Encoder) -> int | None:
    """Tokens that an encoder reads at most; None where there is no limit, or where it is not known yet (hub)."""
    if isinstance(encoder, ScratchEncoder):
        return encoder.model.max_length
    content = _config_json(encoder.from_)
    kind, positions, padding = (content.get(key) for key in ("model_type", "max_position_embeddings", "pad_token_id"))
    if not isinstance(positions, int):
        return None
    if kind in _AFTER_PADDING:
        if kind == "mpnet" or not isinstance(padding, int):  # MPNet's embeddings take 1, whatever the token's id is
            padding = 1
        return positions - padding - 1
    return positions if kind in _FROM_ZERO else None


def _config_json(source: str) -> dict[str, Any]:
    """The config.json of a folder or of a package; empty where there is none that can be read."""
    if packed := model_package(source):
        return dict(packed.config)
    try:
        content = json.loads((source_folder(source) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def source_folder(source: str) -> Path:
    """The folder that `from` names; one that is not there for a name on the hub.

    Raises ValueError for a path that no system takes.
    """
    return package_folder(source) or Path("absent") if source.startswith("package:") else locate(source)


def package_folder(source: str) -> Path | None:
    """The folder that `package:MODULE/PATH` means; None if there is no such package."""
    module, _, inside = source.removeprefix("package:").partition("/")
    try:
        package = importlib.util.find_spec(module) if module.isidentifier() else None
    except (ImportError, ValueError):  # as of __main__
        return None
    folders = (package and package.submodule_search_locations) or ()
    return next((Path(folder) / inside for folder in folders), None)
