"""What a job depends on besides its inputs: a specification of its settings and a fingerprint of its code.

`spec_*` gives the part of the configuration that a job depends on, as canonical JSON; `code_*` a hash of the code
that it runs. Both are functions of the wildcards alone, so that Snakemake records them and reruns a job exactly
when they change.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from intermezzo import languages
from intermezzo.config import catalogue
from intermezzo.config.checks import data_root
from intermezzo.config.settings import examples_of, resolve, retrieval_of
from intermezzo.core.artifacts import canonical
from intermezzo.core.memoize import remembered_by
from intermezzo.dag.experiment import BASELINE, Grid
from intermezzo.dag.fingerprint import fingerprint
from intermezzo.tasks import RESOURCES, Task, load_task
from intermezzo.tasks.formats import MASKED_TEXT

LOCK = "config/data.lock.yaml"
"""Which revisions and files the data came from; written by the first download, checked by all later ones."""


class Specs:
    """Specifications and code fingerprints of the jobs of a grid."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.config = grid.config

    # -- specifications ------------------------------------------------------------------------------------------

    @remembered_by("source", "task", "language", "split")
    def spec_data(self, wildcards: Any) -> str:
        data, source, split = self.config.data, wildcards.source, wildcards.split
        task = load_task(wildcards.task)
        rows = data.rows.of(wildcards.task, data.evaluation_split if split == "candidates" else split)
        spec = {
            "source": source,
            "task": task.name,
            "format": task.format,
            "language": wildcards.language,
            "split": split,
            "rows": rows if source == "world" or not self._is_whole(wildcards) else None,
        }
        if source == "world":
            made_by = task.sources.world.model_dump() if task.sources.world else None
            return canonical(spec | {"world": self.config.world.model_dump(), "made_by": made_by})
        spec["parts"] = self.grid.parts(wildcards)
        if source == "files":
            return canonical(spec | {"root": str(data_root(self.config))})
        return canonical(spec | {"lock": LOCK, "downloads": data.downloads})

    def spec_translate(self, wildcards: Any) -> str:
        how, task = self.config.translation, load_task(wildcards.task)
        spec = {"task": task.name, "language": wildcards.language, "backend": how.backend, "examples": how.examples}
        if how.backend == "world":
            return canonical(spec | {"noise": how.noise, "world": self.config.world.model_dump()})
        if how.backend == "files":
            parts = task.sources.parts("translated")
            spec |= {"parts": parts.get(wildcards.language, {}).get("train", []), "rows": None}
            root = data_root(self.config)
            return canonical(spec | {"root": str(root), "lock": LOCK, "downloads": self.config.data.downloads})
        names = {"code": how.languages.get(wildcards.language), "cache": "results/.cache/translations"}
        settings = how.model_dump(exclude={"backend", "examples", "noise", "languages"})
        return canonical(spec | settings | names | {"threads": self.grid.threads})

    def spec_pretrain(self, wildcards: Any) -> str:
        encoder = self.config.encoders[wildcards.encoder]
        spec = encoder.model_dump(exclude={"finetuning", "languages", "baseline_only"})
        return canonical(spec | {"languages": list(self.grid.text(wildcards.encoder))} | self._workers())

    def spec_import(self, wildcards: Any) -> str:
        encoder = self.config.encoders[wildcards.encoder]
        return canonical({"from": encoder.from_, "revision": encoder.revision})

    @remembered_by("encoder", "intermediate", "mix", "seed")
    def spec_intermediate(self, wildcards: Any) -> str:
        name, encoder = wildcards.intermediate, wildcards.encoder
        entry = self.config.intermediate(name)
        tasks = [
            _task_spec(task)
            | {
                "head": task.name,
                "partial_input": None,
                "shuffle_labels": entry.shuffle_labels,
                "as_text": entry.as_text,
                "examples": examples_of(self.config, encoder, "intermediate", name, task.name),
                "portions": catalogue.portions_of(self.config, wildcards.mix, task),
            }
            for task in map(load_task, entry.tasks)
        ]
        sampling = {"sampling": entry.sampling, "cap": entry.cap, "temperature": entry.temperature}
        mix = self.config.mixes[wildcards.mix]
        sampling["mix"] = {"budget": mix.budget, "repeats": mix.repeats, "temperature": mix.temperature}
        if text := self.grid.text_beside(name, wildcards.mix):
            own = {"head": entry.mlm.task, "partial_input": None, "shuffle_labels": False}
            own |= {"examples": entry.mlm.examples, "portions": [["text", 1.0, list(text)]]}
            tasks.append(_task_spec(load_task(entry.mlm.task)) | own)
            sampling["beside"] = {entry.mlm.task: entry.mlm.share}
        settings = resolve(self.config, encoder, "intermediate", name, entry.tasks)
        return self._finetuning("intermediate", wildcards, settings, tasks, sampling)

    @remembered_by("encoder", "seed", "target")
    def spec_target(self, wildcards: Any) -> str:
        name, entry, task = wildcards.target, self.config.target(wildcards.target), self.grid.task(wildcards.target)
        tasks = [
            _task_spec(task)
            | {
                "name": data,
                "head": task.name,
                "partial_input": task.partial_input if entry.partial_input else None,
                "shuffle_labels": entry.shuffle_labels,
                "examples": examples_of(self.config, wildcards.encoder, "target", name, task.name),
                "portions": [[catalogue.ENGLISH, 1.0, [catalogue.ENGLISH]]],
            }
            for data in self.grid.trained_on(name)
        ]
        settings = resolve(self.config, wildcards.encoder, "target", name, [task.name])
        return self._finetuning("target", wildcards, settings, tasks, {"sampling": "in_turn"})

    @remembered_by("encoder", "target")
    def spec_evaluate(self, wildcards: Any) -> str:
        name, entry, task = wildcards.target, self.config.target(wildcards.target), self.grid.task(wildcards.target)
        settings = resolve(self.config, wildcards.encoder, "target", name, [task.name])
        spec = {
            "task": _task_spec(task)
            | {
                "metrics": list(task.metrics),
                "partial_input": task.partial_input if entry.partial_input else None,
            },
            "languages": list(self.grid.languages(name)),
            "development": list(self.grid.development(name)),
            "max_length": settings["max_length"],
            "stride": settings["stride"],
            "precision": settings["precision"],
            "threads": self.grid.threads,
            "split": self.config.data.evaluation_split,
        }
        how = {"pooling": settings["pooling"]} if task.form.trained else retrieval_of(self.config, name, task)
        return canonical(spec | how)

    def names_of_run(self, wildcards: Any) -> str:
        """The keys that name an evaluation, as they are written into its results."""
        seed = None if wildcards.seed == "none" else int(wildcards.seed)
        names = {key: getattr(wildcards, key) for key in ("encoder", "intermediate", "mix", "target")}
        return canonical(names | {"seed": seed})

    def spec_summary(self, wildcards: Any = None) -> str:
        """The design of the experiment, as `intermezzo.analysis.design` reads it."""
        mixes = self.config.grid.mixes
        return canonical(
            {
                "english": catalogue.ENGLISH,
                "mixes": mixes,
                "english_mix": next((mix for mix in mixes if self._is_english(mix)), None),
                "rare": list(catalogue.rare_languages(self.config)),
                "attributes": self._attributes(),
                "seeds": self.grid.seeds,
                "encoders": self.grid.encoders,
                "baseline_only": self.grid.baseline_only,
                "intermediates": {BASELINE: {"tasks": [], "mixes": {BASELINE: []}}}
                | {
                    name: {
                        "tasks": self.config.intermediate(name).tasks,
                        "mixes": {mix: self._seen(name, mix) for mix in self.config.mixes_of(name)},
                        "control": self.config.intermediate(name).shuffle_labels
                        or self.config.intermediate(name).as_text,
                    }
                    for name in self.config.grid.intermediates
                },
                "targets": {
                    name: {
                        "task": self.grid.task(name).name,
                        "format": self.grid.task(name).format,
                        "metrics": list(self.grid.task(name).metrics),
                        "languages": list(self.grid.languages(name)),
                        "development": list(self.grid.development(name)),
                        "baseline_only": self.config.target(name).baseline_only,
                        "control": self.config.target(name).partial_input or self.config.target(name).shuffle_labels,
                    }
                    for name in self.grid.targets
                },
            }
        )

    def _workers(self) -> dict[str, int]:
        """One process goes without saying."""
        several = {"processes": self.grid.processes} if self.grid.processes > 1 else {}
        return {"threads": self.grid.threads} | several

    # -- fingerprints --------------------------------------------------------------------------------------------

    @remembered_by("source", "task")
    def code_data(self, wildcards: Any) -> str:
        source, fmt = wildcards.source, load_task(wildcards.task).format
        roots = ("intermezzo.sources", f"intermezzo.sources.{source}", f"intermezzo.tasks.formats.{fmt}")
        return self._fingerprint(roots, (RESOURCES / "world.yaml",) if source == "world" else ())

    def code_translate(self, wildcards: Any) -> str:
        backend = self.config.translation.backend
        fmt = load_task(wildcards.task).format
        roots = ("intermezzo.translation", f"intermezzo.translation.{backend}", f"intermezzo.tasks.formats.{fmt}")
        read = ("intermezzo.sources.files", "intermezzo.sources.hub") if backend == "files" else ()
        return self._fingerprint(roots + read, (RESOURCES / "world.yaml",) if backend == "world" else ())

    def code_pretrain(self, wildcards: Any) -> str:
        return self._fingerprint(("intermezzo.training.pretrain",))

    def code_import(self, wildcards: Any) -> str:
        return self._fingerprint(("intermezzo.modeling.encoder",))

    @remembered_by("intermediate")
    def code_intermediate(self, wildcards: Any) -> str:
        entry = self.config.intermediate(wildcards.intermediate)
        masked = {MASKED_TEXT} if entry.mlm.share or entry.as_text else set()
        return self._finetuning_code({task.format for task in map(load_task, entry.tasks)} | masked)

    @remembered_by("target")
    def code_target(self, wildcards: Any) -> str:
        return self._finetuning_code({self.grid.task(wildcards.target).format})

    @remembered_by("target")
    def code_evaluate(self, wildcards: Any) -> str:
        """What predicts, and what scores: a changed metric leaves the cached predictions valid."""
        fmt = self.grid.task(wildcards.target).format
        form = f"intermezzo.tasks.formats.{fmt}"
        predict = self._fingerprint(("intermezzo.evaluation.predict", f"intermezzo.modeling.heads.{fmt}", form))
        score = self._fingerprint(("intermezzo.evaluation.evaluate", f"intermezzo.evaluation.metrics.{fmt}", form))
        return canonical({"predict": predict, "score": score})

    def code_summary(self, wildcards: Any = None) -> str:
        return self._fingerprint(("intermezzo.analysis.run", *self._target_formats()))

    def code_report(self, wildcards: Any = None) -> str:
        return self._fingerprint(("intermezzo.report", *self._target_formats()))

    def _target_formats(self) -> list[str]:
        """The modules of the formats that the grid's targets have."""
        return [
            f"intermezzo.tasks.formats.{fmt}" for fmt in sorted({self.grid.task(t).format for t in self.grid.targets})
        ]

    def _finetuning_code(self, formats: set[str]) -> str:
        rooms = ("intermezzo.modeling.heads", "intermezzo.tasks.formats")
        roots = (f"{room}.{fmt}" for room in rooms for fmt in sorted(formats))
        return self._fingerprint(("intermezzo.training.finetune", *roots))

    def _fingerprint(self, roots: tuple[str, ...], resources: tuple[Path, ...] = ()) -> str:
        return fingerprint(roots, resources, versions=self.config.track_versions)

    # -- parts ---------------------------------------------------------------------------------------------------

    def _finetuning(
        self,
        phase: str,
        wildcards: Any,
        settings: dict[str, Any],
        tasks: list[dict[str, Any]],
        sampling: dict[str, Any],
    ) -> str:
        del settings["examples"]  # each task has its own
        spec = {"phase": phase, "seed": int(wildcards.seed), "tasks": tasks} | self._workers()
        return canonical(spec | sampling | {"training": settings})

    def _attributes(self) -> dict[str, dict[str, Any]]:
        """What the analysis breaks results down by, for every language that is evaluated."""
        table = languages.table(self.config.data.source)
        evaluated = dict.fromkeys(code for target in self.grid.targets for code in self.grid.languages(target))
        columns = ("family", "script", "joshi", "xlmr")
        return {code: {column: getattr(table[code], column) for column in columns} for code in evaluated}

    def _is_whole(self, wildcards: Any) -> bool:
        """Published data that a sample would break: candidates, and sides of mining whose pairs belong together."""
        return load_task(wildcards.task).form.is_whole(wildcards.split)

    def _seen(self, intermediate: str, mix: str) -> list[str]:
        tasks = map(load_task, self.config.intermediate(intermediate).tasks)
        return sorted({code for task in tasks for code in catalogue.mix_languages(self.config, mix, task)})

    def _is_english(self, mix: str) -> bool:
        return {code for code, weight in self.config.mixes[mix].weights.items() if weight > 0} == {catalogue.ENGLISH}


def _task_spec(task: Task) -> dict[str, Any]:
    labels = task.labels if isinstance(task.labels, str) else list(task.labels)
    spec = {"name": task.name, "format": task.format, "labels": labels}
    return spec | {"unanswerable": True} if task.unanswerable else spec
