"""From the configuration to the experiment: which encoders, intermediates, mixes, seeds, targets and languages run.

    grid = Grid(config)            the product of the configuration's lists
    grid.runs                      every model that targets start from, the baseline first
    grid.languages("xnli")         where a target is evaluated

Where artefacts lie is in `paths`, what a job reads in `inputs`, what it depends on besides in `specs`, and when it
starts in `scheduling`. Nothing in this room imports torch, transformers, pandas or pyarrow: the Snakefile is read again
in every cluster job.
"""

from __future__ import annotations

from functools import cached_property
from itertools import product

from intermezzo.config import catalogue
from intermezzo.config.models import Config
from intermezzo.config.sections.encoders import ImportedEncoder, ScratchEncoder
from intermezzo.config.settings import training_tasks
from intermezzo.core.memoize import memoize
from intermezzo.dag.paths import BASELINE, Run, one_of
from intermezzo.dag.trainings import group_targets
from intermezzo.tasks import Task, load_task


class Grid:
    """The experiment that a configuration describes."""

    def __init__(self, config: Config, *, staged: bool = False) -> None:
        """staged: jobs see no files but those that they declare (remote storage)."""
        self.config = config
        self.staged = staged
        self.encoders = config.grid.encoders
        self.targets = config.grid.targets
        self.seeds = config.grid.seeds
        self.baseline_only = [name for name in self.encoders if config.encoders[name].baseline_only]
        encoders = {name: config.encoders[name] for name in self.encoders}
        self.scratch = {name: entry for name, entry in encoders.items() if isinstance(entry, ScratchEncoder)}
        """Encoders that are pretrained here."""
        self.imported = {name: entry for name, entry in encoders.items() if isinstance(entry, ImportedEncoder)}
        """Encoders that are taken from elsewhere."""
        self.threads, self.processes = config.threads, config.processes

    # -- targets -------------------------------------------------------------------------------------------------

    @memoize
    def task(self, target: str) -> Task:
        """The task of a target."""
        return load_task(self.config.target(target).task)

    @memoize
    def trained_on(self, target: str) -> list[str]:
        """The tasks whose data train a target, in turn."""
        return training_tasks(self.config, target, self.task(target))

    def is_trained(self, target: str) -> bool:
        """Is the target fine-tuned? Retrieval and mining are evaluated directly."""
        return self.task(target).form.trained

    @cached_property
    def trained_targets(self) -> list[str]:
        """The targets that are fine-tuned."""
        return [target for target in self.targets if self.is_trained(target)]

    @cached_property
    def trainings(self) -> dict[str, list[str]]:
        """Name of a target training -> the targets that share its model."""
        return group_targets(self)

    @memoize
    def training_of(self, target: str) -> str:
        """The name of the training that makes a target's model."""
        return next(name for name, targets in self.trainings.items() if target in targets)

    @memoize
    def languages(self, target: str) -> tuple[str, ...]:
        """Languages that a target is evaluated in."""
        return catalogue.evaluation_languages(self.config, self.task(target))

    @memoize
    def development(self, target: str) -> tuple[str, ...]:
        """Languages whose development data is scored beside the test data, to choose intermediates on."""
        if not self.is_trained(target) or self.config.data.evaluation_split == "dev":
            return ()
        available = catalogue.languages_with(self.config, self.task(target), "dev")
        return tuple(code for code in self.config.languages.selection if code in available)

    def results(self, target: str) -> list[str]:
        """Names of a target's results: a language for its test data, `{language}.dev` for its development data."""
        return [*self.languages(target), *(f"{code}.dev" for code in self.development(target))]

    # -- runs ----------------------------------------------------------------------------------------------------

    @cached_property
    def trained(self) -> list[tuple[str, str]]:
        """Every intermediate in every mix that it is trained in."""
        return [(name, mix) for name in self.config.grid.intermediates for mix in self.config.mixes_of(name)]

    @memoize
    def intermediate_tasks(self, intermediate: str) -> list[str]:
        """The tasks of an intermediate; that of its realignment comes last."""
        return self.config.tasks_of(intermediate)

    @cached_property
    def intermediate_runs(self) -> list[Run]:
        """Every intermediate training: encoder, intermediate, mix and seed."""
        encoders = [name for name in self.encoders if name not in self.baseline_only]
        return [Run(encoder, *trained, seed) for encoder, trained, seed in product(encoders, self.trained, self.seeds)]

    @cached_property
    def runs(self) -> list[Run]:
        """Every run that targets are trained from: the baseline first."""
        baseline = [Run(encoder, BASELINE, BASELINE, seed) for encoder in self.encoders for seed in self.seeds]
        return baseline + self.intermediate_runs

    @memoize
    def runs_of(self, target: str) -> list[Run]:
        """Runs that a target is evaluated on: of retrieval one untouched encoder stands for all seeds."""
        seeds = self.seeds if self.is_trained(target) else ["none"]
        baseline = [Run(encoder, BASELINE, BASELINE, seed) for encoder in self.encoders for seed in seeds]
        return baseline if self.config.target(target).baseline_only else baseline + self.intermediate_runs

    @memoize
    def runs_of_training(self, training: str) -> list[Run]:
        """Runs that a target training is made from: those of any target that needs it."""
        needed = {run for target in self.trainings[training] for run in self.runs_of(target)}
        return [run for run in self.runs if run in needed]

    # -- names ---------------------------------------------------------------------------------------------------

    def constraints(self) -> dict[str, str]:
        """Regular expressions for the wildcards: the configuration's own names and nothing else."""
        grid = self.config.grid
        return {
            "source": one_of(dict.fromkeys([self.config.data.source, *self.config.data.sources.values()])),
            "task": r"[^/]+",
            "language": r"[^/.]+",
            "split": "train|dev|test|candidates",
            "encoder": one_of(self.encoders),
            "intermediate": one_of([BASELINE, *grid.intermediates]),
            "mix": one_of([BASELINE, *grid.mixes]),
            "seed": one_of(["none", *map(str, self.seeds)]),
            "training": one_of(self.trainings),
            "target": one_of(self.targets),
        }
