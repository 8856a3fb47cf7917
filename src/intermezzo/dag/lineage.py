"""What the inputs of a job were made with: settings and code of every job before it.

Snakemake does not make a missing file again when what was made from it is there. So after a change of settings and a
failed job, the results of the old settings would pass for new ones: the model is missing, its evaluation exists. A
job therefore carries a digest of all that its inputs depend on, as a tracked parameter, and is out of date with them.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from intermezzo.core.artifacts import digest
from intermezzo.core.memoize import remembered
from intermezzo.dag.experiment import BASELINE, Run, run_of
from intermezzo.dag.specs import Specs


class Lineage:
    """Digests of the inputs of jobs; each method is a function of the wildcards alone."""

    def __init__(self, specs: Specs) -> None:
        self.specs = specs
        self.grid = specs.grid
        self._known: dict[tuple[Any, ...], str] = {}

    def of_translation(self, wildcards: Any) -> str:
        return self._data((self.grid.translated_from(wildcards),))

    def of_encoder(self, wildcards: Any) -> str:
        return self._data((*self.grid.text_files(wildcards), *self.grid.parallel_files(wildcards)))

    def of_intermediate(self, wildcards: Any) -> str:
        return digest([self._encoder(wildcards.encoder), self._data(tuple(self.grid.intermediate_data(wildcards)))])

    def of_target(self, wildcards: Any) -> str:
        return digest([self._started_from(run_of(wildcards)), self._data(tuple(self.grid.target_data(wildcards)))])

    def of_evaluation(self, wildcards: Any) -> str:
        run, target = run_of(wildcards), wildcards.target
        model = self._target(run, target) if self.grid.is_trained(target) else self._started_from(run)
        data = (*self.grid.evaluation_data(wildcards), *self.grid.support_data(wildcards))
        return digest([model, self._data(data)])

    def of_summary(self, wildcards: Any = None) -> str:
        return digest(
            [self._evaluation(run, target) for target in self.grid.targets for run in self.grid.runs_of(target)]
        )

    # -- what each artefact was made with ------------------------------------------------------------------------

    @remembered
    def _data(self, paths: tuple[str, ...]) -> str:
        return digest([self._file(path) for path in paths])

    def _file(self, path: str) -> str:
        source, task, language, name = path.split("/")[-4:]
        split = name.removesuffix(".parquet")
        keys = SimpleNamespace(source=source, task=task, language=language, split=split)
        if source == "translated":
            return self._remember(
                ("data", path),
                lambda: [self.specs.spec_translate(keys), self.specs.code_translate(keys), self.of_translation(keys)],
            )
        return self._remember(("data", path), lambda: [self.specs.spec_data(keys), self.specs.code_data(keys)])

    def _encoder(self, name: str) -> str:
        specs, keys = self.specs, SimpleNamespace(encoder=name)
        if name in self.grid.imported:
            return self._remember(("encoder", name), lambda: [specs.spec_import(keys), specs.code_import(keys)])
        return self._remember(
            ("encoder", name),
            lambda: [specs.spec_pretrain(keys), specs.code_pretrain(keys), self.of_encoder(keys)],
        )

    def _started_from(self, run: Run) -> str:
        if run.intermediate == BASELINE:
            return self._encoder(run.encoder)
        specs, keys = self.specs, SimpleNamespace(**run._asdict())
        return self._remember(
            ("intermediate", *run),
            lambda: [specs.spec_intermediate(keys), specs.code_intermediate(keys), self.of_intermediate(keys)],
        )

    def _target(self, run: Run, target: str) -> str:
        specs, keys = self.specs, SimpleNamespace(**run._asdict(), target=target)
        return self._remember(
            ("target", *run, target),
            lambda: [specs.spec_target(keys), specs.code_target(keys), self.of_target(keys)],
        )

    def _evaluation(self, run: Run, target: str) -> str:
        specs, keys = self.specs, SimpleNamespace(**run._asdict(), target=target)
        return digest([specs.spec_evaluate(keys), specs.code_evaluate(keys), self.of_evaluation(keys)])

    def _remember(self, key: tuple[Any, ...], made_with: Callable[[], list[str]]) -> str:
        if key not in self._known:
            self._known[key] = digest(made_with())
        return self._known[key]
