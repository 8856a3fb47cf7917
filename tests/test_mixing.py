"""The division of a budget over languages: exact, by weights, within supply; and what the names of a mix mean."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from fractions import Fraction

import pytest

from intermezzo import mixing
from intermezzo.core import ilp
from intermezzo.core.errors import UserError
from intermezzo.languages import Language
from intermezzo.mixing import LanguageAllocation, Portion, allocate, allocate_tasks, budget_of, portions, shares


def test_divides_exactly_by_weights():
    assert allocate(6000, {"en": 0.75, "fri": 0.0625, "mor": 0.0625, "qul": 0.0625, "tiw": 0.0625}) == {
        "en": 4500,
        "fri": 375,
        "mor": 375,
        "qul": 375,
        "tiw": 375,
    }


def test_largest_remainder_by_hand():
    # quotas 3.5, 3.5 (tie: by name), 3.0; then 3.4, 4.3, 2.3 of 10
    assert allocate(10, {"b": 35, "a": 35, "c": 30}) == {"a": 4, "b": 3, "c": 3}
    assert allocate(10, {"a": 0.34, "b": 0.43, "c": 0.23}) == {"a": 4, "b": 4, "c": 2}


def test_weights_need_not_sum_to_one_and_zero_gives_nothing():
    assert allocate(9, {"en": 2, "fri": 1, "mor": 0}) == {"en": 6, "fri": 3, "mor": 0}


def test_what_a_short_language_lacks_goes_to_the_others_by_weight():
    assert allocate(100, {"en": 0.5, "a": 0.25, "b": 0.25}, {"en": 1000, "a": 5, "b": 1000}) == {
        "en": 63,
        "a": 5,
        "b": 32,
    }


def test_a_second_language_can_run_short_because_of_the_first():
    assert allocate(100, {"en": 0.5, "a": 0.25, "b": 0.25}, {"en": 1000, "a": 5, "b": 28}) == {
        "en": 67,
        "a": 5,
        "b": 28,
    }


@pytest.mark.parametrize("seed", range(200))
def test_always_the_whole_budget_within_supply(seed):
    draw = random.Random(seed)
    languages = [f"l{i}" for i in range(draw.randint(1, 12))]
    weights = {language: draw.choice([0, 0.1, 1 / 3, 1, 7]) for language in languages} | {"en": 0.5}
    supply = {language: draw.randint(0, 50) for language in weights}
    possible = sum(supply[language] for language in weights if weights[language])
    examples = draw.randint(0, possible)
    counts = allocate(examples, weights, supply)
    assert sum(counts.values()) == examples
    assert all(counts[language] <= supply[language] for language in weights)
    assert all(counts[language] == 0 for language in weights if not weights[language])


def test_does_not_depend_on_the_order_of_the_languages():
    weights = {f"l{i}": 1 / 7 for i in range(7)}
    assert allocate(100, weights) == allocate(100, dict(reversed(weights.items())))


def test_too_few_rows_name_what_there_is():
    with pytest.raises(
        UserError, match=r"100 examples asked for, 30 there \(en 20, fri 10\), .* en 50, fri 50; lower `examples`"
    ):
        allocate(100, {"en": 1, "fri": 1}, {"en": 20, "fri": 10})


@pytest.mark.parametrize(
    ("weights", "message"),
    [({"en": 1, "fri": -0.1}, "negative weight for fri"), ({"en": 0}, "sum to nothing"), ({}, "sum to nothing")],
)
def test_impossible_weights(weights, message):
    with pytest.raises(UserError, match=message):
        allocate(10, weights)


def _largest_and_total(counts, quotas):
    distances = [abs(counts[code] - quota) for code, quota in quotas.items()]
    return max(distances), sum(distances)


@pytest.mark.parametrize("seed", range(60))
def test_no_division_of_one_budget_is_closer(seed):
    """Against every division within the limits: of the distances from the quotas, and from what is left of them."""
    draw = random.Random(seed)
    languages = [f"l{i}" for i in range(draw.randint(1, 4))]
    weights = {language: draw.choice([1, 2, 3, 5, 8]) for language in languages}
    supply = {language: draw.randint(0, 6) for language in languages}
    repeats = draw.randint(1, 2)
    limits = {language: repeats * supply[language] for language in languages}
    examples = draw.randint(0, min(9, sum(limits.values())))
    counts = allocate(examples, weights, supply, repeats=repeats)
    every = [
        dict(zip(languages, numbers, strict=True))
        for numbers in itertools.product(*(range(limit + 1) for limit in limits.values()))
        if sum(numbers) == examples
    ]
    assert counts in every
    asked = {code: Fraction(examples * weight, sum(weights.values())) for code, weight in weights.items()}
    # water-filling, by bisection instead of by rounds: min(limit, level x weight), with the level that uses the budget
    low, high = 0.0, float(examples + 1) * 100
    for _ in range(200):
        level = (low + high) / 2
        used = sum(min(limits[code], level * weight) for code, weight in weights.items())
        low, high = (level, high) if used < examples else (low, level)
    there = {code: min(limits[code], high * weight) for code, weight in weights.items()}
    best = [min(_largest_and_total(one, there)[i] for one in every) for i in range(2)]
    assert _largest_and_total(counts, there) == pytest.approx(best, abs=1e-6)
    if all(quota <= limits[code] for code, quota in asked.items()):  # no limit binds: nearest to what was asked
        assert counts == allocate(examples, weights)
        assert _largest_and_total(counts, asked) == tuple(
            min(_largest_and_total(one, asked)[i] for one in every) for i in range(2)
        )


def test_a_language_may_repeat_its_rows():
    weights, supply = {"en": 0.5, "fri": 0.5}, {"en": 1000, "fri": 20}
    assert allocate(100, weights, supply) == {"en": 80, "fri": 20}
    assert allocate(100, weights, supply, repeats=2) == {"en": 60, "fri": 40}
    assert allocate(100, weights, supply, repeats=3) == {"en": 50, "fri": 50}


def test_the_message_counts_repetitions():
    with pytest.raises(UserError, match=r"100 examples asked for, 60 there \(en 2 x 20, fri 2 x 10\), .*`repeats`"):
        allocate(100, {"en": 1, "fri": 1}, {"en": 20, "fri": 10}, repeats=2)


# -- budgets -------------------------------------------------------------------------------------------------------

RARE = {"en": 0.75, "fri": 0.125, "mor": 0.125}


def _counts(cells):
    return {task: {code: cell.examples for code, cell in line.items()} for task, line in cells.items()}


def test_matched_replaces_english_and_additive_keeps_it_whole():
    supply = {"nli": dict.fromkeys(RARE, 6000)}
    assert _counts(allocate_tasks({"nli": 6000}, {"nli": RARE}, supply))["nli"] == {"en": 4500, "fri": 750, "mor": 750}
    added = _counts(allocate_tasks({"nli": 6000}, {"nli": RARE}, supply, budget="additive"))["nli"]
    assert added == {"en": 6000, "fri": 1000, "mor": 1000}
    assert budget_of(6000, RARE, "additive") == 8000 and budget_of(6000, RARE, "matched") == 6000


def test_what_an_added_language_lacks_never_touches_english():
    supply = {"nli": {"en": 6000, "fri": 100, "mor": 6000}}
    added = _counts(allocate_tasks({"nli": 6000}, {"nli": RARE}, supply, budget="additive"))["nli"]
    assert added == {"en": 6000, "fri": 100, "mor": 1900}


def test_the_twin_repeats_the_rows_of_english_only():
    """As many examples as the additive mix, and not one English row that English-only training does not see."""
    supply = {"nli": {"en": 20000, "fri": 10}}
    cells = allocate_tasks({"nli": 6000}, {"nli": RARE}, supply, budget="english_repeated")
    assert cells == {"nli": {"en": LanguageAllocation(weight=1.0, asked=8000, examples=8000, rows=6000, supply=20000)}}


@pytest.mark.parametrize("seed", range(50))
def test_the_twin_is_as_large_as_its_mix(seed):
    draw = random.Random(seed)
    weights = {"en": draw.random() + 0.01} | {f"l{i}": draw.random() for i in range(draw.randint(0, 5))}
    supply = {"t": dict.fromkeys(weights, 10**6)}
    examples = {"t": draw.randint(1, 999)}
    mix = allocate_tasks(examples, {"t": weights}, supply, budget="additive")["t"]
    twin = allocate_tasks(examples, {"t": weights}, supply, budget="english_repeated")["t"]
    assert mix["en"].examples == examples["t"] == twin["en"].rows
    assert sum(cell.examples for cell in mix.values()) == twin["en"].examples
    others = {code: weight for code, weight in weights.items() if code != "en"}
    for code, weight in others.items():
        assert mix[code].examples == pytest.approx(examples["t"] * weight / weights["en"], abs=1)


def test_without_a_number_all_that_there_is():
    weights, supply = {"t": {"en": 0.5, "fri": 0.5}}, {"t": {"en": 40, "fri": 60, "mor": 9}}
    assert _counts(allocate_tasks({"t": None}, weights, supply))["t"] == {"en": 40, "fri": 60}
    assert _counts(allocate_tasks({"t": None}, weights, supply, budget="additive"))["t"] == {"en": 40, "fri": 40}


def test_a_cell_says_what_was_asked_and_what_there_was():
    cells = allocate_tasks({"t": 100}, {"t": {"en": 0.5, "fri": 0.5}}, {"t": {"en": 90, "fri": 20}}, repeats=2)
    assert cells["t"] == {"en": LanguageAllocation(0.5, 50, 60, 60, 90), "fri": LanguageAllocation(0.5, 50, 40, 20, 20)}


@pytest.mark.parametrize(
    ("weights", "supply", "options", "message"),
    [
        ({"en": 1, "fri": -1}, {}, {}, "task 't': negative weight for fri"),
        ({"en": 0}, {}, {}, "task 't': the weights sum to nothing"),
        (
            {"en": 1, "fri": 1},
            {"en": 30, "fri": 10},
            {"repeats": 2},
            r"task 't': 100 .*, 80 there \(en 2 x 30, fri 2 x",
        ),
        (
            {"en": 1, "fri": 1},
            {"en": 90, "fri": 200},
            {"budget": "additive"},
            r"100 examples asked for, 90 .*\(en 90\)",
        ),
        ({"en": 1, "fri": 1}, {"en": 100, "fri": 20}, {"budget": "additive"}, r"100 .*, 20 there \(fri 20\)"),
        ({"fri": 1}, {"fri": 900}, {"budget": "additive"}, "task 't': budget 'additive' adds .* 'en' has none"),
        ({"fri": 1}, {"fri": 900}, {"budget": "english_repeated"}, "budget 'english_repeated' adds .* 'en' has none"),
        ({"en": 1}, {"en": 900}, {"budget": "aditive"}, "unknown name 'aditive'; did you mean 'additive'?"),
    ],
)
def test_a_budget_that_cannot_be(weights, supply, options, message):
    with pytest.raises(UserError, match=message):
        allocate_tasks({"t": 100}, {"t": weights}, {"t": supply}, **options)


# -- several tasks together ----------------------------------------------------------------------------------------


def test_a_language_makes_up_in_one_task_for_another():
    weights = {"nli": {"en": 0.5, "fri": 0.5}, "qa": {"en": 0.5, "fri": 0.5}}
    supply = {"nli": {"en": 500, "fri": 500}, "qa": {"en": 500, "fri": 20}}
    assert _counts(allocate_tasks({"nli": 100, "qa": 100}, weights, supply)) == {
        "nli": {"en": 20, "fri": 80},
        "qa": {"en": 80, "fri": 20},
    }
    # not enough rows anywhere: as near as they bring it
    supply["nli"]["fri"] = 60
    assert _counts(allocate_tasks({"nli": 100, "qa": 100}, weights, supply)) == {
        "nli": {"en": 40, "fri": 60},
        "qa": {"en": 80, "fri": 20},
    }


def test_the_other_tasks_make_up_for_it_evenly():
    half = {"en": 0.5, "fri": 0.5}
    supply = {"t": {"en": 9, "fri": 0}, "u": {"en": 99, "fri": 99}, "v": {"en": 99, "fri": 99}}
    assert _counts(allocate_tasks(dict.fromkeys("tuv", 8), dict.fromkeys("tuv", half), supply)) == {
        "t": {"en": 8, "fri": 0},
        "u": {"en": 2, "fri": 6},
        "v": {"en": 2, "fri": 6},
    }


def test_two_languages_that_cannot_both_be_made_up_for_share_what_there_is():
    weights = {"t": {"a": 1, "b": 1, "en": 1}, "u": {"a": 1, "b": 1, "en": 1}}
    supply = {"t": {"a": 12, "b": 12, "en": 12}, "u": {"en": 36}}
    assert _counts(allocate_tasks({"t": 12, "u": 36}, weights, supply)) == {
        "t": {"a": 6, "b": 6, "en": 0},
        "u": {"a": 0, "b": 0, "en": 36},
    }


def _random_mix(seed, tasks, languages, size, budgets=("matched",)):
    """Arguments of `allocate_tasks`; the budgets can be met, as far as one can tell without it."""
    draw = random.Random(seed)
    names = [f"t{i}" for i in range(draw.randint(*tasks))]
    codes = ["en", *(f"l{i}" for i in range(draw.randint(*languages)))]
    weights = {task: {k: draw.choice([0, 0.1, 1 / 3, 1, 7]) for k in codes} | {"en": 0.5} for task in names}
    repeats, budget = draw.randint(1, 3), draw.choice(budgets)
    supply = {task: {k: draw.randint(1, size) for k in codes} for task in names}
    examples = {}
    for task in names:
        possible = repeats * sum(rows for k, rows in supply[task].items() if weights[task][k])
        examples[task] = draw.randint(0, possible if budget == "matched" else supply[task]["en"])
        if budget == "additive":
            needed = budget_of(examples[task], weights[task], budget)
            for k in codes[1:]:
                supply[task][k] += needed // (repeats * draw.randint(1, len(codes) - 1)) + 1
    return (examples, weights, supply), {"budget": budget, "repeats": repeats}


@pytest.mark.slow
def test_a_thousand_random_mixes(monkeypatch):
    solved, minimise = set(), ilp.minimise
    monkeypatch.setattr(ilp, "minimise", lambda *programme: solved.add(seed) or minimise(*programme))
    met = 0
    for seed in range(1000):
        (examples, weights, supply), options = _random_mix(seed, (1, 3), (0, 3), 40, mixing.BUDGETS)
        try:
            cells = allocate_tasks(examples, weights, supply, **options)
        except UserError as error:
            assert options["budget"] == "additive" and "examples asked for" in str(error)
            continue
        met += 1
        for task, line in cells.items():
            asked = budget_of(examples[task], weights[task], options["budget"])
            assert sum(cell.examples for cell in line.values()) == asked
            assert sum(cell.asked for cell in line.values()) == asked
            for code, cell in line.items():
                assert weights[task][code] > 0 and cell.supply == supply[task][code]
                assert 0 <= cell.rows <= min(cell.examples, cell.supply)
                if options["budget"] != "english_repeated":
                    assert cell.examples <= options["repeats"] * cell.rows or cell.rows == cell.supply
                    assert cell.examples <= options["repeats"] * cell.supply
    assert met > 950 and 20 < len(solved) < 500  # both ways to the answer are on the road


def _merit(counts, goals, own):
    """What `allocate_tasks` says it minimises, in its order."""
    short = [max(0, goal - sum(line.get(code, 0) for line in counts.values())) for code, goal in goals.items()]
    cells = sorted((task, code) for task, line in counts.items() for code in line)
    far = [abs(counts[task][code] - own[task][code]) for task, code in cells]
    return sum(short), max(short), sum(far), max(far), [-counts[task][code] for task, code in cells]


def _every_division(total, limits):
    return [
        dict(zip(limits, numbers, strict=True))
        for numbers in itertools.product(*(range(limit + 1) for limit in limits.values()))
        if sum(numbers) == total
    ]


@pytest.mark.slow
def test_no_worse_than_brute_force_over_several_tasks(monkeypatch):
    solved, minimise = set(), ilp.minimise
    monkeypatch.setattr(ilp, "minimise", lambda *programme: solved.add(seed) or minimise(*programme))
    for seed in range(200):
        draw = random.Random(seed)
        tasks, codes, repeats = [f"t{i}" for i in range(draw.randint(2, 3))], ["a", "b", "en"], draw.randint(1, 2)
        weights = {task: {code: draw.choice([1, 1, 2]) for code in codes} for task in tasks}
        supply = {task: {code: draw.choice([0, 1, 2, 6]) for code in codes} for task in tasks}
        limits = {task: {code: repeats * rows for code, rows in supply[task].items()} for task in tasks}
        examples = {task: min(draw.randint(1, 9 - 2 * len(tasks)), sum(limits[task].values())) for task in tasks}
        own = {task: allocate(examples[task], weights[task], supply[task], repeats=repeats) for task in tasks}
        goals = {
            code: min(
                sum(examples[task] * weights[task][code] // sum(weights[task].values()) for task in tasks),
                sum(limits[task][code] for task in tasks),
            )
            for code in codes
        }
        every = itertools.product(*(_every_division(examples[task], limits[task]) for task in tasks))
        best = min(_merit(dict(zip(tasks, one, strict=True)), goals, own) for one in every)
        counts = _counts(allocate_tasks(examples, weights, supply, repeats=repeats))
        assert _merit(counts, goals, own) == best, seed
    assert len(solved) > 30


@pytest.mark.slow
def test_every_solver_gives_the_same_numbers(monkeypatch):
    """The programme of several tasks has one solution, so it does not matter which solver runs."""
    pytest.importorskip("highspy")
    answers = []
    for solver in ("PULP_CBC_CMD", "HiGHS"):
        monkeypatch.setattr(ilp, "SOLVERS", ("NO_SUCH_SOLVER", solver))
        mixes = [_random_mix(seed, (2, 3), (2, 5), 30) for seed in range(16)]
        answers.append([allocate_tasks(*arguments, **options) for arguments, options in mixes])
    assert answers[0] == answers[1]


def test_without_a_solver_the_message_names_one_to_install(monkeypatch):
    monkeypatch.setattr(ilp, "SOLVERS", ("NO_SUCH_SOLVER",))
    with pytest.raises(UserError, match="pip install highspy"):
        ilp.minimise({0: 1}, [(0, 1)], [])


def test_a_programme_without_a_solution_is_no_answer():
    with pytest.raises(UserError, match="no solver"):
        ilp.minimise({0: 1}, [(0, 1)], [({0: 1}, 2)])


def test_no_solver_runs_where_no_other_task_can_help(monkeypatch):
    """What the Snakefile asks at every parse: one task at a time, and tasks with rows enough."""
    monkeypatch.setattr(ilp, "minimise", lambda *_: pytest.fail("a solver ran"))
    weights, supply = {"en": 0.5, "a": 0.3, "b": 0.2}, {"en": 1000, "a": 5, "b": 28}
    one = _counts(allocate_tasks({"t": 101}, {"t": weights}, {"t": supply}))["t"]
    assert one == allocate(101, weights, supply)
    both = _counts(allocate_tasks({"t": 101, "u": 7}, {"t": weights, "u": weights}, {"t": supply, "u": {"en": 9}}))
    assert both == {"t": one, "u": {"en": 7, "a": 0, "b": 0}}


def test_several_tasks_do_not_depend_on_the_order_of_anything():
    (examples, weights, supply), _ = _random_mix(3, (3, 3), (5, 5), 20)
    supply["t0"]["l0"] = 0

    def turned(of):
        return {k: turned(v) for k, v in reversed(of.items())} if isinstance(of, dict) else of

    straight = allocate_tasks(examples, weights, supply, repeats=4)
    assert straight == allocate_tasks(turned(examples), turned(weights), turned(supply), repeats=4)


# -- names and groups ----------------------------------------------------------------------------------------------

TABLE = {
    code: Language(code, code, family, rare, script=script)
    for code, family, rare, script in [
        ("en", "Indo-European", False, "Latin"),
        ("de", "Indo-European", False, "Latin"),
        ("ru", "Indo-European", False, "Cyrillic"),
        ("qu", "Quechuan", True, "Latin"),
        ("gn", "Tupian", True, "Latin"),
        ("tt", "Turkic", True, "Cyrillic"),
    ]
}
AVAILABLE = ("en", "de", "ru", "qu", "tt")


def _portions(weights, available=AVAILABLE, **options):
    rare = ("qu", "gn", "tt")
    found = portions(weights, available, TABLE, rare, key="mixes.m", task="nli", source="files", **options)
    return {part.name: set(part.languages) for part in found}


@pytest.mark.parametrize(
    ("name", "languages"),
    [
        ("de", {"de"}),
        ("@all", {"en", "de", "ru", "qu", "tt"}),
        ("@rare", {"qu", "tt"}),
        ("@other", {"de", "ru"}),
        ("@family:Indo-European", {"de", "ru"}),
        ("@family:indo-european", {"de", "ru"}),
        ("@script:Cyrillic", {"ru", "tt"}),
        ("@script:Latin", {"de", "qu"}),
        ("rest", {"en", "de", "ru", "qu", "tt"}),
    ],
)
def test_what_a_name_means(name, languages):
    assert _portions({name: 1}) == {name: languages}


def test_rest_is_what_nothing_else_means():
    assert _portions({"rest": 1, "en": 5})["rest"] == {"de", "ru", "qu", "tt"}
    assert _portions({"en": 5, "@rare": 1, "rest": 1})["rest"] == {"de", "ru"}
    assert _portions({"en": 5, "@rare": 0, "rest": 1}) == {"en": {"en"}, "rest": {"de", "ru"}}


def test_left_out_languages_are_never_in_the_mix():
    weights = {"en": 1, "@rare": 1, "rest": 1}
    assert _portions(weights, leave_out=["qu", "ru"]) == {"en": {"en"}, "@rare": {"tt"}, "rest": {"de"}}
    assert _portions(weights, leave_out=["@script:Cyrillic"]) == {"en": {"en"}, "@rare": {"qu"}, "rest": {"de"}}
    assert _portions({"en": 1, "rest": 1}, leave_out=["gn"])["rest"] == {"de", "ru", "qu", "tt"}  # has no data anyway


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        ({"en": 1, "de": -0.5}, {}, "mixes.m.weights.de: a weight cannot be negative; found -0.5"),
        ({"en": 1, "dee": 1}, {}, "mixes.m.weights.dee: unknown language or group; did you mean 'de'?"),
        ({"@family:Kechuan": 1}, {}, "unknown language or group; did you mean '@family:Quechuan'?"),
        ({"@colour:red": 0}, {}, "mixes.m.weights.@colour:red: unknown language or group"),
        ({"en": 1, "gn": 1}, {}, "mixes.m.weights.gn: task 'nli' has no training data there (source 'files'); it has"),
        ({"@all": 1, "rest": 1}, {}, "mixes.m.weights.rest: task 'nli' has no training data there"),
        ({"en": 1, "@rare": 1}, {"available": ("en", "de")}, "mixes.m.weights.@rare: task 'nli' has no training data"),
        ({"en": 0}, {}, "mixes.m.weights: the weights sum to nothing"),
        ({}, {}, "mixes.m.weights: the weights sum to nothing"),
        ({"@all": 1}, {"leave_out": ["@all"]}, "mixes.m.leave_out: takes all languages in which task 'nli' has"),
        (
            {"en": 1, "@rare": 1},
            {"leave_out": ["qu", "tt"]},
            "mixes.m.weights.@rare: mixes.m.leave_out takes all of it",
        ),
        ({"en": 1, "de": 1}, {"leave_out": ["de"]}, "mixes.m.weights.de: mixes.m.leave_out takes all of it (de)"),
        ({"en": 1}, {"leave_out": ["due"]}, "mixes.m.leave_out 'due': unknown language or group; did you mean 'de'?"),
    ],
)
def test_names_that_cannot_be(weights, options, message):
    with pytest.raises(UserError) as caught:
        _portions(weights, **options)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_group_shares_its_weight_evenly():
    parts = [Portion("en", 3, ("en",)), Portion("@rare", 1, ("qu", "tt"))]
    assert shares(parts) == {"en": 0.75, "qu": 0.125, "tt": 0.125}
    assert shares([*parts, Portion("tt", 4, ("tt",))]) == {"en": 0.375, "qu": 0.0625, "tt": 0.5625}  # named twice


def test_or_by_temperature():
    parts, supply = [("en", 0.5, ["en"]), ("@rare", 0.5, ["qu", "tt"])], {"en": 1, "qu": 900, "tt": 100}
    assert shares(parts, supply, 1) == {"en": 0.5, "qu": 0.45, "tt": 0.05}
    assert shares(parts, supply, 2) == {"en": 0.5, "qu": 0.375, "tt": 0.125}  # square roots 30 : 10
    assert shares(parts, supply, 1e9) == pytest.approx({"en": 0.5, "qu": 0.25, "tt": 0.25})
    assert shares(parts, supply) == shares(parts) == {"en": 0.5, "qu": 0.25, "tt": 0.25}
    assert shares(parts, supply | {"tt": 0}, 5) == {"en": 0.5, "qu": 0.5}


@pytest.mark.parametrize("temperature", [0, -1, float("nan")])
def test_impossible_temperatures(temperature):
    with pytest.raises(UserError, match=r"temperature: .*must be above 0"):
        shares([("@rare", 1, ["qu"])], {"qu": 5}, temperature)


def test_the_snakefile_can_afford_the_import():
    heavy = "{'torch', 'pandas', 'pulp', 'numpy', 'scipy'}"
    program = f"import sys, intermezzo.mixing, intermezzo.core.ilp; print(*({heavy} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
