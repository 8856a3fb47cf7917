"""Inputs of rules: the files that a job reads, as functions of its wildcards, and what the job calls them.

    input:   data=inputs.target_data,                     paths
    params:  data=inputs.target_arguments,                TASK/LANGUAGE=PATH, for the command line
    rule:    "python -m intermezzo stage finetune --data {params.data:q} ..."

Where jobs get local copies (remote storage) the paths are those of the copies: `*_arguments` put the names of the data
to the paths that Snakemake hands them. Snakemake does not record such parameters, as they follow from the inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from intermezzo.config import catalogue
from intermezzo.config.checks.data import data_root
from intermezzo.core.memoize import memoize
from intermezzo.core.places import local
from intermezzo.dag.experiment import Grid
from intermezzo.dag.paths import (
    DISJOINT,
    ENCODERS,
    MODEL,
    TRAINED_MODEL,
    TRANSLATED,
    data_path,
    disjoint_path,
    encoder_path,
    evaluation_path,
    intermediate_path,
    run_of,
    start_path,
    target_path,
)
from intermezzo.specs.finetuning import ALIGNMENT
from intermezzo.tasks import load_task

Files = dict[str, str]
"""Name of the data (TASK/LANGUAGE, TASK/LANGUAGE.dev or LANGUAGE) -> path."""


class Inputs:
    """The inputs of a grid's jobs."""

    def __init__(self, grid: Grid) -> None:
        self.grid, self.config = grid, grid.config

    # -- of the rules that make something ------------------------------------------------------------------------

    def source_files(self, wildcards: Any) -> list[str]:
        """Published files that a data file is made from, as far as they are there (the reader names what is not)."""
        if wildcards.source != "files":
            return []
        root = data_root(self.config)
        if root is None:
            return []
        patterns = [part["path"] for part in self.parts(wildcards) if "path" in part]
        return list(dict.fromkeys(str(path) for name in patterns for path in matching(root, name)))

    def translated_from(self, wildcards: Any) -> str:
        """The English training data that a translation is made of."""
        return self.data_path(wildcards.task, catalogue.ENGLISH, "train")

    def translation_arguments(self, wildcards: Any, input: Any) -> str:
        """The same with its name."""
        return f"{wildcards.task}/{catalogue.ENGLISH}={input[0]}"

    def overlap_training(self, wildcards: Any) -> list[str]:
        """The training files that may overlap with test data: as they were before any row was left out."""
        return list(self.training_names())

    def overlap_tests(self, wildcards: Any) -> list[str]:
        """The test data of all targets."""
        return list(self.test_names())

    def overlap_arguments(self, wildcards: Any, input: Any) -> list[str]:
        """All of them with names."""
        names = [f"train/{name}" for name in self.training_names().values()]
        names += [f"test/{name}" for name in self.test_names().values()]
        return _arguments(names, [*input.training, *input.tests])

    def disjoint_training(self, wildcards: Any) -> str:
        """The training file that a disjoint one is made of."""
        translated = wildcards.source == DISJOINT[1]
        source = TRANSLATED if translated else self.config.data.source_of(wildcards.task)
        return data_path(source, wildcards.task, wildcards.language, "train")

    def disjoint_tests(self, wildcards: Any) -> list[str]:
        """The test data of all targets in its language."""
        return [path for path in self.test_names() if path.split("/")[-2] == wildcards.language]

    def disjoint_arguments(self, wildcards: Any, input: Any) -> list[str]:
        """All of them with names."""
        tests = [f"test/{self.test_names()[path]}" for path in self.disjoint_tests(wildcards)]
        names = [f"train/{_file_name(self.disjoint_training(wildcards))}", *tests]
        return _arguments(names, [input.training, *input.tests])

    def text_files(self, wildcards: Any) -> list[str]:
        """The text that an encoder is pretrained on."""
        return list(self.text(wildcards.encoder).values())

    def text_arguments(self, wildcards: Any, input: Any) -> list[str]:
        """The same with names."""
        return _arguments(self.text(wildcards.encoder), input.text)

    def parallel_files(self, wildcards: Any) -> list[str]:
        """The translations that an encoder's embeddings start from."""
        return list(self.parallel(wildcards.encoder).values())

    def parallel_arguments(self, wildcards: Any, input: Any) -> list[str]:
        """The same with names."""
        return _arguments(self.parallel(wildcards.encoder), input.parallel)

    def encoder_files(self, wildcards: Any) -> list[str]:
        """Files of a local encoder folder, so that a change of them is seen."""
        folder = Path(local(self.grid.imported[wildcards.encoder].from_))
        return sorted(str(path) for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []

    def intermediate_data(self, wildcards: Any) -> list[str]:
        """The training data of an intermediate in the languages of a mix."""
        return list(self.intermediate_files(wildcards.intermediate, wildcards.mix).values())

    def alignment_files(self, wildcards: Any) -> list[str]:
        """The user's files of aligned words that an intermediate reads."""
        return list(self.alignments(wildcards.intermediate, wildcards.mix).values())

    def intermediate_arguments(self, wildcards: Any, input: Any) -> list[str]:
        """All of them with names."""
        files = self.intermediate_files(wildcards.intermediate, wildcards.mix)
        names = [*files, *self.alignments(wildcards.intermediate, wildcards.mix)]
        return _arguments(names, [*input.data, *input.alignments])

    def target_data(self, wildcards: Any) -> list[str]:
        """The data of a target training."""
        return list(self.training_files(wildcards.training).values())

    def target_arguments(self, wildcards: Any, input: Any) -> list[str]:
        """The same with names."""
        return _arguments(self.training_files(wildcards.training), input.data)

    def evaluation_data(self, wildcards: Any) -> list[str]:
        """The data that a target is evaluated on, test data first."""
        return list(self.evaluation_files(wildcards.target).values())

    def evaluation_arguments(self, wildcards: Any, input: Any) -> list[str]:
        """The same with names."""
        return _arguments(self.evaluation_files(wildcards.target), input.data)

    def support_data(self, wildcards: Any) -> list[str]:
        """What a target's predictions need besides the data to predict on."""
        return list(self.support_files(wildcards.target).values())

    def support_arguments(self, wildcards: Any, input: Any) -> list[str]:
        """The same with names."""
        return _arguments(self.support_files(wildcards.target), input.support)

    def encoder_of(self, wildcards: Any) -> str:
        """The encoder that an intermediate training starts from."""
        return encoder_path(wildcards.encoder)

    def started_from(self, wildcards: Any) -> str:
        """The model that a target run starts from: the encoder (baseline) or an intermediate model."""
        return start_path(run_of(wildcards))

    def evaluated(self, wildcards: Any) -> str:
        """The model that an evaluation reads."""
        run, target = run_of(wildcards), wildcards.target
        return target_path(run, self.grid.training_of(target)) if self.grid.is_trained(target) else start_path(run)

    def staged_model_files(self, manifest: Callable[[Any], str]) -> Callable[[Any], list[str]]:
        """The other files of the model whose manifest a job depends on, where they must be brought to the job."""

        def files(wildcards: Any) -> list[str]:
            folder = manifest(wildcards).rpartition("/")[0]
            names = MODEL if folder.startswith(f"{ENCODERS}/") else TRAINED_MODEL
            return [f"{folder}/{name}" for name in names if name != "manifest.json"] if self.grid.staged else []

        return files

    # -- of the rules that collect (a list is made only when its rule is used) -----------------------------------

    def model_paths(self, wildcards: Any = None) -> list[str]:
        """The manifests of all models."""
        return [*self.encoder_paths(), *self.intermediate_paths(), *self.target_paths()]

    def encoder_paths(self, wildcards: Any = None) -> list[str]:
        """The manifests of all encoders."""
        return [encoder_path(encoder) for encoder in self.grid.encoders]

    def intermediate_paths(self, wildcards: Any = None) -> list[str]:
        """The manifests of all intermediate models."""
        return [intermediate_path(run) for run in self.grid.intermediate_runs]

    def target_paths(self, wildcards: Any = None) -> list[str]:
        """The manifests of all fine-tuned target models."""
        return [target_path(run, name) for name in self.grid.trainings for run in self.grid.runs_of_training(name)]

    def evaluation_paths(self, wildcards: Any = None) -> list[str]:
        """The scores of every target on every run in every language."""
        return [
            evaluation_path(run, target, language)
            for target in self.grid.targets
            for run in self.grid.runs_of(target)
            for language in self.grid.languages(target)
        ]

    def development_paths(self, wildcards: Any = None) -> list[str]:
        """Scores on development data: what intermediates are chosen on."""
        return [
            evaluation_path(run, target, f"{language}.dev")
            for target in self.grid.targets
            for run in self.grid.runs_of(target)
            for language in self.grid.development(target)
        ]

    def staged_manifests(self, wildcards: Any = None) -> list[str]:
        """The manifests of all evaluations, where they must be brought to the analysis."""
        if not self.grid.staged:
            return []
        pairs = ((run, target) for target in self.grid.targets for run in self.grid.runs_of(target))
        return [evaluation_path(run, target, "manifest") for run, target in pairs]

    def data_paths(self, wildcards: Any = None) -> list[str]:
        """Every data file that the experiment reads."""
        files = [
            *(part for encoder in self.grid.scratch for part in (self.text(encoder), self.parallel(encoder))),
            *(self.intermediate_files(intermediate, mix) for intermediate, mix in self.grid.trained),
        ]
        files += map(self.training_files, self.grid.trainings)
        for target in self.grid.targets:
            files += [self.evaluation_files(target), self.support_files(target)]
        paths = list(dict.fromkeys(path for part in files for path in part.values()))
        return list(dict.fromkeys([*self.training_names(), *paths])) if self.config.data.overlap.drop else paths

    # -- parts ---------------------------------------------------------------------------------------------------

    def data_path(self, task: str, language: str, split: str) -> str:
        """A data file of a task, from the source that the configuration takes it from."""
        return data_path(self.config.data.source_of(task), task, language, split)

    def parts(self, wildcards: Any) -> list[dict[str, Any]]:
        """What a data file of the sources `files` and `hub` is made of, as the task's file says it."""
        data = load_task(wildcards.task).sources.parts(wildcards.source)
        return data.get(wildcards.language, {}).get(wildcards.split, [])

    def is_whole(self, task: str, split: str) -> bool:
        """Published data that a sample would break: candidates, and sides of mining whose pairs belong together."""
        return load_task(task).form.is_whole(split)

    @memoize
    def training_names(self) -> Files:
        """Path -> SOURCE/TASK/LANGUAGE of every file of labelled data, or of text beside them, that is trained on, as
        it was before any row was left out. Pretraining is not among it."""
        return self.intermediate_names() | self.target_names()

    @memoize
    def intermediate_names(self) -> Files:
        """The same of the files that intermediates are trained on."""
        files = [self._intermediate_files(intermediate, mix) for intermediate, mix in self.grid.trained]
        return {path: _file_name(path) for part in files for path in part.values()}

    @memoize
    def target_names(self) -> Files:
        """The same of the files that targets are trained on."""
        files = map(self._training_files, self.grid.trainings)
        return {path: _file_name(path) for part in files for path in part.values()}

    @memoize
    def test_names(self) -> Files:
        """Path -> TASK/LANGUAGE of every file that a target is evaluated on."""
        split = self.config.data.evaluation_split
        names = {
            (self.grid.task(name).name, code): None for name in self.grid.targets for code in self.grid.languages(name)
        }
        return {self.data_path(task, code, split): f"{task}/{code}" for task, code in names}

    @memoize
    def _tested_languages(self) -> frozenset[str]:
        return frozenset(path.split("/")[-2] for path in self.test_names())

    def _trained(self, files: Files) -> Files:
        """The files that are trained on: without rows that are in test data, if the configuration says so."""
        if not self.config.data.overlap.drop:
            return files
        tested = self._tested_languages()
        return {name: disjoint_path(path) if path.split("/")[-2] in tested else path for name, path in files.items()}

    @memoize
    def text(self, encoder: str) -> Files:
        """Language -> text that an encoder is pretrained on."""
        used = catalogue.text_languages(self.config, self.grid.scratch[encoder])
        return {code: self.data_path(catalogue.TEXT, code, "train") for code in used}

    @memoize
    def parallel(self, encoder: str) -> Files:
        """Language -> translations into English, where the encoder's initialisation needs them."""
        if self.grid.scratch[encoder].initialisation != "cooccurrence":
            return {}
        languages = catalogue.languages_with(self.config, load_task(catalogue.PARALLEL), "train")
        used = [code for code in languages if code in self.text(encoder) and code != catalogue.ENGLISH]
        return {code: self.data_path(catalogue.PARALLEL, code, "train") for code in used}

    @memoize
    def continued_mlm_text(self, intermediate: str, mix: str) -> Files:
        """Language -> text of an intermediate's continued masked language modelling; empty where there is none."""
        entry = self.config.intermediate(intermediate)
        if not entry.mlm.share:
            return {}
        in_mix = {
            language
            for task in self.grid.intermediate_tasks(intermediate)
            for language in catalogue.mix_languages(self.config, mix, load_task(task))
        }
        chosen = {"all": None, "mix": in_mix}.get(str(entry.mlm.languages), entry.mlm.languages)
        languages = catalogue.languages_with(self.config, load_task(entry.mlm.task), "train")
        return {
            language: self.data_path(entry.mlm.task, language, "train")
            for language in languages
            if chosen is None or language in chosen
        }

    @memoize
    def intermediate_files(self, intermediate: str, mix: str) -> Files:
        """TASK/LANGUAGE -> training data of an intermediate in the languages of a mix."""
        return self._trained(self._intermediate_files(intermediate, mix))

    @memoize
    def alignments(self, intermediate: str, mix: str) -> Files:
        """alignment/LANGUAGE -> file of aligned words, where an intermediate takes them from files."""
        align = self.config.intermediate(intermediate).align
        if align is None or align.alignments is None or align.level == "sentence":
            return {}
        languages = catalogue.mix_languages(self.config, mix, load_task(align.task))
        return {f"{ALIGNMENT}/{code}": f"{local(align.alignments)}/{code}.txt" for code in languages}

    @memoize
    def training_files(self, training: str) -> Files:
        """TASK/LANGUAGE -> data of a target training."""
        return self._trained(self._training_files(training))

    def _intermediate_files(self, intermediate: str, mix: str) -> Files:
        entry, files = self.config.intermediate(intermediate), {}
        for task in self.grid.intermediate_tasks(intermediate):
            for language in catalogue.mix_languages(self.config, mix, load_task(task)):
                files[f"{task}/{language}"] = self._training_path(task, language, mix)
        text = self.continued_mlm_text(intermediate, mix)
        return files | {f"{entry.mlm.task}/{language}": path for language, path in text.items()}

    def _training_files(self, training: str) -> Files:
        target = self.grid.trainings[training][0]
        files: Files = {}
        mix, tasks = self.config.target(target).mix, self.grid.trained_on(target)
        for task in tasks:
            languages = catalogue.mix_languages(self.config, mix, load_task(task)) if mix else (catalogue.ENGLISH,)
            files |= {f"{task}/{code}": self._training_path(task, code, mix) for code in languages}
        shots = catalogue.shots_of(self.config, target, load_task(tasks[-1]))
        return files | {f"{tasks[-1]}/{code}": self.data_path(tasks[-1], code, "train") for code in shots}

    @memoize
    def evaluation_files(self, target: str) -> Files:
        """TASK/LANGUAGE -> data to evaluate a target on; TASK/LANGUAGE.dev: its development data."""
        task, split = self.grid.task(target).name, self.config.data.evaluation_split
        files = {f"{task}/{code}": self.data_path(task, code, split) for code in self.grid.languages(target)}
        development = self.grid.development(target)
        return files | {f"{task}/{code}.dev": self.data_path(task, code, "dev") for code in development}

    @memoize
    def support_files(self, target: str) -> Files:
        """Language -> what predictions need besides: data to tune a threshold on, or candidates to search in."""
        task = self.grid.task(target)
        return {
            code: self.data_path(task.name, code, split) for code, split in catalogue.support_data(self.config, task)
        }

    def _training_path(self, task: str, language: str, mix: str | None) -> str:
        if mix and self.config.mixes[mix].translated and language != catalogue.ENGLISH:
            return data_path(TRANSLATED, task, language, "train")
        return self.data_path(task, language, "train")


def _arguments(names: Iterable[str], paths: Iterable[str]) -> list[str]:
    """NAME=PATH for each file, in the order of both."""
    return [f"{name}={path}" for name, path in zip(names, paths, strict=True)]


def _file_name(path: str) -> str:
    """SOURCE/TASK/LANGUAGE of a data file."""
    return "/".join(path.split("/")[-4:-1])


def matching(root: Path, name: str) -> list[Path]:
    """The files that a path or a pattern of a task file means."""
    paths = sorted(root.glob(name)) if any(sign in name for sign in "*?[") else [root / name]
    return [path for path in paths if path.is_file()]
