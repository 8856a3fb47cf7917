"""The price before the run: jobs, tokens, schedules, budgets, and the review of the last estimate."""

from __future__ import annotations

import json
import os
import random
from itertools import combinations, product
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from checkout import ROOT, TINY, Checkout
from intermezzo.cli.main import main
from intermezzo.config import load
from intermezzo.core.errors import UserError
from intermezzo.dag.encoder_size import Shape, shape_of
from intermezzo.dag.experiment import Grid
from intermezzo.dag.inputs import Inputs
from intermezzo.dag.requests import Requests
from intermezzo.planning.amounts import Amounts, cut
from intermezzo.planning.candidates import candidates_of, overlay
from intermezzo.planning.choice import Candidates, Choice, choose, price_of
from intermezzo.planning.costs import Cost
from intermezzo.planning.durations import Correction, Duration
from intermezzo.planning.estimate import make
from intermezzo.planning.jobs import Job, jobs_of
from intermezzo.planning.pace import Pace
from intermezzo.planning.rates import FIELDS, RateLine, Rates
from intermezzo.planning.review import remember, review
from intermezzo.planning.schedule import schedule, weights_at_most
from intermezzo.planning.show import render, render_review
from intermezzo.tasks.formats import load_format

LARGE_SCALE = ("phang2020", "xtreme_r")


@pytest.fixture
def empty(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTERMEZZO_REAL_DATA", str(tmp_path))  # where phang2020 looks for CCGbank
    return tmp_path


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Checkout:
    """The tiny experiment, run to its end after it was planned."""
    checkout = Checkout.fresh(tmp_path_factory.mktemp("finished") / "checkout")
    (checkout.folder / "results").mkdir()
    before = os.getcwd()
    os.chdir(checkout.folder)
    try:
        remember(make(load(ROOT / TINY), workers=2))
    finally:
        os.chdir(before)
    checkout.run()
    return checkout


# -- jobs ----------------------------------------------------------------------------------------------------------


@pytest.mark.workflow
def test_jobs_are_those_of_the_workflow(tmp_path):
    """As many as Snakemake plans, each after what it needs."""
    jobs = jobs_of(Grid(load(ROOT / TINY)))
    assert len(jobs) == len(Checkout.fresh(tmp_path / "checkout").planned())
    seen: set[str] = set()
    for path, job in jobs.items():
        assert seen.issuperset(job.needs), path
        seen.add(path)


def test_translated_data_needs_the_english():
    mixes = {"mixes": {"en+rare": {"translated": True}}, "grid": {"targets": ["pos"], "intermediates": ["nli"]}}
    jobs = jobs_of(Grid(load(mixes)))
    made = [job for job in jobs.values() if job.path.startswith("data/translated/")]
    assert made and all(job.needs == ("data/world/nli/en/train",) for job in made)


@pytest.mark.workflow
def test_after_a_run_all_is_done_and_a_change_undoes_what_snakemake_would(finished, monkeypatch):
    monkeypatch.chdir(finished.folder)
    assert make(load(ROOT / TINY)).todo == {}
    changed = {"targets": {"pos": {"training": {"learning_rate": 0.002}}}}
    todo = make(load(ROOT / TINY, changed)).todo
    assert len(todo) == len(finished.planned(targets__pos__training__learning_rate=0.002))
    assert {path.split("/")[0] for path in todo} == {"target", "eval", "summary"}
    seeds = {"grid": {"seeds": [0, 1]}}
    assert len(make(load(ROOT / TINY, seeds)).todo) == len(finished.planned(grid__seeds=[0, 1]))


@pytest.mark.workflow
def test_a_deleted_model_is_to_be_made_with_all_that_follows(finished, tmp_path, monkeypatch):
    checkout = finished.copy(tmp_path / "checkout")
    monkeypatch.chdir(checkout.folder)
    Path("results/target/tiny/nli/en/seed0/pos/manifest.json").unlink()
    run = "tiny/nli/en/seed0/pos"
    assert set(make(load(ROOT / TINY)).todo) == {f"target/{run}", f"eval/{run}", "summary"}


# -- tokens --------------------------------------------------------------------------------------------------------


@pytest.mark.workflow
def test_tokens_are_those_of_the_trainings(finished, monkeypatch):
    """Prepared data is read with the encoder's tokenizer: estimates and logs differ by the sample alone."""
    monkeypatch.chdir(finished.folder)
    plan = make(load(ROOT / TINY))
    trained = [path for path, job in plan.jobs.items() if job.stage in ("encoder", "intermediate", "target")]
    assert len(trained) == 9
    for path in trained:
        last = json.loads(Path(f"results/{path}/log.jsonl").read_text().splitlines()[-1])
        assert plan.costs[path].tokens == pytest.approx(last["tokens"], rel=0.15), path


@pytest.mark.workflow
def test_before_the_data_is_prepared_tokens_are_nearly_those(empty, finished):
    plan = make(load(ROOT / TINY))
    for path, job in plan.jobs.items():
        if job.stage == "target":
            last = json.loads((finished.folder / f"results/{path}/log.jsonl").read_text().splitlines()[-1])
            assert plan.costs[path].tokens == pytest.approx(last["tokens"], rel=0.6), path


@pytest.mark.slow
def test_more_epochs_more_examples_and_other_budgets_are_more_tokens(empty):
    def tokens(**changes) -> float:
        settings = {"grid": {"intermediates": ["nli"], "mixes": ["en", "en+rare"]}, **changes}
        return make(load(settings)).costs["intermediate/world/nli/en+rare/seed0"].tokens

    once = tokens()
    assert tokens(training={"intermediate": {"epochs": 6}}) == pytest.approx(2 * once)
    assert tokens(training={"intermediate": {"examples": 3000}}) == pytest.approx(once / 2)
    # 0.75 English: an additive mix has a third more
    assert tokens(mixes={"en+rare": {"budget": "additive"}}) == pytest.approx(once / 0.75, rel=1e-3)
    beside = tokens(intermediates={"nli": {"mlm": {"share": 0.5}}})
    assert once < beside < 3 * once


def test_contexts_are_read_in_windows():
    assert cut(load_format("span"), [(10, 50)], 128, 64) == (1, 64)
    # 114 tokens of room, 42 of overlap (a third of the length): 72 new ones per further window
    windows, tokens = cut(load_format("span"), [(10, 200)], 128, 64)
    assert (windows, tokens) == (3, 200 + 3 * 14 + 2 * 42)
    assert cut(load_format("classification"), [(100, 100)], 128, 64) == (1, 128)
    assert cut(load_format("multiple_choice"), [(10, 5)] * 4, 128, 64) == (4, 4 * 19)


def test_rows_are_those_of_the_configuration_and_the_task_files(empty):
    amounts = Amounts(load(ROOT / "config/experiments/phang2020.yaml"))
    assert amounts.rows("mnli", "en", "train").rows == 392702
    assert Amounts(load()).rows("nli", "fri", "test").rows == 300
    few = load(ROOT / "config/experiments/xtreme_r.yaml", {"data": {"rows": {"train": 1000}}})
    assert Amounts(few).rows("mnli", "en", "train").rows == 1000


# -- rates ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_parameters_are_those_of_the_model():
    from transformers import XLMRobertaConfig, XLMRobertaModel

    shape = Shape(48, 3, 96, 1000)
    config = XLMRobertaConfig(
        vocab_size=1000, hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=96,
        max_position_embeddings=514, type_vocab_size=1,
    )  # fmt: skip
    model = XLMRobertaModel(config, add_pooling_layer=False)
    assert shape.parameters == pytest.approx(sum(p.numel() for p in model.parameters()), rel=0.002)


def test_rates_at_between_and_beyond_the_lines():
    small, large = Shape(64, 2, 256, 2000), Shape(256, 4, 1024, 2000)
    rates = Rates([
        RateLine("small", small, "cpu", "train", 10.0, 40000.0, "measured", ""),
        RateLine("large", large, "cpu", "train", 40.0, 1000.0, "assumed", ""),
    ])  # fmt: skip
    at = rates.rate(small, "cpu", "train")
    assert at.seconds(100, 40000) == pytest.approx(2.0) and at.basis.endswith("small (measured)")
    between = rates.rate(Shape(128, 3, 512, 2000), "cpu", "train")
    assert 0.010 < between.step_seconds < 0.040 and 1 / 40000 < between.token_seconds < 1 / 1000
    assert "between small (measured) and large (assumed)" in between.basis
    beyond = rates.rate(Shape(256, 8, 1024, 2000), "cpu", "train")
    assert beyond.step_seconds == pytest.approx(0.080) and beyond.token_seconds == pytest.approx(1 / 500)
    assert rates.rate(small, "cpu", "train", threads=4).token_seconds < at.token_seconds
    with pytest.raises(UserError, match="--device: no rates of 'tpu'; did you mean 'cpu'"):
        rates.rate(small, "tpu", "train")


def test_rates_measured_here_stand_for_those_of_the_table(empty):
    Path("results").mkdir()
    line = ("mine", 64, 2, 256, 2000, "cpu", "train", 1, 2, "measured", "here")
    Path("results/rates.tsv").write_text("\t".join(FIELDS) + "\n" + "\t".join(map(str, line)) + "\n")
    found = Rates.read()
    assert [line.model for line in found.lines if line.device == "cpu"] == ["mine"] and "h200" in found.devices
    Path("results/rates.tsv").write_text("\t".join(FIELDS) + "\n" + "\t".join(map(str, line)).replace("train", "fly"))
    with pytest.raises(UserError, match=r"results/rates.tsv: line 1 after the header is not usable \(work is train or"):
        Rates.read()


def test_measuring_writes_usable_lines(empty):
    from intermezzo.planning import measure

    measure.measure(load(ROOT / TINY))
    lines = [line for line in Rates.read().lines if line.device == measure.device_name()]
    assert [(line.model, line.work) for line in lines] == [("tiny", "train"), ("tiny", "predict")]


def test_an_encoder_of_unknown_size(empty):
    other = {"encoders": {"world": None, "other": {"from": "some/encoder", "revision": "0" * 40}},
             "grid": {"encoders": ["other"]}, "data": {"source": "world"}}  # fmt: skip
    with pytest.raises(
        UserError, match=r"encoders\.other\.from: the size of 'some/encoder' is not known before it is there"
    ):
        shape_of(load(other), "other", Rates.read().shapes)
    Path("results/encoders/other").mkdir(parents=True)
    config = {"hidden_size": 8, "num_hidden_layers": 1, "intermediate_size": 16, "vocab_size": 100}
    Path("results/encoders/other/config.json").write_text(json.dumps(config))
    assert shape_of(load(other), "other", {}) == (Shape(8, 1, 16, 100), "results/encoders/other/config.json")


# -- past jobs -----------------------------------------------------------------------------------------------------


def job(stage: str, **keys) -> Job:
    return Job("/".join([stage, *map(str, keys.values())]), stage, SimpleNamespace(**keys), (), ())


def cost(seconds: float, device: str = "cpu") -> Cost:
    return Cost(1000, seconds, device, 100, 1, 1, frozenset({f"{device}, train: x (assumed)", "rows: counted"}))


def test_past_jobs_correct_their_kind_and_no_other_encoder():
    def target(encoder: str, name: str) -> Job:
        return job("target", encoder=encoder, intermediate="none", training=name)

    past = Correction()
    past.add(target("a", "nli"), cost(10), Duration(60, 0, cpu_seconds=20, peak_mb=300), threads=1)
    past.add(target("a", "qa"), cost(10), Duration(40, 0), threads=1)
    own = past.correct(target("a", "nli"), cost(7))
    assert own.seconds == pytest.approx(14) and own.memory_mb == 300  # CPU seconds, not those by the clock
    assert past.correct(target("a", "pos"), cost(7)).seconds == pytest.approx(21)
    assert past.correct(target("b", "nli"), cost(7)) == cost(7)
    also = job("intermediate", encoder="a", intermediate="nli", mix="en")
    assert past.correct(also, cost(7)).basis == {"past jobs: 2 of training a (x3.00)", "rows: counted"}
    on_gpu = Duration(60, 0, cpu_seconds=20)
    assert on_gpu.exclusive_seconds(cost(1, "h200"), 1) == 60 and on_gpu.exclusive_seconds(cost(1), 2) == 60


@pytest.mark.workflow
def test_the_review_says_what_the_jobs_took(finished, monkeypatch):
    monkeypatch.chdir(finished.folder)
    plan = make(load(ROOT / TINY))
    last = review(plan)
    assert last.estimated == len(plan.jobs) == sum(line.jobs for line in last.lines)
    assert 0.02 < last.factor < 50
    text = render_review(last)
    assert f"{last.estimated} of its {last.estimated} jobs have run" in text and "wall time: estimated" in text
    before = Path("results/plan.json").read_bytes()
    remember(plan)  # nothing is to be done: the estimate stays for whoever asks again
    assert Path("results/plan.json").read_bytes() == before
    seeds = make(load(ROOT / TINY, {"grid": {"seeds": [0, 1]}}))
    assert any(basis.startswith("past jobs: ") for path in seeds.todo for basis in seeds.costs[path].basis)


@pytest.mark.slow
def test_a_broken_review_is_none(empty):
    Path("results").mkdir()
    for content in ("", "[]", '{"seconds": 3}', '{"seconds": {"a": "b"}, "wall_seconds": 1}'):
        Path("results/plan.json").write_text(content)
        assert review(make(load(ROOT / TINY))) is None


# -- schedules -----------------------------------------------------------------------------------------------------


def test_the_time_left_follows_the_pace_of_the_run():
    """100 jobs of 10 s, 100 s by the plan. A run as planned, one half as fast, and one that has just begun."""
    pace = Pace({str(number): 10.0 for number in range(100)}, 100.0)
    half = map(str, range(50))
    assert pace.left(half, 50.0) == pytest.approx(50.0)
    slow = [pace.left(map(str, range(rest)), 2.0 * (100 - rest)) for rest in (90, 50, 10)]
    assert slow[0] < 180 and slow == pytest.approx([180, 100, 20], rel=0.35) and slow[2] == pytest.approx(20, rel=0.1)
    assert pace.left(map(str, range(100)), 0.0) == 100.0 and pace.left([], 70.0) == 0.0
    assert Pace({}, 0.0).left(["report"], 5.0) == 0.0


@pytest.mark.parametrize("seed", range(30))
def test_schedules_are_possible_and_within_their_bounds(seed):
    drawn = random.Random(seed)
    jobs: dict[str, Job] = {}
    for number in range(drawn.randint(1, 25)):
        needs = tuple(drawn.sample(sorted(jobs), drawn.randint(0, min(3, len(jobs)))))
        jobs[f"{number:02}"] = Job(
            f"{number:02}", drawn.choice(("data", "target", "evaluation")), SimpleNamespace(), (), needs
        )
    seconds = {path: drawn.uniform(1, 10) for path in jobs if drawn.random() < 0.8 or path == "00"}
    workers = drawn.randint(1, 4)
    found = schedule(jobs, seconds, workers)
    assert found.ends.keys() == seconds.keys()
    for path in seconds:
        assert found.ends[path] == pytest.approx(found.begins[path] + seconds[path])
        assert all(found.ends[need] <= found.begins[path] + 1e-9 for need in jobs[path].needs if need in seconds)
        assert sum(found.begins[other] <= found.begins[path] < found.ends[other] for other in seconds) <= workers
    whole = sum(seconds.values())
    assert (
        max(found.chain_seconds, whole / workers)
        <= found.seconds + 1e-9
        <= found.chain_seconds + whole / workers + 1e-6
    )
    assert schedule(jobs, seconds, 1).seconds == pytest.approx(whole)
    assert schedule(jobs, seconds, len(jobs)).seconds == pytest.approx(found.chain_seconds)


def test_weights_that_are_not_kept_leave_the_disk():
    jobs = {
        path: Job(path, stage, SimpleNamespace(), (), needs)
        for path, stage, needs in [
            ("e", "encoder", ()), ("i", "intermediate", ("e",)), ("t1", "target", ("i",)), ("t2", "target", ("i",)),
            ("v1", "evaluation", ("t1",)), ("v2", "evaluation", ("t2",)),
        ]
    }  # fmt: skip
    weights = dict.fromkeys(("e", "i", "t1", "t2"), 1.0)
    plan = schedule(jobs, dict.fromkeys(jobs, 1.0), 1)
    assert weights_at_most(jobs, weights, set(), plan) == (4, 4)
    assert weights_at_most(jobs, weights, {"intermediate", "target"}, plan) == (4, 1)  # targets first, then evaluations
    assert weights_at_most(jobs, weights, {"intermediate"}, plan) == (4, 3)
    deep = schedule(jobs, dict.fromkeys(jobs, 1.0), 1, ("evaluation", "target", "intermediate"))
    assert deep.seconds == plan.seconds
    assert weights_at_most(jobs, weights, {"intermediate", "target"}, deep) == (3, 1)
    nothing = schedule(jobs, {}, 1)
    assert weights_at_most(jobs, weights, set(), nothing, initial=["e"]) == (1, 1)


# -- budgets -------------------------------------------------------------------------------------------------------


def drawn_offer(seed: int) -> Candidates:
    drawn = random.Random(seed)
    encoders = {f"e{n}": float(drawn.randint(0, 30)) for n in range(drawn.randint(1, 2))}
    names = [f"i{n}" for n in range(drawn.randint(1, 4))], ["en", *(f"m{n}" for n in range(drawn.randint(0, 3)))]
    keys = list(product(encoders, *names))
    values = {key: float(drawn.choice((1, 1, 1, 2.5))) for key in keys}
    english = drawn.choice(("en", None))
    costs = {key: drawn.uniform(0, 20) for key in keys}
    shared = {
        f"t{number}": (float(drawn.randint(1, 15)), frozenset(drawn.sample(keys, drawn.randint(0, len(keys)))))
        for number in range(drawn.randint(0, 2))
    }
    return Candidates(encoders, costs, english, values, shared)


def all_choices(offered: Candidates):
    names = [list(dict.fromkeys(key[at] for key in offered.comparisons)) for at in range(3)]
    parts = [[c for size in range(1, len(part) + 1) for c in combinations(part, size)] for part in names]
    for chosen in product(*parts):
        if offered.english is None or offered.english in chosen[2]:
            yield chosen, list(product(*chosen))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(25))
def test_the_choice_is_the_best_there_is(seed):
    offered = drawn_offer(seed)
    # costs as the programme counts them: whole seconds, rounded up
    whole = offered._replace(comparisons={key: float(-(-seconds // 1)) for key, seconds in offered.comparisons.items()})
    for share in (0.3, 0.6, 1.0):
        budget = share * price_of(whole, list(whole.comparisons))
        fits = [(chosen, keys) for chosen, keys in all_choices(whole) if price_of(whole, keys) <= budget // 1]
        if not fits:
            with pytest.raises(UserError, match="too few for one comparison"):
                choose(offered, budget)
            continue
        best = max(sum(offered.values[key] for key in keys) for _, keys in fits)
        cheapest = min(price_of(whole, keys) for _, keys in fits if sum(offered.values[k] for k in keys) == best)
        found = choose(offered, budget)
        assert found.value == pytest.approx(best)
        keys = list(product(*found[:3]))
        assert price_of(whole, keys) == pytest.approx(cheapest) and found.seconds <= budget
        assert offered.english is None or offered.english in found.mixes


def test_a_budget_too_small_names_the_smallest_price(empty):
    offered = candidates_of(make(load(), device="h200"), {})
    with pytest.raises(UserError) as caught:
        choose(offered, 1.0)
    price = float(str(caught.value).split("takes ")[1].split()[0]) * 3600
    choice = choose(offered, price)
    assert len(choice.encoders) * len(choice.intermediates) * len(choice.mixes) >= 1
    with pytest.raises(UserError, match="too few for one comparison"):
        choose(offered, price - 10)


@pytest.mark.slow
def test_the_overlay_costs_what_it_says(empty):
    plan = make(load(), device="h200")
    whole = sum(seconds for path, seconds in plan.todo.items() if plan.costs[path].device == "h200")
    choice = choose(candidates_of(plan, {}), whole / 2)
    assert choice.seconds <= whole / 2
    chosen = make(load(yaml.safe_load(overlay(choice))), device="h200")
    spent = sum(seconds for path, seconds in chosen.todo.items() if chosen.costs[path].device == "h200")
    assert spent == pytest.approx(choice.seconds)
    assert chosen.grid.targets == plan.grid.targets and chosen.grid.seeds == plan.grid.seeds


def test_values_change_the_choice_and_unknown_ones_are_named(empty):
    plan = make(load(), device="h200")
    keys = [("world", name, "en") for name in ("qa", "nli")]
    budget = 3 + max(price_of(candidates_of(plan, {}), [key]) for key in keys)  # for one of them
    for key in keys:
        choice = choose(candidates_of(plan, {key[1]: 50}), budget)
        assert (choice.intermediates, choice.mixes) == ([key[1]], ["en"])
    with pytest.raises(UserError, match="--value: nothing in the grid is called 'qb'; allowed: en, "):
        candidates_of(plan, {"qb": 1})
    with pytest.raises(UserError, match="--value qa=-1: a value is a number from 0"):
        candidates_of(plan, {"qa": -1})


@pytest.mark.workflow
def test_done_jobs_cost_nothing(finished, monkeypatch):
    monkeypatch.chdir(finished.folder)
    plan = make(load(ROOT / TINY, {"grid": {"intermediates": ["nli", "qa"]}}))
    offered = candidates_of(plan, {})
    assert offered.encoders == {"tiny": 0} and offered.comparisons["tiny", "nli", "en"] == 0
    assert offered.comparisons["tiny", "qa", "en"] > 0


def test_a_repeated_english_mix_is_no_twin(empty):
    mixes = {"more": {"weights": {"en": 0.75, "@rare": 0.25}, "budget": "english_repeated"}}
    plan = make(load({"mixes": mixes, "grid": {"mixes": ["more", "en+rare", "en"]}}))
    assert candidates_of(plan, {}).english == "en"


# -- the command ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("experiment", LARGE_SCALE)
def test_a_price_list_of_the_paper_scale(experiment, empty, capsys):
    """Every stage has its line, hours are of GPUs, and what is assumed is called so."""
    assert (
        main(["plan", "--configfile", str(ROOT / f"config/experiments/{experiment}.yaml"), "--json", "plan.json"]) == 0
    )
    output = capsys.readouterr().out
    for stage in ("data", "encoder", "intermediate", "target", "evaluation", "summary", "all"):
        assert any(line.startswith(f"{stage} ") for line in output.splitlines()), stage
    assert "h200, train: FacebookAI/xlm-roberta-large (assumed)" in output
    content = json.loads(Path("plan.json").read_text())
    assert all(job["seconds"] > 0 and job["basis"] for path, job in content["jobs"].items()
               if path not in ("summary", "leakage") and not path.startswith("data/"))  # fmt: skip
    gpu = sum(stage["gpu_seconds"] for stage in content["stages"])
    assert gpu > 100 * sum(stage["cpu_seconds"] for stage in content["stages"] if stage["name"] == "target")
    assert json.loads(Path("results/plan.json").read_text())["seconds"].keys() == content["jobs"].keys()


@pytest.mark.slow
def test_keep_is_seen_on_the_disk(empty):
    config = ROOT / "config/experiments/phang2020.yaml"
    kept = make(load(config), workers=4).weights_mb
    most, last = make(load(config, {"keep": {"intermediate": "none", "target": "none"}}), workers=4).weights_mb
    assert kept[0] == pytest.approx(kept[1]) and last < kept[1] / 100 and last < most <= kept[0]


@pytest.mark.slow
def test_the_command_with_a_budget_prints_an_overlay(empty, capsys):
    arguments = ["plan", "--device", "h200", "--workers", "2", "--budget-gpu-hours"]
    assert main([*arguments, "100", "--value", "nli=2"]) == 0
    text = capsys.readouterr().out
    assert "4 of 4 comparisons" in text and yaml.safe_load(text[text.index("grid:") :])["grid"]["mixes"] == [
        "en",
        "en+rare",
    ]
    assert main([*arguments, "0.00001"]) == 2
    assert capsys.readouterr().err.count("too few for one comparison: the cheapest") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workers", "0"], "--workers: 0; at least 1"),
        (["--device", "h20"], "--device: no rates of 'h20'; did you mean 'h200'?"),
        (["--configfile", "none.yaml"], "none.yaml: cannot read the configuration file"),
        (["--budget-gpu-hours", "9", "--value", "nli"], "--value: NAME=NUMBER is needed, found 'nli'"),
    ],
    ids=["workers", "device", "file", "value"],
)
def test_bad_input_is_one_message(arguments, message, empty, capsys):
    assert main(["plan", *arguments]) == 2
    assert capsys.readouterr().err.count(message) == 1


@pytest.mark.workflow
def test_words_fit_an_empty_and_a_finished_plan(finished, empty, monkeypatch):
    assert "Wall time on 3 workers" in render(make(load(), workers=3))
    monkeypatch.chdir(finished.folder)
    assert "Nothing is to be done." in render(make(load(ROOT / TINY)))


def test_a_choice_is_an_experiment():
    choice = Choice(["world"], ["nli"], ["en"], 1.0, 1.0)
    assert yaml.safe_load(overlay(choice)) == {
        "grid": {"encoders": ["world"], "intermediates": ["nli"], "mixes": ["en"]}
    }


# -- what jobs ask a cluster for -----------------------------------------------------------------------------------


def asked(requests: Requests, stage: str, attempt: int = 1, **keys) -> tuple[int, int]:
    """(MB, minutes)"""
    if stage == "target":
        keys["training"] = requests.grid.training_of(keys["target"])
    wildcards = SimpleNamespace(**keys)
    return requests.memory(stage)(wildcards, attempt), requests.time(stage)(wildcards, attempt)


def asking(encoder: str, processes: int = 1) -> Requests:
    """Those of phang2020.yaml with another encoder."""
    other = {"encoders": {"xlm-roberta-large": {"from": encoder}}, "processes": processes}
    return Requests(Grid(load(ROOT / "config/experiments/phang2020.yaml", other)))


def test_a_small_encoder_asks_for_little_and_each_attempt_for_twice_as_much(empty):
    requests = Requests(Grid(load(ROOT / TINY)))
    run = {"encoder": "tiny", "intermediate": "nli", "mix": "en", "seed": 0}
    for stage, minutes in (("encoder", 240), ("intermediate", 240), ("target", 240), ("evaluation", 60)):
        found = [asked(requests, stage, attempt, **run, target="pos") for attempt in (1, 2, 3)]
        assert found == [(4000 * times, minutes * times) for times in (1, 2, 4)], stage
    assert asked(requests, "encoder", 5, **run)[1] == 24 * 60, "partitions end"


@pytest.mark.parametrize("size", ["base", "large"])
def test_a_large_encoder_asks_for_room_to_train_it(empty, size):
    requests = asking(f"FacebookAI/xlm-roberta-{size}")
    weights = Rates.read().shapes[f"FacebookAI/xlm-roberta-{size}"].parameters * 4e-6
    run = {"encoder": "xlm-roberta-large", "intermediate": "mnli", "mix": "en", "seed": 0, "target": "xnli"}
    for stage, least, most in (("intermediate", 4, 12), ("target", 4, 12), ("evaluation", 2, 7)):
        memory, minutes = asked(requests, stage, **run)
        assert least * weights < memory < most * weights and 60 <= minutes <= 24 * 60, stage


def test_processes_that_train_together_ask_for_room_for_each(empty):
    alone, together = (asking("FacebookAI/xlm-roberta-large", processes=number) for number in (1, 4))
    run = {"encoder": "xlm-roberta-large", "intermediate": "none", "mix": "none", "seed": 0, "target": "xnli"}
    assert 3.7 < asked(together, "target", **run)[0] / asked(alone, "target", **run)[0] <= 4
    assert asked(together, "evaluation", **run) == asked(alone, "evaluation", **run)


def test_an_encoder_of_unknown_size_asks_like_a_large_one(empty):
    run = {"encoder": "xlm-roberta-large", "intermediate": "none", "mix": "none", "seed": 0, "target": "xnli"}
    known = asked(asking("FacebookAI/xlm-roberta-large"), "target", **run)
    assert asked(asking("nobody/knows"), "target", **run) == known


def test_an_evaluation_that_trains_its_model_again_asks_for_that_too(empty):
    grid = Grid(load({"keep": {"intermediate": "none", "target": "none"}}, ROOT / TINY))
    run = {"encoder": "tiny", "intermediate": "nli", "mix": "en", "seed": 0, "target": "pos"}
    models = [Path(f"results/{stage}/tiny/nli/en/seed0") for stage in ("target", "intermediate")]
    models[0] /= "pos"
    assert asked(Requests(grid), "evaluation", **run)[1] == 60, "they are made in this run"
    for number, model in enumerate(models, 1):
        model.mkdir(parents=True)
        (model / "manifest.json").touch()
        assert asked(Requests(grid), "evaluation", **run)[1] == 60 + number * 240
    assert asked(Requests(grid), "target", **run)[1] == 2 * 240
    (models[0] / "model.safetensors").touch()
    assert asked(Requests(grid), "evaluation", **run)[1] == 60
    assert asked(Requests(Grid(load(ROOT / TINY))), "target", **run)[1] == 240, "all are kept"


def test_requests_open_no_data(empty, monkeypatch):
    """Every job reads the Snakefile again: prepared data is not counted, the world not made."""
    grid = Grid(load(ROOT / TINY))
    for path in map(Path, Inputs(grid).data_paths()):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("no Parquet")
    monkeypatch.setattr("intermezzo.world.build", lambda _: pytest.fail("made the world"))
    requests = Requests(grid)
    run = {"encoder": "tiny", "intermediate": "nli", "mix": "en", "seed": 0, "target": "retrieval"}
    for stage in ("encoder", "intermediate", "evaluation"):
        asked(requests, stage, **run)
    assert asked(requests, "data", source="world", task="nli", language="en", split="train") == (1000, 30)
