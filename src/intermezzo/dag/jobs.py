"""The jobs of an experiment: what each makes and needs, and the parameters that it is tracked by.

A job's `path` is that of its log and benchmark: `target/{encoder}/{intermediate}/{mix}/seed{seed}/{training}`. Jobs
come in an order in which each stands after what it needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

from intermezzo.core.provenance import MANIFEST, PREDICTIONS
from intermezzo.dag.experiment import Grid
from intermezzo.dag.inputs import Inputs
from intermezzo.dag.lineage import Lineage
from intermezzo.dag.paths import BASELINE, DISJOINT, IN_ENGLISH, LEAKAGE, TRANSLATED, Run, evaluation_path
from intermezzo.dag.specs import Specs

STAGES = ("data", "overlap", "encoder", "intermediate", "target", "evaluation", "prompt", "summary")


@dataclass(frozen=True, eq=False)
class Job:
    """A job: what it makes, and the jobs that have to be done before."""

    path: str
    stage: str
    keys: SimpleNamespace
    """The wildcards of its rule."""
    outputs: tuple[str, ...]
    """The files that tell whether it is done: of a model its manifest alone."""
    needs: tuple[str, ...]
    """Paths of the jobs whose files it reads."""

    @property
    def name(self) -> str:
        """The task, encoder, intermediate, training or target that the job is about."""
        keys_by_stage = {"data": "task", "encoder": "encoder", "intermediate": "intermediate", "target": "training"}
        key = {"evaluation": "target", "prompt": "target", "overlap": None, "summary": None, **keys_by_stage}[
            self.stage
        ]
        return getattr(self.keys, key) if key else self.stage


def jobs_of(grid: Grid) -> dict[str, Job]:
    """path -> job, for all that `snakemake` (without a target) would make in an empty folder."""
    return {job.path: job for job in _jobs(grid)}


def _jobs(grid: Grid) -> Iterator[Job]:
    inputs = Inputs(grid)
    files = dict.fromkeys([*inputs.training_names(), *inputs.data_paths()])
    sources = {file: _made_of(inputs, file) for file in files}
    originals = [source for file in files for source in sources[file]]
    for file in sorted(dict.fromkeys([*originals, *files]), key=_depth):
        yield Job(_of_file(file), "data", _data_keys(file), (file,), tuple(map(_of_file, _made_of(inputs, file))))
    searched = [*inputs.training_names(), *inputs.test_names()]
    yield Job("leakage", "overlap", SimpleNamespace(), (LEAKAGE,), tuple(map(_of_file, searched)))
    for encoder in grid.encoders:
        keys = SimpleNamespace(encoder=encoder)
        text = [*inputs.text_files(keys), *inputs.parallel_files(keys)] if encoder in grid.scratch else []
        yield Job(f"encoders/{encoder}", "encoder", keys, (inputs.encoder_of(keys),), tuple(map(_of_file, text)))
    for run in grid.intermediate_runs:
        keys = SimpleNamespace(**run._asdict())
        needs = (f"encoders/{run.encoder}", *map(_of_file, inputs.intermediate_data(keys)))
        yield Job(_start(run), "intermediate", keys, (f"results/{_start(run)}/manifest.json",), needs)
    for training in grid.trainings:
        for run in grid.runs_of_training(training):
            keys, path = SimpleNamespace(**run._asdict(), training=training), f"target/{run.path}/{training}"
            needs = (_start(run), *map(_of_file, inputs.target_data(keys)))
            yield Job(path, "target", keys, (f"results/{path}/manifest.json",), needs)
    for target in grid.targets:
        for run in grid.runs_of(target):
            keys = SimpleNamespace(**run._asdict(), target=target)
            model = f"target/{run.path}/{grid.training_of(target)}" if grid.is_trained(target) else _start(run)
            data = map(_of_file, [*inputs.evaluation_data(keys), *inputs.support_data(keys)])
            outputs = tuple(evaluation_path(run, target, name) for name in ("manifest", *grid.results(target)))
            outputs += (outputs[0].replace(MANIFEST, PREDICTIONS),)
            yield Job(f"eval/{run.path}/{target}", "evaluation", keys, outputs, (model, *data))
    prompted = [
        (run, t) for name, targets in grid.prompted.items() for t in targets for run in grid.prompted_runs(name)
    ]
    for run, target in prompted:
        keys = SimpleNamespace(**run._asdict(), target=target)
        needs = tuple(map(_of_file, [*inputs.prompted_data(keys), *inputs.shots_data(keys)]))
        names = ("manifest", *grid.prompted[run.encoder][target])
        outputs = tuple(evaluation_path(run, target, name) for name in names)
        outputs += (outputs[0].replace(MANIFEST, PREDICTIONS),)
        yield Job(f"eval/{run.path}/{target}", "prompt", keys, outputs, needs)
    evaluated = tuple(f"eval/{run.path}/{target}" for target in grid.targets for run in grid.runs_of(target))
    evaluated += tuple(f"eval/{run.path}/{target}" for run, target in prompted)
    outputs = ("results/scores.parquet", "results/summary.tsv", "results/answer.md")
    yield Job("summary", "summary", SimpleNamespace(), outputs, (*evaluated, "leakage"))


def _made_of(inputs: Inputs, file: str) -> list[str]:
    """The data files that a data file is made of; none where it is read from a source."""
    keys = _data_keys(file)
    if keys.source in DISJOINT:
        return [inputs.disjoint_training(keys), *inputs.disjoint_tests(keys)]
    if keys.source == IN_ENGLISH:
        return [inputs.test_translated_from(keys)]
    return [inputs.translated_from(keys)] if keys.source == TRANSLATED else []


def _depth(file: str) -> int:
    """Files come after those that they are made of."""
    made, source = (TRANSLATED, IN_ENGLISH, *DISJOINT), _data_keys(file).source
    return made.index(source) + 1 if source in made else 0


def _start(run: Run) -> str:
    """The job that makes the model which a run's targets start from."""
    return f"encoders/{run.encoder}" if run.intermediate == BASELINE else f"intermediate/{run.path}"


def _of_file(path: str) -> str:
    return path.removeprefix("results/").removesuffix(".parquet")


def _data_keys(path: str) -> SimpleNamespace:
    source, task, language, split = _of_file(path).split("/")[1:]
    return SimpleNamespace(source=source, task=task, language=language, split=split)


class Tracked:
    """The parameters that the jobs of a grid are tracked by (`core.provenance.TRACKED`), as their rules have them."""

    def __init__(self, grid: Grid) -> None:
        self.grid, self.specs = grid, Specs(grid)
        self.lineage = Lineage(self.specs)

    def of(self, job: Job) -> dict[str, str]:
        """Name of a parameter -> its value."""
        specs, lineage, keys = self.specs, self.lineage, job.keys
        if job.stage == "data" and keys.source not in (TRANSLATED, IN_ENGLISH, *DISJOINT):
            return {"spec": specs.spec_data(keys), "code": specs.code_data(keys)}
        if job.stage == "encoder" and keys.encoder in self.grid.imported:
            return {"spec": specs.spec_import(keys), "code": specs.code_import(keys)}
        made = (specs.spec_translate, specs.code_translate, lineage.of_translation)
        if getattr(keys, "source", None) == IN_ENGLISH:
            made = (specs.spec_translate_test, specs.code_translate, lineage.of_test_translation)
        disjoint = (specs.spec_disjoint, specs.code_disjoint, lineage.of_disjoint)
        spec, code, inputs = {
            "data": disjoint if getattr(keys, "source", None) in DISJOINT else made,
            "overlap": (specs.spec_overlap, specs.code_overlap, lineage.of_overlap),
            "encoder": (specs.spec_pretrain, specs.code_pretrain, lineage.of_encoder),
            "intermediate": (specs.spec_intermediate, specs.code_intermediate, lineage.of_intermediate),
            "target": (specs.spec_target, specs.code_target, lineage.of_target),
            "evaluation": (specs.spec_evaluate, specs.code_evaluate, lineage.of_evaluation),
            "prompt": (specs.spec_prompt, specs.code_prompt, lineage.of_prompt),
            "summary": (specs.spec_summary, specs.code_summary, lineage.of_summary),
        }[job.stage]
        values = {"spec": spec(keys), "code": code(keys), "inputs": inputs(keys)}
        return values | ({"run": specs.names_of_run(keys)} if job.stage in ("evaluation", "prompt") else {})
