"""The configurations at paper scale: what is in them, their dry runs over stand-in data, their prices and parts."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from itertools import combinations, product
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from checkout import ROOT
from intermezzo import sources
from intermezzo.cli.main import main
from intermezzo.config import Config, load
from intermezzo.core.provenance import write_record
from intermezzo.dag.experiment import Grid
from intermezzo.dag.jobs import Tracked
from intermezzo.dag.specs import Specs
from intermezzo.planning.choice import Candidates, choose
from intermezzo.planning.jobs import jobs_of
from intermezzo.specs.base import read
from intermezzo.specs.data import DataSpec
from intermezzo.tasks import RESOURCES, load_task

PAPER_SCALE = ("phang2020", "rare_mix", "rare_native", "xtreme_r")
ASKED = ("phang2020", "rare_mix", "xtreme_r")
NINE = ["anli_plus", "mnli", "qqp", "squad_v1", "squad_v2", "hellaswag", "ccg", "cosmosqa", "commonsenseqa"]
RULES = {
    "encoder": "import_encoder",
    "intermediate": "train_intermediate",
    "overlap": "find_leakage",
    "target": "train_target",
    "evaluation": "evaluate_{}",
    "summary": "summarize_scores",
}
SENTENCE = (
    "ID=wsj_{}01.1 PARSER=GOLD NUMPARSE=1\n"
    "(<T S[dcl] 0 2> (<L NP NNP NNP Vinken NP>) (<L S[dcl]\\NP VBZ VBZ smiles S[dcl]\\NP>) )\n"
)


def file_of(experiment: str) -> Path:
    return ROOT / f"config/experiments/{experiment}.yaml"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty folder to work in, and a stand-in for CCGbank: a sentence per section."""
    for section in ("00", *(f"{number:02}" for number in range(2, 22)), "23"):
        part = tmp_path / f"published/ccgbank_1_1/data/AUTO/{section}"
        part.mkdir(parents=True)
        (part / f"wsj_{section}01.auto").write_text(SENTENCE.format(section))
    monkeypatch.setenv("INTERMEZZO_REAL_DATA", str(tmp_path / "published"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def config_of(experiment: str, *overlays) -> Config:
    return load(file_of(experiment), *overlays)


# -- what is in them -----------------------------------------------------------------------------------------------


def test_phang2020_is_the_whole_grid(folder):
    config = config_of("phang2020")
    beside = [f"{name}+mlm" for name in NINE]
    assert config.grid.intermediates == [*NINE, "multitask", *beside, "multitask+mlm"]
    for name in ("multitask", "multitask+mlm"):
        assert config.intermediate(name).tasks == NINE and config.intermediate(name).cap
    lines = (
        line
        for line in (RESOURCES / "languages.tsv").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    )
    xtreme = {row["code"] for row in csv.DictReader(lines, delimiter="\t") if row["xtreme"] == "yes"}
    for name in (*NINE, "multitask"):
        alone, with_text = config.intermediate(name), config.intermediate(f"{name}+mlm")
        assert alone.mlm.share == 0 < with_text.mlm.share
        same = {"mlm": None, "mixes": None}
        assert alone.model_copy(update=same) == with_text.model_copy(update=same), "they differ by the text alone"
        assert set(with_text.mlm.languages) == xtreme
    assert len(config.intermediate("mnli+mlm").mlm.languages) == 40 and load_task("mlm").format == "mlm"
    assert len(config.grid.targets) == 9 and len(config.grid.seeds) == 3
    runs = Counter((run.intermediate, run.mix) for run in Grid(config).intermediate_runs)
    translated = {(name, mix) for name in ("mnli", "qqp", "hellaswag") for mix in ("de", "ru", "sw")}
    assert runs == dict.fromkeys([*product(config.grid.intermediates, ["en"]), *translated], 3)


def test_controls_of_rare_mix_are_trained_where_they_are_asked_for(folder):
    config = config_of("rare_mix")
    assert config.mixes_of("mnli_shuffled") == config.mixes_of("mnli_text") == ["en", "en+rare"]
    assert config.mixes_of("mnli") == config.grid.mixes and len(config.grid.mixes) == 7
    seen = json.loads(Specs(Grid(config)).spec_summary())["intermediates"]
    assert set(seen["mnli_text"]["mixes"]) == {"en", "en+rare"} and set(seen["both"]["mixes"]) == {*config.grid.mixes}


def test_the_summary_knows_the_order_of_the_mixes(folder):
    config = config_of("rare_mix")
    assert json.loads(Specs(Grid(config)).spec_summary())["mixes"] == config.grid.mixes != sorted(config.grid.mixes)


# -- dry runs ------------------------------------------------------------------------------------------------------


@pytest.mark.workflow
@pytest.mark.parametrize("experiment", ASKED)
def test_a_dry_run_over_stand_in_data_plans_the_jobs_of_the_grid(experiment, folder):
    """With every data file there, what is planned is the encoder and what follows it, as many as the price list has."""
    one = {"grid": {"seeds": [0], "encoders": config_of(experiment).grid.encoders[:1]}}
    Path("one.yaml").write_text(yaml.safe_dump(one))
    grid = Grid(config_of(experiment, one))
    tracked = Tracked(grid)
    for job in jobs_of(grid).values():
        if job.stage == "data":  # with what says how it was made
            (path,) = map(Path, job.outputs)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            values = tracked.of(job)
            write_record(path.with_suffix(".json"), values | {"spec": json.loads(values["spec"]), "files": {}})
    command = [sys.executable, "-m", "snakemake", "-n", "-q", "rules", "-s", str(ROOT / "Snakefile"), "--configfile"]
    command += [str(file_of(experiment)), "one.yaml"]
    done = subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    planned = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", done.stdout, flags=re.MULTILINE)}
    wanted = Counter(RULES[job.stage].format(job.name) for job in jobs_of(grid).values() if job.stage != "data")
    assert planned == wanted | {"summary": 1, "total": wanted.total() + 1}, "data that is there would be made again"


def test_ccg_is_read_from_files_beside_a_hub(folder):
    """The one task of phang2020 that no hub has, as its data job reads it, from the stand-in for CCGbank."""
    specs = Specs(Grid(config_of("phang2020")))
    rows = {}
    for split in ("train", "dev"):
        keys = SimpleNamespace(source="files", task="ccg", language="en", split=split)
        rows[split] = sources.read(read(DataSpec, specs.spec_data(keys)))
    assert len(rows["train"]) == 20 and len(rows["dev"]) == 1
    assert rows["dev"][0] == {"id": "wsj_0001.1", "tokens": ["Vinken", "smiles"], "tags": ["NP", "S[dcl]\\NP"]}
    assert "results/data/files/ccg/en/train.parquet" in specs.inputs.data_paths()


# -- prices and parts ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("experiment", PAPER_SCALE)
def test_every_one_has_a_price(experiment, folder, capsys):
    assert main(["plan", "--configfile", str(file_of(experiment)), "--json", "plan.json"]) == 0
    capsys.readouterr()
    stages = {stage["name"]: stage for stage in json.loads(Path("plan.json").read_text())["stages"]}
    assert all(stages[name]["gpu_seconds"] > 1000 for name in ("intermediate", "target", "evaluation"))
    config = config_of(experiment)
    assert stages["intermediate"]["jobs"] == len(Grid(config).intermediate_runs)


@pytest.mark.slow
def test_a_part_of_phang2020_is_one_again(folder, capsys):
    """The part that a budget buys has the empty places of the whole, and costs what it says."""
    arguments = ["plan", "--configfile", str(file_of("phang2020"))]
    assert main([*arguments, "--budget-gpu-hours", "70", "--value", "de=9", "--value", "sw=9"]) == 0
    words = capsys.readouterr().out
    part = yaml.safe_load(words[words.index("grid:") :])
    said = int(re.search(r"^(\d+) of 29 comparisons", words, flags=re.MULTILINE)[1])
    chosen = config_of("phang2020", part)
    assert {"en", "de", "sw"} <= set(chosen.grid.mixes) and len(Grid(chosen).trained) == said
    assert said < len(chosen.grid.intermediates) * len(chosen.grid.mixes), "with places that are empty"
    Path("part.yaml").write_text(yaml.safe_dump(part))
    assert main([*arguments, "part.yaml", "--json", "plan.json"]) == 0
    capsys.readouterr()
    spent = sum(stage["gpu_seconds"] for stage in json.loads(Path("plan.json").read_text())["stages"])
    assert 0 < spent <= 70 * 3600


@pytest.mark.parametrize("seed", range(12))
def test_the_choice_is_the_best_where_places_are_empty(seed):
    drawn = random.Random(seed)
    names = ["e"], [f"i{n}" for n in range(3)], ["en", "m", "n"]
    keys = [key for key in product(*names) if drawn.random() < 0.6] or [("e", "i0", "m")]
    offered = Candidates({"e": 5.0}, {key: float(drawn.randint(1, 20)) for key in keys}, "en", dict.fromkeys(keys, 1.0))
    parts = [[c for size in range(1, len(part) + 1) for c in combinations(part, size)] for part in names]
    kept = [
        [key for key in keys if all(name in part for name, part in zip(key, chosen, strict=True))]
        for chosen in product(*parts)
        if "en" in chosen[2]
    ]
    prices = [(len(some), 5 + sum(offered.comparisons[key] for key in some)) for some in kept if some]
    for budget in (20.0, 40.0, 80.0):
        fits = [(count, price) for count, price in prices if price <= budget]
        if not fits:
            continue
        most = max(count for count, _ in fits)
        found = choose(offered, budget)
        bought = [key for key in keys if all(name in part for name, part in zip(key, found[:3], strict=True))]
        assert (len(bought), found.seconds) == (most, min(price for count, price in fits if count == most))
        assert all(any(key[at] == name for key in bought) for at in range(3) for name in found[at]), "nothing idle"
