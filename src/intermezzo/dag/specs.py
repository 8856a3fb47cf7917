"""What a job depends on besides its inputs: a specification of its settings and a fingerprint of its code.

`spec_*` makes the model of a stage (`intermezzo.specs`) from the part of the configuration that a job depends on, as
canonical JSON; `code_*` is a hash of the code that it runs. Both are functions of the wildcards alone, so that
Snakemake records them and reruns a job exactly when they change.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from intermezzo import languages
from intermezzo.config import catalogue, prompting
from intermezzo.config.checks.data import data_root
from intermezzo.config.sections.intermediates import IntermediateConfig
from intermezzo.config.sections.targets import TargetConfig
from intermezzo.config.settings import examples_of, resolve, retrieval_of
from intermezzo.core.memoize import memoize_by
from intermezzo.core.model_packages import model_package
from intermezzo.core.places import local, locate
from intermezzo.core.secrets import masked_parts
from intermezzo.dag.experiment import Grid
from intermezzo.dag.fingerprint import fingerprint
from intermezzo.dag.inputs import Inputs
from intermezzo.dag.paths import BASELINE
from intermezzo.dag.trainings import head_of, target_spec, task_fields, training_settings
from intermezzo.languages import distances
from intermezzo.specs.data import FilesData, HubData, WorldData
from intermezzo.specs.evaluation import CodeStamps, EvaluateSpec, RunNames
from intermezzo.specs.finetuning import ALIGNMENT, Alignment, FinetuneSpec, TrainedTask
from intermezzo.specs.importing import ImportSpec
from intermezzo.specs.mixes import MixSettings, Portion
from intermezzo.specs.overlap import DisjointSpec, EvaluationFile, OverlapSpec, TrainingFile
from intermezzo.specs.prediction import PredictionSpec
from intermezzo.specs.pretraining import Architecture, PretrainingSettings, PretrainSpec, TokenizerSettings
from intermezzo.specs.prompting import LocalModel, PriceSpec, Prompt, PromptSpec, ServerModel
from intermezzo.specs.summary import (
    Attributes,
    Intermediate,
    Prices,
    Prompted,
    Published,
    Question,
    SummarySpec,
    Target,
)
from intermezzo.specs.tasks import TaskSpec
from intermezzo.specs.translation import FilesTranslation, HubTranslation, WorldTranslation
from intermezzo.specs.world import WorldSettings
from intermezzo.tasks import RESOURCES, load_task
from intermezzo.tasks.formats import MASKED_TEXT
from intermezzo.tasks.prompts import prompt_for
from intermezzo.tasks.published import published_scores

LOCK = "config/data.lock.yaml"
"""Which revisions and files the data came from; written by the first download, checked by all later ones."""
TRANSLATIONS = "results/.cache/translations"
"""Finished batches of translations by a model."""


class Specs:
    """Specifications and code fingerprints of the jobs of a grid."""

    def __init__(self, grid: Grid) -> None:
        self.grid, self.inputs = grid, Inputs(grid)
        self.config = grid.config

    # -- specifications ------------------------------------------------------------------------------------------

    @memoize_by("source", "task", "language", "split")
    def spec_data(self, wildcards: Any) -> str:
        """Of a data file: `specs.data`."""
        data, source, split = self.config.data, wildcards.source, wildcards.split
        task = load_task(wildcards.task)
        rows = data.rows.of(task.name, data.evaluation_split if split == "candidates" else split)
        common: dict[str, Any] = {"source": source, "task": task.name, "format": task.format, "split": split}
        common |= {"language": wildcards.language, "rows": rows}
        if source == "world":
            world = task.sources.world
            generator, labels = (world.generator, world.map) if world else (None, {})
            return WorldData(**common, world=self._world(), generator=generator, labels=labels).canonical()
        whole = self.inputs.is_whole(task.name, split)
        common |= {"parts": masked_parts(self.inputs.parts(wildcards)), "rows": None if whole else rows}
        if source == "files":
            return FilesData(**common, root=self._root()).canonical()
        return HubData(**common, lock=LOCK, downloads=data.downloads).canonical()

    def spec_translate(self, wildcards: Any) -> str:
        """Of translated training data: `specs.translation`."""
        return self._translation(wildcards.task, wildcards.language, "train", self.config.translation.examples)

    def spec_translate_test(self, wildcards: Any) -> str:
        """Of development or test data that are translated into English: all rows that are evaluated."""
        published = self.config.translation.backend == "files"
        rows = self.config.data.rows.of(wildcards.task, wildcards.split) if published else None
        return self._translation(wildcards.task, wildcards.language, wildcards.split, rows)

    def _translation(self, name: str, language: str, split: str, examples: int | None) -> str:
        how, task = self.config.translation, load_task(name)
        common: dict[str, Any] = {"task": name, "language": language, "split": split, "examples": examples}
        if how.backend == "world":
            return WorldTranslation(**common, backend="world", noise=how.noise, world=self._world()).canonical()
        if how.backend == "files":
            return FilesTranslation(
                **common,
                backend="files",
                format=task.format,
                parts=masked_parts(task.sources.parts("translated").get(language, {}).get(split, [])),
                root=self._root(),
                lock=LOCK,
                downloads=self.config.data.downloads,
            ).canonical()
        return HubTranslation(
            **common,
            backend="hub",
            model=local(how.model or ""),
            revision=how.revision,
            code=how.languages.get(language),
            english=how.english,
            batch_size=how.batch_size,
            beams=how.beams,
            max_length=how.max_length,
            cache=TRANSLATIONS,
            threads=self.grid.threads,
        ).canonical()

    def spec_overlap(self, wildcards: Any = None) -> str:
        """Of the table of overlaps between training data and others: `specs.overlap`."""
        overlap = self.config.data.overlap
        return OverlapSpec(
            ngram=overlap.ngram,
            drop=overlap.drop,
            intermediates=tuple(map(self._training_file, self.inputs.intermediate_names())),
            targets=tuple(map(self._training_file, self.inputs.target_names())),
            tests=tuple(map(self._evaluation_file, self.inputs.test_names())),
        ).canonical()

    def spec_disjoint(self, wildcards: Any) -> str:
        """Of a training file without the rows that are in test data: `specs.overlap`."""
        overlap = self.config.data.overlap
        return DisjointSpec(
            ngram=overlap.ngram,
            drop=overlap.drop or "ngram",
            training=self._training_file(self.inputs.disjoint_training(wildcards)),
            tests=tuple(map(self._evaluation_file, self.inputs.disjoint_tests(wildcards))),
        ).canonical()

    def spec_pretrain(self, wildcards: Any) -> str:
        """Of an encoder pretrained here: `specs.pretraining`."""
        encoder = self.grid.scratch[wildcards.encoder]
        training = encoder.training.model_dump()
        return PretrainSpec(
            seed=encoder.seed,
            languages=tuple(self.inputs.text(wildcards.encoder)),
            tokenizer=TokenizerSettings(**encoder.tokenizer.model_dump()),
            model=Architecture(**encoder.model.model_dump()),
            initialisation=encoder.initialisation,
            language_alpha=encoder.language_alpha,
            mask_rate=encoder.mask_rate,
            training=PretrainingSettings(**training | {"betas": tuple(training["betas"])}),
            **self._workers(),
        ).canonical()

    def spec_import(self, wildcards: Any) -> str:
        """Of an encoder from elsewhere: `specs.importing`."""
        encoder = self.grid.imported[wildcards.encoder]
        package = model_package(encoder.from_)
        files = package.hashes if package else {}
        return ImportSpec(source=local(encoder.from_), revision=encoder.revision, files=files).canonical()

    @memoize_by("encoder")
    def longest_input(self, wildcards: Any) -> int:
        """Tokens of the longest input that an encoder has to read in any of its trainings and evaluations."""
        encoder, grid = wildcards.encoder, self.grid
        names = () if encoder in grid.baseline_only else self.config.grid.intermediates
        tasks = {("intermediate", name): grid.intermediate_tasks(name) for name in names}
        tasks |= {("target", name): [grid.task(name).name] for name in grid.targets}
        return max(resolve(self.config, encoder, *run, tasks[run]).max_length for run in tasks)  # type: ignore[arg-type]

    @memoize_by("encoder", "intermediate", "mix", "seed")
    def spec_intermediate(self, wildcards: Any) -> str:
        """Of an intermediate training in a mix: `specs.finetuning`."""
        name, encoder = wildcards.intermediate, wildcards.encoder
        entry, mix = self.config.intermediate(name), self.config.mixes[wildcards.mix]
        tasks = [
            TrainedTask(
                **task_fields(task),
                head=task.name,
                partial_input=None,
                shuffle_labels=entry.shuffle_labels,
                as_text=entry.as_text,
                examples=examples_of(self.config, encoder, "intermediate", name, task.name),
                portions=tuple(catalogue.portions_of(self.config, wildcards.mix, task)),
                align=self._alignment(name, task.name),
            )
            for task in map(load_task, self.grid.intermediate_tasks(name))
        ]
        settings = resolve(self.config, encoder, "intermediate", name, self.grid.intermediate_tasks(name))
        text = tuple(self.inputs.continued_mlm_text(name, wildcards.mix))
        if text:
            tasks.append(
                TrainedTask(
                    **task_fields(load_task(entry.mlm.task)),
                    head=entry.mlm.task,
                    partial_input=None,
                    shuffle_labels=False,
                    examples=entry.mlm.examples,
                    portions=(Portion("text", 1.0, text),),
                )
            )
        return FinetuneSpec(
            phase="intermediate",
            seed=int(wildcards.seed),
            tasks=tuple(tasks),
            sampling=entry.sampling,
            cap=entry.cap,
            temperature=entry.temperature,
            mix=MixSettings(budget=mix.budget, repeats=mix.repeats, temperature=mix.temperature, unit=mix.unit),
            continued_mlm={entry.mlm.task: entry.mlm.share} if text else {},
            training=training_settings(settings),
            **self._workers(),
        ).canonical()

    @memoize_by("encoder", "seed", "training")
    def spec_target(self, wildcards: Any) -> str:
        """Of a target training: `specs.finetuning`."""
        target = self.grid.trainings[wildcards.training][0]
        return target_spec(self.grid, wildcards.encoder, target, int(wildcards.seed)).canonical()

    @memoize_by("encoder", "target")
    def spec_evaluate(self, wildcards: Any) -> str:
        """Of an evaluation: `specs.evaluation`."""
        name, entry, task = wildcards.target, self.config.target(wildcards.target), self.grid.task(wildcards.target)
        settings = resolve(self.config, wildcards.encoder, "target", name, [task.name])
        head = head_of(self.grid.trained_on(name))
        reads: dict[str, Any] = {"pooling": settings.pooling, "head": head if head != task.name else None}
        if not task.form.trained:
            retrieval = retrieval_of(self.config, name, task)
            reads = {"layer": retrieval.layer, "pooling": retrieval.pooling, "center": retrieval.center}
            imported = self.grid.imported.get(wildcards.encoder)
            reads["prefix"] = imported.prefix if imported else ""
        return EvaluateSpec(
            prediction=PredictionSpec(
                task=TaskSpec(**task_fields(task), partial_input=task.partial_input if entry.partial_input else None),
                max_length=settings.max_length,
                stride=settings.stride,
                precision=settings.precision,
                threads=self.grid.threads,
                **reads,
            ),
            metrics=task.metrics,
            languages=self.grid.languages(name),
            development=self.grid.development(name),
            translated=entry.translate_test,
            split=self.config.data.evaluation_split,
        ).canonical()

    @memoize_by("encoder", "seed", "target")
    def spec_prompt(self, wildcards: Any) -> str:
        """Of an evaluation by a prompted model, which stands in the place of an encoder: `specs.prompting`."""
        name, target, config = wildcards.encoder, wildcards.target, self.config
        entry, task = config.prompted[name], self.grid.task(target)
        prompts = {code: prompt_for(task, code) for code in prompting.instructions(config, name, target)}
        model: LocalModel | ServerModel
        if entry.from_ is None:
            model = ServerModel(
                kind="server",
                server=str(entry.server),
                model=str(entry.model),
                key=entry.key,
                requests=entry.requests,
            )
        else:
            place = str(locate(entry.from_)) if prompting.is_local_file(entry.from_) else entry.from_
            limits = {"max_length": entry.max_length, "batch_size": entry.batch_size}
            model = LocalModel(kind="local", source=place, revision=entry.revision, **limits)
        return PromptSpec(
            model=model,
            task=TaskSpec(**task_fields(task), partial_input=None),
            metrics=task.metrics,
            languages=self.grid.prompted[name][target],
            split=config.data.evaluation_split,
            translated=config.target(target).translate_test,
            instruction=entry.instruction,
            prompts={code: Prompt(text=found.text, answers=found.answers) for code, found in prompts.items()},
            shots=entry.shots,
            shots_task=self.grid.trained_on(target)[-1] if entry.shots else None,
            seed=int(wildcards.seed) if entry.shots else None,
            normalise=entry.normalise,
            answer_tokens=entry.answer_tokens,
            price=PriceSpec(**entry.price.model_dump()),
            threads=self.grid.threads,
        ).canonical()

    def names_of_run(self, wildcards: Any) -> str:
        """The keys that name an evaluation, as they are written into its results."""
        seed = None if wildcards.seed == "none" else int(wildcards.seed)
        names = {key: getattr(wildcards, key) for key in ("encoder", "intermediate", "mix", "target")}
        return RunNames(**names, seed=seed).canonical()

    def spec_summary(self, wildcards: Any = None) -> str:
        """Of the summary and the report: the design of the experiment, `specs.summary`."""
        grid, mixes = self.grid, self.config.grid.mixes
        return SummarySpec(
            english=catalogue.ENGLISH,
            mixes=tuple(mixes),
            english_mix=next((mix for mix in mixes if catalogue.is_english(self.config, mix)), None),
            translated=frozenset(mix for mix in mixes if self.config.mixes[mix].translated),
            rare=frozenset(catalogue.rare_languages(self.config)),
            attributes=self._attributes(),
            pretrained=self._pretrained(),
            leakage=self._leakage(),
            distances=self._distances(),
            seeds=tuple(grid.seeds),
            encoders=tuple(grid.encoders),
            baseline_only=frozenset(grid.baseline_only),
            intermediates={BASELINE: Intermediate(tasks=(), mixes={BASELINE: ()})}
            | {name: self._intermediate(name) for name in self.config.grid.intermediates},
            targets={name: self._target(name) for name in grid.targets},
            skills=self._skills(),
            published=self._published(),
            prices=Prices(**self.config.prices.model_dump()),
            prompted={
                name: Prompted(targets=targets, seeded=bool(self.config.prompted[name].shots))
                for name, targets in grid.prompted.items()
            },
            question=Question(**self.config.question.as_spec()),
        ).canonical()

    # -- fingerprints --------------------------------------------------------------------------------------------

    @memoize_by("source", "task")
    def code_data(self, wildcards: Any) -> str:
        """Of the source of a data file, and of the check of its rows."""
        source, fmt = wildcards.source, load_task(wildcards.task).format
        roots = ("intermezzo.sources", f"intermezzo.sources.{source}", f"intermezzo.tasks.formats.{fmt}")
        return self._fingerprint(roots, (RESOURCES / "world.yaml",) if source == "world" else ())

    def code_translate(self, wildcards: Any) -> str:
        """Of the backend of translations."""
        backend = self.config.translation.backend
        fmt = load_task(wildcards.task).format
        roots = ("intermezzo.translation", f"intermezzo.translation.{backend}", f"intermezzo.tasks.formats.{fmt}")
        read = ("intermezzo.sources.files", "intermezzo.sources.hub") if backend == "files" else ()
        return self._fingerprint(roots + read, (RESOURCES / "world.yaml",) if backend == "world" else ())

    def code_overlap(self, wildcards: Any = None) -> str:
        """Of the search for test data in training data."""
        return self._overlap_code([*self.inputs.training_names(), *self.inputs.test_names()])

    def code_disjoint(self, wildcards: Any) -> str:
        """The same for one training file."""
        return self._overlap_code([self.inputs.disjoint_training(wildcards), *self.inputs.disjoint_tests(wildcards)])

    def code_pretrain(self, wildcards: Any) -> str:
        """Of pretraining."""
        return self._fingerprint(("intermezzo.training.pretrain",))

    def code_import(self, wildcards: Any) -> str:
        """Of taking an encoder from elsewhere."""
        package = model_package(self.grid.imported[wildcards.encoder].from_)
        unpacking = (f"intermezzo.modeling.unpacking.{package.format}",) if package else ()
        return self._fingerprint(("intermezzo.modeling.importing", "intermezzo.specs.importing", *unpacking))

    @memoize_by("intermediate")
    def code_intermediate(self, wildcards: Any) -> str:
        """Of fine-tuning with the heads of an intermediate's tasks."""
        entry = self.config.intermediate(wildcards.intermediate)
        masked = {MASKED_TEXT} if entry.mlm.share or entry.as_text else set()
        tasks = map(load_task, self.grid.intermediate_tasks(wildcards.intermediate))
        return self._finetuning_code({task.format for task in tasks} | masked, aligned=entry.align is not None)

    @memoize_by("training")
    def code_target(self, wildcards: Any) -> str:
        """Of fine-tuning with the head of a target."""
        return self._finetuning_code({self.grid.task(self.grid.trainings[wildcards.training][0]).format})

    @memoize_by("target")
    def code_evaluate(self, wildcards: Any) -> str:
        """What predicts, and what scores: a changed metric leaves the cached predictions valid."""
        fmt = self.grid.task(wildcards.target).format
        form = f"intermezzo.tasks.formats.{fmt}"
        predict = self._fingerprint(("intermezzo.evaluation.predict", f"intermezzo.modeling.heads.{fmt}", form))
        score = self._fingerprint(("intermezzo.evaluation.evaluate", f"intermezzo.evaluation.metrics.{fmt}", form))
        return CodeStamps(predict=predict, score=score).canonical()

    @memoize_by("target")
    def code_prompt(self, wildcards: Any) -> str:
        """Of the backends of prompted models, and of what scores."""
        fmt = self.grid.task(wildcards.target).format
        form, room = f"intermezzo.tasks.formats.{fmt}", "intermezzo.evaluation.prompted"
        predict = self._fingerprint((f"{room}.requests", f"{room}.local", f"{room}.server", form))
        score = self._fingerprint((f"{room}.evaluate", f"intermezzo.evaluation.metrics.{fmt}", form))
        return CodeStamps(predict=predict, score=score).canonical()

    def code_summary(self, wildcards: Any = None) -> str:
        """Of the analysis."""
        return self._fingerprint(("intermezzo.analysis.run", *self._target_formats()))

    def code_report(self, wildcards: Any = None) -> str:
        """Of the report."""
        return self._fingerprint(("intermezzo.report", *self._target_formats()))

    def _target_formats(self) -> list[str]:
        """The modules of the formats that the grid's targets have."""
        formats = sorted({self.grid.task(target).format for target in self.grid.targets})
        return [f"intermezzo.tasks.formats.{fmt}" for fmt in formats]

    def _overlap_code(self, paths: list[str]) -> str:
        formats = sorted({load_task(path.split("/")[-3]).format for path in paths})
        return self._fingerprint(("intermezzo.sources.overlap", *(f"intermezzo.tasks.formats.{f}" for f in formats)))

    def _finetuning_code(self, formats: set[str], *, aligned: bool = False) -> str:
        rooms = ("intermezzo.modeling.heads", "intermezzo.tasks.formats")
        roots = [f"{room}.{fmt}" for room in rooms for fmt in sorted(formats)]
        roots += [f"{rooms[0]}.{ALIGNMENT}"] if aligned else []
        return self._fingerprint(("intermezzo.training.finetune", *roots))

    def _fingerprint(self, roots: tuple[str, ...], resources: tuple[Path, ...] = ()) -> str:
        return fingerprint(roots, resources, versions=self.config.track_versions)

    # -- parts ---------------------------------------------------------------------------------------------------

    def _alignment(self, intermediate: str, task: str) -> Alignment | None:
        """How an intermediate trains on the pairs of its realignment; None of its other tasks."""
        align = self.config.intermediate(intermediate).align
        if align is None or align.task != task:
            return None
        settings = align.model_dump(exclude={"task", "pairs", "alignments"})
        return Alignment(**settings, from_files=align.alignments is not None and align.level != "sentence")

    def _world(self) -> WorldSettings:
        return WorldSettings(**self.config.world.model_dump())

    def _root(self) -> str | None:
        """The folder of the published files."""
        root = data_root(self.config)
        return str(root) if root else None

    def _training_file(self, path: str) -> TrainingFile:
        source, task, language = path.split("/")[-4:-1]
        return TrainingFile(source=source, task=task, language=language, format=load_task(task).format)

    def _evaluation_file(self, path: str) -> EvaluationFile:
        task, language = path.split("/")[-3:-1]
        return EvaluationFile(task=task, language=language, format=load_task(task).format)

    def _workers(self) -> dict[str, Any]:
        return {"threads": self.grid.threads, "processes": self.grid.processes}

    def _intermediate(self, name: str) -> Intermediate:
        """An intermediate as the summary knows it."""
        entry = self.config.intermediate(name)
        return Intermediate(
            tasks=tuple(self.grid.intermediate_tasks(name)),
            mixes={mix: self._seen(name, mix) for mix in self.config.mixes_of(name)},
            rows={mix: self._rows(name, mix) for mix in self.config.mixes_of(name)},
            control=entry.shuffle_labels or entry.as_text,
            method=", ".join(filter(None, (_realignment(entry), _own_adapter(entry)))),
        )

    def _target(self, name: str) -> Target:
        """A target as the summary knows it."""
        entry, task = self.config.target(name), self.grid.task(name)
        trained_on = self.grid.trained_on(name) if task.form.trained else []
        return Target(
            task=task.name,
            training=self.grid.training_of(name) if self.grid.is_trained(name) else None,
            format=task.format,
            metrics=task.metrics,
            languages=self.grid.languages(name),
            trained_on=() if trained_on == [task.name] else tuple(trained_on),
            trained_in=self._trained_in(name) if task.form.trained else (),
            shots=catalogue.shots_of(self.config, name, load_task(trained_on[-1])) if trained_on else {},
            translated=entry.translate_test,
            development=self.grid.development(name),
            baseline_only=entry.baseline_only,
            control=entry.partial_input or entry.shuffle_labels,
            method=_own_adapter(entry),
        )

    def _trained_in(self, target: str) -> tuple[str, ...]:
        """Languages other than English that a target is trained in."""
        files = self.inputs.training_files(self.grid.training_of(target))
        return tuple(sorted({name.partition("/")[2] for name in files} - {catalogue.ENGLISH}))

    def _attributes(self) -> dict[str, Attributes]:
        """What the analysis breaks results down by, for every language that is evaluated."""
        shipped = languages.table(self.config.data.source)
        return {
            code: Attributes(
                family=entry.family,
                branch=entry.branch,
                script=entry.script,
                joshi=entry.joshi,
                incomplete=self.config.data.source != "world" and None in (entry.family, entry.script),
                name=None if code in shipped and shipped[code].name == entry.name else entry.name,
            )
            for code, entry in self._evaluated().items()
        }

    def _evaluated(self) -> Mapping[str, languages.Language]:
        """Code -> language of all languages of evaluation."""
        codes = dict.fromkeys(code for target in self.grid.targets for code in self.grid.languages(target))
        return catalogue.described(self.config, codes)

    def _pretrained(self) -> dict[str, dict[str, bool]]:
        """Encoder -> evaluated language -> whether the encoder's pretraining text has it, as far as known."""
        evaluated = self._evaluated()
        answers = {name: catalogue.pretraining(self.config, name, evaluated) for name in self.grid.encoders}
        return {name: by_language for name, by_language in answers.items() if by_language}

    def _leakage(self) -> dict[str, str]:
        """Encoder -> what the configuration says of tasks or test data in its pretraining."""
        notes = {name: getattr(self.config.encoders[name], "leakage", "") for name in self.grid.encoders}
        return {name: note for name, note in notes.items() if note}

    def _distances(self) -> dict[str, dict[str, float]]:
        """Evaluated language -> language of any mix but English -> their distance, from the user's file."""
        if self.config.languages.distances is None:
            return {}
        known = distances.read(Path(self.config.languages.distances))
        entries = self.config.grid.intermediates
        mixed = {code for name in entries for mix in self.config.mixes_of(name) for code in self._seen(name, mix)}
        found: dict[str, dict[str, float]] = {}
        for code in self._evaluated():
            for other in sorted(mixed - {catalogue.ENGLISH, code}):
                if (value := distances.between(known, code, other)) is not None:
                    found.setdefault(code, {})[other] = value
        return found

    def _seen(self, intermediate: str, mix: str) -> tuple[str, ...]:
        """Languages that an intermediate is really trained on, over all its tasks."""
        return tuple(sorted({code for codes in self._rows(intermediate, mix).values() for code in codes}))

    def _rows(self, intermediate: str, mix: str) -> dict[str, tuple[str, ...]]:
        """Task -> languages that an intermediate has rows of it in."""
        tasks = map(load_task, self.grid.intermediate_tasks(intermediate))
        return {task.name: tuple(sorted(catalogue.mix_languages(self.config, mix, task))) for task in tasks}

    def _published(self) -> dict[str, tuple[Published, ...]]:
        """Published scores of targets whose test data are the published ones, all of them, in all their languages."""
        data, scores = self.config.data, {}
        for name in self.grid.targets:
            task, entry = self.grid.task(name), self.config.target(name)
            if data.source_of(task.name) == "world" or data.evaluation_split != "test" or entry.partial_input:
                continue
            if entry.translate_test:  # other test data than those of the published scores
                continue
            if task.form.trained and self._trained_in(name):  # few-shot: not what was published
                continue
            languages = {*self.grid.languages(name)}
            fitting = [
                Published(**score._asdict())
                for score in published_scores().get(task.name, ())
                if {*score.languages} <= languages and score.metric in task.metrics
            ]
            if fitting and data.rows.of(task.name, "test") is None:
                scores[name] = tuple(fitting)
        return scores

    def _skills(self) -> dict[str, str]:
        """Task -> what it asks for, of every task that anything is trained or evaluated on."""
        names = {task for name in self.config.grid.intermediates for task in self.grid.intermediate_tasks(name)}
        for name in self.grid.targets:
            names |= {self.grid.task(name).name, *(self.grid.trained_on(name) if self.grid.is_trained(name) else ())}
        return {name: load_task(name).skill for name in sorted(names)}


def _realignment(entry: IntermediateConfig) -> str:
    """What the comparison of methods calls realignment; "" without."""
    return ("realignment and tasks" if entry.tasks else "realignment") if entry.align else ""


def _own_adapter(entry: IntermediateConfig | TargetConfig) -> str:
    """What it calls an adapter of this entry; "" without one, or with one that every training has."""
    adapter = entry.training.adapter
    return {"lora": "LoRA", "ia3": "IA3"}[adapter.kind] if adapter else ""
