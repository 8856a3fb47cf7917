"""Where artefacts lie: the path of each holds exactly the keys that it depends on, so what runs share they share.

    results/data/{source}/{task}/{language}/{split}.parquet
    results/data/translated/{task}/{language}/train.parquet
    results/data/in_english/{task}/{language}/{split}.parquet        (development and test data of translate-test)
    results/data/disjoint/{task}/{language}/train.parquet            (likewise disjoint_translated)
    results/leakage.tsv
    results/encoders/{encoder}/
    results/intermediate/{encoder}/{intermediate}/{mix}/seed{seed}/
    results/target/{encoder}/{intermediate}/{mix}/seed{seed}/{training}/
    results/eval/{encoder}/{intermediate}/{mix}/seed{seed}/{target}/{language}.json
    results/eval/{prompted}/none/none/seed{seed}/{target}/{language}.json    (seednone where no shots are drawn)

Targets that are trained alike share a model: `training` names what it is trained on (`trainings`).
The baseline is the intermediate `none` with the mix `none`. Retrieval is read off an encoder or an intermediate
model directly; on an untouched encoder no seed plays a part, so its path says `seednone`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

BASELINE = "none"
"""The intermediate, and the mix, of runs without intermediate training."""
MODEL = ("manifest.json", "config.json", "model.safetensors")
"""Files of every model folder; consumers depend on the small manifest, which is written last."""
TRAINED_MODEL = (*MODEL, "heads.safetensors", "allocation.tsv")
"""Files of the folder of a fine-tuned model."""
ENCODERS = "results/encoders"
LEAKAGE = "results/leakage.tsv"
"""Which training data overlap with which test data."""
TRANSLATED, IN_ENGLISH, DISJOINT = "translated", "in_english", ("disjoint", "disjoint_translated")
"""Sources of files that are made of others: English training data in another language; development and test data of
another language in English; training data, published and translated, without the rows that are in test data."""


class Run(NamedTuple):
    """One row of the grid: a model that targets start from. Baseline runs have no mix."""

    encoder: str
    intermediate: str
    mix: str
    seed: int | str

    @property
    def path(self) -> str:
        """The part of a path that names the run."""
        return f"{self.encoder}/{self.intermediate}/{self.mix}/seed{self.seed}"


def run_of(wildcards: Any) -> Run:
    """The run that a job's wildcards name."""
    return Run(wildcards.encoder, wildcards.intermediate, wildcards.mix, wildcards.seed)


def data_path(source: str, task: str, language: str, split: str) -> str:
    """One data file of a source (`translated` and `disjoint` for what the workflow makes of others)."""
    return f"results/data/{source}/{task}/{language}/{split}.parquet"


def disjoint_path(path: str) -> str:
    """The training file at `path` without the rows that are in test data."""
    source, task, language, _ = path.split("/")[-4:]
    return data_path(DISJOINT[source == TRANSLATED], task, language, "train")


def encoder_path(encoder: str) -> str:
    """The manifest of an encoder."""
    return f"{ENCODERS}/{encoder}/manifest.json"


def intermediate_path(run: Run) -> str:
    """The manifest of the model of an intermediate run."""
    return f"results/intermediate/{run.path}/manifest.json"


def start_path(run: Run) -> str:
    """The manifest of the model that a run's targets start from: the encoder (baseline) or an intermediate model."""
    return encoder_path(run.encoder) if run.intermediate == BASELINE else intermediate_path(run)


def target_path(run: Run, training: str) -> str:
    """The manifest of the model that is fine-tuned for one target or several, from a run's model."""
    return f"results/target/{run.path}/{training}/manifest.json"


def evaluation_path(run: Run, target: str, language: str, root: str = "results/eval") -> str:
    """The scores of a target in one language (`{language}.dev`: on development data; `manifest`: of all languages)."""
    return f"{root}/{run.path}/{target}/{language}.json"


def one_of(names: Iterable[str]) -> str:
    """A regular expression that matches exactly these names (nothing at all for none)."""
    return "|".join(map(re.escape, names)) or "(?!)"
