"""From the configuration to the experiment: which artefacts there are, where they lie, and what each is made from.

The path of an artefact holds exactly the keys that it depends on, so what runs share is shared by construction:

    results/data/{source}/{task}/{language}/{split}.parquet
    results/encoders/{encoder}/
    results/intermediate/{encoder}/{intermediate}/{mix}/seed{seed}/
    results/target/{encoder}/{intermediate}/{mix}/seed{seed}/{target}/
    results/eval/{encoder}/{intermediate}/{mix}/seed{seed}/{target}/{language}.json

The baseline is the intermediate `none` with the mix `none`. Retrieval is read off an encoder or an intermediate
model directly; on an untouched encoder no seed plays a part, so its path says `seednone`.

Nothing here imports torch, transformers, pandas or pyarrow: the Snakefile is read again in every cluster job.
What a job depends on besides its inputs is in `intermezzo.dag.specs`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from intermezzo.config import catalogue, parse
from intermezzo.config.checks import data_root
from intermezzo.config.models import Config
from intermezzo.config.sections.encoders import ImportedEncoder, ScratchEncoder
from intermezzo.config.settings import Phase, examples_of, resolve, training_tasks
from intermezzo.core.environment import settle
from intermezzo.core.errors import UserError
from intermezzo.core.memoize import remembered, remembered_by
from intermezzo.tasks import Task, load_task

BASELINE = "none"
MODEL = ("manifest.json", "config.json", "model.safetensors")
"""Files of every model folder; consumers depend on the small manifest, which is written last."""
TRAINED_MODEL = (*MODEL, "heads.safetensors", "allocation.tsv")


class Run(NamedTuple):
    """One row of the grid: a model that targets start from. Baseline runs have no mix."""

    encoder: str
    intermediate: str
    mix: str
    seed: int | str

    @property
    def path(self) -> str:
        return f"{self.encoder}/{self.intermediate}/{self.mix}/seed{self.seed}"


def run_of(wildcards: Any) -> Run:
    return Run(wildcards.encoder, wildcards.intermediate, wildcards.mix, wildcards.seed)


def evaluation_path(run: Run, target: str, language: str, root: str = "results/eval") -> str:
    return f"{root}/{run.path}/{target}/{language}.json"


def one_of(names: Iterable[str]) -> str:
    """A regular expression that matches exactly these names (nothing at all for none)."""
    return "|".join(map(re.escape, names)) or "(?!)"


def _matching(root: Path, name: str) -> list[Path]:
    """The files that a path or a pattern of a task file means."""
    found = sorted(root.glob(name)) if any(sign in name for sign in "*?[") else [root / name]
    return [path for path in found if path.is_file()]


def _rank(value: int, values: Iterable[int]) -> int:
    """0 to 99, in proportion to the largest of `values`."""
    return 99 * value // max(1, *values)


class Grid:
    """The experiment that a configuration describes."""

    def __init__(self, config: Config, *, staged: bool = False) -> None:
        self.config = config
        self.staged = staged
        self.encoders = config.grid.encoders
        self.targets = config.grid.targets
        self.seeds = config.grid.seeds
        self.baseline_only = [name for name in self.encoders if config.encoders[name].baseline_only]
        self.scratch = [name for name in self.encoders if isinstance(config.encoders[name], ScratchEncoder)]
        self.imported = [name for name in self.encoders if isinstance(config.encoders[name], ImportedEncoder)]
        self.threads, self.processes = config.threads, config.processes
        several = {"gpu": config.processes, "nodes": 1, "tasks_per_gpu": 0}  # one task of Slurm starts them all
        self.gpus = several if config.processes > 1 else {}  # for one process the profile says

    @classmethod
    def of_workflow(cls, raw: Mapping[str, Any], *, staged: bool = False) -> Grid:
        """The grid of a Snakefile's `config`; a bad one ends the program with its message alone.

        staged: jobs see no files but those that they declare (remote storage).

        Jobs inherit this process's interpreter, package and settings, so that what runs is what was fingerprinted.
        """
        settle(threads=1)
        for variable, folder in (("PATH", Path(sys.executable).parent), ("PYTHONPATH", Path(__file__).parents[2])):
            os.environ[variable] = os.pathsep.join(filter(None, [str(folder), os.environ.get(variable)]))
        try:
            return cls(parse(raw), staged=staged)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(2) from None

    # -- what there is -------------------------------------------------------------------------------------------

    @remembered
    def task(self, target: str) -> Task:
        return load_task(self.config.target(target).task)

    @remembered
    def trained_on(self, target: str) -> list[str]:
        """The tasks whose English data train a target, in turn."""
        return training_tasks(self.config, target, self.task(target))

    def is_trained(self, target: str) -> bool:
        """Is the target fine-tuned? Retrieval and mining are evaluated directly."""
        return self.task(target).form.trained

    @remembered
    def languages(self, target: str) -> tuple[str, ...]:
        return catalogue.evaluation_languages(self.config, self.task(target))

    @remembered
    def development(self, target: str) -> tuple[str, ...]:
        """Languages whose development data is scored beside the test data, to choose intermediates on."""
        if not self.is_trained(target) or self.config.data.evaluation_split == "dev":
            return ()
        there = catalogue.languages_with(self.config, self.task(target), "dev")
        return tuple(code for code in self.config.languages.selection if code in there)

    def results(self, target: str) -> list[str]:
        """Names of a target's results: a language for its test data, `{language}.dev` for its development data."""
        return [*self.languages(target), *(f"{code}.dev" for code in self.development(target))]

    @cached_property
    def intermediate_runs(self) -> list[Run]:
        encoders = [name for name in self.encoders if name not in self.baseline_only]
        return [Run(encoder, *trained, seed) for encoder, trained, seed in product(encoders, self.trained, self.seeds)]

    @cached_property
    def trained(self) -> list[tuple[str, str]]:
        """Every intermediate in every mix that it is trained in."""
        return [(name, mix) for name in self.config.grid.intermediates for mix in self.config.mixes_of(name)]

    @cached_property
    def runs(self) -> list[Run]:
        """Every run that targets are trained from: the baseline first."""
        return [Run(e, BASELINE, BASELINE, seed) for e in self.encoders for seed in self.seeds] + self.intermediate_runs

    @remembered
    def runs_of(self, target: str) -> list[Run]:
        """Runs that a target is evaluated on: of retrieval one untouched encoder stands for all seeds."""
        seeds = self.seeds if self.is_trained(target) else ["none"]
        baseline = [Run(encoder, BASELINE, BASELINE, seed) for encoder in self.encoders for seed in seeds]
        return baseline if self.config.target(target).baseline_only else baseline + self.intermediate_runs

    @property
    def unkept(self) -> set[str]:
        """Stages whose weights are deleted when all that reads them is done."""
        kept, trained = self.config.keep, any(map(self._starts_from_intermediates, self.targets))
        gone = {"intermediate": kept.intermediate == "none" or (kept.intermediate == "final" and trained)}
        return {stage for stage, away in (gone | {"target": kept.target == "none"}).items() if away}

    @property
    def rebuilding(self) -> tuple[int, dict[str, int]]:
        """(threads, GPUs) of an evaluation, which may have to train a model again whose weights are gone."""
        return (self.threads * self.processes, self.gpus) if self.unkept else (self.threads, {})

    def _starts_from_intermediates(self, target: str) -> bool:
        return self.is_trained(target) and not self.config.target(target).baseline_only

    # -- order of jobs: the longest first, so that none is left alone at the end ------------------------------------

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Stages, those first whose jobs start first: all models of one before the next, which fills the workers best.

        Where weights go after their use it is the other way round, so that few models are on the disk at a time.
        """
        stages = ("intermediate", "target", "evaluation")
        return stages[::-1] if self.unkept else stages

    def _first(self, stage: str) -> int:
        return 300 - 100 * self.order.index(stage)

    def encoder_priority(self, wildcards: Any) -> int:
        steps = {name: self.config.encoders[name].training.steps for name in self.scratch}
        return 400 + _rank(steps[wildcards.encoder], steps.values())

    @remembered_by("encoder", "intermediate")
    def intermediate_priority(self, wildcards: Any) -> int:
        work = {name: self._work("intermediate", wildcards.encoder, name) for name in self.config.grid.intermediates}
        return self._first("intermediate") + _rank(work[wildcards.intermediate], work.values())

    @remembered_by("encoder", "target")
    def target_priority(self, wildcards: Any) -> int:
        trained = [name for name in self.targets if self.is_trained(name)]
        work = {name: self._work("target", wildcards.encoder, name) for name in trained}
        return self._first("target") + _rank(work[wildcards.target], work.values())

    def evaluation_priority(self, wildcards: Any) -> int:
        return self._first("evaluation")

    def _work(self, phase: Phase, encoder: str, name: str) -> int:
        """Examples that a training sees over all its epochs."""
        tasks = self.config.intermediate(name).tasks if phase == "intermediate" else [self.task(name).name]
        examples = sum(examples_of(self.config, encoder, phase, name, task) or 0 for task in tasks)
        return examples * resolve(self.config, encoder, phase, name, tasks)["epochs"]

    # -- where it lies -------------------------------------------------------------------------------------------

    def data_path(self, task: str, language: str, split: str) -> str:
        return f"results/data/{self.config.data.source_of(task)}/{task}/{language}/{split}.parquet"

    # (also input functions of the workflow's collecting rules, so that a list is made only when its rule is used)

    def model_paths(self, wildcards: Any = None) -> list[str]:
        return [*self.encoder_paths(), *self.intermediate_paths(), *self.target_paths()]

    def encoder_paths(self, wildcards: Any = None) -> list[str]:
        return [f"results/encoders/{encoder}/manifest.json" for encoder in self.encoders]

    def intermediate_paths(self, wildcards: Any = None) -> list[str]:
        return [f"results/intermediate/{run.path}/manifest.json" for run in self.intermediate_runs]

    def target_paths(self, wildcards: Any = None) -> list[str]:
        trained = [target for target in self.targets if self.is_trained(target)]
        return [f"results/target/{run.path}/{name}/manifest.json" for name in trained for run in self.runs_of(name)]

    def evaluation_paths(self, wildcards: Any = None) -> list[str]:
        return [
            evaluation_path(run, target, language)
            for target in self.targets
            for run in self.runs_of(target)
            for language in self.languages(target)
        ]

    def development_paths(self, wildcards: Any = None) -> list[str]:
        """Results on development data: what intermediates are chosen on."""
        return [
            evaluation_path(run, target, f"{language}.dev")
            for target in self.targets
            for run in self.runs_of(target)
            for language in self.development(target)
        ]

    def beside_results(self, wildcards: Any = None) -> list[str]:
        """The manifests of all evaluations, where they must be brought to the analysis."""
        evaluations = [
            evaluation_path(run, target, "manifest") for target in self.targets for run in self.runs_of(target)
        ]
        return evaluations if self.staged else []

    def data_paths(self, wildcards: Any = None) -> list[str]:
        """Every data file that the experiment reads."""
        found: dict[str, None] = {}
        for encoder in self.scratch:
            found |= dict.fromkeys([*self.text(encoder).values(), *self.parallel(encoder).values()])
        for intermediate, mix in self.trained:
            found |= dict.fromkeys(self._intermediate_data(intermediate, mix))
        for target in self.targets:
            if self.is_trained(target):
                found |= dict.fromkeys(self._training_data(self.trained_on(target), None))
            found |= dict.fromkeys([*self._evaluation_data(target), *self._support_data(target)])
        return list(found)

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
            "target": one_of(self.targets),
        }

    # -- inputs of jobs (functions of wildcards) -----------------------------------------------------------------

    def source_files(self, wildcards: Any) -> list[str]:
        """Published files that a data file is made from, as far as they are there (the reader names what is not)."""
        if wildcards.source != "files":
            return []
        root = data_root(self.config)
        patterns = [part["path"] for part in self.parts(wildcards) if "path" in part]
        return list(dict.fromkeys(str(path) for name in patterns for path in _matching(root, name)))

    def translated_from(self, wildcards: Any) -> str:
        """The English training data that a translation is made of."""
        return self.data_path(wildcards.task, catalogue.ENGLISH, "train")

    def text_files(self, wildcards: Any) -> list[str]:
        return list(self.text(wildcards.encoder).values())

    def parallel_files(self, wildcards: Any) -> list[str]:
        return list(self.parallel(wildcards.encoder).values())

    def encoder_files(self, wildcards: Any) -> list[str]:
        """Files of a local encoder folder, so that a change of them is seen."""
        folder = Path(self.config.encoders[wildcards.encoder].from_).expanduser()
        return sorted(str(path) for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []

    def intermediate_data(self, wildcards: Any) -> list[str]:
        return self._intermediate_data(wildcards.intermediate, wildcards.mix)

    @remembered_by("target")
    def target_data(self, wildcards: Any) -> list[str]:
        return self._training_data(self.trained_on(wildcards.target), None)

    def evaluation_data(self, wildcards: Any) -> list[str]:
        return self._evaluation_data(wildcards.target)

    def support_data(self, wildcards: Any) -> list[str]:
        return self._support_data(wildcards.target)

    def encoder_of(self, wildcards: Any) -> str:
        return f"results/encoders/{wildcards.encoder}/manifest.json"

    def started_from(self, wildcards: Any) -> str:
        """The model that a target run starts from: the encoder (baseline) or an intermediate model."""
        if wildcards.intermediate == BASELINE:
            return self.encoder_of(wildcards)
        return f"results/intermediate/{run_of(wildcards).path}/manifest.json"

    def evaluated(self, wildcards: Any) -> str:
        """The model that an evaluation reads."""
        if self.is_trained(wildcards.target):
            return f"results/target/{run_of(wildcards).path}/{wildcards.target}/manifest.json"
        return self.started_from(wildcards)

    def beside(self, manifest: Callable[[Any], str]) -> Callable[[Any], list[str]]:
        """The other files of the model whose manifest a job depends on, where they must be brought to the job."""

        def files(wildcards: Any) -> list[str]:
            folder = manifest(wildcards).rpartition("/")[0]
            names = MODEL if folder.startswith("results/encoders/") else TRAINED_MODEL
            return [f"{folder}/{name}" for name in names if name != "manifest.json"] if self.staged else []

        return files

    # -- parts ---------------------------------------------------------------------------------------------------

    def parts(self, wildcards: Any) -> list[dict[str, Any]]:
        """What a data file of the sources `files` and `hub` is made of, as the task's file says it."""
        data = load_task(wildcards.task).sources.parts(wildcards.source)
        return data.get(wildcards.language, {}).get(wildcards.split, [])

    def text(self, encoder: str) -> dict[str, str]:
        """Language -> text that an encoder is pretrained on."""
        chosen = self.config.encoders[encoder].languages
        languages = catalogue.languages_with(self.config, load_task(catalogue.TEXT), "train")
        used = languages if chosen == "all" else [code for code in languages if code in chosen]
        return {code: self.data_path(catalogue.TEXT, code, "train") for code in used}

    def parallel(self, encoder: str) -> dict[str, str]:
        """Language -> translations into English, where the encoder's initialisation needs them."""
        if self.config.encoders[encoder].initialisation != "cooccurrence":
            return {}
        languages = catalogue.languages_with(self.config, load_task(catalogue.PARALLEL), "train")
        used = [code for code in languages if code in self.text(encoder) and code != catalogue.ENGLISH]
        return {code: self.data_path(catalogue.PARALLEL, code, "train") for code in used}

    @remembered
    def text_beside(self, intermediate: str, mix: str) -> dict[str, str]:
        """Language -> text of an intermediate's continued masked language modelling; empty where there is none."""
        entry = self.config.intermediate(intermediate)
        if not entry.mlm.share:
            return {}
        seen = {
            language for task in entry.tasks for language in catalogue.mix_languages(self.config, mix, load_task(task))
        }
        chosen = {"all": None, "mix": seen}.get(str(entry.mlm.languages), entry.mlm.languages)
        languages = catalogue.languages_with(self.config, load_task(entry.mlm.task), "train")
        return {
            language: self.data_path(entry.mlm.task, language, "train")
            for language in languages
            if chosen is None or language in chosen
        }

    @remembered
    def _intermediate_data(self, intermediate: str, mix: str) -> list[str]:
        tasks = self.config.intermediate(intermediate).tasks
        return [*self._training_data(tasks, mix), *self.text_beside(intermediate, mix).values()]

    def translated_path(self, task: str, language: str) -> str:
        return f"results/data/translated/{task}/{language}/train.parquet"

    def _training_path(self, task: str, language: str, mix: str | None) -> str:
        if mix is not None and self.config.mixes[mix].translated and language != catalogue.ENGLISH:
            return self.translated_path(task, language)
        return self.data_path(task, language, "train")

    def _training_data(self, tasks: Iterable[str], mix: str | None) -> list[str]:
        """Training data of tasks in the languages of a mix (None: in English)."""
        return [
            self._training_path(task, language, mix)
            for task in tasks
            for language in (
                [catalogue.ENGLISH] if mix is None else catalogue.mix_languages(self.config, mix, load_task(task))
            )
        ]

    @remembered
    def _evaluation_data(self, target: str) -> list[str]:
        task, split = self.task(target).name, self.config.data.evaluation_split
        tested = [self.data_path(task, language, split) for language in self.languages(target)]
        return tested + [self.data_path(task, language, "dev") for language in self.development(target)]

    @remembered
    def _support_data(self, target: str) -> list[str]:
        """What predictions need besides the data to predict on: data to tune a threshold on, or what is searched."""
        task = self.task(target)
        return [self.data_path(task.name, *data) for data in catalogue.support_data(self.config, task)]
