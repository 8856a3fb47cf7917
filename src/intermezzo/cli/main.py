"""The command line: `python -m intermezzo <stage>`. Every rule of the workflow is one stage, runnable by hand.

Stages get their settings as a JSON specification (`--spec`), so that what Snakemake tracks is what runs; it is read
into the stage's model before anything heavy is imported. Progress is logged on stderr. A problem that the user can mend
is one message there and exit status 2.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from intermezzo import __version__
from intermezzo.cli.arguments import read_option
from intermezzo.core.environment import QUIET, settle
from intermezzo.core.errors import UserError, machine_fault
from intermezzo.core.logs import configure
from intermezzo.execution.usage import recorded


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one stage; returns the exit status (0, or 2 for a problem that the user can mend)."""
    options = _parser().parse_args(arguments)
    configure()
    os.environ.update(QUIET)
    try:
        if "spec" in options:
            options.spec = _spec(options)
            settle(getattr(options.spec, "threads", 1), online=options.spec.online)
        with _labelled(options), recorded(options):
            options.run(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:
        if (message := machine_fault(error, _inputs(options))) is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        return 2
    return 0


def _spec(options: argparse.Namespace) -> Any:
    """The model of the stage's specification."""
    module, _, name = options.model_of_spec.partition(":")
    return read_option(f"--spec of {options.stage}", getattr(import_module(module), name), options.spec)


def _inputs(options: argparse.Namespace) -> list[Path]:
    """The files and folders that a command line gives to be read; of a model's manifest its whole folder."""
    given = {name: value for name, value in vars(options).items() if name not in ("out", "states", "cache")}
    values = [part for value in given.values() for part in (value if isinstance(value, list) else [value])]
    named = [value.partition("=")[2] for value in values if isinstance(value, str) and "=" in value]
    paths = [*(value for value in values if isinstance(value, Path)), *map(Path, filter(None, named))]
    return [path.parent if path.name == "manifest.json" else path for path in paths]


@contextmanager
def _labelled(options: argparse.Namespace) -> Iterator[None]:
    """Begin each line on stderr with the artefact that is made: the lines of parallel jobs share a terminal."""
    out = getattr(options, "out", None)
    with redirect_stderr(_Labelled(sys.stderr, "/".join(out.parts[-6:]))) if out else nullcontext():
        yield


class _Labelled:
    """A text stream that writes a label before every line."""

    def __init__(self, stream: TextIO, label: str) -> None:
        self._stream, self._label, self._at_start = stream, f"[{label.removeprefix('results/')}] ", True

    def write(self, text: str) -> int:
        for line in text.splitlines(keepends=True):
            self._stream.write(self._label + line if self._at_start else line)
            self._at_start = line.endswith("\n")
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="intermezzo", description=__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"intermezzo {__version__}")
    stages = parser.add_subparsers(required=True, metavar="stage")

    stage = _stage(
        stages, "prepare", "make one data file (a task, a language, a split) from its source", "data:DataSpec"
    )
    stage.add_argument("--out", type=Path, required=True, help="Parquet file to write")

    does = "translate English training data of a task into another language"
    stage = _stage(stages, "translate", does, "translation:TranslationSpec")
    stage.add_argument("--data", required=True, metavar="TASK/en=PATH", help="English training data")
    stage.add_argument("--out", type=Path, required=True, help="Parquet file to write")

    does = "count the rows of test data that are in training data"
    stage = _stage(stages, "leakage", does, "overlap:OverlapSpec")
    what = "data files of trainings (train/SOURCE/TASK/LANGUAGE=PATH) and of tests (test/TASK/LANGUAGE=PATH)"
    _named(stage, "--data", "NAME=PATH", what, required=False)
    stage.add_argument("--out", type=Path, required=True, help="table to write")

    does = "write training data without the rows that are in test data"
    stage = _stage(stages, "disjoin", does, "overlap:DisjointSpec")
    _named(stage, "--data", "NAME=PATH", "the training file and the test files, named likewise", required=True)
    stage.add_argument("--out", type=Path, required=True, help="Parquet file to write")

    stage = _stage(stages, "pretrain", "pretrain an encoder on text", "pretraining:PretrainSpec")
    _named(stage, "--text", "LANGUAGE=PATH", "data files of the task `text`", required=True)
    _named(stage, "--parallel", "LANGUAGE=PATH", "data files of the task `parallel`")
    _model(stage)

    does = "take a pretrained encoder from a folder, a Python package or the hub"
    stage = _stage(stages, "import-encoder", does, "importing:ImportSpec")
    stage.add_argument("--out", type=Path, required=True, help="model folder to write")
    what = "tokens of the longest input that it will have to read; an encoder that cannot is refused"
    stage.add_argument("--max-length", type=int, default=0, metavar="N", help=what)

    stage = _stage(
        stages, "finetune", "train on the tasks of an intermediate or of a target", "finetuning:FinetuneSpec"
    )
    stage.add_argument("--model", type=Path, required=True, help="manifest of the model to start from")
    _named(stage, "--data", "TASK/LANGUAGE=PATH", "training data files", required=True)
    _model(stage)

    stage = _stage(stages, "evaluate", "predict and score one target in all its languages", "evaluation:EvaluateSpec")
    stage.add_argument("--model", type=Path, required=True, help="manifest of the model to evaluate")
    what = "data files to evaluate on; TASK/LANGUAGE.dev=PATH for development data"
    _named(stage, "--data", "TASK/LANGUAGE=PATH", what, required=True)
    _named(stage, "--support", "LANGUAGE=PATH", "data to tune on, or candidates to search")
    stage.add_argument("--run", dest="names", required=True, metavar="JSON", help="names of the run")
    stage.add_argument("--out", type=Path, required=True, help="folder for {language}.json and the predictions")
    stage.add_argument("--cache", type=Path, required=True, help="folder of predictions that were already made")
    stage.add_argument(
        "--states", type=Path, default=Path("results/.state"), help="folder for states, if the model is to be rebuilt"
    )

    design = "intermezzo.analysis.design:Design"
    stage = _stage(stages, "summarize", "bring all scores together: scores, summary and answer", design)
    stage.add_argument("--results", type=Path, required=True, help="folder of the evaluation results")
    stage.add_argument("--leakage", type=Path, help="table of test rows that are in training data")
    for name in ("scores", "summary", "answer"):
        stage.add_argument(f"--{name}", type=Path, required=True, help="file to write")

    stage = _stage(stages, "report", "write the report, its figures and its tables", design)
    stage.add_argument("--scores", type=Path, required=True, help="scores.parquet")
    stage.add_argument("--results", type=Path, required=True, help="folder of all results")
    stage.add_argument("--page", type=Path, required=True, help="HTML file to write")
    stage.add_argument("--figures", type=Path, required=True, help="folder to write the figures to")
    stage.add_argument("--tables", type=Path, required=True, help="folder to write the tables to")

    does = "the answer for scores that another program may have made: scores.parquet, summary.tsv, answer.md, a report"
    analyse = stages.add_parser("analyse", help=does, description=does, allow_abbrev=False)
    analyse.add_argument("scores", type=Path, metavar="SCORES", help="table of scores (.parquet, .csv, .tsv)")
    what = "JSON file of the design (`grid --design` writes that of a configuration)"
    analyse.add_argument("--design", type=Path, required=True, metavar="FILE", help=what)
    analyse.add_argument("--out", type=Path, default=Path("analysis"), help="folder to write (analysis)")
    analyse.set_defaults(run=_lazily("cli.commands.scores", "analyse"))

    export = stages.add_parser("export", help="write a model as a Hugging Face folder with a model card")
    export.add_argument("model", type=Path, metavar="MODEL", help="model folder, such as results/encoders/NAME")
    export.add_argument("folder", type=Path, metavar="DIR", help="new folder to write")
    export.set_defaults(run=_lazily("cli.commands.export", "export"))

    does = "write the distances between an experiment's languages, by URIEL+, for languages.distances"
    distances = stages.add_parser("distances", help=does, description=does, allow_abbrev=False)
    kinds = ("featural", "syntactic", "phonological", "inventory", "genetic", "geographic")
    distances.add_argument(
        "--kind", choices=kinds, default="featural", help="what is compared (featural: all of typology)"
    )
    distances.add_argument("--out", type=Path, required=True, metavar="FILE", help="table to write")
    _overlays(distances)
    distances.set_defaults(run=_lazily("cli.commands.distances", "write_distances"))

    does = "write an encoder that has pickled weights (*.bin) as a folder with safetensors and tokenizer.json"
    convert = stages.add_parser("convert", help=does, description=does)
    convert.add_argument("source", metavar="FOLDER-OR-NAME", help="model folder, or the name of a model on the hub")
    convert.add_argument("folder", type=Path, metavar="DIR", help="new folder to write")
    convert.add_argument("--revision", metavar="COMMIT", help="commit of the hub's repository (default: main)")
    convert.set_defaults(run=_lazily("cli.commands.convert", "convert"))

    _configuration(stages)
    _plan(stages)
    _catalogue(stages)
    _benchmarks(stages)
    return parser


def _stage(stages: Any, name: str, does: str, model: str) -> argparse.ArgumentParser:
    """A stage whose specification is `model`: MODULE:CLASS, of `intermezzo.specs` where it says no more."""
    stage = stages.add_parser(name, help=does, description=does, allow_abbrev=False)
    stage.add_argument("--spec", required=True, metavar="JSON", help="settings as JSON, or a file of it")
    stage.add_argument("--code", default="", help="fingerprint of the code, recorded in the results")
    stage.add_argument("--inputs", default="", help="digest of what the inputs were made with, recorded in the results")
    model = model if "." in model else f"intermezzo.specs.{model}"
    stage.set_defaults(run=_lazily("cli.stages", name.replace("-", "_")), stage=name, model_of_spec=model)
    return stage


def _named(stage: argparse.ArgumentParser, option: str, form: str, what: str, *, required: bool = False) -> None:
    """Files with names (`cli.arguments`)."""
    stage.add_argument(option, nargs="+" if required else "*", default=[], required=required, metavar=form, help=what)


def _model(stage: argparse.ArgumentParser) -> None:
    stage.add_argument("--out", type=Path, required=True, help="model folder to write")
    stage.add_argument("--states", type=Path, required=True, help="folder for the states that a killed run resumes")


def _configuration(stages: Any) -> None:
    config = stages.add_parser("config", help="check a configuration, or write what is generated from its types")
    actions = config.add_subparsers(required=True, metavar="action")
    check = actions.add_parser("check", help="check configuration files (merged over config/config.yaml)")
    docs = actions.add_parser("docs", help="config/config.yaml, config/schema.json and docs/configuration.md")
    what = docs.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="fail if a file is not what would be written")
    what.add_argument("--write", action="store_true", help="write the files")
    grid = stages.add_parser("grid", help="show what an experiment consists of")
    grid.add_argument("--design", type=Path, metavar="FILE", help="write its design as JSON, for `analyse`")
    tables = stages.add_parser("tables", help="print the scores per language as Markdown tables")
    tables.add_argument(
        "--scores", type=Path, nargs="+", default=[Path("results/scores.parquet")], help="scores to show"
    )
    why = stages.add_parser("why", help="say what would run again for a result, and because of which change")
    why.add_argument("targets", nargs="*", metavar="TARGET", help="files or rules of the workflow (everything)")
    why.add_argument(
        "--configfile", dest="overlays", nargs="+", type=Path, default=[], help="configuration files, later ones win"
    )
    why.set_defaults(run=_lazily("cli.commands.why", "why"))
    commands = {check: "check_config", docs: "document_config", grid: "show_grid", tables: "show_tables"}
    for parser, name in commands.items():
        parser.set_defaults(run=_lazily("cli.commands.experiment", name))
    for parser in (check, grid, tables):
        _overlays(parser)


def _plan(stages: Any) -> None:
    does = "what an experiment costs before it runs: jobs, hours, memory, disk; and which part of it a budget buys"
    plan = stages.add_parser("plan", help=does, description=does, allow_abbrev=False)
    plan.add_argument(
        "--configfile", dest="overlays", nargs="+", type=Path, default=[], help="configuration files, later ones win"
    )
    plan.add_argument("--workers", type=int, metavar="N", help="jobs at a time (as many as the cores allow; one GPU)")
    plan.add_argument("--device", help="cpu, or a GPU of resources/rates.tsv (by the size of the encoder)")
    plan.add_argument("--measure", action="store_true", help="time the encoders on this machine first (a minute)")
    plan.add_argument(
        "--budget-gpu-hours", dest="budget", type=float, metavar="H", help="choose the comparisons to keep for H hours"
    )
    plan.add_argument(
        "--value",
        dest="values",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="what comparisons of an intermediate, a mix or INTERMEDIATE/MIX are worth (1)",
    )
    plan.add_argument("--json", type=Path, metavar="FILE", help="write the plan as JSON")
    plan.set_defaults(run=_lazily("cli.commands.plan", "plan"))


def _catalogue(stages: Any) -> None:
    tasks = stages.add_parser("tasks", help="list the tasks of the catalogue, explain one, or check their data")
    tasks.set_defaults(run=_lazily("cli.commands.tasks", "list_tasks"))
    actions = tasks.add_subparsers(metavar="action")
    show = actions.add_parser("show", help="all about one task: labels, protocol, languages, licence, sources")
    show.add_argument("name", help="name of the task")
    show.set_defaults(run=_lazily("cli.commands.tasks", "show_task"))
    check = actions.add_parser("check", help="load data of tasks from a source and verify every row")
    check.add_argument("names", nargs="*", help="tasks (all, if none is named)")
    check.add_argument("--source", choices=("world", "files", "hub"), help="source (that of the configuration)")
    check.add_argument("--root", type=Path, metavar="DIR", help="data.root of source files (that of the configuration)")
    check.add_argument("--languages", nargs="+", help="languages to check (all)")
    check.add_argument("--show", type=_count, metavar="N", help="print N rows of each as the model will read them")
    check.add_argument("--encoder", metavar="NAME-OR-FOLDER", help="whose tokenizer --show takes (of the grid's first)")
    check.add_argument(
        "--configfile", dest="overlays", nargs="+", type=Path, default=[], help="configuration files, later ones win"
    )
    check.set_defaults(run=_lazily("cli.commands.tasks", "check_tasks"))
    does = "write config/tasks/NAME.yaml by looking at a data file, and at those beside it that are named alike"
    new = actions.add_parser("new", help=does, description=f"{does}. docs/your-data.md has an example of each kind.")
    new.add_argument("name", metavar="NAME", help="name of the task")
    new.add_argument("--from", dest="data", type=Path, required=True, metavar="FILE", help="a file of its data")
    new.add_argument("--language", metavar="CODE", help="its language, where the path does not say it")
    new.add_argument("--root", type=Path, metavar="DIR", help="data.root (the first folder of FILE)")
    new.set_defaults(run=_lazily("cli.commands.new_task", "new_task"))


def _count(text: str) -> int:
    """A number of rows on the command line."""
    if not text.isdecimal() or int(text[:9]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _benchmarks(stages: Any) -> None:
    score = stages.add_parser("score", help="score predictions in XTREME's submission layout as its evaluator does")
    score.add_argument("--benchmark", required=True, help="xtreme or xtreme-r")
    score.add_argument("--predictions", type=Path, required=True, help="folder {task}/test-{language}.{tsv,json}")
    score.add_argument("--labels", type=Path, required=True, help="folder of the same layout")
    score.add_argument("--output", type=Path, required=True, help="JSON file to write")
    score.add_argument(
        "--seqeval",
        default="0.0.12",
        metavar="VERSION",
        help="the seqeval whose F1 of POS tags is meant: 0.0.12 (default; XTREME's published numbers) or 1.2.2",
    )
    score.set_defaults(run=_lazily("cli.commands.scores", "score"))
    submission = stages.add_parser("submission", help="write our predictions in XTREME's submission layout")
    submission.add_argument("--benchmark", required=True, help="xtreme or xtreme-r")
    submission.add_argument("--run", dest="chosen", required=True, help="ENCODER/INTERMEDIATE/MIX/seedN")
    submission.add_argument("--results", type=Path, default=Path("results"), help="folder of the results")
    submission.add_argument("--predictions", type=Path, required=True, help="folder to write the predictions to")
    submission.add_argument("--labels", type=Path, help="folder to write the gold labels to, in the same layout")
    submission.add_argument(
        "--target",
        dest="targets",
        action="append",
        default=[],
        metavar="TASK=TARGET",
        help="the target that stands for a task of the benchmark, where its name is another",
    )
    submission.set_defaults(run=_lazily("cli.commands.scores", "submission"))


def _overlays(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("overlays", nargs="*", type=Path, metavar="FILE", help="configuration files, later ones win")


def _lazily(module: str, name: str) -> Any:
    def run(options: argparse.Namespace) -> None:
        getattr(import_module(f"intermezzo.{module}"), name)(options)

    return run
