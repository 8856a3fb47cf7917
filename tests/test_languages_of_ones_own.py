"""Languages that no table has, from the configuration to the analysis: added, with a script, rare by a rule, unread."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from intermezzo import tasks
from intermezzo.config import catalogue, parse
from intermezzo.core.errors import UserError
from intermezzo.dag.experiment import Grid
from intermezzo.dag.inputs import Inputs
from intermezzo.dag.specs import Specs
from intermezzo.mixing import shares
from intermezzo.specs.summary import SummarySpec

TASK = {
    "description": "Is the review good or bad?",
    "format": "classification",
    "skill": "sentiment",
    "labels": ["good", "bad"],
    "metrics": ["accuracy"],
    "licence": "CC0 1.0",
    "sources": {
        "files": {
            "each": [
                {
                    "languages": {},
                    "splits": {"train": "train", "test": "test"},
                    "part": {
                        "reader": "jsonl",
                        "path": "{code}.{split}.jsonl",
                        "fields": {"text": "t", "text_pair": None, "label": "l"},
                    },
                }
            ]
        }
    },
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """write(reviews=["en", ...]): a working directory with these tasks of one's own, each with its languages."""

    def forget():
        for function in (tasks._files, tasks.task_names, tasks.load_task, catalogue._of_tasks):
            function.cache_clear()

    def write(**names):
        (tmp_path / "config/tasks").mkdir(parents=True, exist_ok=True)
        for name, codes in names.items():
            each = TASK["sources"]["files"]["each"][0] | {"languages": {code: code for code in codes}}
            content = TASK | {"sources": {"files": {"each": [each]}}}
            Path("config/tasks", f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        forget()

    monkeypatch.chdir(tmp_path)
    yield write
    monkeypatch.undo()
    forget()


def raw(target="reviews", encoder=None, **languages):
    return {
        "data": {"source": "files", "root": "."},
        "encoders": {"world": None, "x": encoder or {"from": "some/encoder", "revision": "0" * 40}},
        "grid": {
            "encoders": ["x"],
            "intermediates": ["reviews"],
            "mixes": ["en", "en+rare"],
            "targets": [target],
            "seeds": [0],
        },
        "languages": {"selection": []} | languages,
    }


def problems(values) -> list[str]:
    with pytest.raises(UserError) as caught:
        parse(values)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


ADDED = {"xyz": {"name": "Xyzzy"}}


def test_a_language_that_nobody_defined_is_one_message_where_it_is_used(write):
    write(reviews=["en", "yo", "ace_Arab", "xyz"])
    message = "config/tasks/reviews.yaml: language 'xyz' is not defined .*languages.add, or into config/languages.tsv"
    (line,) = problems(raw())
    assert re.match(message, line)


@pytest.mark.slow
def test_it_breaks_nothing_where_it_is_not_used(write):
    write(reviews=["en", "yo"], other=["en", "xyz"])
    config = parse(raw())
    assert "xyz" not in catalogue.rare_languages(config)
    assert set(shares(catalogue.portions_of(config, "en+rare", tasks.load_task("reviews")))) == {"en", "yo"}


def test_an_added_language_needs_a_code_and_a_name_alone(write):
    write(reviews=["en", "yo", "xyz", "kas_Latn"])
    config = parse(raw(add=ADDED))
    assert catalogue.evaluation_languages(config, tasks.load_task("reviews")) == ("en", "yo", "xyz", "kas_Latn")
    assert set(catalogue.rare_languages(config)) >= {"xyz", "yo", "kas_Latn"}
    grid = Grid(config)
    spec = SummarySpec.read(Specs(grid).spec_summary())
    assert set(spec.intermediates["reviews"].mixes["en+rare"]) == {"en", "yo", "xyz", "kas_Latn"}
    assert spec.attributes["xyz"].as_json() == {"incomplete": True, "name": "Xyzzy"}
    assert spec.attributes["kas_Latn"].family == "Indo-European" and spec.attributes["kas_Latn"].script == "Latin"
    assert spec.attributes["yo"].name is None
    assert {Path(path).stem for path in Inputs(grid).evaluation_paths()} >= {"en", "yo", "xyz", "kas_Latn"}


def test_the_table_of_the_folder_and_the_configuration_add_to_each_other(write):
    write(reviews=["en", "xyz", "abc_Deva"])
    Path("config/languages.tsv").write_text("code\tname\tjoshi\nxyz\tXyzzy\t3\nabc_Deva\tAbecedic\t0\n")
    config = parse(raw(add={"xyz": {"joshi": 5, "family": "Made-up"}}))
    entries = catalogue.described(config, ["xyz", "abc_Deva"])
    assert (entries["xyz"].name, entries["xyz"].joshi, entries["xyz"].family) == ("Xyzzy", 5, "Made-up")
    assert set(catalogue.rare_languages(config)) & {"xyz", "abc_Deva"} == {"abc_Deva"}


def test_groups_of_a_mix_have_added_languages(write):
    write(reviews=["en", "yo", "xyz"])
    values = raw(add={"xyz": {"name": "Xyzzy", "family": "Made-up", "script": "Runes"}})
    values["mixes"] = {
        "en": {"weights": {"en": 1}},
        "m": {"weights": {"en": 1, "@family:made-up": 1, "@script:Runes": 1}},
    }
    values["grid"]["mixes"] = ["en", "m"]
    config = parse(values)
    weights = shares(catalogue.portions_of(config, "m", tasks.load_task("reviews")))
    assert weights == pytest.approx({"en": 1 / 3, "xyz": 2 / 3})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("languages", "message"),
    [
        ({"add": {"xyz": {}}}, "languages.add.xyz: the language 'xyz' is in no table yet and needs a name"),
        ({"add": {"xyz": {"name": "X", "joshi": 9}}}, "languages.add.xyz.joshi: must be less than or equal to 5"),
        ({"add": {"xyz": {"name": "X", "joshi": "low"}}}, "languages.add.xyz.joshi: must be a whole number"),
        ({"add": {"xyz": {"name": "X", "naem": 1}}}, "languages.add.xyz.naem: unknown key"),
        ({"add": {"xyz": {"name": "X", "iso639_3": "xy"}}}, "languages.add.xyz.iso639_3: "),
        ({"add": {"x/y": {"name": "X"}}}, "languages.add.x/y: 'x/y' is no code"),
        ({"add": {"mul": {"name": "X"}}}, "languages.add.mul: 'mul' has a meaning of its own"),
        ({"add": {"xyz": {"name": "X", "encoders": ["xlmr"]}}}, "languages.add.xyz.encoders: unknown encoder 'xlmr'"),
        ({"add": {"xyz": "Xyzzy"}}, "languages.add.xyz: must be a dictionary"),
        ({"add": ADDED, "rare": {"joshi": 1, "wikipedia": 5}}, "languages.rare: found joshi, wikipedia; write one of"),
        ({"add": ADDED, "rare": {}}, "languages.rare: found no key; write one of joshi, wikipedia, unread_by"),
        ({"add": ADDED, "rare": {"unread_by": "y"}}, "languages.rare.unread_by: unknown encoder 'y'"),
        ({"add": ADDED, "rare": {"unread_by": "x"}}, "languages.rare.unread_by: it is not known what encoder 'x'"),
        ({"add": ADDED, "rare": {"class": 1}}, "languages.rare.class: unknown key"),
        ({"add": ADDED, "rare": ["xyzz"]}, "languages.rare: unknown language 'xyzz'; did you mean 'xyz'"),
    ],
)
def test_a_bad_entry_is_a_message_with_its_key(write, languages, message):
    write(reviews=["en", "yo", "xyz"])
    assert any(line.startswith(message) for line in problems(raw(**languages))), problems(raw(**languages))


def test_not_known_can_be_written(write):
    write(reviews=["en", "xyz"])
    unknown = dict.fromkeys(("iso639_3", "family", "branch", "script", "joshi", "wikipedia_articles"), "not known")
    config = parse(raw(add={"xyz": {"name": "Xyzzy"} | unknown}))
    entry = catalogue.described(config, ["xyz"])["xyz"]
    assert (entry.family, entry.joshi, entry.wikipedia_articles, entry.rare) == (None, None, None, True)


def test_the_world_has_languages_of_its_own():
    assert problems({"languages": {"add": ADDED}})[0].startswith("languages.add: the world has its own languages")
    assert "nothing of the kind is known" in problems({"languages": {"rare": {"joshi": 2}}})[0]


def test_one_language_under_two_codes_is_refused(write):
    write(reviews=["en", "yo"], more=["en", "yor_Latn"], english=["eng_Latn", "yo"])
    values = raw(target="more")
    (line,) = problems(values)
    assert line.startswith("config/tasks/more.yaml: 'yor_Latn' is 'yo' of the language table")
    assert "write `languages: {yo: yor_Latn}`" in line
    assert any("'eng_Latn' is 'en' of the language table" in line for line in problems(raw(target="english")))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "rare"),
    [
        ("auto", "yo wo kas_Latn xyz"),
        ({"joshi": 1}, "kas_Latn xyz"),
        ({"joshi": 5}, "en de yo wo kas_Latn xyz"),
        ({"wikipedia": 50_000}, "yo wo kas_Latn xyz"),
        ({"wikipedia": 10_000}, "wo kas_Latn xyz"),
        (["de"], "de"),
    ],
)
def test_what_is_rare_is_one_setting(write, rule, rare):
    codes = ["en", "de", "yo", "wo", "kas_Latn", "xyz"]
    write(reviews=codes)
    config = parse(raw(add=ADDED, rare=rule))
    assert [code for code in codes if code in catalogue.rare_languages(config)] == rare.split()


@pytest.mark.parametrize(
    ("encoder", "rare"),
    [
        ({"from": "FacebookAI/xlm-roberta-base"}, "yo wo xyz"),
        ({"from": "google-bert/bert-base-multilingual-cased"}, "wo am xyz"),
        ({"from": "some/encoder", "pretrained_on": ["en", "wo"]}, "de yo am xyz"),
        ({"from": "some/encoder", "pretrained_on": "afro-xlmr"}, "wo xyz"),
    ],
)
def test_rare_can_be_what_an_encoder_has_not_read(write, encoder, rare):
    codes = ["en", "de", "yo", "wo", "am", "xyz"]
    write(reviews=codes)
    config = parse(raw(encoder={"revision": "0" * 40} | encoder, add=ADDED, rare={"unread_by": "x"}))
    assert [code for code in codes if code in catalogue.rare_languages(config)] == rare.split()


def test_the_analysis_asks_the_encoder_that_is_used_and_no_other(write):
    write(reviews=["en", "yo", "wo", "xyz"])
    added = {"xyz": {"name": "Xyzzy", "encoders": ["mbert"]}}
    values = raw(add=added)
    values["encoders"] |= {
        "m": {"from": "google-bert/bert-base-multilingual-cased", "revision": "0" * 40},
        "f": {"from": "FacebookAI/xlm-roberta-base", "revision": "0" * 40},
    }
    values["grid"]["encoders"] = ["x", "m", "f"]
    spec = SummarySpec.read(Specs(Grid(parse(values))).spec_summary())
    assert spec.pretrained == {
        "m": {"en": True, "yo": True, "wo": False, "xyz": True},
        "f": {"en": True, "yo": False, "wo": False, "xyz": False},
    }


def test_an_encoder_that_is_pretrained_here_has_read_its_text():
    config = parse({"encoders": {"world": {"languages": ["en", "nor"]}, "blank": {"training": {"steps": 0}}},
                    "grid": {"encoders": ["world", "blank"]}})  # fmt: skip
    entries = catalogue.described(config, ["en", "nor", "fri"])
    assert catalogue.pretraining(config, "world", entries) == {"en": True, "nor": True, "fri": False}
    assert catalogue.pretraining(config, "blank", entries) == {"en": False, "nor": False, "fri": False}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pretrained_on", "message"),
    [
        ("xlmr", "encoders.x.pretrained_on: unknown encoder 'xlmr'"),
        (["en", "english"], "encoders.x.pretrained_on: language 'english' is not defined"),
        (["en", "en"], "encoders.x.pretrained_on: 'en' is listed more than once"),
        (3, "encoders.x.pretrained_on: "),
    ],
)
def test_what_an_encoder_has_read_is_checked(write, pretrained_on, message):
    write(reviews=["en", "yo"])
    encoder = {"from": "some/encoder", "revision": "0" * 40, "pretrained_on": pretrained_on}
    assert problems(raw(encoder=encoder))[0].startswith(message)
