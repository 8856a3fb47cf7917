"""The results of an experiment: its scores, and the manifest, log and allocation of every model.

The design lists the models, and their names give their folders; nothing is searched for. Scores must be complete. A
missing model folder costs its own lines (curves, costs, its hashes) and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from intermezzo import languages
from intermezzo.analysis import record
from intermezzo.analysis.design import BASELINE, Cell, Design
from intermezzo.analysis.effects import mixes
from intermezzo.analysis.families import Families
from intermezzo.analysis.items import Items
from intermezzo.analysis.pairing import Comparisons
from intermezzo.analysis.scores import SCHEMA
from intermezzo.core import provenance
from intermezzo.core.errors import UserError, machine_fault
from intermezzo.modeling.folder import LOG, MANIFEST, read_allocation, read_manifest


@dataclass(frozen=True)
class TrainedModel:
    """One model of the experiment. phase: pretraining, intermediate or target; what does not apply is empty.

    training: of a target model, which several targets may share.
    """

    phase: str
    encoder: str
    intermediate: str
    mix: str
    seed: int | None
    training: str
    folder: Path
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of its last training: the encoder, the intermediate or the target training."""
        return self.training or self.intermediate or self.encoder

    @cached_property
    def log(self) -> list[list[dict[str, Any]]]:
        """Its training log, one list of records per stage: step, loss, tokens so far, seconds since the last start.

        A training that was killed and resumed repeats some steps; the later record of a step counts. Raises
        UserError for a broken log.
        """
        path = self.folder / LOG
        stages: dict[str, list[dict[str, Any]]] = {}
        try:
            for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
                record = json.loads(line)
                stage = stages.setdefault(record.get("run", ""), [])
                stage[:] = [earlier for earlier in stage if earlier["step"] < record["step"]]
                stage.append({key: record[key] for key in ("step", "loss", "tokens", "seconds")})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path}: not a training log ({error!r}); delete the model's folder and run again"
            ) from None
        return list(stages.values())

    @property
    def curve(self) -> list[tuple[float, float]]:
        """(step, loss) points, the stages concatenated."""
        points: list[tuple[float, float]] = []
        for stage in self.log:
            offset = points[-1][0] if points else 0
            points += [(offset + record["step"], record["loss"]) for record in stage]
        return points

    @property
    def tokens(self) -> int | None:
        """Tokens trained on, None without a log."""
        return sum(stage[-1]["tokens"] for stage in self.log) if self.log else None

    @property
    def seconds(self) -> float | None:
        """Seconds of training, summed over restarts, without the steps that were repeated; None without a log."""
        ends = [
            record["seconds"]
            for stage in self.log
            for record, following in zip(stage, [*stage[1:], None], strict=True)
            if following is None or following["seconds"] < record["seconds"]
        ]
        return sum(ends) if ends else None

    @property
    def allocation(self) -> list[dict[str, str]]:
        """Lines of allocation.tsv: examples per task and language."""
        return read_allocation(self.folder)

    @property
    def examples(self) -> int | None:
        """Examples in its training data, each counted once; None without allocation.tsv."""
        counts = [int(line["examples"]) for line in self.allocation]
        return sum(counts) if counts else None


class ExperimentResults:
    """The results of one experiment, read once.

    design: the cells that must exist. scores: scores.parquet. results: the folder with answer.md and the models.
    Raises UserError for scores that are not those of the design, a missing answer, and broken manifests.
    """

    def __init__(self, design: Design, scores: Path, results: Path) -> None:
        self.design = design
        self.scores = _scores(scores, self.design)
        items = Items(self.design, results / "eval")  # intervals allow for them, as in the answer
        self.comparisons = Comparisons(self.scores, self.design, items)
        self.folder = results
        self._question = results / record.NAME
        self.models = list(_models(self.design, results))
        answer = results / "answer.md"
        if not answer.is_file():
            raise UserError(f"{answer}: no such file; it is made with the scores (snakemake --cores 8 {answer})")
        provenance.check(answer, answer.with_name(provenance.SUMMARY))
        self.answer = answer.read_text(encoding="utf-8")

    @cached_property
    def compared(self) -> list[tuple[str, str]]:
        """(encoder, mix) for every mix that is compared with the question's reference; control encoders have none."""
        design = self.design.without_controls()
        return [(encoder, mix) for encoder in design.encoders for mix in mixes(design)] if design.against else []

    @cached_property
    def families(self) -> Families:
        """Every comparison with its corrected p, as the answer has them."""
        past, _ = record.history(self._question, Families(self.comparisons))
        return Families(self.comparisons, past.looks)

    @cached_property
    def corrected(self) -> dict[tuple[str, ...], dict[str, Any]]:
        """(encoder, intermediate, mix, target, group) -> its line of `Families.from_baseline`; groups of no split."""
        lines = self.families.from_baseline.to_dict("records")
        keys = ("encoder", "intermediate", "mix", "target", "group")
        return {tuple(line[key] for key in keys): line for line in lines if not line["seen_in"]}

    @cached_property
    def _languages(self) -> dict[str, languages.Language]:
        codes = {code for target in self.design.targets.values() for code in target.languages}
        world = languages.table("world")
        return world if codes <= world.keys() else languages.table("files")

    def language_name(self, code: str) -> str:
        """A language's name, or its code where neither the experiment nor the table has one."""
        added = self.design.attributes[code].name if code in self.design.attributes else None
        return added or (self._languages[code].name if code in self._languages else code)


def _scores(path: Path, design: Design) -> pd.DataFrame:
    if path.is_file():
        provenance.check(path, path.with_name(provenance.SUMMARY))
    try:
        frame = pq.read_table(path, schema=SCHEMA).to_pandas().astype({"seed": "Int64"})
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run the workflow first (snakemake --cores 8 {path})") from None
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        if machine_fault(error):
            raise
        raise UserError(f"{path}: not a table of scores ({error}); delete it and run again") from None
    columns = frame[list(Cell._fields)].astype(object).where(frame[list(Cell._fields)].notna(), None)
    present, expected = set(columns.itertuples(index=False, name=None)), set(map(tuple, design.cells()))
    if present != expected:
        raise UserError(
            f"{path}: of {len(expected)} values of this configuration {len(expected - present)} are missing, and "
            f"{len(present - expected)} are not part of it; run the workflow again with this configuration"
        )
    if invalid := int(frame["value"].isna().sum()):
        raise UserError(f"{path}: {invalid} values are not numbers; delete it and run again")
    return frame


def _models(design: Design, results: Path) -> Iterator[TrainedModel]:
    for encoder in design.encoders:
        yield from _model("pretraining", (encoder, "", "", None, ""), results / "encoders" / encoder)
    for encoder in design.encoders:
        for name, mix in design.trained(encoder):
            for seed in design.seeds if name != BASELINE else ():
                folder = results / "intermediate" / encoder / name / mix / f"seed{seed}"
                yield from _model("intermediate", (encoder, name, mix, seed, ""), folder)
    for encoder in design.encoders:
        trainings: dict[tuple[str, str, str], None] = {}  # several targets may share one
        for target, entry in design.targets.items():
            if entry.training:
                trainings |= dict.fromkeys((*run, entry.training) for run in design.trained(encoder, target))
        for name, mix, training in trainings:
            for seed in design.seeds:
                folder = results / "target" / encoder / name / mix / f"seed{seed}" / training
                yield from _model("target", (encoder, name, mix, seed, training), folder)


def _model(phase: str, names: tuple[str, str, str, int | None, str], folder: Path) -> Iterable[TrainedModel]:
    """The model of a folder, if there is one: a failed run lacks some."""
    return [TrainedModel(phase, *names, folder, read_manifest(folder))] if (folder / MANIFEST).is_file() else []
