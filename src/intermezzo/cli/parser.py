"""The grammar of the command line: what people ask for first, the stages of the workflow under `intermezzo stage`.

Every command has a line for the list, a description and examples. Commands that read a configuration take its files by
position and after `--configfile`. Nothing heavy is imported here: each job of a run builds this parser.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from intermezzo import __version__
from intermezzo.cli import stage_options

CONFIGURATION = (".yaml", ".yml")
"""How the names of configuration files end, where other words may stand beside them."""
_ABOUT = """\
Tools around the workflow that asks: does intermediate-task training on a mix of English and low-resource languages
improve zero-shot results in rare languages? `snakemake` runs the experiment; the commands here write and check its
configuration, price it, explain what would run again, and read its results.

Problems that you can mend are one message on stderr and exit status 2.
"""


class Help(argparse.HelpFormatter):
    """Fills paragraphs, and keeps those whose lines are indented (examples)."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = textwrap.dedent(text).strip().split("\n\n")
        kept = (
            textwrap.indent(part, indent) if "\n  " in part else textwrap.fill(part, width, initial_indent=indent)
            for part in paragraphs
        )
        return "\n\n".join(kept)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a command line. Ends the program with usage and status 2 for one that is not understood.

    Words that a command does not take by position at their place (after an option) count as if they stood before it.
    """
    parser = build()
    commands = _below(parser)
    command = next((word for word in arguments if not word.startswith("-")), "")
    if command not in commands and command in _below(commands["stage"]):
        parser.error(f"{command!r} is a stage of the workflow: intermezzo stage {command}")
    options, rest = parser.parse_known_args(arguments)
    if "words" in options and not any(word.startswith("-") for word in rest):
        _sort_words(options, [*options.words, *options.files, *rest], arguments)
    elif rest:
        options.parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return options


def _below(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands of one level, by name."""
    return next(dict(action.choices) for action in parser._actions if isinstance(action, argparse._SubParsersAction))


def _sort_words(options: argparse.Namespace, words: Sequence[str], arguments: Sequence[str]) -> None:
    """Set `overlays` to the configuration files among `words`, in the order of the command line, and names apart."""
    places = {word: place for place, word in reversed([*enumerate(arguments)])}
    places |= {word.partition("=")[2]: place for word, place in places.items() if word.startswith("--configfile=")}
    words = sorted(words, key=lambda word: places[word])
    is_file = {word: options.names is None or word.endswith(CONFIGURATION) for word in words}
    for word in options.files:  # whatever it is called, what follows the option is a file
        place = places[word]
        is_file[word] |= arguments[place - 1] == "--configfile" or arguments[place] != word
    options.overlays = [Path(word) for word in words if is_file[word]]
    names = [word for word in words if not is_file[word]]
    if options.names is not None:
        setattr(options, options.names, names)


def build() -> argparse.ArgumentParser:
    """The parser of all commands."""
    shared = argparse.ArgumentParser(add_help=False)
    volume = shared.add_mutually_exclusive_group()
    volume.add_argument("-q", "--quiet", action="store_true", default=argparse.SUPPRESS, help="no progress messages")
    what = "more messages, and the traceback behind an error"
    volume.add_argument("-v", "--verbose", action="store_true", default=argparse.SUPPRESS, help=what)

    parser = argparse.ArgumentParser(
        prog="intermezzo", description=_ABOUT, formatter_class=Help, allow_abbrev=False, parents=[shared]
    )
    parser.add_argument("--version", action="version", version=f"intermezzo {__version__}")
    commands = Commands(parser.add_subparsers(required=True, metavar="command", title="commands"), shared)
    _experiment(commands)
    _catalogue(commands)
    _results(commands)
    _models(commands)
    _shell(commands)
    stages = commands.add(
        "stage",
        "run one stage of the workflow by hand; the rules call these",
        "Each rule of the workflow is one stage. Its settings are a JSON specification (--spec), which is what "
        "Snakemake tracks; `snakemake -n -p` prints the full command of every job.",
        "intermezzo stage finetune --help",
    )
    stage_options.add(Commands(stages.add_subparsers(required=True, metavar="stage", title="stages"), shared))
    return parser


class Commands:
    """Adds commands to one level of the parser, each with a line, a description and examples."""

    def __init__(self, parsers: Any, shared: argparse.ArgumentParser) -> None:
        self._parsers, self._shared = parsers, shared

    def add(self, name: str, line: str, description: str, *examples: str, run: str = "") -> argparse.ArgumentParser:
        """A command. run: MODULE.FUNCTION of `intermezzo.cli`, imported when it is called."""
        epilog = "\n".join([f"example{'s' if len(examples) > 1 else ''}:", *(f"  {line}" for line in examples)])
        parser: argparse.ArgumentParser = self._parsers.add_parser(
            name,
            help=line,
            description=description,
            epilog=epilog if examples else None,
            formatter_class=Help,
            allow_abbrev=False,
            parents=[self._shared],
        )
        parser.set_defaults(parser=parser)
        if run:
            parser.set_defaults(run=lazily(run))
        return parser

    def actions(self, parser: argparse.ArgumentParser, *, required: bool) -> Commands:
        """A level below a command."""
        return Commands(parser.add_subparsers(required=required, metavar="action", title="actions"), self._shared)


def lazily(function: str) -> Any:
    """A function of `intermezzo.cli` by its name; its module is imported when it is called."""

    def run(options: argparse.Namespace) -> None:
        module, _, name = function.rpartition(".")
        getattr(import_module(f"intermezzo.cli.{module}"), name)(options)

    return run


def _configurations(parser: argparse.ArgumentParser, names: str | None = None, metavar: str = "", of: str = "") -> None:
    """Configuration files, by position and after --configfile. names: the option that gets words of another kind."""
    what = "configuration files (merged over config/config.yaml, later ones win)"
    if names:
        what = f"{of}; words that end in .yaml or .yml are configuration files"
    form = f"{metavar}-OR-FILE" if names else "FILE"
    parser.add_argument("words", nargs="*", metavar=form, help=what)
    parser.add_argument(
        "--configfile", dest="files", nargs="+", action="extend", default=[], metavar="FILE", help="the same, by option"
    )
    parser.set_defaults(names=names, overlays=[])


def _json(parser: argparse.ArgumentParser) -> None:
    """Output that a program may read."""
    parser.add_argument(
        "--json", type=_json_file, metavar="FILE", help="write the result as JSON to FILE.json; `-`: to stdout, alone"
    )


def _json_file(text: str) -> str:
    if text != "-" and not text.endswith(".json"):
        raise argparse.ArgumentTypeError(f"{text!r} does not end in .json; - writes to stdout")
    return text


def _experiment(commands: Commands) -> None:
    init = commands.add(
        "init",
        "write a first configuration",
        "Writes a configuration for an experiment of your own: which encoder, intermediates, targets, mixes and seeds. "
        "Without options it asks for them on a terminal; what is not said is as in the default experiment. The "
        " configuration is checked before it is written. A file that exists is never overwritten.",
        "intermezzo init my.yaml",
        "intermezzo init my.yaml --intermediates nli --targets nli qa --mixes en en+rare --seeds 3",
        "intermezzo init my.yaml --source files --root data --encoder FOLDER --intermediates topics --targets topics",
        run="commands.init.init",
    )
    init.add_argument("file", type=Path, metavar="FILE", help="new file to write, such as my.yaml")
    init.add_argument("--source", choices=("world", "files", "hub"), help="where data comes from")
    init.add_argument("--root", metavar="DIR", help="data.root: the folder of files, for --source files")
    what = "encoder: a name of config.yaml, a model folder, or the hub's OWNER/NAME@COMMIT"
    init.add_argument("--encoder", metavar="ENCODER", help=what)
    init.add_argument("--intermediates", nargs="+", metavar="TASK", help="intermediate tasks")
    init.add_argument("--targets", nargs="+", metavar="TASK", help="target tasks")
    what = "mixes of config.yaml, or en+CODE+CODE: English and these languages in equal parts"
    init.add_argument("--mixes", nargs="+", metavar="MIX", help=what)
    init.add_argument("--rare", nargs="+", metavar="CODE", help="languages that count as rare (by Joshi class)")
    init.add_argument("--seeds", type=count, metavar="N", help="number of seeds")

    config = commands.add(
        "config",
        "check a configuration, or write what is generated from its types",
        "Reads configuration files as Snakemake would, and says everything that is wrong with them.",
        "intermezzo config check my.yaml",
    )
    actions = commands.actions(config, required=True)
    check = actions.add(
        "check",
        "report all problems of a configuration at once",
        "Reports all problems of a configuration at once, and warns of what is most likely not meant.",
        "intermezzo config check my.yaml",
        run="commands.experiment.check_config",
    )
    _configurations(check)
    _json(check)
    docs = actions.add(
        "docs",
        "config.yaml, schema.json and the reference pages, generated from the code (for developers)",
        "Compares or writes config/config.yaml, config/schema.json and the generated parts of docs/configuration.md, "
        "docs/catalogue.md and docs/command-line.md.",
        "intermezzo config docs --write",
        run="commands.experiment.document_config",
    )
    what = docs.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="fail if a file is not what would be written")
    what.add_argument("--write", action="store_true", help="write the files")

    grid = commands.add(
        "grid",
        "show what an experiment consists of",
        "Counts the data files, trainings and evaluations of an experiment, and names the definitions that no list of "
        "`grid` selects.",
        "intermezzo grid my.yaml",
        "intermezzo grid my.yaml --design design.json",
        run="commands.experiment.show_grid",
    )
    grid.add_argument("--design", type=Path, metavar="FILE", help="write its design as JSON, for `analyse`")
    _configurations(grid)
    _json(grid)

    plan = commands.add(
        "plan",
        "what an experiment costs before it runs: jobs, hours, memory, disk, downloads",
        "Prices an experiment from what similar trainings took, and says what each number rests on (docs/planning.md). "
        "With a budget it chooses the comparisons to keep, and prints the configuration that runs them.",
        "intermezzo plan my.yaml --workers 4",
        "intermezzo plan my.yaml --device H100 --budget-gpu-hours 200",
        run="commands.plan.plan",
    )
    _configurations(plan)
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
    _json(plan)

    progress = commands.add(
        "progress",
        "say how far a run is, and how long the rest takes",
        "Counts the jobs of each stage that are done in this folder, and takes the time of the others from the plan, "
        "corrected by what past jobs took. It may be asked while a run is at work. --watch shows bars that move.",
        "intermezzo progress my.yaml",
        "intermezzo progress my.yaml --watch",
        run="commands.progress.progress",
    )
    _configurations(progress)
    progress.add_argument("--watch", action="store_true", help="go on until all jobs are done, or Ctrl-C")
    what = "jobs at a time (as many as the cores allow; one GPU)"
    progress.add_argument("--workers", type=int, metavar="N", help=what)
    _json(progress)

    why = commands.add(
        "why",
        "say what would run again, and because of which change",
        "Asks Snakemake what would run for files or rules of the workflow (everything, if none is named), and says "
        "which change of configuration, code or data causes it (docs/reruns.md).",
        "intermezzo why my.yaml",
        "intermezzo why results/summary.tsv my.yaml",
        run="commands.why.why",
    )
    _configurations(why, "targets", "TARGET", "files or rules of the workflow (everything)")
    _json(why)

    distances = commands.add(
        "distances",
        "write the distances between an experiment's languages, by URIEL+",
        "Writes a table for `languages.distances`: how far apart the languages of an experiment are, by the database "
        "URIEL+ (pip install 'intermezzo[typology]').",
        "intermezzo distances my.yaml --out distances.tsv",
        run="commands.distances.write_distances",
    )
    kinds = ("featural", "syntactic", "phonological", "inventory", "genetic", "geographic")
    distances.add_argument("--kind", choices=kinds, default="featural", help="what is compared (all of typology)")
    place = Path("config/distances.tsv")
    distances.add_argument("--out", type=Path, default=place, metavar="FILE", help=f"table to write ({place})")
    _configurations(distances)


def _catalogue(commands: Commands) -> None:
    tasks = commands.add(
        "tasks",
        "list the tasks of the catalogue, explain one, check its data, or add one",
        "Without an action: lists all tasks, a line each.",
        "intermezzo tasks",
        "intermezzo tasks show xnli",
        "intermezzo tasks new topics --from data/topics/yo/train.tsv",
        run="commands.tasks.list_tasks",
    )
    _json(tasks)
    actions = commands.actions(tasks, required=False)
    show = actions.add(
        "show",
        "all about one task",
        "Prints format, labels, metrics, protocol, licence, citation, and the languages and rows of each source.",
        "intermezzo tasks show xnli",
        run="commands.tasks.show_task",
    )
    show.add_argument("name", metavar="TASK", help="name of the task")
    _json(show)
    check = actions.add(
        "check",
        "load data of tasks and verify every row",
        "Loads data as the workflow would and prints the number of rows of each language and split. --show prints "
        "rows as the encoder reads them.",
        "intermezzo tasks check topics --root data --show 3",
        "intermezzo tasks check topics my.yaml",
        run="commands.tasks.check_tasks",
    )
    _configurations(check, "names", "TASK", "tasks (all, if none is named)")
    check.add_argument("--source", choices=("world", "files", "hub"), help="source (that of the configuration)")
    check.add_argument("--root", type=Path, metavar="DIR", help="data.root of source files (that of the configuration)")
    check.add_argument("--languages", nargs="+", metavar="CODE", help="languages to check (all)")
    check.add_argument("--show", type=count, metavar="N", help="print N rows of each as the model will read them")
    check.add_argument("--encoder", metavar="NAME-OR-FOLDER", help="whose tokenizer --show takes (of the grid's first)")
    new = actions.add(
        "new",
        "write a first task file by looking at a data file",
        "Writes config/tasks/NAME.yaml by looking at a data file, and at those beside it that are named alike. "
        "docs/your-data.md has an example of each kind.",
        "intermezzo tasks new topics --from data/topics/yo/train.tsv",
        run="commands.new_task.new_task",
    )
    new.add_argument("name", metavar="NAME", help="name of the task")
    new.add_argument("--from", dest="data", type=Path, required=True, metavar="FILE", help="a file of its data")
    new.add_argument("--language", metavar="CODE", help="its language, where the path does not say it")
    new.add_argument("--root", type=Path, metavar="DIR", help="data.root (the first folder of FILE)")


def count(text: str) -> int:
    """A number on the command line, from 1 on."""
    if not text.isdecimal() or int(text[:9]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _results(commands: Commands) -> None:
    tables = commands.add(
        "tables",
        "print the scores per language as Markdown tables",
        "Prints a table per target: a row per encoder, intermediate and mix, a column per language, means over seeds.",
        "intermezzo tables my.yaml",
        run="commands.experiment.show_tables",
    )
    tables.add_argument(
        "--scores",
        type=Path,
        nargs="+",
        default=[Path("results/scores.parquet")],
        metavar="FILE",
        help="scores to show (results/scores.parquet)",
    )
    _configurations(tables)

    analyse = commands.add(
        "analyse",
        "answer and report for scores that another program may have made",
        "Reads a table of scores and a design, and writes scores.parquet, summary.tsv, answer.md and report.html.",
        "intermezzo grid my.yaml --design design.json",
        "intermezzo analyse scores.tsv --design design.json --out analysis",
        run="commands.scores.analyse",
    )
    analyse.add_argument("scores", type=Path, metavar="SCORES", help="table of scores (.parquet, .csv, .tsv)")
    what = "JSON file of the design (`grid --design` writes that of a configuration)"
    analyse.add_argument("--design", type=Path, required=True, metavar="FILE", help=what)
    analyse.add_argument("--out", type=Path, default=Path("analysis"), metavar="DIR", help="folder to write (analysis)")

    score = commands.add(
        "score",
        "score predictions in XTREME's submission layout as its evaluator does",
        "Scores a folder of predictions for XTREME or XTREME-R against a folder of labels of the same layout.",
        "intermezzo score --benchmark xtreme --predictions predictions --labels labels --output scores.json",
        run="commands.scores.score",
    )
    score.add_argument("--benchmark", required=True, metavar="NAME", help="xtreme or xtreme-r")
    what = "folder {task}/test-{language}.{tsv,json}"
    score.add_argument("--predictions", type=Path, required=True, metavar="DIR", help=what)
    score.add_argument("--labels", type=Path, required=True, metavar="DIR", help="folder of the same layout")
    score.add_argument("--output", type=Path, required=True, metavar="FILE", help="JSON file to write")
    what = "the seqeval whose F1 of POS tags is meant: 0.0.12 (default; XTREME's published numbers) or 1.2.2"
    score.add_argument("--seqeval", default="0.0.12", metavar="VERSION", help=what)

    submission = commands.add(
        "submission",
        "write our predictions in XTREME's submission layout",
        "Writes the predictions of one run in the layout of submissions to XTREME or XTREME-R.",
        "intermezzo submission --benchmark xtreme --run xlmr/mnli/en/seed0 --predictions predictions",
        run="commands.scores.submission",
    )
    submission.add_argument("--benchmark", required=True, metavar="NAME", help="xtreme or xtreme-r")
    what = "ENCODER/INTERMEDIATE/MIX/seedN"
    submission.add_argument("--run", dest="chosen", required=True, metavar="RUN", help=what)
    what = "folder of the results (results)"
    submission.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help=what)
    what = "folder to write the predictions to"
    submission.add_argument("--predictions", type=Path, required=True, metavar="DIR", help=what)
    what = "folder to write the gold labels to, in the same layout"
    submission.add_argument("--labels", type=Path, metavar="DIR", help=what)
    submission.add_argument(
        "--target",
        dest="targets",
        action="append",
        default=[],
        metavar="TASK=TARGET",
        help="the target that stands for a task of the benchmark, where its name is another",
    )


def _models(commands: Commands) -> None:
    export = commands.add(
        "export",
        "write a model as a Hugging Face folder with a model card",
        "Copies a model of a finished run to a folder that `from_pretrained` opens, and writes a card: data, licences, "
        "training, scores.",
        "intermezzo export results/encoders/small my-encoder",
        run="commands.export.export",
    )
    export.add_argument("model", type=Path, metavar="MODEL", help="model folder, such as results/encoders/NAME")
    export.add_argument("folder", type=Path, metavar="DIR", help="new folder to write")

    convert = commands.add(
        "convert",
        "write an encoder with pickled weights (*.bin) as safetensors",
        "Opens an encoder that has pickled weights without running code from the pickle, and writes safetensors and "
        "tokenizer.json, which `from:` of an encoder takes.",
        "intermezzo convert old-encoder new-encoder",
        run="commands.convert.convert",
    )
    convert.add_argument("source", metavar="FOLDER-OR-NAME", help="model folder, or the name of a model on the hub")
    convert.add_argument("folder", type=Path, metavar="DIR", help="new folder to write")
    convert.add_argument("--revision", metavar="COMMIT", help="commit of the hub's repository (default: main)")


def _shell(commands: Commands) -> None:
    completion = commands.add(
        "completion",
        "print a script that completes commands in the shell",
        "Prints a script for the shell, made by shtab (pip install 'intermezzo[completion]').",
        "intermezzo completion bash > ~/.local/share/bash-completion/completions/intermezzo",
        "intermezzo completion zsh > ~/.zfunc/_intermezzo",
        run="commands.completion.completion",
    )
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="the shell")
