"""Two specifications of a job, compared: which keys differ, and what they are called in the configuration."""

from __future__ import annotations

from collections.abc import Iterator

from intermezzo.config.sections.base import Section
from intermezzo.config.settings import protocol_of
from intermezzo.core.differences import Change, sentence
from intermezzo.dag.experiment import Grid
from intermezzo.execution.snakemake_internals import PlannedJob
from intermezzo.tasks import load_task

TOLD = 4
"""Differences that are told of one job."""


class Naming:
    """Calls keys of specifications what the configuration calls them."""

    def __init__(self, grid: Grid) -> None:
        self.grid, self.config = grid, grid.config

    def words(self, job: PlannedJob, changes: list[Change]) -> Iterator[str]:
        """One sentence per difference, at most a few."""
        if job.rule == "summarize_scores":
            paths = [path for path, *_ in changes]
            more = f" and {len(paths) - TOLD} more" if len(paths) > TOLD else ""
            yield f"the experiment is another one ({', '.join(paths[:TOLD])}{more})"
            return
        for path, before, now in changes[:TOLD]:
            yield f"{self.key(job, path)} {sentence(before, now)}"
        if len(changes) > TOLD:
            yield f"{len(changes) - TOLD} more settings of it differ"

    def key(self, job: PlannedJob, path: str) -> str:
        """The key, or file, that a difference at `path` of a job's specification comes from."""
        path = path.removeprefix("prediction.")  # of an evaluation
        names, (first, *rest) = dict(job.wildcards), path.split(".")
        if "training" in names:  # any of the targets that share it
            names["target"] = self.grid.trainings[names["training"]][0]
        last = rest[-1] if rest else first
        if job.rule in ("pretrain_encoder", "import_encoder"):
            own = {"threads": "threads", "files": "resources/packages.yaml"}
            return own.get(first, f"encoders.{names['encoder']}.{path}")
        if job.rule in ("find_leakage", "leave_out_test_data"):
            return (
                f"data.overlap.{path}"
                if path in ("ngram", "drop")
                else f"the list of files that are compared ({first})"
            )
        if first in ("world", "threads"):
            return path
        if first in ("parts", "labels", "metrics", "generator") or last in (
            "labels",
            "format",
            "metrics",
            "unanswerable",
        ):
            task = names.get("task") or (rest[0] if first == "tasks" else self.grid.task(names["target"]).name)
            return f"resources/tasks/{task}.yaml ({last})"
        if first in ("rows", "root", "downloads"):
            return f"data.{first}"
        if (
            first in ("mix", "tasks")
            and last in ("portions", "budget", "repeats", "temperature", "unit")
            and "mix" in names
        ):
            return f"mixes.{names['mix']} ({last})"
        if first in ("languages", "development"):
            return {"languages": "languages.evaluation", "development": "languages.selection"}[first]
        if first == "continued_mlm":
            return f"intermediates.{names['intermediate']}.mlm.share"
        if first == "split":
            return "data.evaluation_split"
        if first == "training" or last in ("examples", "max_length", "stride", "pooling"):
            return self._setting(job, names, last)
        section = "targets" if "target" in names else "intermediates"
        return f"{section}.{names.get('target') or names.get('intermediate')}.{path}"

    def _setting(self, job: PlannedJob, names: dict[str, str], key: str) -> str:
        """The section that a setting of fine-tuning comes from: the most special one that names it."""
        phase = "intermediate" if job.rule == "train_intermediate" else "target"
        name = names[phase]
        mixed = self.config.tasks_of(name) if phase == "intermediate" else [self.grid.task(name).name]
        tasks = mixed or []
        tuning, special = self.config.encoders[names["encoder"]].finetuning, self.config.training.tasks
        named = self.config.intermediate(name) if phase == "intermediate" else self.config.target(name)
        alone = tasks[0] if len(tasks) == 1 else None
        layers: list[tuple[str, Section | None]] = [(f"{phase}s.{name}.training", named.training)]
        encoder = f"encoders.{names['encoder']}.finetuning"
        if alone in tuning.tasks:
            layers.append((f"{encoder}.tasks.{alone}.{phase}", getattr(tuning.tasks[alone], phase)))
        layers.append((f"{encoder}.{phase}", getattr(tuning, phase)))
        if alone in special:
            layers.append((f"training.tasks.{alone}.{phase}", getattr(special[alone], phase)))
        for place, section in layers:
            if section is not None and key in section.model_fields_set:
                return f"{place}.{key}"
        protocol = protocol_of(self.config, name) if phase == "target" else None
        if protocol and key in load_task(tasks[0]).protocol.settings.get(protocol, {}):
            return f"{key} of the protocol {protocol}"
        return f"training.{phase}.{key}"
