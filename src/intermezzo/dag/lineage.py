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
from intermezzo.core.memoize import memoize
from intermezzo.dag.paths import BASELINE, DISJOINT, IN_ENGLISH, TRANSLATED, Run, run_of
from intermezzo.dag.specs import Specs


class Lineage:
    """Digests of the inputs of jobs; each method is a function of the wildcards alone."""

    def __init__(self, specs: Specs) -> None:
        self.specs = specs
        self.grid, self.inputs = specs.grid, specs.inputs
        self._digests: dict[tuple[Any, ...], str] = {}

    def of_translation(self, wildcards: Any) -> str:
        """Of the English data that is translated."""
        return self._data((self.inputs.translated_from(wildcards),))

    def of_test_translation(self, wildcards: Any) -> str:
        """Of the development or test data that are translated into English."""
        return self._data((self.inputs.test_translated_from(wildcards),))

    def of_overlap(self, wildcards: Any = None) -> str:
        """Of all training and test data, before rows are left out."""
        return self._data((*self.inputs.training_names(), *self.inputs.test_names()))

    def of_disjoint(self, wildcards: Any) -> str:
        """Of a training file and the test data of its language."""
        return self._data((self.inputs.disjoint_training(wildcards), *self.inputs.disjoint_tests(wildcards)))

    def of_encoder(self, wildcards: Any) -> str:
        """Of the text and the translations that an encoder is pretrained on."""
        return self._data((*self.inputs.text_files(wildcards), *self.inputs.parallel_files(wildcards)))

    def of_intermediate(self, wildcards: Any) -> str:
        """Of the encoder and the data of an intermediate training."""
        return digest([self._encoder(wildcards.encoder), self._data(tuple(self.inputs.intermediate_data(wildcards)))])

    def of_target(self, wildcards: Any) -> str:
        """Of the model that a target starts from, and of its data."""
        return digest([self._started_from(run_of(wildcards)), self._data(tuple(self.inputs.target_data(wildcards)))])

    def of_evaluation(self, wildcards: Any) -> str:
        """Of the model that is evaluated, and of all data that it reads."""
        run, target, grid = run_of(wildcards), wildcards.target, self.grid
        model = self._target(run, grid.training_of(target)) if grid.is_trained(target) else self._started_from(run)
        data = (*self.inputs.evaluation_data(wildcards), *self.inputs.support_data(wildcards))
        return digest([model, self._data(data)])

    def of_prompt(self, wildcards: Any) -> str:
        """Of all data that a prompted model reads."""
        return self._data((*self.inputs.prompted_data(wildcards), *self.inputs.shots_data(wildcards)))

    def of_summary(self, wildcards: Any = None) -> str:
        """Of all evaluations, and of the search for test data in training data."""
        evaluations = [
            self._evaluation(run, target) for target in self.grid.targets for run in self.grid.runs_of(target)
        ]
        evaluations += [
            self._prompt(run, target)
            for name, targets in self.grid.prompted.items()
            for target in targets
            for run in self.grid.prompted_runs(name)
        ]
        return digest([*evaluations, self.specs.spec_overlap(), self.specs.code_overlap(), self.of_overlap()])

    def of_report(self, wildcards: Any = None) -> str:
        """Of the scores and the answer."""
        return digest([self.specs.code_summary(), self.of_summary()])

    # -- what each artefact was made with ------------------------------------------------------------------------

    @memoize
    def _data(self, paths: tuple[str, ...]) -> str:
        return digest([self._file(path) for path in paths])

    def _file(self, path: str) -> str:
        source, task, language, name = path.split("/")[-4:]
        split = name.removesuffix(".parquet")
        keys = SimpleNamespace(source=source, task=task, language=language, split=split)
        if source in DISJOINT:
            return self._digest(
                ("data", path),
                lambda: [self.specs.spec_disjoint(keys), self.specs.code_disjoint(keys), self.of_disjoint(keys)],
            )
        if source == TRANSLATED:
            return self._digest(
                ("data", path),
                lambda: [self.specs.spec_translate(keys), self.specs.code_translate(keys), self.of_translation(keys)],
            )
        if source == IN_ENGLISH:
            specs = self.specs
            return self._digest(
                ("data", path),
                lambda: [specs.spec_translate_test(keys), specs.code_translate(keys), self.of_test_translation(keys)],
            )
        return self._digest(("data", path), lambda: [self.specs.spec_data(keys), self.specs.code_data(keys)])

    def _encoder(self, name: str) -> str:
        specs, keys = self.specs, SimpleNamespace(encoder=name)
        if name in self.grid.imported:
            return self._digest(("encoder", name), lambda: [specs.spec_import(keys), specs.code_import(keys)])
        return self._digest(
            ("encoder", name),
            lambda: [specs.spec_pretrain(keys), specs.code_pretrain(keys), self.of_encoder(keys)],
        )

    def _started_from(self, run: Run) -> str:
        if run.intermediate == BASELINE:
            return self._encoder(run.encoder)
        specs, keys = self.specs, SimpleNamespace(**run._asdict())
        return self._digest(
            ("intermediate", *run),
            lambda: [specs.spec_intermediate(keys), specs.code_intermediate(keys), self.of_intermediate(keys)],
        )

    def _target(self, run: Run, training: str) -> str:
        specs, keys = self.specs, SimpleNamespace(**run._asdict(), training=training)
        return self._digest(
            ("target", *run, training),
            lambda: [specs.spec_target(keys), specs.code_target(keys), self.of_target(keys)],
        )

    def _evaluation(self, run: Run, target: str) -> str:
        specs, keys = self.specs, SimpleNamespace(**run._asdict(), target=target)
        return digest([specs.spec_evaluate(keys), specs.code_evaluate(keys), self.of_evaluation(keys)])

    def _prompt(self, run: Run, target: str) -> str:
        specs, keys = self.specs, SimpleNamespace(**run._asdict(), target=target)
        return digest([specs.spec_prompt(keys), specs.code_prompt(keys), self.of_prompt(keys)])

    def _digest(self, key: tuple[Any, ...], parts: Callable[[], list[str]]) -> str:
        if key not in self._digests:
            self._digests[key] = digest(parts())
        return self._digests[key]
