"""Adapters: what their settings ask of an installation, an encoder and each other."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from intermezzo.config.checks.common import known_tasks
from intermezzo.config.models import Config
from intermezzo.config.sections.encoders import ScratchEncoder
from intermezzo.config.sections.training import AdapterConfig, EncoderTraining, Finetuning, TaskTraining
from intermezzo.config.settings import Phase, resolve
from intermezzo.core.errors import suggestion
from intermezzo.core.excerpt import excerpt
from intermezzo.specs.adapters import is_named

INSTALL = "pip install 'intermezzo[adapters]'"
_OF_LORA = ("rank", "alpha", "dropout")
LINEAR = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
           "intermediate.dense", "output.dense")  # fmt: skip
"""Linear layers in a layer of an encoder that is pretrained here (XLM-RoBERTa's)."""


def check_adapters(config: Config) -> Iterator[str]:
    """The adapters that are trained, each named by the key that it is written at."""
    for encoder in config.grid.encoders:
        intermediates = _trained(config, encoder, "intermediate")
        targets = _trained(config, encoder, "target")
        for adapter in [*intermediates.values(), *targets.values()]:
            yield from _alone(config, encoder, adapter)
        for name in intermediates:
            align = config.intermediate(name).align
            if align is not None and (align.layers != "all" or align.layer == 0):
                key, value = ("layers", align.layers) if align.layers != "all" else ("layer", align.layer)
                yield (
                    f"intermediates.{name}.align.{key}: {value}, but it trains an adapter, and no embeddings or "
                    "half of the encoder; leave it out, and choose layers in the adapter's modules"
                )
        for target, adapter in targets.items():
            if adapter.start == "merged" or config.target(target).baseline_only:
                continue
            for below in intermediates.values():
                if below.kind != adapter.kind:
                    yield (
                        f"{_key(config, adapter)}.start: stacked, but {_key(config, below)}, on which it would stand, "
                        f"is {below.kind} and this one {adapter.kind}; set `start: merged`, or give both the same kind"
                    )


def _trained(config: Config, encoder: str, phase: Phase) -> dict[str, AdapterConfig]:
    """Intermediate or target -> the adapter that it trains, where it does."""
    adapters = {}
    for name in config.grid.intermediates if phase == "intermediate" else config.grid.targets:
        tasks = known_tasks(config.tasks_of(name) if phase == "intermediate" else [config.task_of(name)])
        if not tasks or (phase == "target" and not tasks[0].form.trained):
            continue
        if adapter := resolve(config, encoder, phase, name, [task.name for task in tasks]).adapter:
            adapters[name] = adapter
    return adapters


def _alone(config: Config, encoder: str, adapter: AdapterConfig) -> Iterator[str]:
    key = _key(config, adapter)
    if find_spec("peft") is None:
        yield f"{key}: adapters need the package peft, which is not installed; {INSTALL}"
    if adapter.kind == "ia3" and (extra := [name for name in _OF_LORA if name in adapter.model_fields_set]):
        yield f"{key}.{extra[0]}: an adapter of kind ia3 has none; leave it out, or set `kind: lora`"
    scratch = config.encoders.get(encoder)
    if isinstance(scratch, ScratchEncoder) and isinstance(adapter.modules, list):
        names = [f"encoder.layer.{i}.{part}" for i in range(scratch.model.layers) for part in LINEAR]
        for module in adapter.modules:
            if not any(is_named(name, module) for name in names):
                allowed = suggestion(module, (*LINEAR, *(part.rpartition(".")[2] for part in LINEAR)))
                yield f"{key}.modules: encoder '{encoder}' has no linear layer {excerpt(module)}; {allowed}, or `all`"


def _key(config: Config, adapter: AdapterConfig) -> str:
    """Where in the configuration an adapter is written: it is the very object that is there."""
    sections: dict[str, Finetuning] = {}

    def add(key: str, training: TaskTraining | EncoderTraining) -> None:
        sections.update({f"{key}.intermediate": training.intermediate, f"{key}.target": training.target})

    for task, settings in config.training.tasks.items():
        add(f"training.tasks.{task}", settings)
    for name, encoder in config.encoders.items():
        add(f"encoders.{name}.finetuning", encoder.finetuning)
        for task, settings in encoder.finetuning.tasks.items():
            add(f"encoders.{name}.finetuning.tasks.{task}", settings)
    sections |= {f"intermediates.{name}.training": config.intermediate(name).training for name in config.intermediates}
    sections |= {f"targets.{name}.training": config.target(name).training for name in config.targets}
    sections |= {"training.intermediate": config.training.intermediate, "training.target": config.training.target}
    return next((f"{key}.adapter" for key, section in sections.items() if section.adapter is adapter), "adapter")
