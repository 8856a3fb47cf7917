"""What the answer says, on synthetic scores: verdicts, zero-shot by construction, one corrected p, looks at results."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from intermezzo.analysis import answer, few_shot, gains, record, summary
from intermezzo.analysis.design import Design
from intermezzo.analysis.families import Families
from intermezzo.analysis.items import Items
from intermezzo.analysis.mix_shares import shortfalls
from intermezzo.analysis.pairing import Comparisons
from intermezzo.analysis.verdict import verdict
from intermezzo.cli.main import main
from intermezzo.core.errors import UserError
from intermezzo.execution import questions
from intermezzo.mixing import allocate_tasks, shortfall

SEEN, UNSEEN, OTHER = ["sa", "sb", "sc", "sd", "se"], ["ua", "ub", "uc", "ud"], ["oa", "ob"]
LANGUAGES = ["en", *OTHER, *SEEN, *UNSEEN]
SKILLS = {"mnli": "nli", "xnli": "nli", "nli": "nli", "squad": "qa", "xquad": "qa", "pairs": "retrieval"}


def design(**changes) -> Design:
    """Two intermediates in two mixes; every language is a family of its own."""
    mixes = {"en": ["en"], "mix": ["en", *SEEN]}
    target = {"format": "classification", "metrics": ["accuracy"], "languages": LANGUAGES}
    default = {
        "english": "en",
        "english_mix": "en",
        "rare": [*SEEN, *UNSEEN],
        "seeds": [0, 1, 2],
        "encoders": ["small"],
        "intermediates": {
            "none": {"tasks": [], "mixes": {"none": []}},
            "mnli": {"tasks": ["mnli"], "mixes": mixes},
            "squad": {"tasks": ["squad"], "mixes": mixes},
        },
        "targets": {
            "xnli": target | {"task": "xnli", "trained_on": ["mnli"]},
            "xquad": target | {"task": "xquad", "trained_on": ["squad"], "format": "span", "metrics": ["squad_f1"]},
            "pairs": target | {"task": "pairs", "format": "retrieval", "languages": LANGUAGES[1:]},
        },
        "skills": SKILLS,
        "attributes": {code: {"family": f"family of {code}"} for code in LANGUAGES},
    }
    return Design.read(default | changes)


def scores(plan: Design, gain=lambda cell: 0.0, seed: int = 0, noise: float = 1.0) -> pd.DataFrame:
    """Half of everything is right; a gain in points, and noise that depends on nothing but the cell."""
    rows = []
    for cell in plan.cells():
        draw = np.random.default_rng([seed, *"/".join(map(str, cell)).encode()])
        points = 50 + noise * draw.normal() + gain(cell)
        rows.append(cell._asdict() | {"value": points / 100, "n": 400, "majority": 0.3, "fertility": None})
    return pd.DataFrame(rows).astype({"seed": "Int64", "fertility": float})


def families(plan: Design | None = None, gain=lambda cell: 0.0, seed: int = 0, looks: int = 1, **options) -> Families:
    plan = plan or design()
    return Families(Comparisons(scores(plan, gain, seed, **options), plan), looks)


def supervised(cell) -> bool:
    """A model that had rows of the target's skill in the language."""
    skills = {"mnli": "xnli", "squad": "xquad"}
    return cell.mix == "mix" and cell.language in SEEN and skills.get(cell.intermediate) == cell.target


def verdicts(found: Families) -> dict[str, str]:
    """Group -> the verdict."""
    return {line["group"]: verdict(line) for line in found.primary.to_dict("records")}


# -- zero-shot by construction -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_planted_transfer_effect_is_found_in_the_languages_that_have_it():
    found = families(gain=lambda c: 6 * (c.mix == "mix" and c.language in SEEN and not supervised(c)))
    words = verdicts(found)
    assert words["rare_seen"] == "higher" and words["rare_unseen"] != "higher"
    text = answer.text(found)
    assert re.search(
        r"- \*\*Higher\*\*: in zero-shot transfer to rare languages in the mix, `mix` scores [56]\.\d", text
    )
    losing = families(gain=lambda c: -6 * (c.mix == "mix"))
    assert set(verdicts(losing).values()) == {"lower"}


@pytest.mark.slow
def test_supervision_in_the_language_is_never_reported_as_transfer():
    found = families(gain=lambda c: 25.0 * supervised(c))
    assert "higher" not in verdicts(found).values()
    assert found.primary["mean"].abs().max() < 1
    line = found.secondary[found.secondary["family"] == "in-language supervision"].iloc[0]
    assert line["mean"] == pytest.approx(25, abs=2) and line["p_holm"] < 0.05
    assert "In-language supervision, not zero-shot: with labelled data of the same skill" in answer.text(found)


@pytest.mark.slow
def test_no_effect_is_undecided_or_equivalent():
    words = [word for seed in range(8) for word in verdicts(families(seed=seed)).values()]
    assert set(words) <= {"undecided", "equivalent"} and "equivalent" in words
    loud = [word for seed in range(8) for word in verdicts(families(seed=seed, noise=6.0)).values()]
    assert set(loud) == {"undecided"}


KINDS = [
    ("mnli", "mix", "xnli", "sa", {}, "same data"),  # what trains the target, in the language
    ("mnli", "mix", "xnli", "sa", {"translated": ["mix"]}, "same skill"),
    ("mnli", "mix", "xnli", "en", {"translated": ["mix"]}, "same data"),  # English rows are the originals
    ("mnli", "mix", "xnli", "ua", {}, "transfer"),
    ("mnli", "mix", "xquad", "sa", {}, "transfer"),
    ("squad", "mix", "pairs", "sa", {}, "untrained"),
    ("mnli", "en", "xnli", "sa", {}, "transfer"),
    ("mnli", "mix", "xquad", "sa", {"skills": SKILLS | {"xquad": "nli"}}, "same skill"),
    ("squad", "mix", "pairs", "sa", {"skills": SKILLS | {"pairs": "qa"}}, "same skill"),
]


@pytest.mark.parametrize(("intermediate", "mix", "target", "language", "changes", "kind"), KINDS)
def test_what_an_intermediate_is_to_a_target_in_a_language(intermediate, mix, target, language, changes, kind):
    assert design(**changes).kind(intermediate, mix, target, language) == kind


def test_rows_of_one_task_of_several_do_not_make_another_task_supervised():
    """An intermediate of two tasks has the language in one of them alone."""
    rows = {"mix": {"mnli": ["en"], "squad": ["en", "sa"]}}
    both = {"tasks": ["mnli", "squad"], "mixes": {"en": ["en"], "mix": ["en", "sa"]}, "rows": rows}
    plan = design(intermediates={"none": {"tasks": [], "mixes": {"none": []}}, "both": both})
    assert plan.kind("both", "mix", "xnli", "sa") == "transfer"
    assert plan.kind("both", "mix", "xquad", "sa") == "same data"


def test_a_reference_with_rows_in_the_language_is_no_zero_shot_reference():
    plan = design(question={"mixes": ["en"], "against": "mix"})
    pair = next(p for p in found_pairs(plan, "en") if (p.intermediate, p.target) == ("mnli", "xnli"))
    assert pair.kinds["sa"] == "same data" and pair.kinds["ua"] == "transfer"


def found_pairs(plan: Design, mix: str):
    from intermezzo.analysis.effects import pairs

    return pairs(Comparisons(scores(plan), plan), "small", mix)


# -- one verdict, one corrected p --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_primary_verdict_does_not_depend_on_what_else_is_in_the_grid():
    def gain(cell):
        return 2.6 * (cell.mix == "mix" and cell.language in SEEN)

    small = families(gain=gain).primary
    more = {code: {"family": "family of x"} for code in ("xa", "xb", "xc")}
    targets = {
        name: entry.model_dump() | {"languages": [*entry.languages, *more]} for name, entry in design().targets.items()
    }
    changes = {"targets": targets, "attributes": design().model_dump()["attributes"] | more}
    intermediates = design().model_dump()["intermediates"]
    changes["intermediates"] = intermediates | {"shuffled": intermediates["mnli"] | {"control": True}}
    large = families(design(**json.loads(json.dumps(changes, default=list))), gain).primary
    pd.testing.assert_frame_equal(small, large)
    pd.testing.assert_frame_equal(small, families(with_control_mix(), gain).primary)


def test_one_comparison_has_one_corrected_p():
    """One intermediate and target: the mean over pairs is that pair, in the answer, the summary and the breakdown."""
    intermediates = {name: entry for name, entry in design().model_dump()["intermediates"].items() if name != "mnli"}
    targets = {"xnli": design().model_dump()["targets"]["xnli"]}
    plan = design(**json.loads(json.dumps({"intermediates": intermediates, "targets": targets}, default=list)))
    found = families(plan, lambda c: 1.2 * (c.mix == "mix" and c.language in SEEN), looks=2)
    table = summary.table(found)
    for line in found.primary.to_dict("records"):
        same = table[(table["mix"] == "mix") & (table["language_group"] == line["group"])]
        assert same["p_holm"].tolist() == [line["p_holm"]]
    from intermezzo.analysis import breakdown

    by_distance = breakdown.by_attribute(found).query("attribute == 'distance'").set_index("value")
    seen = found.primary.set_index("group").loc["rare_seen"]
    assert by_distance.loc["0 in the mix", "p_holm"] == seen["p_holm"]


def test_a_group_that_is_another_one_is_compared_once():
    plan = design(rare=SEEN)
    assert list(families(plan).primary["group"]) == ["rare"]


def with_control_mix(**changes) -> Design:
    """The design with a mix without any rare language."""
    intermediates = design().model_dump()["intermediates"]
    for name in ("mnli", "squad"):
        intermediates[name]["mixes"] |= {"plain": ["en", *OTHER]}
    return design(intermediates=json.loads(json.dumps(intermediates, default=list)), **changes)


def test_control_mixes_are_no_part_of_the_question():
    plan = with_control_mix()
    assert plan.asked == ("mix",)
    assert set(families(plan).secondary.query("family == 'control mixes'")["mix"]) == {"plain"}
    assert with_control_mix(question={"mixes": ["plain"]}).asked == ("plain",)


@pytest.mark.slow
def test_a_small_sure_difference_is_higher_and_too_small_to_matter():
    found = families(gain=lambda c: 0.5 * (c.mix == "mix"), noise=0.05)
    assert set(verdicts(found).values()) == {"higher"}
    assert "a difference of 1 point or more is excluded" in answer.text(found)
    assert "1 point or more" not in answer.text(families(gain=lambda c: 5.0 * (c.mix == "mix"), noise=0.05))


# -- what nothing can be concluded from --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": [0]}, "one seed: another one may differ, so nothing is concluded"),
        ({"rare": ["sa"]}, "one language: nothing is concluded about others"),
        ({"rare": ["sa", "sb"], "seeds": [0, 1]}, "two seeds and two languages: one degree of freedom"),
        ({"rare": ["sa"], "seeds": [0]}, "one seed and one language: no interval"),
    ],
)
def test_no_claim_is_made_where_nothing_holds(changes, said):
    found = families(design(**changes), lambda c: 20.0 * (c.mix == "mix"), noise=0.1)
    text = answer.text(found)
    assert set(verdicts(found).values()) == {"undecided"} and said in text
    assert "**Higher" not in text and "nan" not in text


@pytest.mark.slow
def test_few_families_speak_of_themselves_alone():
    related = {code: {"family": f"family {number % 3}"} for number, code in enumerate(LANGUAGES)}
    found = families(design(attributes=related), lambda c: 20.0 * (c.mix == "mix"))
    text = answer.text(found)
    assert "- Higher in these families: " in text and "**Higher" not in text and "]\\*" not in text
    assert "it speaks of these families only, as there are fewer than four" in text
    unknown = families(design(attributes={}), lambda c: 20.0 * (c.mix == "mix"))
    assert "of unknown families" in answer.text(unknown) and "**Higher" not in answer.text(unknown)


def test_isolates_are_no_family_and_branches_are():
    plan = design(
        attributes={
            "sa": {"family": "isolate"},
            "sb": {"family": "isolate"},
            "sc": {"family": "Niger-Congo", "branch": "Bantu"},
            "sd": {"family": "Niger-Congo", "branch": "Gur"},
            "se": {"family": "Niger-Congo", "branch": "Bantu"},
        }
    )
    assert len(set(plan.families(["sa", "sb", "sc", "sd", "se"]))) == 4


@pytest.mark.slow
def test_uneven_gains_are_told():
    found = families(gain=lambda c: 15.0 * (c.mix == "mix" and c.language == "sb"))
    assert "Uneven: `sb` alone makes more than half of the variation between languages." in answer.text(found)
    assert "(sb)" in answer.text(found)
    assert "Uneven" not in answer.text(families(gain=lambda c: 15.0 * (c.mix == "mix")))


@pytest.mark.slow
def test_numbers_beyond_the_scale_are_not_printed():
    found = families(noise=60.0, plan=design(seeds=[0, 1]))
    assert "this design sees no difference that this scale could have" in answer.text(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"english_mix": None}, "it has no English-only mix"),
        ({"rare": []}, "no mix but `en` has rows in a rare language"),
        ({"question": {"pairs": ["same skill"]}}, "no intermediate and target of the asked kinds"),
    ],
)
def test_a_question_without_comparisons_says_why(changes, said):
    text = answer.text(families(design(**changes)))
    assert f"This experiment cannot answer its question: {said}" in text


@pytest.mark.slow
def test_languages_that_only_some_mixes_have_are_told_with_whose():
    intermediates = {
        "none": {"tasks": [], "mixes": {"none": []}},
        "mnli": {"tasks": ["mnli"], "mixes": {"en": ["en"], "mix": ["en", "sa", "sb"]}},
        "squad": {"tasks": ["squad"], "mixes": {"en": ["en"], "mix": ["en", "sb", "sc"]}},
    }
    text = answer.text(families(design(intermediates=intermediates)))
    (seen,) = re.findall(r"- \*\*rare languages in the mix\*\* \((.*)\): ", text)
    assert seen == "sa (not of squad), sb, sc (not of mnli)"
    (unseen,) = re.findall(r"- \*\*rare languages outside the mix\*\* \((.*)\): ", text)
    assert {"sa (in that of mnli)", "sc (in that of squad)", "sd"} < set(unseen.split(", "))


# -- looks at results --------------------------------------------------------------------------------------------------


def look(path, plan, seed=0):
    past, content = record.history(path, families(plan, seed=seed))
    record.write(path, content)
    return past


@pytest.mark.slow
def test_seeds_that_are_added_are_a_look(tmp_path):
    path = tmp_path / record.NAME
    assert look(path, design(seeds=[0])).looks == 1
    assert look(path, design(seeds=[0, 1])).looks == 1  # one seed concludes nothing, and spends nothing
    assert look(path, design(seeds=[0, 1, 2])).looks == 2
    assert look(path, design(seeds=[0, 1, 2])).looks == 2  # the same numbers again
    assert look(path, design(seeds=[0, 1])).looks == 1
    assert look(path, design(seeds=[0, 1, 2, 3])).looks == 3
    assert look(path, design(seeds=[5, 6, 7, 8]), seed=1).looks == 1  # all others

    def gain(cell):
        return 0.7 * (cell.mix == "mix")

    first, second = families(gain=gain).primary, families(gain=gain, looks=2).primary
    assert second["p_holm"].tolist() == pytest.approx(np.minimum(1, 10 * first["p_holm"]).tolist())
    assert "corrected p are then multiplied by 10, which is a level of 0.005" in answer.text(families())


@pytest.mark.slow
def test_a_question_that_was_changed_after_results_is_told(tmp_path):
    path = tmp_path / record.NAME
    assert look(path, design()).changes == []
    assert look(path, design(question={"smallest": 2.0})).changes == [
        "`question.smallest` was 1.0 when results existed, and is 2.0."
    ]
    fewer = design(rare=[*SEEN, "ua", "ub", "uc"])
    assert any("of the languages ud left out" in change for change in look(path, fewer).changes)
    past = record.history(path, families(fewer))[0]
    assert "changed after results existed" in answer.text(families(fewer), past=past)
    path.write_text('{"looks": 3, "others": []}')
    with pytest.raises(UserError, match=r"question\.json: not a record of the question \(wrong: looks, others\)"):
        look(path, design())


@pytest.mark.slow
def test_a_question_is_recorded_before_there_are_results(tmp_path):
    path = tmp_path / record.NAME
    questions.ask(design(), tmp_path)
    questions.ask(design(seeds=[0, 1]), tmp_path)  # the same question
    assert len(questions.read(path).asked) == 1
    past = record.history(path, families())[0]
    assert past.before and past.changes == []
    assert "fixed in the configuration before there were results: does" in answer.text(families(), past=past)
    (tmp_path / "eval/small/mnli/mix/seed0/xnli").mkdir(parents=True)
    (tmp_path / "eval/small/mnli/mix/seed0/xnli/manifest.json").write_text("{}")
    other = design(question={"smallest": 2.0, "groups": ["rare"]})
    questions.ask(other, tmp_path)  # nobody has analysed the results yet
    past = record.history(path, families(other))[0]
    assert not past.before and "`question.smallest` was 1.0 when results existed, and is 2.0." in past.changes
    assert record.history(path, families())[0].before


@pytest.mark.slow
def test_a_question_that_results_were_not_made_under_is_told(tmp_path):
    """Evaluations' manifests say which question was asked; question.json has its text, unless it was deleted."""
    before, after = design(question={"smallest": 2.0}), design()
    questions.ask(after, tmp_path)
    questions.ask(before, tmp_path)  # still before results; these are made now
    assert questions.present(tmp_path) == before.question_id and questions.present(tmp_path / "none") == ""
    questions.ask(after, tmp_path)
    past = record.history(tmp_path / record.NAME, families(after), [before.question_id, after.question_id])[0]
    assert past.changes == ["`question.smallest` was 2.0 when results existed, and is 1.0."] and not past.before
    past = record.history(tmp_path / record.NAME, families(after), [after.question_id])[0]
    assert past.changes == [] and past.before
    past = record.history(tmp_path / record.NAME, families(after), ["0123456789ab"])[0]
    assert past.changes == [
        "Results were made under another question (`0123456789ab`), whose text is not in question.json."
    ]
    assert len(questions.read(tmp_path / record.NAME).asked) == 2


def test_a_question_that_came_with_results_is_told(tmp_path):
    (tmp_path / "eval/small/mnli/mix/seed0/xnli").mkdir(parents=True)
    (tmp_path / "eval/small/mnli/mix/seed0/xnli/manifest.json").write_text("{}")
    questions.ask(design(), tmp_path)
    past = record.history(tmp_path / record.NAME, families())[0]
    assert past.changes == ["The question was first recorded when results existed."] and not past.before


# -- what the mixes had ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_mix_that_had_less_than_it_asked_for_is_told(tmp_path):
    asked = {"sa": 0.125, "sb": 0.125, "en": 0.75}
    allocation = allocate_tasks({"mnli": 1000}, {"mnli": asked}, {"mnli": {"sa": 20, "sb": 30, "en": 5000}})
    lacking = shortfall(allocation)
    assert str(lacking).startswith(
        "asks for 25 % of its examples in other languages than English and has 5 % (50 of 250;"
    )
    plenty = allocate_tasks({"mnli": 1000}, {"mnli": asked}, {"mnli": dict.fromkeys(asked, 5000)})
    assert shortfall(plenty) is None
    from intermezzo.training.selection import table

    folder = tmp_path / "intermediate" / "small" / "mnli" / "mix" / "seed0"
    folder.mkdir(parents=True)
    (folder / "allocation.tsv").write_text(table(allocation))
    (sentence,) = shortfalls(tmp_path, design())
    assert (
        sentence.startswith("Mix `mix` of intermediate `mnli` asks for 25 %") and "sa, sb with too few rows" in sentence
    )
    assert sentence in answer.text(families(), notes=answer.Notes([sentence])).split("## ")[0]
    (folder / "allocation.tsv").write_text("task\tlanguage\nmnli\tsa\n")
    with pytest.raises(UserError, match=r"allocation\.tsv: not an allocation"):
        shortfalls(tmp_path, design())


# -- test items --------------------------------------------------------------------------------------------------------


def items_of(plan: Design, folder, shared: float):
    """Result folders with a score per item: `shared` of an item's luck is that of all languages."""
    from intermezzo.dag.paths import Run, evaluation_path

    random, frames = np.random.default_rng(3), {}
    for cell in plan.cells():
        if cell.intermediate == "none" or cell.metric != plan.targets[cell.target].metrics[0]:
            continue
        ids = [f"{number}" for number in range(100)]
        common = np.random.default_rng([7, *f"{cell.mix}/{cell.target}".encode()]).random(100)
        luck = np.where(random.random(100) < shared, common, random.random(100))
        frame = pd.DataFrame({"name": cell.language, "id": ids, "score": (luck < 0.5).astype(float)})
        frames.setdefault((cell.encoder, cell.intermediate, cell.mix, cell.seed, cell.target), []).append(frame)
    for (*run, target), parts in frames.items():
        path = tmp_file = folder / evaluation_path(Run(*run), target, "x", "results/eval")
        tmp_file.parent.mkdir(parents=True, exist_ok=True)
        pd.concat(parts).to_parquet(path.with_name("predictions.parquet"))
    return folder / "results"


@pytest.mark.slow
def test_items_that_languages_share_are_in_the_interval(tmp_path):
    plan = design(seeds=[0, 1])
    widths = {}
    for shared in (0.0, 1.0):
        found = Comparisons(scores(plan), plan, Items(plan, items_of(plan, tmp_path / str(shared), shared)))
        line = Families(found).primary.set_index("group").loc["rare_unseen"]
        widths[shared] = line["high"] - line["low"]
    assert widths[1.0] > 2 * widths[0.0]
    assert "Intervals allow for other test items" in answer.text(Families(found))
    assert "there are no scores per test item" in answer.text(families(plan))


def test_one_language_has_the_error_of_its_test_set(tmp_path):
    """Two seeds that agree by chance: [4.5, 4.6] of 100 items was no interval."""
    plan = design(seeds=[0, 1], rare=["sa"])
    found = Comparisons(scores(plan, noise=0.01), plan, Items(plan, items_of(plan, tmp_path, 1.0)))
    line = Families(found).primary.iloc[0]
    assert line["doubt"] == "one language" and line["high"] - line["low"] > 10


# -- scores of other programs ------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path):
    """Scores as a table, the design as JSON, and the command on both."""
    plan = design(seeds=[0, 1])
    table = scores(plan, lambda c: 4.0 * (c.mix == "mix")).drop(columns="fertility")
    (tmp_path / "design.json").write_text(plan.canonical())

    def run(name="scores.csv", change=None, **changes):
        frame = change(table) if change else table
        path = tmp_path / name
        frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
        if changes:
            (tmp_path / "design.json").write_text(design(seeds=[0, 1], **changes).canonical())
        arguments = ["analyse", str(path), "--design", str(tmp_path / "design.json"), "--out", str(tmp_path / "out")]
        return main(arguments), tmp_path / "out"

    return run


@pytest.mark.slow
def test_scores_of_another_program_get_the_same_answer(elsewhere):
    plan = design(seeds=[0, 1])
    expected = answer.text(families(plan, lambda c: 4.0 * (c.mix == "mix")))
    for name in ("scores.csv", "scores.parquet"):
        status, out = elsewhere(name)
        assert status == 0 and (out / "answer.md").read_text() == expected
        assert "higher" in (out / "report.html").read_text().lower() and (out / "summary.tsv").is_file()


def _nan(frame):
    frame = frame.copy()
    frame.loc[3, "value"] = float("nan")
    return frame


@pytest.mark.parametrize(
    ("change", "changes", "message"),
    [
        (_nan, {}, r"scores.csv, row 4: value is ''; a number is needed"),
        (lambda f: f.iloc[1:], {}, r"results missing:\n  encoder small, .*\n.*complete .*scores.csv"),
        (lambda f: pd.concat([f, f.iloc[:1]]), {}, r"row \d+: encoder small, .* is there already"),
        (lambda f: f.assign(value=f["value"] * 100), {}, r"row 1: value is [\d.]+, but must be from 0 to 1"),
        (lambda f: f.drop(columns="majority"), {}, r"no column majority; needed are encoder, "),
        (lambda f: f.assign(n=0), {}, r"row 1: n is 0; write the number of rows"),
        (None, {"skills": {"mnli": "nli"}}, r"design.json: skills: no skill of pairs, squad, xnli, xquad; say what"),
    ],
)
def test_what_is_wrong_with_a_table_of_scores_is_one_message(elsewhere, capsys, change, changes, message):
    status, out = elsewhere(change=change, **changes)
    said = capsys.readouterr().err
    assert status == 2 and re.search(message, said) and "Traceback" not in said
    assert not (out / "answer.md").exists()


# -- what goes with gains, encoders, published numbers -----------------------------------------------------------------


def test_slopes_are_those_of_least_squares_and_wider_where_families_are_large():
    random = np.random.default_rng(1)
    predictors = random.normal(size=(30, 2))
    values = predictors @ [2.0, -1.0] + random.normal(size=30)
    (first, width), (second, _) = gains.slopes_of(values, predictors, [str(i) for i in range(30)])
    expected = np.linalg.lstsq(np.column_stack([np.ones(30), predictors]), values, rcond=None)[0]
    assert (first, second) == pytest.approx(tuple(expected[1:])) and abs(first - 2.0) < width < 1.0
    family = [str(i // 10) for i in range(30)]
    shared = np.repeat([3.0, 0.0, -3.0], 10)
    _, by_family = gains.slopes_of(values + shared, np.column_stack([shared, predictors[:, 0]]), family)[0]
    _, alone = gains.slopes_of(
        values + shared, np.column_stack([shared, predictors[:, 0]]), [str(i) for i in range(30)]
    )[0]
    assert by_family >= alone
    assert gains.slopes_of(values, np.column_stack([shared, 2 * shared]), family) == []


@pytest.mark.slow
def test_what_goes_with_a_gain_is_found():
    plan = design(pretrained={"small": {code: code in ("sa", "ua", "oa") for code in LANGUAGES}})
    found = families(plan, lambda c: 5.0 * (c.mix == "mix" and c.language in SEEN and not supervised(c)))
    frame = gains.regressions(found).set_index(["predictor", "fit"])
    line = frame.loc[("in_mix", "alone")]
    assert line["slope"] == pytest.approx(5, abs=1) and line["low"] > 3 and line["n_languages"] == 11
    assert frame.loc[("pretrained", "alone"), "low"] < 0 < frame.loc[("pretrained", "alone"), "high"]
    assert ("family", "alone") not in frame.index  # no language has a relative here
    assert "| in the mix | +5" in answer.text(found)


@pytest.mark.slow
def test_encoders_are_repetitions_where_there_are_several():
    def gain(cell):
        return {"small": 4.0, "large": 6.0, "huge": 8.0}[cell.encoder] * (cell.mix == "mix" and not supervised(cell))

    found = families(design(encoders=["small", "large", "huge"]), gain, noise=0.1)
    line = gains.over_encoders(found).set_index("group").loc["rare_unseen"]
    assert line["mean"] == pytest.approx(6, abs=0.2) and (line["encoders"], line["above"]) == (3, 3)
    assert line["high"] - line["low"] == pytest.approx(2 * 4.303 * 2 / np.sqrt(3), rel=0.05)
    assert gains.over_encoders(families()).empty and "Encoders as repetitions" not in answer.text(families())


def test_what_an_encoder_has_read_of_the_tasks_stands_among_the_limitations():
    text = answer.text(families(design(leakage={"small": "it was trained on NLI."})))
    assert "in the language. Of `small`: it was trained on NLI." in text and "is not known here" not in text
    assert "is not known here" in answer.text(families(design()))


@pytest.mark.slow
def test_published_numbers_stand_beside_ours():
    score = {"system": "XLM-R", "source": "a table", "metric": "accuracy", "languages": ["en", "sa"], "value": 79.2}
    text = answer.text(families(design(published={"xnli": [score]})))
    section = text.split("## Published numbers")[1].split("## ")[0]
    assert "| xnli | accuracy | 2 languages | XLM-R | 79.2 | a table |" in section
    assert re.search(r"ours: `small`, no intermediate training \| (49|50)\.\d", section)
    assert "## Published numbers" not in answer.text(families())


def test_published_numbers_are_of_tasks_of_the_catalogue():
    from intermezzo.tasks import load_task
    from intermezzo.tasks.published import published_scores

    for name, listed in published_scores().items():
        task = load_task(name)
        for score in listed:
            assert score.metric in task.metrics and 0 < score.value < 100 and score.source and score.languages
            published = {code for source in ("hub", "files") for code in task.languages(source, "test") or ()}
            assert {*score.languages} <= published, name
    assert published_scores()["xnli"][0].value == 79.2


# -- rare data in the target's own training ----------------------------------------------------------------------------


def with_few_shots(**changes) -> Design:
    """The same design with a twin of `xnli` that is trained in two rare languages too."""
    plan = design()
    entry = plan.targets["xnli"].as_json() | {"trained_in": ["sa", "ua"]}
    targets = {name: target.as_json() for name, target in plan.targets.items()}
    return design(targets=targets | {"xnli_few": entry}, **changes)


@pytest.mark.slow
def test_a_few_shot_target_is_no_part_of_the_primary_comparison():
    plain = families()
    found = families(with_few_shots(), gain=lambda c: 30.0 * (c.target == "xnli_few" and c.mix == "mix"))
    columns = ["group", "mean", "low", "high", "p_holm", "n_pairs"]
    pd.testing.assert_frame_equal(found.primary[columns], plain.primary[columns])
    line = found.secondary[found.secondary["family"] == "few-shot targets"].iloc[0]
    assert line["mean"] == pytest.approx(30, abs=2)


@pytest.mark.slow
def test_few_shots_are_compared_with_the_same_task_in_english_alone():
    gain = {"sa": 10.0, "ua": 10.0}
    found = families(with_few_shots(), gain=lambda c: gain.get(c.language, 0) * (c.target == "xnli_few"))
    frame = few_shot.frame(found)
    assert set(frame["start"]) == {"none", "en", "mix"} and set(frame["twin"]) == {"xnli"}
    means = frame.groupby("group")["mean"].mean()
    assert means["trained_in"] == pytest.approx(10, abs=1) and means["others"] == pytest.approx(0, abs=1)
    assert (frame["p_holm"] >= frame["p"]).all()
    text = answer.text(found)
    assert "## Rare languages in the target's own training" in text and "few-shot, not zero-shot" in text
    assert "Rare languages in the target's own training" not in answer.text(families())
