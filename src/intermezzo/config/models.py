"""The configuration as types: every key, its meaning, its allowed values and its default.

This module defines the root and the grid; `sections/` defines the remaining sections. `config/config.yaml`,
`config/schema.json` and `docs/configuration.md` are generated from these models (`intermezzo config docs
--write`). The defaults of the fields define the default experiment.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from intermezzo.config.sections.base import MOST, Name, Section, Seed, Truth, Workers
from intermezzo.config.sections.data import DataConfig, LanguagesConfig, WorldConfig
from intermezzo.config.sections.encoders import Encoder, ScratchEncoder
from intermezzo.config.sections.intermediates import IntermediateConfig, MixConfig, TranslationConfig
from intermezzo.config.sections.question import QuestionConfig
from intermezzo.config.sections.targets import TargetConfig
from intermezzo.config.sections.training import TrainingConfig

_TARGETS = "nli qa pos retrieval".split()  # noqa: SIM905
"""The default targets, which are tasks of these names."""


class GridConfig(Section):
    """What runs: the product of these lists. The baseline (no intermediate training) always runs."""

    encoders: Annotated[list[Name], MOST] = Field(["world"], description="Names of `encoders`.")
    intermediates: Annotated[list[Name], MOST] = Field(
        ["nli", "qa"], description="Names of `intermediates`, or of tasks (each then alone)."
    )
    mixes: Annotated[list[Name], MOST] = Field(
        ["en", "en+rare"],
        description="Names of `mixes`. Each intermediate is trained in every mix, or in those that it names itself.",
    )
    targets: Annotated[list[Name], MOST] = Field(
        _TARGETS, description="Names of `targets`, or of tasks (then with the default settings)."
    )
    seeds: Annotated[list[Seed], MOST] = Field([0, 1, 2], description="Seeds of intermediate and target training.")


Retention = Literal["all", "final", "none"]


class KeepConfig(Section):
    """Which models keep their weights on disk; manifests, logs and results always stay. Changes here rerun nothing."""

    intermediate: Retention = Field(
        "all",
        description="Intermediate models: `all`; `final` = only models that no target is trained from; `none` = delete "
        "the weights when no job needs them any more, and train them again if a later job needs them.",
    )
    target: Retention = Field(
        "all", description="Fine-tuned target models, with the same values (`final` = all of them)."
    )


class Config(Section):
    """The configuration of one experiment."""

    grid: GridConfig = Field(GridConfig(), description=GridConfig.__doc__)
    question: QuestionConfig = Field(QuestionConfig(), description=QuestionConfig.__doc__)
    data: DataConfig = Field(DataConfig(), description=DataConfig.__doc__)
    world: WorldConfig = Field(WorldConfig(), description=WorldConfig.__doc__)
    languages: LanguagesConfig = Field(LanguagesConfig(), description=LanguagesConfig.__doc__)
    encoders: dict[Name, Encoder] = Field(
        {"world": ScratchEncoder()},
        description="Encoders by name: pretrained in the workflow, or imported with `from`.",
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
    track_versions: Truth = Field(
        False,
        description="Rerun jobs when a library they import changes version. The manifests of models always record the "
        "versions.",
    )
    threads: Workers = Field(
        1, description="Threads per training job. Results depend on it: the order of summation changes the rounding."
    )
    processes: Workers = Field(
        1,
        description="Processes per training job, on one machine. They share each batch; each uses one GPU, or "
        "`threads` CPU threads. Results equal those of one process up to rounding, so they depend on this number.",
    )

    def intermediate(self, name: str) -> IntermediateConfig:
        """The intermediate `name`, with `tasks` filled in. The name of a task needs no entry in `intermediates`."""
        entry = self.intermediates.get(name, IntermediateConfig())
        tasks = [name] if entry.align is None else []
        return entry if entry.tasks is not None else entry.model_copy(update={"tasks": tasks})

    def tasks_of(self, intermediate: str) -> list[str]:
        """The tasks of an intermediate; that of its realignment comes last."""
        entry = self.intermediate(intermediate)
        return [*(entry.tasks or []), *([entry.align.task] if entry.align else [])]

    def is_aligned(self, intermediate: str, task: str) -> bool:
        """Whether an intermediate trains on a task's pairs by realignment."""
        align = self.intermediate(intermediate).align
        return align is not None and align.task == task

    def mixes_of(self, intermediate: str) -> list[str]:
        """The mixes of the grid in which an intermediate is trained, in the order of the grid."""
        names = self.intermediate(intermediate).mixes
        return [mix for mix in self.grid.mixes if names is None or mix in names]

    def target(self, name: str) -> TargetConfig:
        """The target `name`, with `task` filled in. The name of a task needs no entry in `targets`."""
        entry = self.targets.get(name, TargetConfig())
        return entry if entry.task is not None else entry.model_copy(update={"task": name})

    def task_of(self, target: str) -> str:
        """The task of a target."""
        return self.target(target).task or target
