"""The stages of the workflow as commands: `intermezzo stage NAME --spec JSON ...`, one for each kind of rule.

`stages` has the function of each. Settings come as a JSON specification, whose model is named here, so that what
Snakemake tracks is what runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from intermezzo.cli.parser import Commands

_DESIGN = "intermezzo.analysis.design:Design"


def add(stages: Commands) -> None:
    """Add every stage, in the order of a run."""
    stage = _stage(
        stages, "prepare", "make one data file (a task, a language, a split) from its source", "data:DataSpec"
    )
    stage.add_argument("--out", type=Path, required=True, help="Parquet file to write")

    does = "translate training data of a task from English into another language, or test data into English"
    stage = _stage(stages, "translate", does, "translation:TranslationSpec")
    stage.add_argument("--data", required=True, metavar="TASK/LANGUAGE=PATH", help="data to translate")
    stage.add_argument("--out", type=Path, required=True, help="Parquet file to write")

    stage = _stage(
        stages,
        "leakage",
        "count rows of test and of target training data that are in training data",
        "overlap:OverlapSpec",
    )
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

    does = "train on the tasks of an intermediate or of a target"
    stage = _stage(stages, "finetune", does, "finetuning:FinetuneSpec")
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
    what = "folder for states, if the model is to be rebuilt"
    stage.add_argument("--states", type=Path, default=Path("results/.state"), help=what)

    does = "answer one target by a prompted language model, and score the answers"
    stage = _stage(stages, "prompt", does, "prompting:PromptSpec")
    _named(stage, "--data", "TASK/LANGUAGE=PATH", "data files to answer", required=True)
    _named(stage, "--shots", "TASK/en=PATH", "English training data to draw shots from")
    stage.add_argument("--run", dest="names", required=True, metavar="JSON", help="names of the run")
    stage.add_argument("--out", type=Path, required=True, help="folder for {language}.json and the predictions")
    stage.add_argument("--cache", type=Path, required=True, help="folder of answers that were already given")

    stage = _stage(stages, "summarize", "bring all scores together: scores, summary and answer", _DESIGN)
    stage.add_argument("--results", type=Path, required=True, help="folder of the evaluation results")
    stage.add_argument("--leakage", type=Path, help="table of test rows that are in training data")
    for name in ("scores", "summary", "answer"):
        stage.add_argument(f"--{name}", type=Path, required=True, help="file to write")

    stage = _stage(stages, "report", "write the report, its figures and its tables", _DESIGN)
    stage.add_argument("--scores", type=Path, required=True, help="scores.parquet")
    stage.add_argument("--results", type=Path, required=True, help="folder of all results")
    stage.add_argument("--page", type=Path, required=True, help="HTML file to write")
    stage.add_argument("--figures", type=Path, required=True, help="folder to write the figures to")
    stage.add_argument("--tables", type=Path, required=True, help="folder to write the tables to")


def _stage(stages: Commands, name: str, does: str, model: str) -> argparse.ArgumentParser:
    """A stage whose specification is `model`: MODULE:CLASS, of `intermezzo.specs` where it says no more."""
    description = f"{does[0].upper()}{does[1:]}. `snakemake -n -p` prints such commands with their specifications."
    stage = stages.add(name, does, description, run=f"stages.{name.replace('-', '_')}")
    stage.add_argument("--spec", required=True, metavar="JSON", help="settings as JSON, or a file of it")
    stage.add_argument("--code", default="", help="fingerprint of the code, recorded in the results")
    stage.add_argument("--inputs", default="", help="digest of what the inputs were made with, recorded in the results")
    stage.set_defaults(stage=name, model_of_spec=model if "." in model else f"intermezzo.specs.{model}")
    return stage


def _named(stage: argparse.ArgumentParser, option: str, form: str, what: str, *, required: bool = False) -> None:
    """Files with names (`cli.arguments`)."""
    stage.add_argument(option, nargs="+" if required else "*", default=[], required=required, metavar=form, help=what)


def _model(stage: argparse.ArgumentParser) -> None:
    stage.add_argument("--out", type=Path, required=True, help="model folder to write")
    stage.add_argument("--states", type=Path, required=True, help="folder for the states that a killed run resumes")
