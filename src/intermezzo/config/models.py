"""The configuration as types: every key, its meaning, its allowed values and its default.

This is its root and what is run; `sections/` has what the root is made of. `config/config.yaml`, `config/schema.json`
and `docs/configuration.md` are generated from them (`python -m intermezzo config docs --write`); the default of a
field is the default experiment.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from intermezzo.config.sections.base import Count, Name, Section, Seed
from intermezzo.config.sections.data import DataConfig, LanguagesConfig, WorldConfig
from intermezzo.config.sections.encoders import Encoder, ScratchEncoder
from intermezzo.config.sections.intermediates import IntermediateConfig, MixConfig, TranslationConfig
from intermezzo.config.sections.targets import TargetConfig
from intermezzo.config.sections.training import TrainingConfig

_TARGETS = "nli qa pos retrieval".split()  # noqa: SIM905
"""The default targets, which are tasks of these names."""


class GridConfig(Section):
    """What is run: the product of these lists. The baseline (no intermediate training) always runs."""

    encoders: list[Name] = Field(["world"], description="Names of `encoders`.")
    intermediates: list[Name] = Field(
        ["nli", "qa", "multi"], description="Names of `intermediates`, or of tasks (then that one task)."
    )
    mixes: list[Name] = Field(
        ["en", "en+rare"],
        description="Names of `mixes`; each intermediate is trained once per mix, or in those that it names itself.",
    )
    targets: list[Name] = Field(_TARGETS, description="Names of `targets`, or of tasks (then with the defaults).")
    seeds: list[Seed] = Field([0, 1], description="Seeds of intermediate and target training.")


Kept = Literal["all", "final", "none"]


class KeepConfig(Section):
    """Whose weights stay on the disk; manifests, logs and results always do. A change of it reruns nothing."""

    intermediate: Kept = Field(
        "all",
        description="Intermediate models: `all`; `final` = those that no target is trained from; `none` = deleted when "
        "all that reads them is done, and made again if something asks for them.",
    )
    target: Kept = Field("all", description="Fine-tuned target models, likewise (`final` = all of them).")


class Config(Section):
    """The configuration of one experiment."""

    grid: GridConfig = Field(GridConfig(), description=GridConfig.__doc__)
    data: DataConfig = Field(DataConfig(), description=DataConfig.__doc__)
    world: WorldConfig = Field(WorldConfig(), description=WorldConfig.__doc__)
    languages: LanguagesConfig = Field(LanguagesConfig(), description=LanguagesConfig.__doc__)
    encoders: dict[Name, Encoder] = Field(
        {"world": ScratchEncoder()}, description="Encoders by name: pretrained here, or taken `from` elsewhere."
    )
    intermediates: dict[Name, IntermediateConfig] = Field(
        {
            "nli": IntermediateConfig(tasks=["nli"]),
            "qa": IntermediateConfig(tasks=["qa"]),
            "multi": IntermediateConfig(tasks=["nli", "qa"]),
        },
        description="Intermediate trainings by name.",
    )
    mixes: dict[Name, MixConfig] = Field(
        {"en": MixConfig(weights={"en": 1.0}), "en+rare": MixConfig(weights={"en": 0.75, "@rare": 0.25})},
        description="Language mixes by name.",
    )
    translation: TranslationConfig = Field(TranslationConfig(), description=TranslationConfig.__doc__)
    targets: dict[Name, TargetConfig] = Field(
        {name: TargetConfig(task=name) for name in _TARGETS}, description="Targets by name."
    )
    training: TrainingConfig = Field(TrainingConfig(), description=TrainingConfig.__doc__)
    keep: KeepConfig = Field(KeepConfig(), description=KeepConfig.__doc__)
    track_versions: bool = Field(
        False,
        description="Whether jobs are out of date when a library that their code imports has another version. "
        "Manifests of models name the versions either way.",
    )
    threads: Count = Field(
        1, description="Threads per training job. It is part of the result: sums in another order round differently."
    )
    processes: Count = Field(
        1,
        description="Processes per training job, on one machine, which share each batch: one for each of its GPUs, or "
        "CPUs (each with `threads`). The results of one process up to rounding; like `threads`, part of the result.",
    )

    def intermediate(self, name: str) -> IntermediateConfig:
        """The intermediate of that name; a task's own name needs no entry. `tasks` is always filled in."""
        found = self.intermediates.get(name, IntermediateConfig())
        return found if found.tasks is not None else found.model_copy(update={"tasks": [name]})

    def mixes_of(self, intermediate: str) -> list[str]:
        """The mixes of the grid that an intermediate is trained in."""
        chosen = self.intermediate(intermediate).mixes
        return [mix for mix in self.grid.mixes if chosen is None or mix in chosen]

    def target(self, name: str) -> TargetConfig:
        """The target of that name; a task's own name needs no entry. `task` is always filled in."""
        found = self.targets.get(name, TargetConfig())
        return found if found.task is not None else found.model_copy(update={"task": name})
